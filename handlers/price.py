"""Exact prices of pools: normalised, compared net of fees, and turned into basis points.

A pool's price is token1 for one token0, a rational: V2 reserve1 / reserve0, V3 sqrt_price_x96^2 / 2^192. It
takes three forms, each for one purpose:

    price      (mantissa_hi, mantissa_lo, exponent)  mantissa * 2^exponent, truncated to 128 significant bits:
                                                     relative error under 2^-127
    fraction   (n4, n3, n2, n1, n0, d1, d0)          the rational itself, as n / (d * 2^192)
    float      float64, for screening only           relative error under 2^-50; never digested

Buying token0 at pool A and selling it at pool B multiplies token1 by

    ratio = price_b * (1 - fee_b) * (1 - fee_a) / price_a

and the spread is ratio - 1. `spread` computes it from prices, in integers, to 2^-32 of a basis point. Its
error is far below one such unit, so the sign of ratio - 1 is certain unless the result is 0 or -1;
`profitable` decides those, and only those, by cross-multiplying the fractions. So the sign is exact for every
input, and the costly comparison all but never runs. A pool without a price (an empty reserve, sqrt price 0)
has mantissa 0.

DETERMINISM: integers only, except where float64 is named; `spread_to_bps` is one correctly rounded operation.
Reserves, liquidity and sqrt prices come in as messages store them: little-endian limbs, low first. Everything
else is most significant word first, as in `words`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from disruptor.handlers.word_math import (
    MAX64,
    ONE,
    ZERO,
    divide192by128,
    divide256by128,
    mul128by64,
    mul192by64,
    mul192by128,
    mul320by192,
    reciprocal128,
)
from disruptor.handlers.words import (
    U64,
    U128,
    U320,
    add64,
    leading_zeros64,
    leading_zeros128,
    leading_zeros256,
    less128,
    less256,
    shift_left128,
    shift_left256,
    shift_right256,
)
from disruptor.jit import jit
from disruptor.status import OK

Integer: TypeAlias = int | np.int64
Price: TypeAlias = tuple[np.uint64, np.uint64, int]
Fraction: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]

#: Statuses of `spread`: a pool has no price; a fee is not within 0..1,000,000 millionths.
NO_PRICE = 110
BAD_FEE = 111

#: UNITS: a spread of 1 is 2^-32 basis points; `SPREAD_ONE` is a ratio of 1, or 10,000 basis points.
SPREAD_ONE = 10_000 << 32
MAX_SPREAD = 2**63 - 1
#: The spread of a ratio of 0, the smallest there is.
MIN_SPREAD = -SPREAD_ONE

_MILLION = 1_000_000
_NO_FEES = np.uint64(10**12)  # (10^6 - fee_a) * (10^6 - fee_b) where both fees are 0
_SPREAD_ONE = np.uint64(SPREAD_ONE)
_SATURATED = np.uint64(MAX_SPREAD + SPREAD_ONE)
#: A ratio of at least 2^(this - 1) saturates: 2^18 * 10,000 * 2^32 > 2^63.
_SATURATING_EXPONENT = 19
_HALF = np.uint64(32)
_ONE_LESS = np.uint64(63)

_TWO_64 = 2.0**64
_TWO_128 = 2.0**128
_TWO_MINUS_192 = 2.0**-192
_TWO_MINUS_32 = 2.0**-32


@jit
def price_of_v2(reserve0_lo: U64, reserve0_hi: U64, reserve1_lo: U64, reserve1_hi: U64) -> Price:
    """Price of a V2 pool, reserve1 / reserve0, for any two u128.

    Returns
    -------
    (mantissa_hi, mantissa_lo, exponent) : floor(price / 2^exponent), at least 2^127;
        all 0 when a reserve is 0.
    """
    if reserve0_lo | reserve0_hi == ZERO or reserve1_lo | reserve1_hi == ZERO:
        return ZERO, ZERO, 0
    zeros0 = leading_zeros128(reserve0_hi, reserve0_lo)
    zeros1 = leading_zeros128(reserve1_hi, reserve1_lo)
    d_hi, d_lo = shift_left128(reserve0_hi, reserve0_lo, zeros0)
    n_hi, n_lo = shift_left128(reserve1_hi, reserve1_lo, zeros1)
    exponent = zeros0 - zeros1 - 128
    if less128(n_hi, n_lo, d_hi, d_lo):  # n / d is in (1/2, 1): 128 more bits give a quotient of 128
        q_hi, q_lo = divide256by128(n_hi, n_lo, ZERO, ZERO, d_hi, d_lo)
        return q_hi, q_lo, exponent
    q_hi, q_lo = divide256by128(
        n_hi >> ONE, n_hi << _ONE_LESS | n_lo >> ONE, n_lo << _ONE_LESS, ZERO, d_hi, d_lo
    )
    return q_hi, q_lo, exponent + 1


@jit
def price_of_v3(s0: U64, s1: U64, s2: U64) -> Price:
    """Price of a V3 pool, sqrt_price_x96^2 / 2^192, for limbs (low first) of a uint160.

    Returns
    -------
    (mantissa_hi, mantissa_lo, exponent) : floor(price / 2^exponent), at least 2^127; (0, 0, 0) when it is 0.
    """
    w4, w3, w2, w1, w0 = _square(s2, s1, s0)
    if w4 != ZERO:
        hi, lo, exponent = _normalise(w4, w3, w2)
        return hi, lo, exponent - 64
    if w3 != ZERO:
        hi, lo, exponent = _normalise(w3, w2, w1)
        return hi, lo, exponent - 128
    if w2 | w1 != ZERO:
        hi, lo, exponent = _normalise(w2, w1, w0)
        return hi, lo, exponent - 192
    if w0 == ZERO:
        return ZERO, ZERO, 0
    hi, lo, exponent = _normalise(w0, ZERO, ZERO)  # below every price that a pool can have
    return hi, lo, exponent - 320


@jit
def fraction_of_v2(reserve0_lo: U64, reserve0_hi: U64, reserve1_lo: U64, reserve1_hi: U64) -> Fraction:
    """The price of a V2 pool as an exact fraction; see the top of the file."""
    return reserve1_hi, reserve1_lo, ZERO, ZERO, ZERO, reserve0_hi, reserve0_lo


@jit
def fraction_of_v3(s0: U64, s1: U64, s2: U64) -> Fraction:
    """The price of a V3 pool as an exact fraction; see the top of the file."""
    w4, w3, w2, w1, w0 = _square(s2, s1, s0)
    return w4, w3, w2, w1, w0, ZERO, ONE


@jit
def spread(price_a: Price, fee_a: Integer, price_b: Price, fee_b: Integer) -> tuple[int, int | np.int64]:
    """Net-of-fee spread of buying token0 at pool A and selling it at pool B.

    Parameters
    ----------
    price_a, price_b : as `price_of_v2` and `price_of_v3` return them
    fee_a, fee_b : int64, millionths

    Returns
    -------
    (status, spread_fixed) : `OK` and (ratio - 1) * 10,000 * 2^32, rounded down, at least `MIN_SPREAD` and
        saturating at `MAX_SPREAD`; `NO_PRICE` or `BAD_FEE` and 0.

    Invariants
    ----------
    |spread_fixed - exact floor| <= 1: mantissas and products are cut to 128 bits, so the ratio's relative
    error is under 2^-124, and below saturation that moves the spread by under 2^-60 before it is rounded
    down.
    """
    mantissa_a_hi, mantissa_a_lo, exponent_a = price_a
    mantissa_b_hi, mantissa_b_lo, exponent_b = price_b
    if mantissa_a_hi == ZERO or mantissa_b_hi == ZERO:
        return NO_PRICE, 0
    if not (0 <= fee_a <= _MILLION and 0 <= fee_b <= _MILLION):
        return BAD_FEE, 0
    kept = _kept(fee_a, fee_b)
    if kept == ZERO:
        return OK, MIN_SPREAD
    p2, p1, p0 = mul128by64(mantissa_b_hi, mantissa_b_lo, kept)
    n_hi, n_lo, shift_b = _normalise(p2, p1, p0)
    p2, p1, p0 = mul128by64(mantissa_a_hi, mantissa_a_lo, _NO_FEES)
    d_hi, d_lo, shift_a = _normalise(p2, p1, p0)
    exponent = exponent_b + shift_b - exponent_a - shift_a
    return OK, _scaled_quotient(n_hi, n_lo, d_hi, d_lo, exponent)


@jit
def profitable(
    spread_fixed: Integer, fraction_a: Fraction, fee_a: Integer, fraction_b: Fraction, fee_b: Integer
) -> tuple[bool, Integer]:
    """Decide exactly whether ratio > 1, given what `spread` said (`OK`) about the same pools and fees.

    Returns
    -------
    (profitable, spread_fixed) : the exact decision; and the spread, which where it was 0 or -1 is made to
    agree
        with the exact sign: 0 when ratio >= 1, -1 when ratio < 1.
    """
    if spread_fixed > 0:
        return True, spread_fixed
    if spread_fixed < -1:
        return False, spread_fixed
    sign = compare_net(fraction_a, fee_a, fraction_b, fee_b)
    return sign > 0, (0 if sign >= 0 else -1)


@jit
def compare_net(fraction_a: Fraction, fee_a: Integer, fraction_b: Fraction, fee_b: Integer) -> int:
    """Exact sign of ratio - 1, as -1, 0 or 1, for pools that have a price and fees that `spread` takes.

    The cross products fit 512 bits: 320 of n, 128 of the other's d, 40 of fees.
    """
    a4, a3, a2, a1, a0, a_d1, a_d0 = fraction_a
    b4, b3, b2, b1, b0, b_d1, b_d0 = fraction_b
    m2, m1, m0 = mul128by64(a_d1, a_d0, _kept(fee_a, fee_b))
    l7, l6, l5, l4, l3, l2, l1, l0 = mul320by192((b4, b3, b2, b1, b0), m2, m1, m0)
    m2, m1, m0 = mul128by64(b_d1, b_d0, _NO_FEES)
    r7, r6, r5, r4, r3, r2, r1, r0 = mul320by192((a4, a3, a2, a1, a0), m2, m1, m0)
    if less256(l7, l6, l5, l4, r7, r6, r5, r4):
        return -1
    if less256(r7, r6, r5, r4, l7, l6, l5, l4):
        return 1
    if less256(l3, l2, l1, l0, r3, r2, r1, r0):
        return -1
    return 1 if less256(r3, r2, r1, r0, l3, l2, l1, l0) else 0


@jit
def spread_to_bps(spread_fixed: int) -> np.float64:
    """A spread in basis points: the float64 nearest to spread_fixed / 2^32, ties to even (one rounding)."""
    return np.float64(spread_fixed) * _TWO_MINUS_32


@jit
def float_price_v2(reserve0_lo: U64, reserve0_hi: U64, reserve1_lo: U64, reserve1_hi: U64) -> np.float64:
    """Approximate price of a V2 pool, relative error under 2^-50; 0 when a reserve is 0. Not for digests."""
    reserve0 = np.float64(reserve0_hi) * _TWO_64 + np.float64(reserve0_lo)
    reserve1 = np.float64(reserve1_hi) * _TWO_64 + np.float64(reserve1_lo)
    if reserve0 == 0.0:
        return np.float64(0.0)
    return reserve1 / reserve0


@jit
def float_price_v3(s0: U64, s1: U64, s2: U64) -> np.float64:
    """Approximate price of a V3 pool, relative error under 2^-50; 0 when the price is 0. Not for digests."""
    root = np.float64(s2) * _TWO_128 + np.float64(s1) * _TWO_64 + np.float64(s0)
    return root * root * _TWO_MINUS_192


@jit
def depth_v3(
    liquidity_lo: U64, liquidity_hi: U64, s0: U64, s1: U64, s2: U64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Virtual reserves of a V3 pool at its price, which play the part of a V2 pool's reserves.

    Returns
    -------
    (x_hi, x_lo, y_hi, y_lo) : x = floor(liquidity * 2^96 / sqrt_price_x96) of token0, y = floor(liquidity *
        sqrt_price_x96 / 2^96) of token1; exact, but 2^128 - 1 where larger. All 0 when liquidity or price is
        0.
    """
    if liquidity_lo | liquidity_hi == ZERO or s0 | s1 | s2 == ZERO:
        return ZERO, ZERO, ZERO, ZERO
    x_hi, x_lo = _virtual_reserve0(liquidity_hi, liquidity_lo, s2, s1, s0)
    w4, w3, w2, w1, _ = mul192by128(s2, s1, s0, liquidity_hi, liquidity_lo)
    if w4 != ZERO or w3 >> _HALF != ZERO:
        return x_hi, x_lo, MAX64, MAX64
    return x_hi, x_lo, w3 << _HALF | w2 >> _HALF, w2 << _HALF | w1 >> _HALF


