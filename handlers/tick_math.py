"""Uniswap V3's TickMath, bit for bit: the square root of 1.0001^tick as Q64.96, and the tick of a price.

**Tick to price.** The contract multiplies one factor for each set bit of |tick|, low bits first, and cuts each product
to 128 fractional bits. Cutting does not commute, so factors can't be grouped at will; but the product of the eight low
bits is always computed first and depends on nothing else: a table of 256 exact values. The other bits are multiplied
one by one. A ratio r is kept as its complement x = 2^128 - r, because 1 itself would need a 129th bit:

    floor((2^128 - x)(2^128 - y) / 2^128) = 2^128 - (x + y - floor(xy / 2^128))

and the last step of a negative tick, rounding up to 96 bits, becomes 2^96 - floor(x / 2^32). A positive tick takes one
exact division, of 2^256 - 1 by r.

**Price to tick.** The contract's answer is the greatest tick whose ratio is at most the price. A logarithm from a
table, in ticks with 32 fractional bits, errs by less than 1/25 of a tick; so it names the tick outright for most
prices, and else leaves two, which one exact ratio tells apart. INVARIANT: the margins hold at the boundaries of all
ticks, hence everywhere, since the estimate is monotonic
(`test_tick_of_every_ratio_and_of_the_price_below_it`).

Source: Uniswap v3-core, TickMath.getSqrtRatioAtTick and getTickAtSqrtRatio; the factors are the contract's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.handlers.division import inverse
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.reverts import PRICE_OUT_OF_RANGE, TICK_OUT_OF_RANGE
from disruptor.handlers.wide import (
    U256,
    add,
    bit_length,
    high,
    is_zero,
    low64,
    mul_wide,
    negate,
    pair,
    sub,
    u256,
    widen,
)
from disruptor.jit import jit
from disruptor.status import OK

MAX_TICK = 887272
MIN_TICK = -MAX_TICK
MIN_SQRT_RATIO = U256(4295128739)
MAX_SQRT_RATIO = U256(1461446703485210103287273052203988822378723970342)

#: 2^128 * 1.0001^(-2^(k-1)) for bit k of |tick|, as the contract has them.
_FACTORS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
_TABLE_BITS = 8
_TABLE_MASK = (1 << _TABLE_BITS) - 1
_HIGH_BITS = len(_FACTORS) - _TABLE_BITS
_ONE = 1 << 128
_Q96 = U256(1 << 96)
_LOW32 = U256((1 << 32) - 1)
_NOTHING = U256(0)

#: Logarithms are kept in ticks with this many fractional bits.
_FRACTION_BITS = 32
_MANTISSA_BITS = 24  # of a price below the table's index
#: The estimate is above the truth by less than the first, below it by less than the second (both in 2^-32 ticks).
_MARGIN_ABOVE = (1 << _FRACTION_BITS) // 1024
_MARGIN_BELOW = (1 << _FRACTION_BITS) // 25


def _complement(bits: int) -> int:
    """2^128 less the contract's product of the factors of these low bits."""
    ratio = _ONE
    for k in range(_TABLE_BITS):
        if bits >> k & 1:
            ratio = ratio * _FACTORS[k] >> 128
    return _ONE - ratio


def _words(values: list[int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """128-bit numbers as two arrays, of high and of low words."""
    high = np.array([value >> 64 for value in values], np.uint64)
    return high, np.array([value & (2**64 - 1) for value in values], np.uint64)


def _log2(numerator: int, denominator: int) -> int:
    """log2 of a fraction in [1, 2) with 80 fractional bits: by squaring, one bit at a time."""
    value, found = (numerator << 128) // denominator, 0
    for _ in range(80):
        value = value * value >> 128
        bit = value >> 129
        value >>= bit
        found = found << 1 | bit
    return found


def _tick_table() -> npt.NDArray[np.int64]:
    """How many ticks lie between 1 and 1 + k/256, for k = 0..256."""
    one_tick = _log2(10_001, 10_000)  # of a price, which is a ratio squared
    logs = [*(_log2(256 + k, 256) for k in range(256)), 1 << 80]
    return np.array([(2 * log << _FRACTION_BITS) // one_tick for log in logs], np.int64)


_LOW_HIGHS, _LOW_LOWS = _words([_complement(bits) for bits in range(1 << _TABLE_BITS)])
_FACTOR_HIGHS, _FACTOR_LOWS = _words([_ONE - factor for factor in _FACTORS[_TABLE_BITS:]])
_TICKS = _tick_table()


@jit
def sqrt_ratio_at_tick(tick: Any) -> tuple[int, U256]:
    """The square root of the price at a tick, as Q64.96.

    Parameters
    ----------
    tick : integer, MIN_TICK..MAX_TICK

    Returns
    -------
    (status, ratio) : `OK`; `TICK_OUT_OF_RANGE` and 0.

    Source
    ------
    Uniswap v3-core, TickMath.getSqrtRatioAtTick: equal in every bit.
    """
    if tick < MIN_TICK or tick > MAX_TICK:
        return TICK_OUT_OF_RANGE, _NOTHING
    return OK, _ratio(np.int64(tick))


@jit
def _ratio(tick: Any) -> U256:
    """`sqrt_ratio_at_tick` of a tick (int64) that is in range."""
    never_inlined()
    bits = abs(tick)
    low = bits & _TABLE_MASK
    x = pair(_LOW_HIGHS[low], _LOW_LOWS[low])
    bits >>= _TABLE_BITS
    for k in range(_HIGH_BITS):
        if bits >> k == 0:
            break
        if (bits >> k) & 1 != 0:
            y = pair(_FACTOR_HIGHS[k], _FACTOR_LOWS[k])
            x = sub(add(x, y), high(mul_wide(x, y)))
    if tick <= 0:
        return sub(_Q96, widen(x) >> 32)
    ratio = inverse(negate(x))
    return add(ratio >> 32, u256(0 if is_zero(ratio & _LOW32) else 1))


@jit
def tick_at_sqrt_ratio(price: U256) -> tuple[int, int]:
    """The greatest tick whose ratio is at most the price.

    Parameters
    ----------
    price : U256, Q64.96, MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO

    Returns
    -------
    (status, tick) : `OK`; `PRICE_OUT_OF_RANGE` and 0.

    Source
    ------
    Uniswap v3-core, TickMath.getTickAtSqrtRatio: equal everywhere.
    """
    if price < MIN_SQRT_RATIO or price >= MAX_SQRT_RATIO:
        return PRICE_OUT_OF_RANGE, 0
    estimate = _estimate(price)
    low = (estimate - _MARGIN_ABOVE) >> _FRACTION_BITS
    high = (estimate + _MARGIN_BELOW) >> _FRACTION_BITS
    if low == high or _ratio(high) > price:
        return OK, low
    return OK, high


@jit
def _estimate(price: U256) -> int:
    """The tick of a price with 32 fractional bits: a logarithm, linear between 256 points of each octave."""
    length = bit_length(price)
    mantissa = np.int64(low64((price << (256 - length)) >> 223))  # 33 bits, the highest set
    k = (mantissa >> _MANTISSA_BITS) & 255
    rest = mantissa & ((1 << _MANTISSA_BITS) - 1)
    between = ((_TICKS[k + 1] - _TICKS[k]) * rest) >> _MANTISSA_BITS
    return (length - 97) * _TICKS[256] + _TICKS[k] + between
