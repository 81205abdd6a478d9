"""Venues: the kinds of pools that there are, each declared in one place. Uniswap V2 and V3 are two; users add theirs.

A venue says what its contracts log, which of these logs tell a pool's whole state, and how a pool of it trades: the
exact quote, what a trade changes, the price at the margin, the curve piece by piece for the search, and gas. What is
asked of pools of any kind goes through `disruptor.handlers.by_venue`, which is compiled for the venues of the handler
set. Kinds are named only where a rule is one protocol's own: tracking and audit of its logs, fees of its factories.

A venue that names only its logs is a constant-product pool with a fixed fee: see `disruptor.handlers.constant_product`
for what the functions get and return, and docs/venues.md for how to write one's own.

Words of a log are "type" (only checked) or "type field" (also stored). A type is a Solidity type of one word, or
`tick`, `fee`, `spacing`: int24 and uint24 in the ranges that Uniswap V3 allows.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from disruptor import identity
from disruptor.handlers import constant_product
from disruptor.handlers.messages import HASH
from disruptor.handlers.pools import pools
from disruptor.jit import JIT_DISABLED, jit
from disruptor.message import FieldType, MessageType, message, u32
from disruptor.table import Table

#: Gas of a swap where a venue says nothing: a constant-product pair's.
GAS_PAIR = 70_000
#: What of a venue is code that kernels call, or a number in its place.
FUNCTIONS = ("tradable", "rates", "price", "piece", "trade", "most_in", "move", "gas", "takes_limit")


@dataclass(frozen=True)
class PoolLog:
    """One log that pools of a venue emit.

    message : what it becomes: begins with the fields of `pool_message`
    topic : 64 hex digits, with or without 0x
    indexed, words : the words of its topics and of its data, in order
    settles : after it the pool's state is the chain's, whatever was missed before. Where its message has fields
        `reserve0` and `reserve1` (u128), they become those of the pool's row
    """

    message: MessageType
    topic: str
    indexed: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    settles: bool = False


@dataclass(frozen=True)
class CreationLog:
    """The log with which a venue's factory announces a pool.

    indexed, words : as of `PoolLog`; among them "address token0", "address token1" and "address pool", and where the
        factory tells them "fee fee" (or any uint, in millionths) and "spacing tick_spacing"
    """

    topic: str
    indexed: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Venue:
    """One kind of pool. All functions are kernels: `@jit`, or plain functions that are compiled as such.

    Attributes
    ----------
    kind : number in `pools.kind`; users' from 1000 to 4095
    name : in pools files and `--state-out`
    logs : what its pools emit
    creations : what its factories emit; pools may also come out of a pools file
    factories : addresses from which alone `creations` count; needed where another venue has the same creation log
    fee : millionths, where neither factory nor pools file say; None: unknown, and no part in what counts fees
    given : message of the state in a pools file: `pool`, then fields named as in the file
    tables : tables of its own that its functions read, keyed by pools; `--state-out` shows their fields
    moves : fields that `move` changes, by table
    tradable (state, pool) -> bool : whether there is a price; asked of complete pools only
    rates (state, pool) -> (float64, float64) : what one unit buys at the margin net of fee, selling token0 and selling
        token1. No input of any size may buy more for a unit. Default: from `price`
    price (state, pool, zero_for_one) -> (U256 n, U256 d, int64 e, int64 fee) : token1 for one token0 at the margin is
        n / d * 2^e before the fee, in millionths
    piece (state, pool, k, zero_for_one, number) -> bool : fills row k of `hop_cells` with the number-th piece of the
        curve from where the pool stands; False at its end
    trade (state, pool, zero_for_one, exact_in, amount, limit) -> Trade : the exact quote
    most_in (state, pool, zero_for_one) -> U256 : the most that the pool may take; a U256 for all pools
    move (state, pool, zero_for_one, amount_in, made) -> int64 : makes the trade `made` the state, or refuses
    gas (state, pool, crossed) -> int64 : gas of a swap that crossed so many pieces (as `piece` counts); or a number
    takes_limit : whether quotes may name a price limit
    """

    kind: int
    name: str
    logs: tuple[PoolLog, ...]
    creations: tuple[CreationLog, ...] = ()
    factories: tuple[str, ...] = ()
    fee: int | None = None
    given: MessageType | None = None
    tables: tuple[Table, ...] = ()
    moves: Mapping[Table, tuple[str, ...]] = field(default_factory=lambda: {pools: ("reserve0", "reserve1")})
    tradable: Callable[..., Any] = constant_product.has_reserves
    rates: Callable[..., Any] | None = None
    price: Callable[..., Any] = constant_product.price
    piece: Callable[..., Any] = constant_product.piece
    trade: Callable[..., Any] = constant_product.trade
    most_in: Any = constant_product.most_in
    move: Callable[..., Any] = constant_product.move
    gas: Any = GAS_PAIR
    takes_limit: bool = False

    def __post_init__(self) -> None:
        """Compile plain functions, and give numbers the type that functions return."""
        for name in FUNCTIONS:
            value = getattr(self, name)
            if isinstance(value, types.FunctionType) and not JIT_DISABLED:
                object.__setattr__(self, name, jit(value))
        if isinstance(self.gas, int):
            object.__setattr__(self, "gas", np.int64(self.gas))

    def code(self, name: str) -> Any:
        """What stands for one of `FUNCTIONS`: a kernel, or a value in its place."""
        return self._rates_of_price if name == "rates" and self.rates is None else getattr(self, name)

    @cached_property
    def _rates_of_price(self) -> Any:
        return jit(constant_product.rates_of(self.price))

    @property
    def messages(self) -> tuple[MessageType, ...]:
        """The messages of its own that come in: of logs, and of given state."""
        found = dict.fromkeys(log.message for log in self.logs)
        if self.given is not None:
            found[self.given] = None
        return tuple(found)

    @property
    def settling(self) -> tuple[MessageType, ...]:
        """The messages after which a pool's state is the chain's."""
        found = dict.fromkeys(log.message for log in self.logs if log.settles)
        if self.given is not None:
            found[self.given] = None
        return tuple(found)

    @cached_property
    def encoding(self) -> str:
        """What decides which slots its logs become, as text: kind, logs and creations."""
        logs = [
            (log.message.type_id, f"{log.message.schema_hash:016x}", log.topic, log.indexed, log.words)
            for log in self.logs
        ]
        return repr((self.kind, self.name, logs, self.creations, self.factories, self.fee))

    def identity_parts(self) -> dict[str, Any]:
        """What an identity covers of it, by name: its functions, and the rest as text."""
        moves = {table.name: fields for table, fields in self.moves.items()}
        return {name: self.code(name) for name in FUNCTIONS} | {
            "declared": f"{self.encoding} {moves} {[table.name for table in self.tables]}"
        }

    @cached_property
    def key(self) -> str:
        """Text that tells this venue from any other, its code included."""
        return identity.semantic_identity(identity.close([self]))


def pool_message(name: str, type_id: int, fields: Mapping[str, FieldType]) -> MessageType:
    """The message of a log that pools emit: its place and transaction, then the given fields.

    >>> from disruptor.message import u128
    >>> list(pool_message("TwoReserves", 3999, {"reserve0": u128, "reserve1": u128}).fields)[:2]
    ['pool', 'log_index']
    """
    head = {"pool": u32, "log_index": u32, "transaction_index": u32, "reserved": u32, "tx_hash": HASH}
    return message(name, type_id, {**head, **fields})