@jit
def _virtual_reserve0(l_hi: U64, l_lo: U64, s2: U64, s1: U64, s0: U64) -> U128:
    """floor(l * 2^96 / s), saturating, for l, s > 0 and s < 2^160.

    d is the top 128 bits of s, so the quotient by d is the answer where s fits them. Otherwise the quotient
    is below 2^96 and d's relative error below 2^-127: it is right or one too large, and multiplying back
    tells.
    """
    zeros = leading_zeros256(ZERO, s2, s1, s0) - 64
    shift = zeros + 32
    if leading_zeros128(l_hi, l_lo) + 128 < shift:
        return MAX64, MAX64
    _, d_hi, d_lo, _ = shift_left256(ZERO, s2, s1, s0, zeros)
    n3, n2, n1, n0 = shift_left256(ZERO, ZERO, l_hi, l_lo, shift)
    if not less128(n3, n2, d_hi, d_lo):
        return MAX64, MAX64
    q_hi, q_lo = divide256by128(n3, n2, n1, n0, d_hi, d_lo)
    if s2 == ZERO:
        return q_hi, q_lo
    _, p3, p2, p1, p0 = mul192by128(s2, s1, s0, q_hi, q_lo)
    n3, n2, n1, n0 = shift_left256(ZERO, ZERO, l_hi, l_lo, 96)
    if less256(n3, n2, n1, n0, p3, p2, p1, p0):
        return (q_hi, q_lo - ONE) if q_lo != ZERO else (q_hi - ONE, MAX64)
    return q_hi, q_lo


