"""Exact arithmetic of contracts on 256-bit integers, in kernels: what does not fit is a status.

Sums, products and quotients as Solidity computes them, mulDiv through 512 bits, square roots, and the signed variants
(two's complement, truncation toward zero). Values are `U256` and `U512` of `disruptor.handlers.wide`; a function that
can fail returns `(status, value)`, and its value is 0 then unless stated. No function raises, allocates or keeps state;
none divides by zero or loops without bound, whatever the arguments.

The few that hold a division are single functions of machine code, `never_inlined`; the others are small and vanish into
their callers. See `disruptor.handlers.division` for the method.
"""

from __future__ import annotations

import numpy as np

from disruptor.handlers.division import divide_by_128, divide_by_256
from disruptor.handlers.inlining import always_inlined, never_inlined, seldom
from disruptor.handlers.wide import (
    U128,
    U256,
    U512,
    add,
    bit_length,
    high,
    is_negative,
    is_zero,
    low64,
    mul_wide,
    narrow,
    negate,
    sub,
    u256,
    widen,
)
from disruptor.jit import jit
from disruptor.status import OK as OK

#: Statuses of arithmetic: the exact result is above, or below, what the result's type can hold; the divisor is 0.
OVERFLOW = 100
UNDERFLOW = 101
DIVISION_BY_ZERO = 102

_ZERO, _ONE = U256(0), U256(1)
_MAX = U256(2**256 - 1)
_ZERO128 = U128(0)
_MIN_SIGNED = U256(2**255)
_POWER20 = 2.0**20
#: Units of 2^-20 that a root's estimate may be short by: one for each of the floats' roundings, the integer's, and
#: what was shifted out below the leading bits.
_MARGIN = np.uint64(3)


@jit
def checked_add(a: U256, b: U256) -> tuple[int, U256]:
    """a + b.

    Returns
    -------
    (status, sum) : `OK`, or `OVERFLOW` with the sum modulo 2^256.
    """
    total = add(a, b)
    return (OVERFLOW if total < a else OK), total


@jit
def checked_sub(a: U256, b: U256) -> tuple[int, U256]:
    """a - b.

    Returns
    -------
    (status, difference) : `OK`, or `UNDERFLOW` with the difference modulo 2^256.
    """
    return (UNDERFLOW if a < b else OK), sub(a, b)


@jit
def checked_mul(a: U256, b: U256) -> tuple[int, U256]:
    """a * b.

    Returns
    -------
    (status, product) : `OK`, or `OVERFLOW` with the product modulo 2^256.
    """
    product = mul_wide(a, b)
    return (OK if is_zero(high(product)) else OVERFLOW), narrow(product)


@jit
def divide(a: U256, d: U256) -> tuple[U256, U256]:
    """a / d as `(quotient, remainder)`; both 0 when d is 0, as the EVM's DIV and MOD give."""
    never_inlined()
    if is_zero(high(d)):
        if is_zero(d):
            return _ZERO, _ZERO
        quotient, remainder = divide_by_128(_ZERO128, a, narrow(d))
        return quotient, widen(remainder)
    return divide_by_256(_ZERO, a, d)


@jit
def div_rounding_up(a: U256, d: U256) -> tuple[int, U256]:
    """a / d, rounded up.

    Returns
    -------
    (status, quotient) : `OK` or `DIVISION_BY_ZERO`.
    """
    quotient, remainder = divide(a, d)
    if is_zero(d):
        return DIVISION_BY_ZERO, _ZERO
    return OK, add(quotient, u256(0 if is_zero(remainder) else 1))


@jit
def _mul_div(a: U256, b: U256, d: U256) -> tuple[int, U256, U256]:
    """a * b / d as `(status, quotient, remainder)`."""
    never_inlined()
    product = mul_wide(a, b)
    if high(product) >= d:
        return (DIVISION_BY_ZERO if is_zero(d) else OVERFLOW), _ZERO, _ZERO
    if is_zero(high(d)):
        quotient, rest = divide_by_128(narrow(high(product)), narrow(product), narrow(d))
        return OK, quotient, widen(rest)
    quotient, remainder = divide_by_256(high(product), narrow(product), d)
    return OK, quotient, remainder


@jit
def mul_div(a: U256, b: U256, d: U256) -> tuple[int, U256]:
    """a * b / d through 512 bits, rounded down.

    Returns
    -------
    (status, quotient) : `OK`; `OVERFLOW` when the quotient is no uint256, `DIVISION_BY_ZERO`.

    Source
    ------
    Uniswap V3, FullMath.mulDiv.
    """
    always_inlined()
    status, quotient, _ = _mul_div(a, b, d)
    return status, quotient


@jit
def mul_div_rounding_up(a: U256, b: U256, d: U256) -> tuple[int, U256]:
    """a * b / d through 512 bits, rounded up. See `mul_div`.

    Source
    ------
    Uniswap V3, FullMath.mulDivRoundingUp.
    """
    always_inlined()
    status, quotient, remainder = _mul_div(a, b, d)
    if is_zero(remainder):
        return status, quotient
    if quotient == _MAX:
        seldom()
        return OVERFLOW, _ZERO
    return status, add(quotient, _ONE)


