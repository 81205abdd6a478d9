"""Products, signed changes, division and conversions of wide integers against Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disruptor.handlers import word_math as fp
from disruptor.jit import jit
from disruptor.status import OK

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
EDGES = [0, 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**127, 2**128 - 1, 2**128, 2**128 + 1, 2**192, 2**256 - 1]


def numbers(bits):
    wide = st.integers(0, 2**bits - 1)
    short = st.builds(lambda value, shift: value >> shift, wide, st.integers(0, bits))
    holed = st.builds(lambda value, hole: value & ~(2**64 - 1 << hole), wide, st.integers(0, bits))
    return st.sampled_from([edge for edge in EDGES if edge < 2**bits]) | wide | short | holed


def split(value, count):
    return tuple(np.uint64(value >> 64 * k & (2**64 - 1)) for k in reversed(range(count)))


def joined(words):
    value = 0
    for word in words:
        value = value << 64 | int(word)
    return value


@jit
def products(a, b, c):
    """Every product of the low words of a, b and c, by rising size."""
    _, a3, a2, a1, a0 = a
    b2, b1, b0 = b
    return (
        fp.mul128by64(a1, a0, c),
        fp.mul128(a1, a0, b1, b0),
        fp.mul192by64(a2, a1, a0, c),
        fp.mul192by128(a2, a1, a0, b1, b0),
        fp.mul256by64(a3, a2, a1, a0, c),
        fp.mul320by192(a, b2, b1, b0),
    )


@jit
def quotients(n, d):
    n3, n2, n1, n0 = n
    d1, d0 = d
    return fp.divide256by128(n3, n2, n1, n0, d1, d0), fp.reciprocal128(d1, d0)


@settings(deadline=None)
@given(numbers(320), numbers(192), numbers(64))
@example(2**320 - 1, 2**192 - 1, 2**64 - 1)
@example(0, 2**192 - 1, 2**64 - 1)
def test_products_are_exact(a, b, c):
    got = [joined(words) for words in products(split(a, 5), split(b, 3), np.uint64(c))]
    expected = [a % 2**128 * c, a % 2**128 * (b % 2**128), a % 2**192 * c]
    expected += [a % 2**192 * (b % 2**128), a % 2**256 * c, a * b]
    assert got == expected


@settings(deadline=None, max_examples=300)
@given(numbers(127), numbers(128), numbers(128))
@example(0, 2**127 - 1, 2**128 - 1)
@example(2**127 - 1, 2**128 - 2, 2**128 - 1)
@example(2**64 - 1, 2**127 + 2**64 - 2, 2**128 - 1)
@example(2**127 - 2**64, 2**128 - 2**64 - 1, 0)
def test_quotient_of_256_by_128_bits_is_the_floor(divisor_low, high, low):
    divisor = 2**127 | divisor_low
    n = high % divisor << 128 | low
    quotient, reciprocal = quotients(split(n, 4), split(divisor, 2))
    assert joined(quotient) == n // divisor
    assert int(reciprocal) == (2**192 - 1) // divisor - 2**64


@settings(deadline=None)
@given(numbers(63), numbers(64), numbers(64))
@example(2**63 - 1, 2**64 - 2, 2**64 - 1)
@example(2**32 - 1, 2**63 + 2**32 - 2, 2**64 - 1)
def test_quotient_of_128_by_64_bits_has_its_remainder(divisor_low, high, low):
    divisor = 2**63 | divisor_low
    n = high % divisor << 64 | low
    got = fp.divide128by64(*split(n, 2), np.uint64(divisor))
    assert tuple(map(int, got)) == divmod(n, divisor)


@settings(deadline=None)
@given(numbers(128), st.sampled_from([0, 1, -1, 2**127 - 1, -(2**127)]) | st.integers(-(2**127), 2**127 - 1))
@example(2**128 - 1, 1)
@example(0, -1)
@example(2**127, -(2**127))
def test_liquidity_changes_by_a_signed_delta_and_reports_what_does_not_fit(value, delta):
    status, *words = fp.add_delta128(*split(value, 2), *split(delta % 2**128, 2))
    total = value + delta
    assert status == (OK if 0 <= total < 2**128 else fp.OVERFLOW if total > 0 else fp.UNDERFLOW)
    assert joined(words) == total % 2**128


SIGNED = st.sampled_from([0, 1, -1, 2**127 - 1, -(2**127)]) | st.integers(-(2**127), 2**127 - 1)


@settings(deadline=None)
@given(SIGNED, SIGNED)
@example(2**127 - 1, 1)
@example(-(2**127), -1)
def test_signed_sum_reports_what_does_not_fit(a, b):
    status, *words = fp.add_signed128(*split(a % 2**128, 2), *split(b % 2**128, 2))
    assert status == (OK if -(2**127) <= a + b < 2**127 else fp.OVERFLOW if a > 0 else fp.UNDERFLOW)
    assert joined(words) == (a + b) % 2**128


@settings(deadline=None)
@given(numbers(128))
def test_negation_is_modulo_the_width(a):
    assert joined(fp.negate128(*split(a, 2))) == -a % 2**128


@settings(deadline=None, max_examples=200)
@given(numbers(256))
@example(2**53 + 1)
@example(2**54 + 2)
@example(2**128 + 2**75)
@example(2**128 + 2**75 + 1)
@example(2**128 + 3 * 2**75)
@example(2**255 + 2**202 + 1)
@example(2**255 + 2**202)
@example(2**200 - 1)
def test_float_is_the_nearest_with_ties_to_even(value):
    assert float(fp.to_f64_256(*split(value, 4))) == float(value)
    assert float(fp.to_f64_128(*split(value % 2**128, 2))) == float(value % 2**128)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 9))
def test_abi_word_is_read_as_big_endian_at_any_offset(word, offset):
    blob = np.frombuffer(b"\xee" * offset + word + b"\xee", dtype=np.uint8).copy()
    assert joined(fp.u256_at(blob, offset)) == int.from_bytes(word, "big")
