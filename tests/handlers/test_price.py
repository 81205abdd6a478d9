"""Prices, spreads and depths against fractions of Python integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from disruptor.handlers import price
from disruptor.status import OK

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342
MAX_128 = 2**128 - 1
EDGES = [1, 2**64 - 1, 2**64, 2**64 + 1, 2**112 - 1]
WIDE_EDGES = [2**127, 2**128 - 1, 2**128, 2**128 + 1]
ROOT_EDGES = [MIN_SQRT_RATIO, MAX_SQRT_RATIO, MAX_SQRT_RATIO - 1, 2**64 - 1, 2**96, *WIDE_EDGES]


def spread_out(low, high):
    """Integers of low..high, of every length in bits alike."""
    short = st.builds(
        lambda value, shift: max(low, value >> shift), st.integers(low, high), st.integers(0, 160)
    )
    return short | st.integers(low, high)


RESERVES = st.sampled_from(EDGES) | spread_out(1, 2**112 - 1)
ROOTS = st.sampled_from(ROOT_EDGES) | spread_out(MIN_SQRT_RATIO, MAX_SQRT_RATIO)
LIQUIDITIES = st.sampled_from([0, *EDGES, MAX_128]) | spread_out(0, MAX_128)
FEES = st.sampled_from([0, 1, 500, 3000, 10_000, 999_999, 1_000_000])
V2 = st.tuples(RESERVES, RESERVES)
V3 = st.tuples(ROOTS)
POOLS = V2 | V3


def limbs(value, count):
    return tuple(np.uint64(value >> 64 * k & (2**64 - 1)) for k in range(count))


def joined(words):
    value = 0
    for word in words:
        value = value << 64 | int(word)
    return value


def arguments(pool):
    return (*limbs(pool[0], 2), *limbs(pool[1], 2)) if len(pool) == 2 else limbs(pool[0], 3)


def rational(pool):
    return Fraction(pool[1], pool[0]) if len(pool) == 2 else Fraction(pool[0] ** 2, 2**192)


def price_of(pool):
    function = price.price_of_v2 if len(pool) == 2 else price.price_of_v3
    hi, lo, exponent = function(*arguments(pool))
    return np.uint64(hi), np.uint64(lo), int(exponent)


def fraction_of(pool):
    function = price.fraction_of_v2 if len(pool) == 2 else price.fraction_of_v3
    return tuple(np.uint64(word) for word in function(*arguments(pool)))


def ratio_of(pool_a, fee_a, pool_b, fee_b):
    kept = (10**6 - fee_a) * (10**6 - fee_b)
    return rational(pool_b) * kept / (rational(pool_a) * 10**12)


def exact_spread(ratio):
    return min((ratio - 1) * 10_000 * 2**32 // 1, 2**63 - 1)


def check_decision(pool_a, fee_a, pool_b, fee_b):
    """What `spread` and `profitable` say of two pools agrees with fractions."""
    ratio = ratio_of(pool_a, fee_a, pool_b, fee_b)
    status, fixed = price.spread(price_of(pool_a), fee_a, price_of(pool_b), fee_b)
    assert status == OK
    assert abs(int(fixed) - exact_spread(ratio)) <= 1
    fractions = fraction_of(pool_a), fraction_of(pool_b)
    profitable, settled = price.profitable(fixed, fractions[0], fee_a, fractions[1], fee_b)
    assert bool(profitable) == (ratio > 1)
    assert (settled >= 0) == (ratio >= 1)
    assert abs(int(settled) - exact_spread(ratio)) <= 1
    assert price.compare_net(fractions[0], fee_a, fractions[1], fee_b) == (ratio > 1) - (ratio < 1)


@settings(deadline=None, max_examples=200)
@given(POOLS)
@example((1, 1))
@example((1, 2**112 - 1))
@example((2**112 - 1, 1))
@example((2**112 - 1, 2**112 - 2))
@example((2**112 - 2, 2**112 - 1))
@example((MAX_128, 1))
@example((1, MAX_128))
@example((MIN_SQRT_RATIO,))
@example((MAX_SQRT_RATIO,))
@example((2**160 - 1,))
@example((1,))
def test_price_is_the_floor_at_128_significant_bits(pool):
    hi, lo, exponent = price_of(pool)
    mantissa = joined((hi, lo))
    assert 2**127 <= mantissa < 2**128
    assert mantissa == rational(pool) / Fraction(2) ** exponent // 1


def test_pool_without_a_reserve_or_sqrt_price_has_no_price():
    for pool in ((0, 5), (5, 0), (0, 0), (0,)):
        assert price_of(pool) == (0, 0, 0)
        some, none = price_of((3, 4)), price_of(pool)
        assert price.spread(some, 0, none, 0) == (price.NO_PRICE, 0)
        assert price.spread(none, 0, some, 0) == (price.NO_PRICE, 0)


@settings(deadline=None)
@given(POOLS)
@example((1,))
def test_fraction_is_the_price_itself(pool):
    words = fraction_of(pool)
    assert Fraction(joined(words[:5]), joined(words[5:]) << 192) == rational(pool)


@settings(deadline=None, max_examples=200)
@given(POOLS, FEES, POOLS, FEES)
@example((1, 2**112 - 1), 0, (2**112 - 1, 1), 0)
@example((2**112 - 1, 1), 0, (1, 2**112 - 1), 0)
@example((MIN_SQRT_RATIO,), 0, (MAX_SQRT_RATIO,), 0)
@example((MAX_SQRT_RATIO,), 3000, (MIN_SQRT_RATIO,), 3000)
@example((1, 1), 0, (1, 214_749), 0)
@example((1, 1), 0, (1, 214_750), 0)
@example((1, 1), 0, (1, 2**18), 0)
def test_spread_and_decision_agree_with_fractions(pool_a, fee_a, pool_b, fee_b):
    check_decision(pool_a, fee_a, pool_b, fee_b)


@settings(deadline=None)
@given(V2, st.integers(-1, 1), st.integers(-1, 1))
@example((2**112 - 2, 2**112 - 2), 1, 0)
@example((2**112 - 2, 2**112 - 2), 0, 1)
def test_sign_is_exact_between_v2_pools_a_unit_apart(pool, step0, step1):
    neighbour = tuple(min(max(1, r + step), 2**112 - 1) for r, step in zip(pool, (step0, step1), strict=True))
    check_decision(pool, 0, neighbour, 0)


@settings(deadline=None)
@given(ROOTS, st.integers(-1, 1))
@example(MAX_SQRT_RATIO - 1, 1)
@example(2**128, -1)
def test_sign_is_exact_between_v3_pools_a_unit_apart(root, step):
    check_decision((root,), 0, (root + step,), 0)


@settings(deadline=None)
@given(ROOTS, RESERVES)
def test_sign_is_exact_between_a_v3_pool_and_the_nearest_v2_pool(root, reserve0):
    reserve1 = min(max(1, root**2 * reserve0 >> 192), 2**112 - 1)
    check_decision((root,), 0, (reserve0, reserve1), 0)
    check_decision((reserve0, reserve1), 0, (root,), 0)


@settings(deadline=None)
@given(FEES.filter(lambda fee: fee < 10**6), FEES.filter(lambda fee: fee < 10**6), st.integers(1, 2**72))
@example(3000, 500, 2**72)
def test_sign_is_exact_where_fees_cancel_the_difference(fee_a, fee_b, scale):
    kept = (10**6 - fee_a) * (10**6 - fee_b)
    dear, cheap = 10**12 * scale, kept * scale
    for step in (-1, 0, 1):
        check_decision((dear, max(1, cheap + step)), fee_a, (1, 1), fee_b)
        check_decision((1, 1), fee_a, (max(1, cheap + step), dear), fee_b)
    assert ratio_of((dear, cheap), fee_a, (1, 1), fee_b) == ratio_of((1, 1), fee_a, (cheap, dear), fee_b) == 1


def test_v3_price_of_an_exact_power_equals_the_v2_price():
    for root in (1, 3, 2**31, 10**9):
        check_decision((root << 96,), 0, (1, root**2), 0)
        assert price.compare_net(fraction_of((root << 96,)), 0, fraction_of((1, root**2)), 0) == 0


def test_fee_of_everything_leaves_the_smallest_spread_and_other_fees_are_refused():
    one = price_of((1, 1))
    assert price.spread(one, 10**6, one, 0) == (OK, price.MIN_SPREAD)
    for fee_a, fee_b in ((-1, 0), (0, -1), (10**6 + 1, 0), (0, 2**32 - 1)):
        assert price.spread(one, fee_a, one, fee_b) == (price.BAD_FEE, 0)


@settings(deadline=None)
@given(
    st.sampled_from([0, 1, -1, price.MAX_SPREAD, price.MIN_SPREAD]) | st.integers(price.MIN_SPREAD, 2**63 - 1)
)
@example(2**53 + 1)
def test_basis_points_are_rounded_once(fixed):
    assert float(price.spread_to_bps(fixed)) == float(Fraction(fixed, 2**32))


@settings(deadline=None)
@given(POOLS)
@example((MIN_SQRT_RATIO,))
@example((2**112 - 1, 2**112 - 1))
def test_float_price_is_within_its_bound(pool):
    function = price.float_price_v2 if len(pool) == 2 else price.float_price_v3
    got = Fraction(float(function(*arguments(pool))))
    assert abs(got / rational(pool) - 1) < Fraction(1, 2**50)


def test_float_price_is_zero_where_there_is_no_price():
    assert price.float_price_v2(*arguments((0, 5))) == 0.0
    assert price.float_price_v2(*arguments((5, 0))) == 0.0
    assert price.float_price_v3(*arguments((0,))) == 0.0


@settings(deadline=None, max_examples=200)
@given(LIQUIDITIES, ROOTS)
@example(0, 2**96)
@example(1, MAX_SQRT_RATIO)
@example(MAX_128, MIN_SQRT_RATIO)
@example(MAX_128, MAX_SQRT_RATIO)
@example(MAX_128, 2**96)
@example(MAX_128, 2**96 - 1)
@example(MAX_128, 2**96 + 1)
@example(MAX_128, 2**128 + 1)
def test_depth_is_the_floor_of_virtual_reserves_and_saturates(liquidity, root):
    words = price.depth_v3(*limbs(liquidity, 2), *limbs(root, 3))
    assert joined(words[:2]) == min(MAX_128, (liquidity << 96) // root)
    assert joined(words[2:]) == min(MAX_128, liquidity * root >> 96)


@settings(deadline=None)
@given(st.integers(0, 2**120), st.integers(1, 2**32))
def test_depth_is_exact_just_below_a_whole_quotient_by_a_long_sqrt_price(k, short):
    """Here the quotient by the sqrt price's top 128 bits is one too large: random inputs never get there."""
    root = 2**128 + 2 * k + 1
    liquidity = -short * pow(2**96, -1, root) % root  # liquidity * 2^96 = -short (mod root)
    assume(liquidity <= MAX_128)
    words = price.depth_v3(*limbs(liquidity, 2), *limbs(root, 3))
    assert joined(words[:2]) == (liquidity << 96) // root


def test_depth_borrows_when_the_estimate_is_one_too_large_and_ends_in_a_zero_word():
    words = price.depth_v3(*limbs(5 << 96, 2), *limbs(2**128 + 1, 3))
    assert joined(words[:2]) == (5 << 64) - 1


def test_depth_without_a_sqrt_price_is_zero():
    assert joined(price.depth_v3(*limbs(7, 2), *limbs(0, 3))) == 0