@jit
def _divide_below(upper: U256, lower: U256, d: U256) -> tuple[U256, U256]:
    """(upper * 2^256 + lower) / d as `(quotient, remainder)`; the caller promises upper < d."""
    never_inlined()
    if is_zero(high(d)):
        quotient, remainder = divide_by_128(narrow(upper), lower, narrow(d))
        return quotient, widen(remainder)
    return divide_by_256(upper, lower, d)


# --- square roots -------------------------------------------------------------------------------------------
#
# Newton's iteration from above: x -> floor((x + floor(n / x)) / 2) stays at or above the root's floor and squares the
# relative error, 2^-48 at first. So two turns leave less than 1 of 128 bits, three of 256, and one comparison the rest.


@jit
def _above_root(leading: np.uint64, shift: int) -> U256:
    """At least the square root of all numbers n with n >> shift == leading, and at most 2^256 - 1.

    The caller promises that `shift` is even and, if it is not 0, leading >= 2^62.
    """
    root = np.uint64(np.int64(np.sqrt(np.float64(leading)) * _POWER20)) + _MARGIN
    half = (shift >> 1) - 20
    if half < 0:
        return add(u256(root) >> -half, _ONE)
    return _MAX if bit_length(root) + half > 256 else u256(root) << half


@jit
def _even_excess(bits: int) -> int:
    """By how much to shift a number of so many bits, an even count, to leave 63 or 64 of them."""
    return max(0, (bits - 63) >> 1 << 1)


@jit
def sqrt256(v: U256) -> U256:
    """The square root, rounded down."""
    shift = _even_excess(bit_length(v))
    root = _above_root(low64(v >> shift), shift)
    for _ in range(2):
        quotient, _rest = divide(v, root)
        root = add(root, quotient) >> 1
    return sub(root, _ONE) if mul_wide(root, root) > widen(v) else root


@jit
def sqrt512(v: U512) -> U256:
    """The square root of 512 bits, rounded down: a U256."""
    shift = _even_excess(bit_length(v))
    root = _above_root(low64(v >> shift), shift)
    for _ in range(3):
        if high(v) >= root:  # the quotient would not fit; then root * root < v, so it is the root
            break
        quotient, _rest = _divide_below(high(v), narrow(v), root)
        root = narrow(add(widen(root), widen(quotient)) >> 1)
    return sub(root, _ONE) if mul_wide(root, root) > v else root


# --- signed -------------------------------------------------------------------------------------------------


@jit
def checked_add_signed(a: U256, b: U256) -> tuple[int, U256]:
    """a + b of int256.

    Returns
    -------
    (status, sum) : `OK`; `OVERFLOW` or `UNDERFLOW` with the sum modulo 2^256.
    """
    total = add(a, b)
    if is_negative((a ^ total) & (b ^ total)):
        return (UNDERFLOW if is_negative(a) else OVERFLOW), total
    return OK, total


@jit
def checked_sub_signed(a: U256, b: U256) -> tuple[int, U256]:
    """a - b of int256. Statuses as for `checked_add_signed`."""
    difference = sub(a, b)
    if is_negative((a ^ b) & (a ^ difference)):
        return (UNDERFLOW if is_negative(a) else OVERFLOW), difference
    return OK, difference


@jit
def magnitude(v: U256) -> U256:
    """The absolute value of an int256, as a uint256: it has room for that of -2^255."""
    return negate(v) if is_negative(v) else v


@jit
def _with_sign(negative: bool, size: U256) -> tuple[int, U256]:
    """A sign and an absolute value as an int256 with a status."""
    if negative:
        return (OK, negate(size)) if size <= _MIN_SIGNED else (UNDERFLOW, _ZERO)
    return (OK, size) if size < _MIN_SIGNED else (OVERFLOW, _ZERO)


@jit
def divide_signed(a: U256, d: U256) -> tuple[int, U256, U256]:
    """a / d of int256, rounded toward zero, as Solidity does.

    Returns
    -------
    (status, quotient, remainder) : `OK`; `DIVISION_BY_ZERO`; `OVERFLOW` for -2^255 / -1.
        The remainder has the sign of `a`.
    """
    if is_zero(d):
        return DIVISION_BY_ZERO, _ZERO, _ZERO
    quotient, remainder = divide(magnitude(a), magnitude(d))
    status, quotient = _with_sign(is_negative(a) != is_negative(d), quotient)
    return status, quotient, negate(remainder) if is_negative(a) else remainder


@jit
def mul_div_signed(a: U256, b: U256, d: U256) -> tuple[int, U256]:
    """a * b / d of int256 through 512 bits, rounded toward zero.

    Returns
    -------
    (status, quotient) : `OK`; `OVERFLOW` or `UNDERFLOW` when the quotient is no int256; `DIVISION_BY_ZERO`.
    """
    negative = is_negative(a ^ b ^ d)
    status, size = mul_div(magnitude(a), magnitude(b), magnitude(d))
    if status == OVERFLOW and negative:
        return UNDERFLOW, _ZERO
    if status != OK:
        return status, _ZERO
    return _with_sign(negative, size)


@jit
def leading_zeros(v: U256) -> int:
    """Zero bits above the highest set one: 0..256, 256 for zero."""
    return 256 - bit_length(v)