@jit
def _kept(fee_a: Integer, fee_b: Integer) -> U64:
    """What two fees leave, in units of 10^-12."""
    return np.uint64((_MILLION - np.int64(fee_a)) * (_MILLION - np.int64(fee_b)))


@jit
def _normalise(w2: U64, w1: U64, w0: U64) -> tuple[U64, U64, int]:
    """Top 128 bits of a value whose upper two words are not both 0, and the power of two that they weigh."""
    if w2 == ZERO:
        zeros = leading_zeros64(w1)
        hi, lo = shift_left128(w1, w0, zeros)
        return hi, lo, -zeros
    zeros = leading_zeros64(w2)
    hi, _ = shift_left128(w2, w1, zeros)
    lo, _ = shift_left128(w1, w0, zeros)
    return hi, lo, 64 - zeros


@jit
def _scaled_quotient(n_hi: U64, n_lo: U64, d_hi: U64, d_lo: U64, exponent: int) -> int | np.int64:
    """floor(n / d * 2^exponent * SPREAD_ONE) - SPREAD_ONE, saturating; the top bits of n and d are set."""
    if exponent >= _SATURATING_EXPONENT:
        return MAX_SPREAD
    p2, p1, p0 = mul128by64(n_hi, n_lo, _SPREAD_ONE)  # p2 < 2^46, so a shift by 18 loses nothing
    if exponent >= 0:
        _, p2, p1, p0 = shift_left256(ZERO, p2, p1, p0, exponent)
    else:
        _, p2, p1, p0 = shift_right256(ZERO, p2, p1, p0, -exponent)
    if not less128(p2, p1, d_hi, d_lo):
        return MAX_SPREAD
    quotient, _, _ = divide192by128(p2, p1, p0, d_hi, d_lo, reciprocal128(d_hi, d_lo))
    if quotient >= _SATURATED:
        return MAX_SPREAD
    if quotient >= _SPREAD_ONE:
        return np.int64(quotient - _SPREAD_ONE)
    return -np.int64(_SPREAD_ONE - quotient)


@jit
def _square(s2: U64, s1: U64, s0: U64) -> U320:
    """s^2 for s < 2^160."""
    w4, w3, w2, w1, w0 = mul192by128(s2, s1, s0, s1, s0)
    _, high2, high1, high0 = mul192by64(s2, s1, s0, s2)
    carry, w2 = add64(w2, high0, ZERO)
    carry, w3 = add64(w3, high1, carry)
    return w4 + high2 + carry, w3, w2, w1, w0
