"""What depends on a pool's kind: each function here is that of the venue that the pool is of.

In compiled code the venues are those of the state's type (`StateLayout.extensions`, the built-in ones first), so each
function becomes a few comparisons with constants and calls that LLVM sees through:

    trade(state, pool, …)   kind = pools[pool].kind
                            if kind == 2: return <V2's trade>(state, pool, …)
                            if kind == 3: …
                            return <what holds for a kind that nobody declared>

A function pointer in the pool's row would cost 8 ns a call and hide the code from LLVM; a global registry would freeze
the venues of whichever handler set came first. With the JIT off a loop over the venues does the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba.extending import overload

from disruptor.access import read
from disruptor.handlers.quoting import UNKNOWN_POOL, Trade, refused
from disruptor.handlers.uniswap_venues import BUILT_IN
from disruptor.handlers.venues import Venue
from disruptor.handlers.wide import u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit

F = TypeVar("F", bound=Callable[..., Any])
_NOTHING = U256(0)
#: What a function stands for in venues, and what it is for kinds that nobody declared.
_CHOICES: dict[Any, tuple[str, Any]] = {}


def venues_of(state: Any) -> tuple[Venue, ...]:
    """The venues of a state with the JIT off, of a layout, or of a state's numba type."""
    declared = getattr(state, "declaration", None) or getattr(state, "instance_class", None) or state
    return (*BUILT_IN, *getattr(declared, "extensions", ()))


def _asked(function: Any, state: Any, pool: Any, *rest: Any) -> Any:
    """With the JIT off: what the function stands for is looked up in the pool's venue."""
    name, value = _CHOICES[function]
    kind = int(read(state.pools, pool)["kind"])
    for venue in venues_of(state):
        if venue.kind == kind:
            value = venue.code(name)
    return value(state, pool, *rest) if callable(value) else value


def _by_venue(name: str, otherwise: Any) -> Callable[[F], F]:
    """Let a function (state, pool, …) be the venues' functions `name`, and `otherwise` for other kinds.

    What a venue has in a function's place, and `otherwise`, may be a value: then it is the answer.
    """

    def declare(function: F) -> F:
        _CHOICES[function] = name, otherwise
        parameters = list(inspect.signature(function).parameters)

        def choose(state: Any, *_rest: Any) -> Any:
            return _chosen(name, parameters, venues_of(state), otherwise)

        overload(function, strict=False)(choose)
        return function

    return declare


def _chosen(name: str, parameters: list[str], venues: tuple[Venue, ...], otherwise: Any) -> Any:
    """The function that compares a pool's kind with each venue's, written out."""
    arguments = ", ".join(parameters)
    scope: dict[str, Any] = {"read": read}
    lines = [f"def chosen({arguments}):", "    kind = read(state.pools, pool)['kind']"]
    for k, value in enumerate([*(venue.code(name) for venue in venues), otherwise]):
        scope[f"_{k}"] = value
        indent = "    "
        if k < len(venues):
            lines.append(f"    if kind == {venues[k].kind}:")
            indent = "        "
        lines.append(f"{indent}return _{k}({arguments})" if callable(value) else f"{indent}return _{k}")
    exec("\n".join(lines), scope)
    return scope["chosen"]


@jit
def _no_trade(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Trade:
    return refused(UNKNOWN_POOL)


@jit
def _no_move(state: Any, pool: Any, zero_for_one: Any, amount_in: U256, made: Trade) -> Any:
    return np.int64(UNKNOWN_POOL)


@jit
def _no_price(state: Any, pool: Any, zero_for_one: Any) -> Any:
    return u256(np.uint64(0)), u256(np.uint64(1)), np.int64(0), np.int64(0)


@_by_venue("tradable", False)
def has_price(state: Any, pool: Any) -> Any:
    """Whether a complete pool has a price."""
    return _asked(has_price, state, pool)


@_by_venue("rates", (0.0, 0.0))
def rates_at(state: Any, pool: Any) -> Any:
    """(float64, float64): what one unit buys at the margin net of fee, selling token0 and selling token1."""
    return _asked(rates_at, state, pool)


@_by_venue("price", _no_price)
def price_at(state: Any, pool: Any, zero_for_one: Any) -> Any:
    """(n, d, e, fee): token1 for one token0 is n / d * 2^e before the fee, in millionths."""
    return _asked(price_at, state, pool, zero_for_one)


@_by_venue("piece", False)
def piece_at(state: Any, pool: Any, k: Any, zero_for_one: Any, number: Any) -> Any:
    """Fill row k of `hop_cells` with the number-th piece of a pool's curve; False at its end."""
    return _asked(piece_at, state, pool, k, zero_for_one, number)


@_by_venue("gas", np.int64(0))
def gas_at(state: Any, pool: Any, crossed: Any) -> Any:
    """Gas (int64) of a swap that crossed so many pieces."""
    return _asked(gas_at, state, pool, crossed)


@_by_venue("most_in", _NOTHING)
def most_in(state: Any, pool: Any, zero_for_one: Any) -> Any:
    """The most (U256) that a pool may take."""
    return _asked(most_in, state, pool, zero_for_one)


@_by_venue("takes_limit", False)
def takes_limit(state: Any, pool: Any) -> Any:
    """Whether a pool's quotes may name a price limit."""
    return _asked(takes_limit, state, pool)


@_by_venue("move", _no_move)
def move(state: Any, pool: Any, zero_for_one: Any, amount_in: U256, made: Trade) -> Any:
    """Make a trade the state; `OK`, or the status with which the pool refuses: then nothing has changed."""
    return _asked(move, state, pool, zero_for_one, amount_in, made)


@_by_venue("trade", _no_trade)
def trade(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Any:
    """What a trade with a pool would do (`Trade`); changes nothing.

    Parameters
    ----------
    pool : id of a pool of any kind, within the table
    zero_for_one : bool, token0 comes in
    exact_in : bool, `amount` comes in; else it goes out
    amount : U256, raw units
    limit : U256, Q64.96, where a V3 pool's price stops; 0 for none. Other pools look at none
    """
    return _asked(trade, state, pool, zero_for_one, exact_in, amount, limit)


@jit
def quote_exact_in(state: Any, pool: Any, zero_for_one: Any, amount: U256) -> tuple[int, U256, bool]:
    """What an input buys of a pool of any kind: (status, amount out, whether only a part of the input was used)."""
    t = trade(state, pool, zero_for_one, True, amount, _NOTHING)
    return t.status, t.amount_out, t.partial


@jit
def quote_exact_out(state: Any, pool: Any, zero_for_one: Any, amount: U256) -> tuple[int, U256, bool]:
    """What buys an output of a pool of any kind: (status, amount in, False), for an output is paid in full or not."""
    t = trade(state, pool, zero_for_one, False, amount, _NOTHING)
    return t.status, t.amount_in, t.partial
