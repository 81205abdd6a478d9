"""Division of wide integers: one reciprocal for each divisor, then two products for each 64-bit word of the quotient.

LLVM divides wide integers bit by bit (5 µs for 512 by 256 bits) or by a libgcc call that is not linked. Here a divisor
is shifted left until its highest bit is set (the dividend too, which leaves the quotient as it is), and its top 128
bits D get a reciprocal word v = floor((2^192 - 1) / D) - 2^64. With it three words are divided by two, exactly, in
`_three_by_two`. A divisor of up to 128 bits is D itself, so such a step yields one word of the final quotient; for a
longer one it yields a word that is at most one too large, which the remainder shows: what the divisor has below D, less
than 2^-127 of it, takes less than 2^-63 from a quotient of less than 2^64.

Nothing here divides by zero or reads outside a value, whatever the arguments: where the caller breaks a promise the
result is meaningless, no more. Loops have at most four turns.

Source
------
Möller, Granlund, "Improved division by invariant integers" (2011): the step is algorithm 5. Their reciprocal
(algorithms 2 and 6) is replaced by a float64 division and one Newton step: fewer operations that wait for each other.
"""

from __future__ import annotations

import numpy as np

from disruptor.handlers.inlining import always_inlined, never_inlined, seldom
from disruptor.handlers.wide import (
    U128,
    U256,
    add,
    bit_length,
    choose,
    high,
    is_zero,
    low64,
    mul,
    mul_wide,
    narrow,
    pair,
    shift_in,
    sub,
    widen,
)
from disruptor.jit import jit

ONE = np.uint64(1)
_ZERO64 = np.uint64(0)
_TOP = np.uint64(2**64 - 1)
_ONES = U128(2**128 - 1)
_POWER52 = np.uint64(2**52)
_ZERO128, _ZERO256 = U128(0), U256(0)
_POWER116 = U128(2**116)
_ALL192 = U256(2**192 - 1)
_POWER105 = 2.0**105


@jit
def reciprocal(divisor: U128) -> np.uint64:
    """floor((2^192 - 1) / divisor) - 2^64. The caller promises divisor >= 2^127.

    A float64 quotient less one gives `guess`: below 2^116 / high(divisor), by less than 2^-50 of it. How far
    guess * divisor falls short of 2^180 gives one Newton step, after which 2^-100 of the result is missing, so the
    floor of it is the one wanted or, once in some 2^35 times, one less; the remainder shows which.

    DETERMINISM: the float is one correctly rounded division of a power of two by an integer up to 2^53; the remainder
    makes the result independent of it.
    """
    always_inlined()
    leading = (
        high(divisor) >> np.uint64(11) | _POWER52
    ) + ONE  # the power is in it already, if the promise is kept
    guess = np.uint64(np.int64(_POWER105 / np.float64(np.int64(leading)))) - ONE
    product = add(mul_wide(guess, high(divisor)), widen(high(mul_wide(guess, low64(divisor)))))
    short = low64(sub(_POWER116, product) >> 4)
    step = high(mul_wide(guess, short)) >> np.uint64(36)
    found = add(guess << np.uint64(12), step)
    rest = sub(sub(_ALL192, mul(widen(widen(found)), widen(divisor))), widen(divisor) << 64)
    if rest >= widen(divisor):
        seldom()
        found = add(found, ONE)
    return found


@jit
def _three_by_two(high128: U128, word: np.uint64, divisor: U128, v: np.uint64) -> tuple[np.uint64, U128]:
    """(high128 * 2^64 + word) / divisor as `(quotient, remainder)`.

    The caller promises divisor >= 2^127, high128 < divisor and v = reciprocal(divisor).
    """
    always_inlined()
    estimate = add(mul_wide(v, high(high128)), high128)
    quotient = high(estimate)
    taken = add(mul_wide(quotient, low64(divisor)), divisor)
    rest = sub(sub(pair(low64(high128), word), mul_wide(quotient, high(divisor)) << 64), taken)
    too_large = high(rest) >= low64(estimate)  # about as often as not
    quotient = choose(too_large, quotient, add(quotient, ONE))
    rest = choose(too_large, add(rest, divisor), rest)
    if rest >= divisor:
        seldom()
        quotient, rest = add(quotient, ONE), sub(rest, divisor)
    return quotient, rest


@jit
def inverse(divisor: U128) -> U256:
    """(2^256 - 1) / divisor, rounded down: three words of quotient, a third less work than `divide_by_128`.

    The caller promises divisor >= 2^64.
    """
    always_inlined()
    shift = (128 - bit_length(divisor)) & 63
    scaled = shift_in(divisor, _ZERO128, shift)
    v = reciprocal(scaled)
    # Of the five words of the dividend, shifted as the divisor is, all but the first and the last are ones.
    first, last = low64(_ONES >> (128 - shift)), low64(_ONES << shift)
    upper, rest = _three_by_two(pair(first, _TOP), _TOP, scaled, v)
    middle, rest = _three_by_two(rest, _TOP, scaled, v)
    lower, _rest = _three_by_two(rest, last, scaled, v)
    return pair(widen(upper), pair(middle, lower))


