"""Prices for people against fractions of Python integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disruptor.handlers import price

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342
EDGES = [1, 2**64 - 1, 2**64, 2**64 + 1, 2**112 - 1]
ROOT_EDGES = [MIN_SQRT_RATIO, MAX_SQRT_RATIO, 2**64 - 1, 2**96, 2**127, 2**128 - 1, 2**128, 2**128 + 1]


def spread_out(low, high):
    """Integers of low..high, of every length in bits alike."""
    short = st.builds(
        lambda value, shift: max(low, value >> shift), st.integers(low, high), st.integers(0, 160)
    )
    return short | st.integers(low, high)


RESERVES = st.sampled_from(EDGES) | spread_out(1, 2**112 - 1)
ROOTS = st.sampled_from(ROOT_EDGES) | spread_out(MIN_SQRT_RATIO, MAX_SQRT_RATIO)


def limbs(value, count):
    return tuple(np.uint64(value >> 64 * k & (2**64 - 1)) for k in range(count))


@settings(deadline=None)
@given(RESERVES, RESERVES)
@example(2**112 - 1, 1)
@example(1, 2**112 - 1)
def test_float_price_of_v2_is_within_its_bound(reserve0, reserve1):
    got = Fraction(float(price.float_price_v2(*limbs(reserve0, 2), *limbs(reserve1, 2))))
    assert abs(got / Fraction(reserve1, reserve0) - 1) < Fraction(1, 2**50)


@settings(deadline=None)
@given(ROOTS)
@example(MIN_SQRT_RATIO)
@example(MAX_SQRT_RATIO)
def test_float_price_of_v3_is_within_its_bound(root):
    got = Fraction(float(price.float_price_v3(*limbs(root, 3))))
    assert abs(got / Fraction(root**2, 2**192) - 1) < Fraction(1, 2**50)


def test_float_price_is_zero_where_there_is_no_price():
    assert price.float_price_v2(*limbs(0, 2), *limbs(5, 2)) == 0.0
    assert price.float_price_v2(*limbs(5, 2), *limbs(0, 2)) == 0.0
    assert price.float_price_v3(*limbs(0, 3)) == 0.0
