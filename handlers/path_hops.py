"""One hop of a solve in the contracts' integers: what a quote answers, with what all tries share computed once.

A solve swaps through the same pools from the same state a dozen times, and most of its swaps end within the range at
hand. For each V3 hop `prepare_hops` finds, once,

    target      the price at which a swap's first step would end: the next initialized tick or the end of the map's word
    most_out    what the pool pays on the way there

A swap that stops short of the target is one step at constant liquidity, and it needs neither the tick map nor the
target's amounts. **Exact input**: where the price comes to rest if nothing is in its way tells whether the target is
reached (the proof is at `disruptor.handlers.swap_steps`). **Exact output**: the contract stops short of the target
where it pays more on the way there than what is wanted; what it then pays is all of that, because the price is rounded
away from the start. All other swaps, and those where the contract would change its formula, are quoted as usual.

INVARIANT: what a hop answers is what a quote does: `test_path_hops.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.by_venue import most_in, trade
from disruptor.handlers.constant_product import room_of
from disruptor.handlers.fixed_point import mul_div_rounding_up
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.path_standing import note_end
from disruptor.handlers.sqrt_price_math import next_price_from_input, next_price_from_output
from disruptor.handlers.swap_math import MILLION, amount_in_between, amount_out_between, less_fee
from disruptor.handlers.tick_bitmap import next_initialized_above, next_initialized_below
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick
from disruptor.handlers.uniswap_v2 import get_amount_in, get_amount_out
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT
from disruptor.handlers.wide import U256, add, bit_length, is_zero, load, store, u256
from disruptor.jit import jit
from disruptor.status import OK

_NOTHING, _NO_LIMIT = U256(0), U256(0)
_BITS = 256
#: No plain constants: numba would compile what takes them once for each.
_EXACT_IN, _EXACT_OUT = np.bool_(True), np.bool_(False)


@jit
def prepare_hops(state: Any, path: Any, forward: Any) -> None:
    """Get the hops of a path ready for `pay_in` and `pay_for`: writes `ready`, `target`, `most_out` of `hop_cells`.

    Parameters
    ----------
    path : row of `paths`
    forward : the direction
    """
    for k in range(np.int64(path["hops"])):
        pool, zero_for_one = hop_of(path, k, forward)
        row(state.hop_cells, k)["ready"] = np.uint32(0)
        if read(state.pools, pool)["kind"] == KIND_UNISWAP_V3:
            _prepare(state, k, pool, zero_for_one)


@jit
def _prepare(state: Any, k: Any, pool: Any, zero_for_one: Any) -> None:
    """`prepare_hops` of one V3 pool; one in a state that no contract has is left to quotes."""
    never_inlined()
    p, cell = read(state.pools, pool), row(state.hop_cells, k)
    price, liquidity = load(p["sqrt_price_x96"]), load(p["liquidity"])
    tick, spacing = np.int64(p["tick"]), np.int64(p["tick_spacing"])
    inside = price > LOWEST_LIMIT and price < HIGHEST_LIMIT and not is_zero(liquidity)
    if not inside or spacing <= 0 or tick < MIN_TICK or tick > MAX_TICK or p["fee"] >= MILLION:
        return
    compressed = tick // spacing
    if zero_for_one:
        found, _ = next_initialized_below(state, np.int64(pool), compressed, np.int64(1))
        _, target = sqrt_ratio_at_tick(max(found * spacing, MIN_TICK))
        target = LOWEST_LIMIT if target < LOWEST_LIMIT else target
    else:
        found, _ = next_initialized_above(state, np.int64(pool), compressed + 1, np.int64(1))
        _, target = sqrt_ratio_at_tick(min(found * spacing, MAX_TICK))
        target = HIGHEST_LIMIT if target > HIGHEST_LIMIT else target
    store(cell["target"], target)
    store(cell["most_out"], amount_out_between(price, target, liquidity, zero_for_one))
    cell["ready"] = np.uint32(target < price if zero_for_one else target > price)


@jit
def pay_in(state: Any, k: Any, pool: Any, zero_for_one: Any, amount: Any) -> Any:
    """(what hop k takes of an input, what it pays); a pool that would hold more than it can reverts: it pays nothing.

    Parameters
    ----------
    k : row of `hop_cells`, as `prepare_hops` left it; is told which ticks were looked at
    pool, zero_for_one : the hop
    amount : U256, not zero
    """
    p = read(state.pools, pool)
    if p["kind"] == KIND_UNISWAP_V2:
        return _pair_in(p, zero_for_one, amount)
    if p["kind"] == KIND_UNISWAP_V3:
        short, after = stop_of(state, k, p, zero_for_one, amount)
        if short:
            return amount, amount_out_between(
                load(p["sqrt_price_x96"]), after, load(p["liquidity"]), zero_for_one
            )
    most = most_in(state, pool, zero_for_one)
    if amount > most:
        return most, _NOTHING
    taken, paid, _ = _quoted(state, k, pool, zero_for_one, _EXACT_IN, amount)
    return taken, paid


@jit
def pay_for(state: Any, k: Any, pool: Any, zero_for_one: Any, amount: Any) -> Any:
    """The input (U256) for which hop k pays exactly `amount`; 0 if none does. Parameters as for `pay_in`."""
    p = read(state.pools, pool)
    if p["kind"] == KIND_UNISWAP_V2:
        into, out = _reserves(p, zero_for_one)
        status, needed = get_amount_in(amount, into, out, np.int64(p["fee"]))
        return needed if status == OK else _NOTHING
    cell = read(state.hop_cells, k)
    if cell["ready"] != 0 and amount < load(cell["most_out"]):
        needed = _range_for(p, zero_for_one, amount)
        if not is_zero(needed):
            return needed
    needed, _, partial = _quoted(state, k, pool, zero_for_one, _EXACT_OUT, amount)
    return _NOTHING if partial else needed


@jit
def _quoted(state: Any, k: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: Any) -> Any:
    """(amount in, amount out, whether partial) of a quote; amounts are 0 where it is refused."""
    never_inlined()
    t = trade(state, pool, zero_for_one, exact_in, amount, _NO_LIMIT)
    note_end(state, k, pool, zero_for_one, t.status, t.tick)
    if t.status != OK:
        return _NOTHING, _NOTHING, False
    return t.amount_in, t.amount_out, t.partial


@jit
def _reserves(p: Any, zero_for_one: Any) -> Any:
    """(of the token that comes in, of the one that goes out) of a V2 pair."""
    reserve0, reserve1 = load(p["reserve0"]), load(p["reserve1"])
    return (reserve0, reserve1) if zero_for_one else (reserve1, reserve0)


@jit
def _pair_in(p: Any, zero_for_one: Any, amount: Any) -> Any:
    """`pay_in` of a V2 pair."""
    into, out = _reserves(p, zero_for_one)
    most = room_of(into)
    if amount > most:
        return most, _NOTHING
    status, paid = get_amount_out(amount, into, out, np.int64(p["fee"]))
    return (amount, paid) if status == OK else (_NOTHING, _NOTHING)


@jit
def stop_of(state: Any, k: Any, p: Any, zero_for_one: Any, amount: Any) -> Any:
    """(whether an input of V3 hop k, whose pool's row is `p`, stops short of the target, at which price)."""
    never_inlined()
    cell, price = read(state.hop_cells, k), load(p["sqrt_price_x96"])
    offered = less_fee(amount, np.int64(p["fee"]))
    if cell["ready"] == 0 or bit_length(offered) + bit_length(price) >= _BITS:
        return False, price
    status, after = next_price_from_input(price, load(p["liquidity"]), offered, zero_for_one)
    target = load(cell["target"])
    return status == OK and (after > target if zero_for_one else after < target), after


@jit
def _range_for(p: Any, zero_for_one: Any, amount: Any) -> U256:
    """The input for which a V3 pool pays an output below `most_out`; 0 where that is not certain."""
    never_inlined()
    price, liquidity, fee = load(p["sqrt_price_x96"]), load(p["liquidity"]), np.int64(p["fee"])
    status, after = next_price_from_output(price, liquidity, amount, zero_for_one)
    if status != OK:
        return _NOTHING
    amount_in = amount_in_between(price, after, liquidity, zero_for_one)
    status, taken = mul_div_rounding_up(amount_in, u256(fee), u256(MILLION - fee))
    return add(amount_in, taken) if status == OK else _NOTHING
