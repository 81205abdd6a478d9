"""Two pools of one pair held against each other: can each trade, at what price, do both together pay.

Prices come from `disruptor.handlers.price`, exact to the sign. They are kept in `exact_prices` until the pool
changes, because one pool is compared with many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.messages import KIND_UNISWAP_V2
from disruptor.handlers.pools import is_complete
from disruptor.handlers.price import (
    depth_v3,
    fraction_of_v2,
    fraction_of_v3,
    price_of_v2,
    price_of_v3,
    profitable,
    spread,
)
from disruptor.jit import jit
from disruptor.status import OK

_MILLION = 1_000_000


@jit
def tradable(state: Any, pool: Any) -> bool:
    """Whether a pool can be half of an opportunity."""
    p = read(state.pools, pool)
    if p["fee"] >= _MILLION or not is_complete(state, pool):
        return False
    if p["kind"] == KIND_UNISWAP_V2:
        has0 = p["reserve0"][0] != 0 or p["reserve0"][1] != 0
        return has0 and (p["reserve1"][0] != 0 or p["reserve1"][1] != 0)
    has_price = p["sqrt_price_x96"][0] != 0 or p["sqrt_price_x96"][1] != 0 or p["sqrt_price_x96"][2] != 0
    return has_price and (p["liquidity"][0] != 0 or p["liquidity"][1] != 0)


@jit
def _price(state: Any, pool: Any) -> Any:
    """A pool's exact price (see `disruptor.handlers.price`), computed once for each change of the pool."""
    p = read(state.pools, pool)
    cached = row(state.exact_prices, pool)
    version = read(state.market, pool)["sequence"] + np.uint64(1)
    if cached["version"] != version:
        if p["kind"] == KIND_UNISWAP_V2:
            price = price_of_v2(p["reserve0"][0], p["reserve0"][1], p["reserve1"][0], p["reserve1"][1])
        else:
            price = price_of_v3(p["sqrt_price_x96"][0], p["sqrt_price_x96"][1], p["sqrt_price_x96"][2])
        cached["mantissa"][1], cached["mantissa"][0], cached["exponent"] = (
            price[0],
            price[1],
            np.int64(price[2]),
        )
        cached["version"] = version
    return cached["mantissa"][1], cached["mantissa"][0], cached["exponent"]


@jit
def _fraction(state: Any, pool: Any) -> Any:
    p = read(state.pools, pool)
    if p["kind"] == KIND_UNISWAP_V2:
        return fraction_of_v2(p["reserve0"][0], p["reserve0"][1], p["reserve1"][0], p["reserve1"][1])
    return fraction_of_v3(p["sqrt_price_x96"][0], p["sqrt_price_x96"][1], p["sqrt_price_x96"][2])


@jit
def compare(state: Any, a: Any, b: Any) -> Any:
    """(open, spread): whether buying at `a` and selling at `b` pays more than both fees, exactly."""
    if not (tradable(state, a) and tradable(state, b)):
        return False, np.int64(0)
    fee_a, fee_b = np.int64(read(state.pools, a)["fee"]), np.int64(read(state.pools, b)["fee"])
    status, value = spread(_price(state, a), fee_a, _price(state, b), fee_b)
    exact, pays = np.int64(value), value > 0
    if status != OK or value < -1:
        return False, np.int64(0)
    if value <= 0:  # too close for the mantissas: decide by cross-multiplication
        pays, certain = profitable(exact, _fraction(state, a), fee_a, _fraction(state, b), fee_b)
        exact = np.int64(certain)
    return pays and exact >= read(state.arbitrage_settings, 0)["min_spread"], exact


@jit
def depth(state: Any, pool: Any) -> Any:
    """(x_hi, x_lo, y_hi, y_lo): what the pool holds, or acts as if it held, at its price."""
    p = read(state.pools, pool)
    if p["kind"] == KIND_UNISWAP_V2:
        return p["reserve0"][1], p["reserve0"][0], p["reserve1"][1], p["reserve1"][0]
    s = p["sqrt_price_x96"]
    return depth_v3(p["liquidity"][0], p["liquidity"][1], s[0], s[1], s[2])