@jit
def divide_by_128(upper: U128, lower: U256, divisor: U128) -> tuple[U256, U128]:
    """(upper * 2^256 + lower) / divisor as `(quotient, remainder)`.

    The caller promises 0 < divisor and upper < divisor.
    """
    always_inlined()
    shift = 128 - bit_length(divisor)
    scaled = shift_in(divisor, _ZERO128, shift)
    v = reciprocal(scaled)
    rest = shift_in(upper, high(lower), shift)
    middle = shift_in(high(lower), narrow(lower), shift)
    coming = pair(middle, shift_in(narrow(lower), _ZERO128, shift))
    quotient, words = _ZERO256, 4
    if is_zero(rest) and middle < scaled:  # the quotient has two words
        rest, coming, words = middle, coming << 128, 2
    for _ in range(words):
        digit, rest = _three_by_two(rest, high(high(coming)), scaled, v)
        quotient, coming = quotient << 64 | widen(widen(digit)), coming << 64
    return quotient, rest >> shift


@jit
def quotient_of_128(dividend: U256, divisor: U128) -> U128:
    """dividend / divisor, rounded down. The caller promises 0 < divisor and dividend < divisor * 2^128.

    A quotient of one word, which most are that count tokens, takes one step instead of two.
    """
    always_inlined()
    shift = 128 - bit_length(divisor)
    scaled = shift_in(divisor, _ZERO128, shift)
    v = reciprocal(scaled)
    rest = shift_in(high(dividend), narrow(dividend), shift)
    coming = shift_in(narrow(dividend), _ZERO128, shift)
    middle = pair(low64(rest), high(coming))
    if high(rest) == _ZERO64 and middle < scaled:
        digit, _ = _three_by_two(middle, low64(coming), scaled, v)
        return widen(digit)
    upper, rest = _three_by_two(rest, high(coming), scaled, v)
    lower, _ = _three_by_two(rest, low64(coming), scaled, v)
    return pair(upper, lower)


@jit
def _next_word(rest: U256, word: np.uint64, divisor: U256, v: np.uint64) -> tuple[np.uint64, U256]:
    """(rest * 2^64 + word) / divisor as `(quotient, remainder)`.

    The caller promises divisor >= 2^255, rest < divisor and v = reciprocal(high(divisor)).
    """
    always_inlined()
    leading = high(divisor)
    if high(rest) == leading:
        seldom()
        return _largest_word(rest, word, divisor)
    digit, above = _three_by_two(high(rest), high(narrow(rest)), leading, v)
    left = pair(above, pair(low64(rest), word))
    taken = mul(widen(widen(digit)), widen(narrow(divisor)))
    found = sub(left, taken)
    if left < taken:
        seldom()
        digit, found = sub(digit, ONE), add(found, divisor)
    return digit, found


@jit
def _largest_word(rest: U256, word: np.uint64, divisor: U256) -> tuple[np.uint64, U256]:
    """The same where the estimate from the leading words would be 2^64: it is 2^64 - 1, or one less."""
    never_inlined()
    dividend = widen(rest) << 64 | widen(widen(widen(word)))
    digit, taken = _TOP, mul_wide(divisor, widen(widen(_TOP)))
    if dividend < taken:
        digit, taken = sub(digit, ONE), sub(taken, widen(divisor))
    return digit, narrow(sub(dividend, taken))


@jit
def divide_by_256(upper: U256, lower: U256, divisor: U256) -> tuple[U256, U256]:
    """(upper * 2^256 + lower) / divisor as `(quotient, remainder)`.

    The caller promises divisor >= 2^128 and upper < divisor.
    """
    always_inlined()
    shift = (256 - bit_length(divisor)) & 127  # the mask tells LLVM what the promise says
    scaled = shift_in(divisor, _ZERO256, shift)
    v = reciprocal(high(scaled))
    rest = shift_in(upper, lower, shift)
    coming = shift_in(lower, _ZERO256, shift)
    quotient, words = _ZERO256, 4
    if is_zero(upper):  # the quotient has two words
        rest, coming, words = pair(narrow(rest), high(coming)), coming << 128, 2
    for _ in range(words):
        digit, rest = _next_word(rest, high(high(coming)), scaled, v)
        quotient, coming = quotient << 64 | widen(widen(digit)), coming << 64
    return quotient, rest >> shift
