"""What mints, burns and given states do to a V3 pool's tick map: liquidity by tick, fee growth outside, the bitmap.

Source: Uniswap v3-core 1.0.0, UniswapV3Pool._modifyPosition and _updatePosition, Tick.update.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import find, insert, read, remove, row
from disruptor.handlers.fee_growth import open_tick
from disruptor.handlers.observations import observe
from disruptor.handlers.pools import PRICE_KNOWN, TICKS_KNOWN
from disruptor.handlers.reverts import BROKEN_TICK_MAP
from disruptor.handlers.swap_math import add_delta
from disruptor.handlers.tick_bitmap import flip
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK
from disruptor.handlers.wide import add, is_zero, load, load_signed, negate, store
from disruptor.jit import jit
from disruptor.status import OK


@jit
def change_range(state: Any, pool: Any, lower: Any, upper: Any, delta: Any) -> int:
    """Apply a signed liquidity change to both ends of a range and, if the price is in it, to the pool.

    Parameters
    ----------
    pool : u32 id
    lower, upper : i32 ticks
    delta : U256, signed, not zero

    Returns
    -------
    int64 status : `OK`, or why this can't have happened to the state that is tracked: an event was missed.
    """
    p = row(state.pools, pool)
    status = OK
    if (p["flags"] & np.uint32(TICKS_KNOWN)) != 0:
        status = _change_tick(state, pool, lower, delta, delta)
        if status == OK:
            status = _change_tick(state, pool, upper, delta, negate(delta))
    if (p["flags"] & np.uint32(PRICE_KNOWN)) != 0 and lower <= p["tick"] < upper:
        observe(state, pool, read(state.chain, 0)["timestamp"])
        in_range, liquidity = add_delta(load(p["liquidity"]), delta)
        if in_range == OK:
            store(p["liquidity"], liquidity)
        else:
            status = in_range
    return status


@jit
def _compressed(state: Any, pool: Any, tick: Any) -> Any:
    """(usable, tick / spacing): a tick off the spacing, or out of range, can't be initialized."""
    spacing = np.int64(read(state.pools, pool)["tick_spacing"])
    at = np.int64(tick)
    if spacing <= 0 or at < MIN_TICK or at > MAX_TICK:
        return False, np.int64(0)
    return at % spacing == 0, at // spacing


@jit
def _change_tick(state: Any, pool: Any, tick: Any, gross: Any, net: Any) -> int:
    """Add to a tick's gross and net liquidity; one without liquidity is removed."""
    usable, compressed = _compressed(state, pool, tick)
    if not usable:
        return BROKEN_TICK_MAP
    new = find(state.ticks, pool, tick) < 0
    at = insert(state.ticks, pool, tick)
    t = row(state.ticks, at)
    if new:
        t["pool"] = pool
        t["tick"] = tick
        open_tick(state, pool, at)
    status, after = add_delta(load(t["liquidity_gross"]), gross)
    if status == OK:
        store(t["liquidity_gross"], after)
        after_net = add(load_signed(t["liquidity_net"]), net)
        store(t["liquidity_net"], after_net)
        if load_signed(t["liquidity_net"]) != after_net:  # beyond i128
            status = BROKEN_TICK_MAP
    gone = is_zero(load(t["liquidity_gross"]))
    if new != gone:
        flip(state, pool, compressed)
    if gone:
        remove(state.ticks, pool, tick)
    return status


@jit
def give_tick(state: Any, event: Any) -> None:
    """Enter one initialized tick of a given state. The caller has checked that it is on the spacing."""
    usable, compressed = _compressed(state, event["pool"], event["tick"])
    if not usable:
        return
    new = find(state.ticks, event["pool"], event["tick"]) < 0
    t = row(state.ticks, insert(state.ticks, event["pool"], event["tick"]))
    t["pool"] = event["pool"]
    t["tick"] = event["tick"]
    store(t["liquidity_gross"], load(event["liquidity_gross"]))
    store(t["liquidity_net"], load(event["liquidity_net"]))
    store(t["fee_growth_outside0_x128"], load(event["fee_growth_outside0_x128"]))
    store(t["fee_growth_outside1_x128"], load(event["fee_growth_outside1_x128"]))
    if new:
        flip(state, event["pool"], compressed)


@jit
def give_fees(state: Any, event: Any) -> None:
    """Fee growth and protocol fees of a given state; observations are not given, so they stay unknown."""
    fees = row(state.v3_fees, event["pool"])
    store(fees["fee_growth_global0_x128"], load(event["fee_growth_global0_x128"]))
    store(fees["fee_growth_global1_x128"], load(event["fee_growth_global1_x128"]))
    store(fees["protocol_fees0"], load(event["protocol_fees0"]))
    store(fees["protocol_fees1"], load(event["protocol_fees1"]))
