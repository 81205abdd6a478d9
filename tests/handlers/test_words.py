"""Primitives of wide integers against Python integers, in both of their bodies: compiled and plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disruptor.handlers import words as w
from disruptor.jit import jit

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
EDGES = [0, 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**128 - 1, 2**128, 2**128 + 1, 2**192, 2**256 - 1]
COUNTS = st.sampled_from([-1, 0, 1, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256, 1000]) | st.integers(
    0, 256
)


def numbers(bits):
    wide = st.integers(0, 2**bits - 1)
    short = st.builds(lambda value, shift: value >> shift, wide, st.integers(0, bits))
    return st.sampled_from([edge for edge in EDGES if edge < 2**bits]) | wide | short


def split(value, count):
    return tuple(np.uint64(value >> 64 * k & (2**64 - 1)) for k in reversed(range(count)))


def plain(result):
    """Python integers instead of whatever integer types came out."""
    return tuple(plain(part) for part in result) if isinstance(result, tuple) else int(result)


def bodies(probe):
    """The probe as compiled, and as plain Python over the twins."""
    return (probe, getattr(probe, "py_func", probe))


@jit
def probe64(a, b, c):
    return w.mul64(a, b), w.add64(a, b, c), w.sub64(a, b), w.leading_zeros64(a)


@jit
def probe128(a, b, count):
    a1, a0 = a
    b1, b0 = b
    return (
        (w.add128(a1, a0, b1, b0), w.sub128(a1, a0, b1, b0), w.less128(a1, a0, b1, b0)),
        (w.shift_left128(a1, a0, count), w.shift_right128(a1, a0, count), w.leading_zeros128(a1, a0)),
    )


@jit
def probe256(a, b, count):
    a3, a2, a1, a0 = a
    b3, b2, b1, b0 = b
    return (
        w.add256(a3, a2, a1, a0, b3, b2, b1, b0),
        w.sub256(a3, a2, a1, a0, b3, b2, b1, b0),
        w.less256(a3, a2, a1, a0, b3, b2, b1, b0),
        w.shift_left256(a3, a2, a1, a0, count),
        w.shift_right256(a3, a2, a1, a0, count),
        w.leading_zeros256(a3, a2, a1, a0),
    )


def shifted(value, bits, count):
    if not 0 <= count < bits:
        return 0, 0
    return (value << count) % 2**bits, value >> count


@settings(deadline=None)
@given(numbers(64), numbers(64), numbers(64))
@example(2**64 - 1, 2**64 - 1, 2**64 - 1)
def test_words_of_64_bits_multiply_add_and_subtract_as_integers_do(a, b, c):
    expected = (
        split(a * b, 2),
        split(a + b + c, 2),
        (int(a < b), (a - b) % 2**64),
        64 - a.bit_length(),
    )
    for body in bodies(probe64):
        assert plain(body(np.uint64(a), np.uint64(b), np.uint64(c))) == plain(expected)


@settings(deadline=None)
@given(numbers(128), numbers(128), COUNTS)
@example(2**128 - 1, 2**128 - 1, 127)
def test_u128_adds_compares_and_shifts_as_integers_do(a, b, count):
    left, right = shifted(a, 128, count)
    expected = (
        (split(a + b, 3), (int(a < b), *split((a - b) % 2**128, 2)), int(a < b)),
        (split(left, 2), split(right, 2), 128 - a.bit_length()),
    )
    for body in bodies(probe128):
        assert plain(body(split(a, 2), split(b, 2), count)) == plain(expected)


@settings(deadline=None)
@given(numbers(256), numbers(256), COUNTS)
@example(2**256 - 1, 2**256 - 1, 255)
def test_u256_adds_compares_and_shifts_as_integers_do(a, b, count):
    left, right = shifted(a, 256, count)
    expected = (
        split(a + b, 5),
        (int(a < b), *split((a - b) % 2**256, 4)),
        int(a < b),
        split(left, 4),
        split(right, 4),
        256 - a.bit_length(),
    )
    for body in bodies(probe256):
        assert plain(body(split(a, 4), split(b, 4), count)) == plain(expected)
