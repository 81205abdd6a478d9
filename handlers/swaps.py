"""Every swap of a tracked pool, once, in one normal form: what was paid in, what came out.

`token0` of a `DeFiSwapEvent` is the token paid in, `token1` the one received. A V2 swap can take and give both tokens:
then the net per token counts, and FLAG_NET says so. An amount beyond u128 can't be told in this form: the event is
withheld and counted in `swap_counters`, while the pool's state is tracked all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, prefetch, read, row
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.handlers.fixed_point import magnitude
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
from disruptor.handlers.wide import bit_length, is_negative, is_zero, load, load_signed, store, sub, u256
from disruptor.jit import jit
from disruptor.message import u64
from disruptor.table import Table

#: What a field of DeFiSwapEvent holds.
_MAX_BITS = 128

swap_counters = Table("swap_counters", {"withheld": u64, "emitted": u64, "unknown_pool": u64})


@jit
def _directory(state: Any, event: Any) -> None:
    """Ask for the addresses of a swap's pool."""
    prefetch(state.pool_directory, np.int64(event["pool"]))


@jit
def _name(state: Any, pool: Any, swap: Any, zero_for_one: Any) -> None:
    """Fill in where a swap was made, and of which tokens."""
    directory = read(state.pool_directory, pool)
    swap["protocol_id"] = directory["kind"]
    assign(swap["pool_address"], directory["address"])
    if zero_for_one:
        assign(swap["token0"], directory["token0_address"])
        assign(swap["token1"], directory["token1_address"])
    else:
        assign(swap["token0"], directory["token1_address"])
        assign(swap["token1"], directory["token0_address"])
    swap["block_number"] = read(state.chain, 0)["block_number"]
    row(state.swap_counters, 0)["emitted"] += np.uint64(1)


@jit
def _describe(state: Any, event: Any, swap: Any, zero_for_one: Any, flags: Any) -> None:
    """Fill what does not depend on amounts."""
    _name(state, event["pool"], swap, zero_for_one)
    assign(swap["tx_hash"], event["tx_hash"])
    swap["timestamp"] = np.uint64(event["event_time_ns"])
    swap["flags"] = np.uint16(flags | FLAG_GAS_PRICE_UNKNOWN | (event["flags"] & FLAG_TIME_UNKNOWN))


@handler(UniswapV2Swap, tables=[swap_counters], max_outputs=1, ahead=[_directory])
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """Normalise a V2 swap."""
    if read(state.pools, event["pool"])["kind"] != KIND_UNISWAP_V2:
        row(state.swap_counters, 0)["unknown_pool"] += np.uint64(1)
        return
    if (event["flags"] & FLAG_AMOUNT_OVERFLOW) != 0:
        row(state.swap_counters, 0)["withheld"] += np.uint64(1)
        return
    in0, out0 = load(event["amount0_in"]), load(event["amount0_out"])
    in1, out1 = load(event["amount1_in"]), load(event["amount1_out"])
    pays0, pays1, takes0, takes1 = not is_zero(in0), not is_zero(in1), not is_zero(out0), not is_zero(out1)
    net = (pays0 and pays1) or (takes0 and takes1) or (pays0 and takes0) or (pays1 and takes1)
    zero_for_one = pays0 if not net else out0 < in0
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
    store(amount, sub(plus, minus) if plus > minus else u256(0))


@handler(UniswapV3Swap, tables=[swap_counters], max_outputs=1, ahead=[_directory])
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """Normalise a V3 swap: the pool's gain is what was paid in."""
    if read(state.pools, event["pool"])["kind"] != KIND_UNISWAP_V3:
        row(state.swap_counters, 0)["unknown_pool"] += np.uint64(1)
        return
    amount0, amount1 = load_signed(event["amount0"]), load_signed(event["amount1"])
    if bit_length(magnitude(amount0)) > _MAX_BITS or bit_length(magnitude(amount1)) > _MAX_BITS:
        row(state.swap_counters, 0)["withheld"] += np.uint64(1)
        return
    gives0 = not is_negative(amount0) and not is_zero(amount0)
    gives1 = not is_negative(amount1) and not is_zero(amount1)
    zero_for_one = gives0 or not gives1
    swap = emit(out, DeFiSwapEvent)
    _describe(state, event, swap, zero_for_one, FLAG_NET if gives0 and gives1 else 0)
    paid, bought = (amount0, amount1) if zero_for_one else (amount1, amount0)
    store(swap["amount0_in"], u256(0) if is_negative(paid) else paid)
    store(swap["amount1_out"], magnitude(bought) if is_negative(bought) else u256(0))


#: In the order in which they run.
SWAPS = (on_v2_swap, on_v3_swap)
