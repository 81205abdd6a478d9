"""Uniswap V3's fees: what a pool owes per unit of liquidity, in total and outside of each tick, and to the protocol.

Growths are Q128 numbers that wrap: only differences mean anything. A tick keeps the growth on the side of it where the
price is not; by convention all that ever was counts as below a tick that is initialized at or below the price.

Source: Uniswap v3-core 1.0.0, UniswapV3Pool.flash, setFeeProtocol and collectProtocol; Tick.update and Tick.cross.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.fixed_point import divide, mul_div
from disruptor.handlers.reverts import NO_LIQUIDITY
from disruptor.handlers.wide import U256, add, is_zero, load, store, sub, u256
from disruptor.jit import jit
from disruptor.status import OK

_Q128 = U256(1 << 128)
_SHARE_BITS = 4
_SHARE_MASK = 15


@jit
def accrue(state: Any, pool: Any, zero_for_one: Any, fee_amount: U256, liquidity: U256) -> None:
    """Count the fee of one step of a swap, in the token that came in.

    Parameters
    ----------
    pool : u32 id; its row of `v3_fees` is mutated
    zero_for_one : bool, the fee is in token0
    fee_amount : U256, of a step: no step's fee is so large that its growth does not fit
    liquidity : U256, in range during the step
    """
    packed, fees = read(state.pools, pool)["fee_protocol"], row(state.v3_fees, pool)
    if zero_for_one:
        provided, protocol = _split(fee_amount, np.int64(packed) & _SHARE_MASK)
        growth, taken = fees["fee_growth_global0_x128"], fees["protocol_fees0"]
    else:
        provided, protocol = _split(fee_amount, np.int64(packed) >> _SHARE_BITS)
        growth, taken = fees["fee_growth_global1_x128"], fees["protocol_fees1"]
    _, added = _per_unit(provided, liquidity)
    store(growth, add(load(growth), added))
    store(taken, add(load(taken), protocol))


@jit
def pay_flash(state: Any, pool: Any, paid0: U256, paid1: U256) -> int:
    """Spread what a flash loan paid, as its log says, over the liquidity in range.

    Returns
    -------
    int64 status : `OK`; `NO_LIQUIDITY`, or `OVERFLOW` of `fixed_point` (2^128 or more for each unit of liquidity), with
        nothing changed.
    """
    p, fees = read(state.pools, pool), row(state.v3_fees, pool)
    liquidity, packed = load(p["liquidity"]), np.int64(p["fee_protocol"])
    if is_zero(liquidity):
        return NO_LIQUIDITY
    provided0, protocol0 = _split(paid0, packed & _SHARE_MASK)
    provided1, protocol1 = _split(paid1, packed >> _SHARE_BITS)
    status0, added0 = _per_unit(provided0, liquidity)
    status1, added1 = _per_unit(provided1, liquidity)
    if status0 != OK or status1 != OK:
        return status0 if status0 != OK else status1
    store(fees["fee_growth_global0_x128"], add(load(fees["fee_growth_global0_x128"]), added0))
    store(fees["fee_growth_global1_x128"], add(load(fees["fee_growth_global1_x128"]), added1))
    store(fees["protocol_fees0"], add(load(fees["protocol_fees0"]), protocol0))
    store(fees["protocol_fees1"], add(load(fees["protocol_fees1"]), protocol1))
    return OK


@jit
def collect_protocol(state: Any, pool: Any, amount0: U256, amount1: U256) -> None:
    """Take out protocol fees, as the log of a collection says."""
    fees = row(state.v3_fees, pool)
    store(fees["protocol_fees0"], sub(load(fees["protocol_fees0"]), amount0))
    store(fees["protocol_fees1"], sub(load(fees["protocol_fees1"]), amount1))


@jit
def open_tick(state: Any, pool: Any, at: Any) -> None:
    """Give a tick that gets its first liquidity (row `at` of `ticks`) its growths outside."""
    t = row(state.ticks, at)
    if t["tick"] > read(state.pools, pool)["tick"]:
        store(t["fee_growth_outside0_x128"], u256(0))
        store(t["fee_growth_outside1_x128"], u256(0))
        return
    fees = read(state.v3_fees, pool)
    store(t["fee_growth_outside0_x128"], load(fees["fee_growth_global0_x128"]))
    store(t["fee_growth_outside1_x128"], load(fees["fee_growth_global1_x128"]))


@jit
def cross_tick(state: Any, pool: Any, at: Any) -> None:
    """Cross a tick (row `at` of `ticks`) at the pool's present growths: outside is the other side now."""
    t, fees = row(state.ticks, at), read(state.v3_fees, pool)
    outside0, outside1 = t["fee_growth_outside0_x128"], t["fee_growth_outside1_x128"]
    store(outside0, sub(load(fees["fee_growth_global0_x128"]), load(outside0)))
    store(outside1, sub(load(fees["fee_growth_global1_x128"]), load(outside1)))


@jit
def _split(fee_amount: U256, share: Any) -> tuple[U256, U256]:
    """A fee as (what providers get, what the protocol gets); `share` is the protocol's divisor, or 0."""
    if share == 0:
        return fee_amount, u256(0)
    protocol, _ = divide(fee_amount, u256(share))
    return sub(fee_amount, protocol), protocol


@jit
def _per_unit(fee_amount: U256, liquidity: U256) -> tuple[int, U256]:
    """A fee for each unit of liquidity, Q128; without liquidity nobody gets it."""
    if is_zero(liquidity):
        return OK, u256(0)
    return mul_div(fee_amount, _Q128, liquidity)
