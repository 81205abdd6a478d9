"""Where a V3 pool's fee is rounded by next to nothing: the nearest inputs that lose no part of a coarse unit.

Of what is left for its last step a V3 swap lets floor(left (10^6 - fee) / 10^6) trade, so up to one unit of the input
is lost: not much of wei, but 10^12 wei of a token whose unit is worth that. What is lost, (-left * fee mod 10^6) /
10^6 units, falls by fee / 10^6 with each unit more, and springs back to one when it would fall below nothing. So
within 10^6 / (2 fee) units up or down there is an input that loses less than fee / 10^6 of a unit, the fewest possible
units away. The steps before the last end at ticks and words, whatever the input is, so they move by nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import KIND_UNISWAP_V3
from disruptor.handlers.path_hops import stop_of
from disruptor.handlers.path_standing import note_end
from disruptor.handlers.swap_steps import Progress, Terms, step
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, MAX_STEPS
from disruptor.handlers.wide import add, bit_length, is_zero, load, low64, sub, u256
from disruptor.jit import jit
from disruptor.status import OK

_MILLION = 1_000_000
#: Inputs of more bits are fine whatever they lose.
_MAX_BITS = 62


@jit
def least_lossy_input(state: Any, k: Any, pool: Any, zero_for_one: Any, amount: Any) -> Any:
    """The input nearest to `amount` of whose last step the fee takes next to nothing by rounding.

    Parameters
    ----------
    k : of the hop, whose row of `hop_cells` is told which ticks were looked at
    pool : id of a pool of any kind; others than V3 round no fee
    zero_for_one : bool, token0 comes in
    amount : U256, an input that the pool takes in full

    Returns
    -------
    U256; `amount` itself where there is nothing to gain.
    """
    never_inlined()
    p = read(state.pools, pool)
    fee = np.int64(p["fee"])
    if p["kind"] != KIND_UNISWAP_V3 or fee == 0 or bit_length(amount) > _MAX_BITS:
        return amount
    short, _ = stop_of(state, k, p, zero_for_one, amount)
    left = np.int64(low64(amount))
    if not short:
        left = np.int64(low64(left_for_last_step(state, k, pool, zero_for_one, amount)))
    lost = -(left % _MILLION) * fee % _MILLION
    up, down = lost // fee, (_MILLION - lost + fee - 1) // fee
    if lost == 0 or (up > down and down >= left):
        return amount
    return add(amount, u256(up)) if up <= down else sub(amount, u256(down))


@jit
def left_for_last_step(state: Any, k: Any, pool: Any, zero_for_one: Any, amount: Any) -> Any:
    """How much of an exact input of a V3 pool, hop k, is left when the last step of its swap begins."""
    p = read(state.pools, pool)
    limit = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
    spacing = max(np.int64(p["tick_spacing"]), np.int64(1))
    terms = Terms(np.int64(pool), zero_for_one, not is_zero(amount), limit, np.int64(p["fee"]), spacing)
    none, left, status = np.int64(0), amount, np.int64(OK)
    price, tick, liquidity = load(p["sqrt_price_x96"]), np.int64(p["tick"]), load(p["liquidity"])
    progress = Progress(amount, u256(0), price, tick, liquidity, u256(0), none, none)
    for _ in range(MAX_STEPS):
        left = progress.remaining
        found, _, progress = step(state, terms, progress)
        status = np.int64(found)
        if status != OK or is_zero(progress.remaining) or progress.sqrt_price == limit:
            break
    note_end(state, k, pool, zero_for_one, status, progress.tick)
    return left
