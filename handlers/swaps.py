"""Every swap of a tracked pool, once, in one normal form: what was paid in, what came out.

`token0` of a `DeFiSwapEvent` is the token paid in, `token1` the one received. A V2 swap can take and give both tokens:
then the net per token counts, and FLAG_NET says so. An amount beyond u128 can't be told in this form: the event is
withheld and counted in `swap_counters`, while the pool's state is tracked all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, read, row
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.handlers.messages import (
    FLAG_AMOUNT_OVERFLOW,
    FLAG_GAS_PRICE_UNKNOWN,
    FLAG_NET,
    FLAG_TIME_UNKNOWN,
    KIND_UNISWAP_V2,
    KIND_UNISWAP_V3,
    DeFiSwapEvent,
    UniswapV2Swap,
    UniswapV3Swap,
)
from disruptor.handlers.word_math import negate128
from disruptor.handlers.words import less128, sub128
from disruptor.jit import jit
from disruptor.message import u64
from disruptor.table import Table

_ZERO = np.uint64(0)
_SIGN = np.uint64(63)

swap_counters = Table("swap_counters", {"withheld": u64, "emitted": u64, "unknown_pool": u64})


@jit
def _describe(state: Any, event: Any, swap: Any, zero_for_one: Any, flags: Any) -> None:
    """Fill what does not depend on amounts."""
    directory = read(state.pool_directory, event["pool"])
    swap["protocol_id"] = directory["kind"]
    assign(swap["pool_address"], directory["address"])
    if zero_for_one:
        assign(swap["token0"], directory["token0_address"])
        assign(swap["token1"], directory["token1_address"])
    else:
        assign(swap["token0"], directory["token1_address"])
        assign(swap["token1"], directory["token0_address"])
    swap["block_number"] = read(state.chain, 0)["block_number"]
    assign(swap["tx_hash"], event["tx_hash"])
    swap["timestamp"] = np.uint64(event["event_time_ns"])
    swap["flags"] = np.uint16(flags | FLAG_GAS_PRICE_UNKNOWN | (event["flags"] & FLAG_TIME_UNKNOWN))
    row(state.swap_counters, 0)["emitted"] += np.uint64(1)


@handler(UniswapV2Swap, tables=[swap_counters], max_outputs=1)
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """Normalise a V2 swap."""
    if read(state.pools, event["pool"])["kind"] != KIND_UNISWAP_V2:
        row(state.swap_counters, 0)["unknown_pool"] += np.uint64(1)
        return
    if (event["flags"] & FLAG_AMOUNT_OVERFLOW) != 0:
        row(state.swap_counters, 0)["withheld"] += np.uint64(1)
        return
    in0, out0 = event["amount0_in"], event["amount0_out"]
    in1, out1 = event["amount1_in"], event["amount1_out"]
    pays0 = in0[0] != 0 or in0[1] != 0
    pays1 = in1[0] != 0 or in1[1] != 0
    takes0 = out0[0] != 0 or out0[1] != 0
    takes1 = out1[0] != 0 or out1[1] != 0
    net = (pays0 and pays1) or (takes0 and takes1) or (pays0 and takes0) or (pays1 and takes1)
    zero_for_one = pays0 if not net else less128(out0[1], out0[0], in0[1], in0[0])
    swap = emit(out, DeFiSwapEvent)
    _describe(state, event, swap, zero_for_one, FLAG_NET if net else 0)
    if zero_for_one:
        _store_gain(swap["amount0_in"], in0, out0)
        _store_gain(swap["amount1_out"], out1, in1)
    else:
        _store_gain(swap["amount0_in"], in1, out1)
        _store_gain(swap["amount1_out"], out0, in0)


@jit
def _store_gain(amount: Any, plus: Any, minus: Any) -> None:
    """amount = plus - minus, or 0 where that is negative."""
    borrow, high, low = sub128(plus[1], plus[0], minus[1], minus[0])
    amount[0] = low if borrow == _ZERO else _ZERO
    amount[1] = high if borrow == _ZERO else _ZERO


@handler(UniswapV3Swap, tables=[swap_counters], max_outputs=1)
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """Normalise a V3 swap: the pool's gain is what was paid in."""
    if read(state.pools, event["pool"])["kind"] != KIND_UNISWAP_V3:
        row(state.swap_counters, 0)["unknown_pool"] += np.uint64(1)
        return
    amount0, amount1 = event["amount0"], event["amount1"]
    if not (_is_i129(amount0) and _is_i129(amount1)):
        row(state.swap_counters, 0)["withheld"] += np.uint64(1)
        return
    gives0 = (amount0[3] >> _SIGN) == _ZERO and (amount0[0] != 0 or amount0[1] != 0)
    gives1 = (amount1[3] >> _SIGN) == _ZERO and (amount1[0] != 0 or amount1[1] != 0)
    zero_for_one = gives0 or not gives1
    swap = emit(out, DeFiSwapEvent)
    _describe(state, event, swap, zero_for_one, FLAG_NET if gives0 and gives1 else 0)
    if zero_for_one:
        _store_positive(swap["amount0_in"], amount0)
        _store_negative(swap["amount1_out"], amount1)
    else:
        _store_positive(swap["amount0_in"], amount1)
        _store_negative(swap["amount1_out"], amount0)


@jit
def _is_i129(amount: Any) -> bool:
    """Whether |amount| fits u128."""
    if (amount[3] >> _SIGN) == _ZERO:
        return amount[3] == 0 and amount[2] == 0
    ones = np.uint64(0xFFFFFFFFFFFFFFFF)
    return amount[3] == ones and amount[2] == ones and (amount[1] != 0 or amount[0] != 0)


@jit
def _store_positive(target: Any, amount: Any) -> None:
    positive = (amount[3] >> _SIGN) == _ZERO
    target[0] = amount[0] if positive else _ZERO
    target[1] = amount[1] if positive else _ZERO


@jit
def _store_negative(target: Any, amount: Any) -> None:
    negative = (amount[3] >> _SIGN) != _ZERO
    high, low = negate128(amount[1], amount[0])
    target[0] = low if negative else _ZERO
    target[1] = high if negative else _ZERO


#: In the order in which they run.
SWAPS = (on_v2_swap, on_v3_swap)
