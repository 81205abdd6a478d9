"""Where a pool stands on its curve, and what one more unit would buy there: the float side of the search.

Within a *piece* every pool is a constant-product pool. With `kept` = 1 - fee and virtual reserves x, y

    out(in) = y * kept * in / (x + kept * in)

V2: x, y are the reserves and there is one piece. V3: x = L / sqrt(P), y = L * sqrt(P) (the other way round for one
for zero), and a piece ends where the price meets the next initialized tick, or the end of the bitmap word, beyond which
the search has not looked yet. A piece without liquidity is crossed by no input at all.

DETERMINISM: these floats only propose an amount and bar what can't pay; every number that leaves the engine is
computed again in integers. They are the same on every machine all the same: +, -, *, / and sqrt, each correctly
rounded, never fused or reordered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import find, read, row
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.pools import is_complete
from disruptor.handlers.tick_bitmap import next_initialized_above, next_initialized_below
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick
from disruptor.handlers.wide import add, load, load_signed, store, sub, to_f64
from disruptor.jit import jit

_MILLION = 1_000_000
_MILLIONTH = 1e-6
_TWO_MINUS_96 = 2.0**-96
#: Words of the tick bitmap looked at for the end of a piece. An optimum is rarely further away.
_WORDS = 8
#: Pieces without liquidity skipped at one go: every look-out, and every tick, of a map with spacing 1.
_MAX_EMPTY = 16_384


@jit
def is_tradable(state: Any, pool: Any) -> bool:
    """Whether a pool can take part: complete, a known fee, a price."""
    p = read(state.pools, pool)
    if p["fee"] >= _MILLION or not is_complete(state, pool):
        return False
    if p["kind"] == KIND_UNISWAP_V2:
        has0 = (p["reserve0"][0] | p["reserve0"][1]) != 0
        return has0 and (p["reserve1"][0] | p["reserve1"][1]) != 0
    return (p["sqrt_price_x96"][0] | p["sqrt_price_x96"][1] | p["sqrt_price_x96"][2]) != 0


@jit
def refresh_rates(state: Any, pool: Any) -> None:
    """What one unit buys at the margin, net of the fee, both ways: no swap of any size pays better.

    A V3 pool without liquidity at its price keeps the price's rate: beyond the gap it can only be worse.
    """
    r = row(state.rates, pool)
    r["zero_for_one"] = 0.0
    r["one_for_zero"] = 0.0
    if not is_tradable(state, pool):
        return
    p = read(state.pools, pool)
    kept = np.float64(_MILLION - np.int64(p["fee"])) * _MILLIONTH
    if p["kind"] == KIND_UNISWAP_V2:
        price = to_f64(load(p["reserve1"])) / to_f64(load(p["reserve0"]))
    else:
        root = to_f64(load(p["sqrt_price_x96"])) * _TWO_MINUS_96
        price = root * root
    if price > 0.0:
        r["zero_for_one"] = kept * price
        r["one_for_zero"] = kept / price


@jit
def start_hop(state: Any, k: Any, pool: Any, zero_for_one: Any) -> bool:
    """Put hop k at a pool's present state; False if nothing can be bought there."""
    cell = row(state.hop_cells, k)
    p = read(state.pools, pool)
    cell["pool"], cell["zero_for_one"], cell["kind"] = pool, np.uint32(zero_for_one), p["kind"]
    cell["crossed"] = np.uint32(0)
    cell["kept"] = np.float64(_MILLION - np.int64(p["fee"])) * _MILLIONTH
    if p["kind"] == KIND_UNISWAP_V3:
        cell["tick"] = p["tick"]
        cell["sqrt_price"] = to_f64(load(p["sqrt_price_x96"])) * _TWO_MINUS_96
        store(cell["liquidity"], load(p["liquidity"]))
        return _enter_piece(state, k)
    reserve0, reserve1 = to_f64(load(p["reserve0"])), to_f64(load(p["reserve1"]))
    cell["depth_in"], cell["depth_out"] = (reserve0, reserve1) if zero_for_one else (reserve1, reserve0)
    cell["room"] = np.inf
    return True


@jit
def next_piece(state: Any, k: Any) -> bool:
    """Cross the end of hop k's piece; False at the end of the curve."""
    if not _cross(state, k):
        return False
    return _enter_piece(state, k)


@jit
def _cross(state: Any, k: Any) -> bool:
    """Step over the tick at the end of a piece: liquidity changes if it is initialized."""
    cell = row(state.hop_cells, k)
    end = cell["boundary_tick"]
    if cell["kind"] != KIND_UNISWAP_V3 or end <= MIN_TICK or end >= MAX_TICK:
        return False
    falling = cell["zero_for_one"] != 0
    if cell["boundary_initialized"] != 0:
        at = find(state.ticks, cell["pool"], end)
        if at < 0:
            return False
        net = load_signed(read(state.ticks, at)["liquidity_net"])
        liquidity = load(cell["liquidity"])
        store(cell["liquidity"], sub(liquidity, net) if falling else add(liquidity, net))
        cell["crossed"] += np.uint32(1)
    cell["tick"] = end - np.int32(1) if falling else end
    cell["sqrt_price"] = _root_at(end)
    return True


@jit
def _root_at(tick: Any) -> Any:
    _, ratio = sqrt_ratio_at_tick(np.int64(tick))
    return to_f64(ratio) * _TWO_MINUS_96


@jit
def _end_of_piece(state: Any, pool: Any, tick: Any, falling: Any) -> Any:
    """(tick, initialized): the next initialized tick, or where the look-out of `_WORDS` ends."""
    spacing = max(np.int64(read(state.pool_directory, pool)["tick_spacing"]), np.int64(1))
    compressed = np.int64(tick) // spacing
    if falling:
        found, initialized = next_initialized_below(state, pool, compressed, _WORDS)
        return max(found * spacing, np.int64(MIN_TICK)), initialized
    found, initialized = next_initialized_above(state, pool, compressed + 1, _WORDS)
    return min(found * spacing, np.int64(MAX_TICK)), initialized


@jit
def _enter_piece(state: Any, k: Any) -> bool:
    """Compute the piece that begins at the cell's price; pieces without liquidity are skipped."""
    cell = row(state.hop_cells, k)
    falling = cell["zero_for_one"] != 0
    for _ in range(_MAX_EMPTY):
        end, initialized = _end_of_piece(state, cell["pool"], cell["tick"], falling)
        cell["boundary_tick"], cell["boundary_initialized"] = np.int32(end), np.uint32(initialized)
        liquidity = to_f64(load(cell["liquidity"]))
        if liquidity > 0.0:
            here, there = cell["sqrt_price"], _root_at(end)
            if falling:
                cell["depth_in"], cell["depth_out"] = liquidity / here, liquidity * here
                input_room = liquidity / there - cell["depth_in"]
            else:
                cell["depth_in"], cell["depth_out"] = liquidity * here, liquidity / here
                input_room = liquidity * there - cell["depth_in"]
            cell["room"] = max(input_room, 0.0) / cell["kept"]
            return True
        if not _cross(state, k):
            return False
    return False
