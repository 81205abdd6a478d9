"""One step of a V3 swap over tables: to the next initialized tick, the end of a bitmap word, or the limit.

A step is at constant liquidity, and it rounds; so the steps of a swap are the contract's own. Where there is no
liquidity a step moves the price, rounds nothing and pays nothing: there words without ticks are passed in one step.

Source: Uniswap v3-core 1.0.0, UniswapV3Pool.swap, the body of its loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.access import find, read
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.reverts import BROKEN_TICK_MAP
from disruptor.handlers.sqrt_price_math import next_price_from_input
from disruptor.handlers.swap_math import (
    add_delta,
    amount_in_between,
    amount_out_between,
    compute_swap_step,
    less_fee,
)
from disruptor.handlers.tick_bitmap import next_initialized_above, next_initialized_below
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick, tick_at_sqrt_ratio
from disruptor.handlers.wide import (
    U256,
    add,
    bit_length,
    is_zero,
    load_signed,
    negate,
    sub,
    u256,
)
from disruptor.jit import jit
from disruptor.status import OK

#: Of a step that crossed no initialized tick.
NO_ROW = -1
_WORD_SHIFT, _BITS = 8, 256


class Terms(NamedTuple):
    """What does not change during a swap."""

    pool: Any
    zero_for_one: Any
    exact_in: Any
    limit: Any
    fee: Any  # millionths
    spacing: Any


class Progress(NamedTuple):
    """How far a swap has come."""

    remaining: Any  # of the exact amount
    calculated: Any  # of the other
    sqrt_price: Any
    tick: Any
    liquidity: Any
    fee_amount: Any  # of the latest step
    steps: Any
    crossed: Any  # initialized ticks


@jit
def step(state: Any, terms: Terms, p: Progress) -> tuple[int, Any, Progress]:
    """Swap on, by one step.

    Parameters
    ----------
    state : read only
    terms : Terms of a pool that `uniswap_v3` has checked
    p : Progress, with something remaining and the price short of the limit

    Returns
    -------
    (status, row, progress) : `OK`, the row in `ticks` of the initialized tick that was crossed or `NO_ROW`;
        `BROKEN_TICK_MAP` where a bit is set and there is no such tick, or a status of `compute_swap_step` or
        `add_delta`.
    """
    never_inlined()
    tick_next, initialized = _next_tick(state, terms, p)
    inside, done = _end_inside(terms, p, tick_next)
    if inside:
        return OK, np.int64(NO_ROW), done
    status, price_next = sqrt_ratio_at_tick(tick_next)
    target = price_next
    if (price_next < terms.limit) == terms.zero_for_one:
        target = terms.limit
    status, price, amount_in, amount_out, fee_amount = compute_swap_step(
        p.sqrt_price, target, p.liquidity, p.remaining, terms.exact_in, terms.fee
    )
    paid = add(amount_in, fee_amount)
    spent, gained = (paid, amount_out) if terms.exact_in else (amount_out, paid)
    crossed: Any = np.int64(NO_ROW)
    liquidity, tick = p.liquidity, p.tick
    if status == OK and price == price_next:
        tick = tick_next - 1 if terms.zero_for_one else tick_next
        if initialized:
            status, crossed, liquidity = _cross(state, terms, tick_next, liquidity)
    elif status == OK and price != p.sqrt_price:
        status, tick = tick_at_sqrt_ratio(price)
    remaining, calculated = sub(p.remaining, spent), add(p.calculated, gained)
    count = p.crossed + (1 if crossed != NO_ROW else 0)
    done = Progress(remaining, calculated, price, tick, liquidity, fee_amount, p.steps + 1, count)
    return status, crossed, done


@jit
def _end_inside(terms: Terms, p: Progress, tick_next: Any) -> tuple[bool, Progress]:
    """The last step of an exact input that ends before the next tick and the limit; False where that is not certain.

    A step first finds what reaching its target takes, only to learn that it won't. Where the price comes to rest if
    nothing is in its way tells as much. Downward it rests at ceil(v), v = L p / (L + x p) for an input x. If that is
    above the target t, so is v, hence x < L (p - t) / (p t), which is at most what the target takes: it is not reached.
    Upward the same with floors. So neither the target's price nor the way to it has to be computed: a third of a step.
    """
    if not terms.exact_in or is_zero(p.liquidity):
        return False, p
    offered = less_fee(p.remaining, terms.fee)
    if bit_length(offered) + bit_length(p.sqrt_price) >= _BITS:
        return False, p  # the contract changes its formula where products overflow
    status, price = next_price_from_input(p.sqrt_price, p.liquidity, offered, terms.zero_for_one)
    if status != OK:
        return False, p
    status, tick = tick_at_sqrt_ratio(price)
    if terms.zero_for_one:
        inside = status == OK and tick > tick_next and price > terms.limit
    else:
        inside = status == OK and tick < tick_next and price < terms.limit
    if not inside:
        return False, p
    if price == p.sqrt_price:
        tick = p.tick
    amount_in = amount_in_between(p.sqrt_price, price, p.liquidity, terms.zero_for_one)
    amount_out = amount_out_between(p.sqrt_price, price, p.liquidity, terms.zero_for_one)
    fee_amount, calculated = sub(p.remaining, amount_in), add(p.calculated, amount_out)
    none = u256(0)
    return True, Progress(none, calculated, price, tick, p.liquidity, fee_amount, p.steps + 1, p.crossed)


@jit
def _next_tick(state: Any, terms: Terms, p: Progress) -> tuple[int, bool]:
    """Where the next step leads at most, and whether that tick is initialized."""
    at = p.tick // terms.spacing
    if terms.zero_for_one:
        words = 1 if not is_zero(p.liquidity) else _words_to_limit(terms, at)
        found, initialized = next_initialized_below(state, terms.pool, at, words)
        return max(found * terms.spacing, MIN_TICK), initialized
    words = 1 if not is_zero(p.liquidity) else _words_to_limit(terms, at + 1)
    found, initialized = next_initialized_above(state, terms.pool, at + 1, words)
    return min(found * terms.spacing, MAX_TICK), initialized


@jit
def _words_to_limit(terms: Terms, start: Any) -> int:
    """How many words of the tick bitmap a swap passes, without liquidity, from `start` (compressed) to its limit.

    Downward a word ends at its lowest tick; the last word is the first whose end is at or below the limit's tick.
    Upward, at its highest; the first at or above. There the contract stops too, and it matters: with a price equal to
    that of a tick the pool is left at another tick when the tick was a step's end.
    """
    _, tick = tick_at_sqrt_ratio(terms.limit)
    if terms.zero_for_one:
        return (start >> _WORD_SHIFT) - ((tick // terms.spacing) >> _WORD_SHIFT) + 1
    return (-(-tick // terms.spacing) >> _WORD_SHIFT) - (start >> _WORD_SHIFT) + 1


@jit
def _cross(state: Any, terms: Terms, tick: Any, liquidity: U256) -> tuple[int, Any, U256]:
    """The row of a tick and the liquidity beyond it."""
    at: Any = np.int64(find(state.ticks, terms.pool, tick))
    if at < 0:
        return BROKEN_TICK_MAP, NO_ROW, liquidity
    net = load_signed(read(state.ticks, at)["liquidity_net"])
    status, after = add_delta(liquidity, negate(net) if terms.zero_for_one else net)
    return status, at, after
