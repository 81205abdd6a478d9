"""The events of a made-up market, as the slots that a journal of it would hold.

First one block that creates all tokens and pools. Then blocks of a few hundred tracked logs: swaps of pools drawn by
Zipf's law, each with the logs and the state that the contract would leave behind (V2: `Sync` and `Swap`), each in a
transaction of its own. Now and then a swap is a shock (`bench.scale_market`); the first transaction of the next block
takes it back.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.scale_market import Listed, Market
from bench.scale_pools import PairPool, RangePool, Trade
from disruptor.handlers import messages as m
from disruptor.message import DEFAULT_SLOT_SIZE, HEADER_SIZE, TYPE_ID_OFFSET, MessageType

_FLAGS_OFFSET = TYPE_ID_OFFSET + 2
_FIRST_BLOCK, _FIRST_TIME, _BLOCK_SECONDS = 20_000_000, 1_750_000_000, 12
_BASE_FEE, _GAS_LIMIT = 100_000_000, 36_000_000


@dataclass(frozen=True)
class Traffic:
    """What happens in the blocks: `shocks` of all logs open something, in pools of these `ranks`."""

    blocks: int
    logs_a_block: int
    zipf: float
    shocks: float
    ranks: range


@dataclass(frozen=True)
class Stream:
    """Slots in order; the blocks with swaps begin at `first`, and each ends before a slot of `block_ends`."""

    slots: npt.NDArray[np.uint8]
    first: int
    block_ends: list[int]
    logs: int
    shocks: int


class _Writer:
    """Appends slots. Fields are integers or byte strings."""

    def __init__(self) -> None:
        self._slots = bytearray()
        self._offsets: dict[int, dict[str, tuple[int, int]]] = {}
        self.count = 0

    def put(self, message: MessageType, flags: int = 0, **fields: Any) -> None:
        """One more slot; what is not named is zero."""
        slot = bytearray(DEFAULT_SLOT_SIZE)
        slot[:8] = self.count.to_bytes(8, "little")
        slot[TYPE_ID_OFFSET : TYPE_ID_OFFSET + 2] = message.type_id.to_bytes(2, "little")
        slot[_FLAGS_OFFSET : _FLAGS_OFFSET + 2] = flags.to_bytes(2, "little")
        places = self._places(message)
        for name, value in fields.items():
            start, length = places[name]
            if not isinstance(value, bytes):
                value = (value % (1 << 8 * length)).to_bytes(length, "little")
            slot[start : start + length] = value
        self._slots += slot
        self.count += 1

    def _places(self, message: MessageType) -> dict[str, tuple[int, int]]:
        """Offset in the slot and bytes of each field."""
        if message.type_id not in self._offsets:
            self._offsets[message.type_id] = {
                name: (HEADER_SIZE + message.offsets[name], kind.dtype.itemsize)
                for name, kind in message.fields.items()
            }
        return self._offsets[message.type_id]

    def slots(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(bytes(self._slots), np.uint8).reshape(-1, DEFAULT_SLOT_SIZE)


def make_stream(market: Market, traffic: Traffic) -> Stream:
    """All slots of a market's life. The market's pools end in the state that the last block leaves."""
    blocks = _Blocks(market)
    blocks.create()
    first = blocks.writer.count
    source, ends, shocks = market.source, [], 0
    weights = [1.0 / (rank + 1) ** traffic.zipf for rank in range(len(market.ranks))]
    reached = list(itertools.accumulate(weights))
    low, high = (reached[traffic.ranks.start], reached[traffic.ranks.stop - 1]) if traffic.ranks else (0, 0)
    shocked: list[Listed] = []
    for _ in range(traffic.blocks):
        blocks.start()
        for pool in shocked:
            blocks.swap(pool, market.usual_price(pool))
        shocked = []
        while blocks.logs < traffic.logs_a_block:
            if traffic.ranks and source.random() < traffic.shocks * blocks.logs_a_swap:
                pool = market.pools[market.ranks[_draw(reached, source.uniform(low, high))]]
                blocks.swap(pool, market.shocked_price(pool))
                shocked.append(pool)
            else:
                pool = market.pools[market.ranks[_draw(reached, source.random() * reached[-1])]]
                if pool not in shocked:
                    blocks.swap(pool, market.usual_price(pool))
        shocks += len(shocked)
        blocks.end()
        ends.append(blocks.writer.count)
    return Stream(blocks.writer.slots(), first, ends, blocks.all_logs, shocks)


def _draw(reached: Sequence[float], at: float) -> int:
    return min(bisect.bisect_left(reached, at), len(reached) - 1)


class _Blocks:
    """Writes blocks of swaps."""

    #: Half of the swaps leave two logs.
    logs_a_swap = 1.5

    def __init__(self, market: Market) -> None:
        self.market, self.writer = market, _Writer()
        self.numbers = {id(pool): number for number, pool in enumerate(market.pools)}
        self.block, self.logs, self.transactions, self.all_logs = _FIRST_BLOCK, 0, 0, 0

    def create(self) -> None:
        """The block in which everything comes to be."""
        self.start()
        for token, address in enumerate(self.market.addresses):
            self.writer.put(m.TokenRegistered, token=token, decimals=18, address=address)
        for number, listed in enumerate(self.market.pools):
            self._register(number, listed)
            self._first_state(number, listed)
        self.end()
        self.all_logs = 0

    def start(self) -> None:
        """Begin the next block."""
        self.block += 1
        self.logs = self.transactions = 0
        self.writer.put(
            m.BlockStart,
            m.FLAG_HASH_UNKNOWN,
            chain_id=1,
            number=self.block,
            timestamp=_FIRST_TIME + (self.block - _FIRST_BLOCK) * _BLOCK_SECONDS,
            base_fee=_BASE_FEE,
            gas_used=_GAS_LIMIT // 2,
            gas_limit=_GAS_LIMIT,
        )

    def end(self) -> None:
        """End the block."""
        self.writer.put(m.BlockEnd, block_number=self.block, log_count=self.logs)
        self.all_logs += self.logs

    def swap(self, listed: Listed, price: float) -> None:
        """A transaction that moves a pool to about this price; none if the pool can't go there in one step."""
        pool = listed.pool
        trade = pool.move(price)
        if trade is None:
            return
        number, before = self.numbers[id(listed)], self.logs
        if isinstance(pool, PairPool):
            self._log(m.UniswapV2Sync, number, reserve0=pool.reserve0, reserve1=pool.reserve1)
            self._log(m.UniswapV2Swap, number, **_v2_amounts(trade))
        else:
            self._log(
                m.UniswapV3Swap, number, amount0=trade.amount0, amount1=trade.amount1, **_v3_state(pool)
            )
        self.writer.put(
            m.TransactionEnd,
            block_number=self.block,
            transaction_index=self.transactions,
            log_count=self.logs - before,
            tx_hash=self._tx_hash(),
        )
        self.transactions += 1

    def _log(self, message: MessageType, pool: int, **fields: Any) -> None:
        place = {"log_index": self.logs, "transaction_index": self.transactions, "tx_hash": self._tx_hash()}
        born = m.FLAG_BORN if message is m.PoolRegistered else 0
        self.writer.put(message, born, pool=pool, **place, **fields)
        self.logs += 1

    def _tx_hash(self) -> bytes:
        return bytes(16) + self.block.to_bytes(8, "big") + (self.transactions + 1).to_bytes(8, "big")

    def _register(self, number: int, listed: Listed) -> None:
        pool, addresses = listed.pool, self.market.addresses
        self._log(
            m.PoolRegistered,
            number,
            kind=m.KIND_UNISWAP_V3 if pool.is_v3 else m.KIND_UNISWAP_V2,
            token0=listed.token0,
            token1=listed.token1,
            token0_address=addresses[listed.token0],
            token1_address=addresses[listed.token1],
            fee=pool.fee,
            tick_spacing=pool.spacing if isinstance(pool, RangePool) else 0,
            address=(number + 1).to_bytes(20, "big"),
        )

    def _first_state(self, number: int, listed: Listed) -> None:
        pool = listed.pool
        if isinstance(pool, PairPool):
            self._log(m.UniswapV2Sync, number, reserve0=pool.reserve0, reserve1=pool.reserve1)
            return
        state = _v3_state(pool)
        liquidity = state.pop("liquidity")
        self._log(m.UniswapV3Initialize, number, **state)
        ticks = {"tick_lower": pool.lower, "tick_upper": pool.upper}
        self._log(m.UniswapV3Mint, number, liquidity=liquidity, amount0=1, amount1=1, **ticks)


def _v2_amounts(trade: Trade) -> dict[str, int]:
    return {
        "amount0_in": max(trade.amount0, 0),
        "amount1_in": max(trade.amount1, 0),
        "amount0_out": max(-trade.amount0, 0),
        "amount1_out": max(-trade.amount1, 0),
    }


def _v3_state(pool: RangePool) -> dict[str, int]:
    return {"sqrt_price_x96": pool.sqrt_price, "tick": pool.tick, "liquidity": pool.liquidity}
