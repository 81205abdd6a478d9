"""Exact wide-integer arithmetic for kernels: products, signed changes, division and conversions.

Numbers are words of 64 bits, most significant first, as in `words`, which has the primitives: sums, shifts,
comparison, `mul64`. No function raises, allocates or keeps state; preconditions are the caller's where
stated, and no input can make a kernel divide by zero or loop without bound. Sums that may wrap go through the
primitives, so that numpy scalars never overflow with the JIT off.

Division is by words, after Möller and Granlund, "Improved division by invariant integers" (2011): one
reciprocal for each divisor (two 64-bit hardware divisions), then two multiplications for each word of the
quotient.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from disruptor.handlers.words import (
    U64,
    U128,
    U192,
    U256,
    U320,
    U512,
    add64,
    add128,
    leading_zeros128,
    leading_zeros256,
    less128,
    mul64,
    shift_left128,
    shift_left256,
    sub64,
    sub128,
)
from disruptor.jit import jit
from disruptor.status import OK

#: Statuses of arithmetic: the exact result is above, or below, what the result's type can hold.
OVERFLOW = 100
UNDERFLOW = 101

ZERO = np.uint64(0)
ONE = np.uint64(1)
MAX64 = np.uint64(2**64 - 1)
_MASK32 = np.uint64(2**32 - 1)
_HALF = np.uint64(32)
_SIGN = np.uint64(63)
_BASE32 = np.uint64(2**32)
#: 2.0**k at index k, for scaling without rounding.
_POWERS_OF_TWO = np.array([2.0**k for k in range(193)])


@jit
def mul128by64(hi: U64, lo: U64, factor: U64) -> U192:
    """u128 * u64, exactly, as `(w2, w1, w0)`."""
    low1, low0 = mul64(lo, factor)
    high1, high0 = mul64(hi, factor)
    carry, w1 = add64(low1, high0, ZERO)
    return high1 + carry, w1, low0  # no overflow: the high word of a product is at most 2^64 - 2


@jit
def mul128(a_hi: U64, a_lo: U64, b_hi: U64, b_lo: U64) -> U256:
    """u128 * u128, exactly, as a u256."""
    low2, low1, low0 = mul128by64(a_hi, a_lo, b_lo)
    high2, high1, high0 = mul128by64(a_hi, a_lo, b_hi)
    carry, w1 = add64(low1, high0, ZERO)
    carry, w2 = add64(low2, high1, carry)
    return high2 + carry, w2, w1, low0


@jit
def mul256by64(w3: U64, w2: U64, w1: U64, w0: U64, factor: U64) -> U320:
    """u256 * u64, exactly, as five words."""
    low2, low1, low0 = mul128by64(w1, w0, factor)
    high2, high1, high0 = mul128by64(w3, w2, factor)
    carry, middle = add64(low2, high0, ZERO)
    carry, upper = add64(high1, ZERO, carry)
    return high2 + carry, upper, middle, low1, low0


@jit
def mul192by64(w2: U64, w1: U64, w0: U64, factor: U64) -> U256:
    """u192 * u64, exactly, as a u256."""
    low2, low1, low0 = mul128by64(w1, w0, factor)
    high, low = mul64(w2, factor)
    carry, middle = add64(low2, low, ZERO)
    return high + carry, middle, low1, low0


@jit
def mul192by128(a2: U64, a1: U64, a0: U64, b_hi: U64, b_lo: U64) -> U320:
    """u192 * u128, exactly, as five words."""
    low3, low2, low1, low0 = mul192by64(a2, a1, a0, b_lo)
    high3, high2, high1, high0 = mul192by64(a2, a1, a0, b_hi)
    carry, w1 = add64(low1, high0, ZERO)
    carry, w2 = add64(low2, high1, carry)
    carry, w3 = add64(low3, high2, carry)
    return high3 + carry, w3, w2, w1, low0


@jit
def mul320by192(a: U320, b2: U64, b1: U64, b0: U64) -> U512:
    """u320 * u192, exactly, as eight words; `a` is a tuple of five."""
    a4, a3, a2, a1, a0 = a
    x4, x3, x2, x1, x0 = mul192by128(b2, b1, b0, a1, a0)
    y4, y3, y2, y1, y0 = mul192by128(b2, b1, b0, a3, a2)
    z3, z2, z1, z0 = mul192by64(b2, b1, b0, a4)
    carry, w2 = add64(x2, y0, ZERO)
    carry, w3 = add64(x3, y1, carry)
    carry, w4 = add64(x4, y2, carry)
    carry, w5 = add64(y3, ZERO, carry)
    w6 = y4 + carry
    carry, w4 = add64(w4, z0, ZERO)
    carry, w5 = add64(w5, z1, carry)
    carry, w6 = add64(w6, z2, carry)
    return z3 + carry, w6, w5, w4, w3, w2, x1, x0


@jit
def add_delta128(hi: U64, lo: U64, delta_hi: U64, delta_lo: U64) -> tuple[int, U64, U64]:
    """u128 + i128 (two's complement), as a contract changes liquidity.

    Returns
    -------
    (status, hi, lo) : `OK`; `OVERFLOW` or `UNDERFLOW` when the sum is no u128;
        hi, lo are the sum mod 2^128 in any case.
    """
    carry, sum_hi, sum_lo = add128(hi, lo, delta_hi, delta_lo)
    negative = delta_hi >> _SIGN
    if carry == negative:
        return OK, sum_hi, sum_lo
    return (UNDERFLOW if negative == ONE else OVERFLOW), sum_hi, sum_lo


@jit
def add_signed128(a_hi: U64, a_lo: U64, b_hi: U64, b_lo: U64) -> tuple[int, U64, U64]:
    """i128 + i128 (two's complement), as a contract changes a tick's net liquidity.

    Returns
    -------
    (status, hi, lo) : `OK`; `OVERFLOW` or `UNDERFLOW` when the sum is no i128;
        hi, lo are the sum mod 2^128 in any case.
    """
    _, sum_hi, sum_lo = add128(a_hi, a_lo, b_hi, b_lo)
    if ((a_hi ^ sum_hi) & (b_hi ^ sum_hi)) >> _SIGN == ZERO:
        return OK, sum_hi, sum_lo
    return (UNDERFLOW if a_hi >> _SIGN == ONE else OVERFLOW), sum_hi, sum_lo


@jit
def negate128(hi: U64, lo: U64) -> U128:
    """-a mod 2^128: turns the amount of a burn into a delta."""
    _, negated_hi, negated_lo = sub128(ZERO, ZERO, hi, lo)
    return negated_hi, negated_lo


@jit
def _divide_half(high: U64, next_half: U64, divisor: U64) -> U128:
    """(high * 2^32 + next_half) / divisor as `(quotient, rest)`; high < divisor, divisor >= 2^63."""
    divisor_hi, divisor_lo = divisor >> _HALF, divisor & _MASK32
    quotient = high // divisor_hi
    rest = high - quotient * divisor_hi
    for _ in range(2):  # the estimate is at most two too large
        if quotient >= _BASE32 or quotient * divisor_lo > (rest << _HALF | next_half):
            quotient -= ONE
            rest += divisor_hi
            if rest >= _BASE32:
                break
    return quotient, sub64(high << _HALF | next_half, mul64(quotient, divisor)[1])[1]


@jit
def divide128by64(hi: U64, lo: U64, divisor: U64) -> U128:
    """u128 / u64 as `(quotient, remainder)`. The caller promises divisor >= 2^63 and hi < divisor."""
    upper, rest = _divide_half(hi, lo >> _HALF, divisor)
    lower, rest = _divide_half(rest, lo & _MASK32, divisor)
    return upper << _HALF | lower, rest


@jit
def reciprocal128(d_hi: U64, d_lo: U64) -> U64:
    """floor((2^192 - 1) / d) - 2^64 for a divisor d >= 2^127, as `divide192by128` wants it.

    Source
    ------
    Möller, Granlund, "Improved division by invariant integers" (2011), algorithm 6.
    """
    v, _ = divide128by64(MAX64 ^ d_hi, MAX64, d_hi)
    carry, p = add64(mul64(d_hi, v)[1], d_lo, ZERO)
    if carry != ZERO:
        v -= ONE
        if p >= d_hi:
            v -= ONE
            p -= d_hi
        p = sub64(p, d_hi)[1]
    t_hi, t_lo = mul64(v, d_lo)
    carry, p = add64(p, t_hi, ZERO)
    if carry != ZERO:
        v -= ONE
        if not less128(p, t_lo, d_hi, d_lo):
            v -= ONE
    return v


@jit
def divide192by128(n2: U64, n1: U64, n0: U64, d_hi: U64, d_lo: U64, reciprocal: U64) -> U192:
    """u192 / u128 as `(quotient, remainder_hi, remainder_lo)`.

    The caller promises d >= 2^127, (n2, n1) < d and reciprocal = reciprocal128(d).

    Source
    ------
    Möller, Granlund (2011), algorithm 5.
    """
    q_hi, q_lo = mul64(reciprocal, n2)
    _, q_hi, q_lo = add128(q_hi, q_lo, n2, n1)
    r_hi = sub64(n1, mul64(q_hi, d_hi)[1])[1]
    t_hi, t_lo = mul64(d_lo, q_hi)
    _, r_hi, r_lo = sub128(r_hi, n0, t_hi, t_lo)
    _, r_hi, r_lo = sub128(r_hi, r_lo, d_hi, d_lo)
    _, q_hi = add64(q_hi, ONE, ZERO)
    if r_hi >= q_lo:
        q_hi = sub64(q_hi, ONE)[1]
        _, r_hi, r_lo = add128(r_hi, r_lo, d_hi, d_lo)
    if not less128(r_hi, r_lo, d_hi, d_lo):
        q_hi = add64(q_hi, ONE, ZERO)[1]
        _, r_hi, r_lo = sub128(r_hi, r_lo, d_hi, d_lo)
    return q_hi, r_hi, r_lo


@jit
def divide256by128(n3: U64, n2: U64, n1: U64, n0: U64, d_hi: U64, d_lo: U64) -> U128:
    """floor(u256 / u128) as a u128. The caller promises d >= 2^127 and (n3, n2) < d."""
    reciprocal = reciprocal128(d_hi, d_lo)
    q_hi, r_hi, r_lo = divide192by128(n3, n2, n1, d_hi, d_lo, reciprocal)
    q_lo, _, _ = divide192by128(r_hi, r_lo, n0, d_hi, d_lo, reciprocal)
    return q_hi, q_lo


@jit
def _word_at(blob: npt.NDArray[np.uint8], offset: int) -> U64:
    word = ZERO
    for k in range(8):
        word = word << np.uint64(8) | np.uint64(blob[offset + k])
    return word


@jit
def u256_at(blob: npt.NDArray[np.uint8], offset: int) -> U256:
    """The 32-byte big-endian word of the ABI at `offset`; the caller promises that `blob` holds all of it."""
    return (
        _word_at(blob, offset),
        _word_at(blob, offset + 8),
        _word_at(blob, offset + 16),
        _word_at(blob, offset + 24),
    )


@jit
def to_f64_256(w3: U64, w2: U64, w1: U64, w0: U64) -> np.float64:
    """The float64 nearest to a u256, ties to even.

    DETERMINISM: one rounding. The top 64 bits, with any lost bit folded into their last (eleven bits below
    the float's own), round as the whole number would; scaling by a power of two is exact.
    """
    zeros = leading_zeros256(w3, w2, w1, w0)
    if zeros >= 192:
        return np.float64(w0)
    top, rest2, rest1, rest0 = shift_left256(w3, w2, w1, w0, zeros)
    if rest2 | rest1 | rest0 != ZERO:
        top |= ONE
    scale: np.float64 = _POWERS_OF_TWO[192 - zeros]
    return np.float64(top) * scale


@jit
def to_f64_128(hi: U64, lo: U64) -> np.float64:
    """The float64 nearest to a u128, ties to even. See `to_f64_256`."""
    zeros = leading_zeros128(hi, lo)
    if zeros >= 64:
        return np.float64(lo)
    top, rest = shift_left128(hi, lo, zeros)
    if rest != ZERO:
        top |= ONE
    scale: np.float64 = _POWERS_OF_TWO[64 - zeros]
    return np.float64(top) * scale
