"""Uniswap V3 swaps across any number of ticks: what one would do, and making it so.

A swap is a sequence of steps (`disruptor.handlers.swap_steps`). `quote` reads and changes nothing, and does not count
the fees that providers earn. `rehearse` is a quote that notes each step's fee and the tick it crosses, and `settle`
makes what was rehearsed the pool's state; only a swap of more steps than there are notes is walked a second time.

**Bounds.** The limit lies between the lowest and the highest price, and each step ends at the limit, uses the amount
up, or moves to another tick in the swap's direction; so there are fewer steps than ticks. No divisor can be zero: fees
are checked to be below 100 %, prices and tick spacing to be positive, and liquidity where it divides.

Source: Uniswap v3-core 1.0.0, UniswapV3Pool.swap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.fee_growth import accrue, cross_tick
from disruptor.handlers.observations import observe
from disruptor.handlers.reverts import (
    AMOUNT_TOO_LARGE,
    BAD_TICK_SPACING,
    FEE_OUT_OF_RANGE,
    NOT_INITIALIZED,
    PRICE_LIMIT,
    PRICE_OUT_OF_RANGE,
    TICK_OUT_OF_RANGE,
    TOO_MANY_STEPS,
    ZERO_AMOUNT,
)
from disruptor.handlers.swap_math import MILLION
from disruptor.handlers.swap_steps import NO_ROW, Progress, Terms, step
from disruptor.handlers.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from disruptor.handlers.uniswap_v3_tables import MAX_NOTES
from disruptor.handlers.wide import U256, is_negative, is_zero, load, negate, store, sub, u256
from disruptor.jit import jit
from disruptor.status import OK

#: A step for each tick there is, and the one that ends at the limit.
MAX_STEPS = MAX_TICK - MIN_TICK + 2
#: No limit but the end of all prices: what routers pass for "none".
LOWEST_LIMIT = U256(int(MIN_SQRT_RATIO) + 1)
HIGHEST_LIMIT = U256(int(MAX_SQRT_RATIO) - 1)


class Outcome(NamedTuple):
    """What a swap does.

    status : int64; `OK`, or the reason why the contract would revert, and then nothing else has a meaning
    amount0, amount1 : U256, signed: what the pool gets is positive
    remaining : U256, what the limit left of the exact amount
    sqrt_price, tick, liquidity : U256, int64, U256, after the swap
    steps, crossed : int64, steps made and initialized ticks crossed
    """

    status: Any
    amount0: Any
    amount1: Any
    remaining: Any
    sqrt_price: Any
    tick: Any
    liquidity: Any
    steps: Any
    crossed: Any


@jit
def quote(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Outcome:
    """What a swap would do; changes nothing.

    Parameters
    ----------
    pool : u32 id
    zero_for_one : bool, token0 comes in
    exact_in : bool, `amount` comes in; else it goes out
    amount : U256 below 2^255, not zero
    limit : U256, Q64.96, where the price stops; `LOWEST_LIMIT` or `HIGHEST_LIMIT` for none

    Returns
    -------
    Outcome : status `OK`, also where the limit is reached before the amount is used up (`remaining`); in the contract's
        order `ZERO_AMOUNT`, `NOT_INITIALIZED`, `PRICE_LIMIT`; `AMOUNT_TOO_LARGE`; for states that no contract has
        `PRICE_OUT_OF_RANGE`, `TICK_OUT_OF_RANGE`, `FEE_OUT_OF_RANGE`, `BAD_TICK_SPACING`, `BROKEN_TICK_MAP`,
        `TOO_MANY_STEPS`; or a status of a step.

    Source
    ------
    UniswapV3Pool.swap without transfers: bit for bit, including steps that end at words.
    """
    status, terms, p = _begin(state, np.int64(pool), zero_for_one, exact_in, amount, limit)
    for _ in range(MAX_STEPS):
        if status != OK or is_zero(p.remaining) or p.sqrt_price == limit:
            break
        status, _, p = step(state, terms, p)
    return _outcome(status, terms, p, amount)


@jit
def rehearse(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Outcome:
    """`quote`, with its steps noted for `settle`. Mutates `step_notes`."""
    status, terms, p = _begin(state, np.int64(pool), zero_for_one, exact_in, amount, limit)
    for _ in range(MAX_STEPS):
        if status != OK or is_zero(p.remaining) or p.sqrt_price == limit:
            break
        liquidity = p.liquidity
        status, crossed, p = step(state, terms, p)
        if p.steps <= MAX_NOTES:
            note = row(state.step_notes, p.steps - 1)
            store(note["fee_amount"], p.fee_amount)
            store(note["liquidity"], liquidity)
            note["crossed"] = crossed
    return _outcome(status, terms, p, amount)


@jit
def _outcome(status: Any, terms: Terms, p: Progress, amount: U256) -> Outcome:
    """What the steps made of a swap come to."""
    zero_for_one, exact_in, limit = terms.zero_for_one, terms.exact_in, terms.limit
    if status == OK and not is_zero(p.remaining) and p.sqrt_price != limit:
        status = TOO_MANY_STEPS
    exact = sub(amount, p.remaining)
    amount_in, gone = (exact, negate(p.calculated)) if exact_in else (p.calculated, negate(exact))
    amount0, amount1 = (amount_in, gone) if zero_for_one else (gone, amount_in)
    return Outcome(
        status,
        amount0,
        amount1,
        p.remaining,
        p.sqrt_price,
        p.tick,
        p.liquidity,
        p.steps,
        p.crossed,
    )


@jit
def settle(
    state: Any,
    pool: Any,
    zero_for_one: Any,
    exact_in: Any,
    amount: U256,
    limit: U256,
    outcome: Any,
    timestamp: Any,
) -> None:
    """Make the outcome of a rehearsal the pool's state: price, liquidity, fees, ticks crossed, observation.

    Parameters
    ----------
    pool, zero_for_one, exact_in, amount, limit : as given to `rehearse`
    outcome : what `rehearse` gave just before, with status `OK`
    timestamp : u64, seconds, of the block; 0 unknown

    Invariants
    ----------
    Mutates the pool's rows of `pools` and `v3_fees`, and rows of `ticks`; inserts and removes none.
    """
    p = row(state.pools, pool)
    if outcome.steps <= MAX_NOTES:
        for k in range(outcome.steps):
            note = read(state.step_notes, k)
            accrue(state, pool, zero_for_one, load(note["fee_amount"]), load(note["liquidity"]))
            if note["crossed"] != NO_ROW:
                cross_tick(state, pool, note["crossed"])
    else:
        _walk_again(state, pool, zero_for_one, exact_in, amount, limit)
    if p["tick"] != outcome.tick:
        observe(state, pool, timestamp)
    store(p["sqrt_price_x96"], outcome.sqrt_price)
    p["tick"] = np.int32(outcome.tick)
    store(p["liquidity"], outcome.liquidity)


@jit
def _walk_again(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> None:
    """Accrue the fee of each step of a swap, and flip what is outside of each tick that it crosses."""
    status, terms, p = _begin(state, np.int64(pool), zero_for_one, exact_in, amount, limit)
    for _ in range(MAX_STEPS):
        if status != OK or is_zero(p.remaining) or p.sqrt_price == limit:
            break
        liquidity = p.liquidity
        status, crossed, p = step(state, terms, p)
        if status == OK:
            accrue(state, pool, zero_for_one, p.fee_amount, liquidity)
            if crossed != NO_ROW:
                cross_tick(state, pool, crossed)


@jit
def _begin(
    state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256
) -> tuple[int, Terms, Progress]:
    """Check what is asked and the pool itself; collect what the steps need."""
    p = read(state.pools, pool)
    price, liquidity = load(p["sqrt_price_x96"]), load(p["liquidity"])
    fee, tick = np.int64(p["fee"]), np.int64(p["tick"])
    spacing = np.int64(p["tick_spacing"])
    status = _check(price, zero_for_one, amount, limit)
    if status == OK:
        status = _check_pool(price, tick, fee, spacing)
    terms = Terms(pool, zero_for_one, exact_in, limit, fee, spacing)
    none = np.int64(0)
    return status, terms, Progress(amount, u256(0), price, tick, liquidity, u256(0), none, none)


@jit
def _check(price: U256, zero_for_one: Any, amount: U256, limit: U256) -> int:
    """What the contract requires of a swap."""
    if is_zero(amount):
        return ZERO_AMOUNT
    if is_zero(price):
        return NOT_INITIALIZED
    if zero_for_one:
        inside = limit < price and limit > MIN_SQRT_RATIO
    else:
        inside = limit > price and limit < MAX_SQRT_RATIO
    if not inside:
        return PRICE_LIMIT
    return AMOUNT_TOO_LARGE if is_negative(amount) else OK


@jit
def _check_pool(price: U256, tick: Any, fee: Any, spacing: Any) -> int:
    """What the factory and the pool itself guarantee."""
    if price < MIN_SQRT_RATIO or price >= MAX_SQRT_RATIO:
        return PRICE_OUT_OF_RANGE
    if fee < 0 or fee >= MILLION:
        return FEE_OUT_OF_RANGE
    if spacing <= 0:
        return BAD_TICK_SPACING
    return TICK_OUT_OF_RANGE if tick < MIN_TICK or tick > MAX_TICK else OK
