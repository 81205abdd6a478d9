"""Ticks and square roots of prices, both ways, against the contract's formula in plain integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.reverts import PRICE_OUT_OF_RANGE, TICK_OUT_OF_RANGE
from disruptor.handlers.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)
from disruptor.handlers.wide import load, store, sub, u256
from disruptor.status import OK
from tests.support import uniswap_oracle as oracle
from tests.support.wide_records import CASE, filled, number

RATIO, TICK = 0, 1


@entry_uncounted
def run(cases):  # type: ignore[no-untyped-def]
    for k in range(len(cases)):
        case = cases[k]
        if case["function"] == RATIO:
            case["status"], ratio = sqrt_ratio_at_tick(case["number"])
            store(case["p"], ratio)
        else:
            case["status"], case["number"] = tick_at_sqrt_ratio(load(case["a"]))


@entry_uncounted
def count_wrong_ticks(first, last):  # type: ignore[no-untyped-def]
    """Ticks whose ratio gives another tick, or whose ratio less one does not give the tick below."""
    wrong = 0
    for tick in range(first, last):
        _, ratio = sqrt_ratio_at_tick(tick)
        status, found = tick_at_sqrt_ratio(ratio)
        wrong += status != OK or found != tick
        if tick > -MAX_TICK:
            status, found = tick_at_sqrt_ratio(sub(ratio, u256(1)))
            wrong += status != OK or found != tick - 1
    return wrong


def ratios(ticks):
    cases = filled(CASE, [{"function": RATIO, "number": t} for t in ticks])
    run(cases)
    return [(int(case["status"]), number(case["p"])) for case in cases]


def ticks_of(prices):
    cases = filled(CASE, [{"function": TICK, "a": p} for p in prices])
    run(cases)
    return [(int(case["status"]), int(case["number"])) for case in cases]


def test_ratio_is_the_contracts_for_every_set_of_bits():
    singles = [1 << k for k in range(20)]
    around = [bit + d for bit in singles for d in (-1, 0, 1) if bit + d <= MAX_TICK]
    ticks = [0, MAX_TICK, *range(512), *range(MAX_TICK - 300, MAX_TICK), *around]
    ticks += [-t for t in ticks]
    assert ratios(ticks) == [(OK, oracle.sqrt_ratio_at_tick(t)) for t in ticks]


@given(st.lists(st.integers(-MAX_TICK, MAX_TICK), min_size=50, max_size=50))
def test_ratio_is_the_contracts_for_any_tick(ticks):
    assert ratios(ticks) == [(OK, oracle.sqrt_ratio_at_tick(t)) for t in ticks]


def test_ends_of_the_range_are_the_contracts():
    ends = ratios([-MAX_TICK, MAX_TICK])
    assert [ratio for _, ratio in ends] == [int(MIN_SQRT_RATIO), int(MAX_SQRT_RATIO)]


@pytest.mark.parametrize("tick", [MAX_TICK + 1, -MAX_TICK - 1, 2**31, -(2**63), 2**63 - 1])
def test_tick_outside_the_range_is_refused(tick):
    assert ratios([tick]) == [(TICK_OUT_OF_RANGE, 0)]


@pytest.mark.parametrize("price", [0, 1, oracle.MIN_RATIO - 1, oracle.MAX_RATIO, 2**160, 2**256 - 1])
def test_price_outside_the_range_is_refused(price):
    assert ticks_of([price]) == [(PRICE_OUT_OF_RANGE, 0)]


@pytest.mark.compiled
def test_tick_of_every_ratio_and_of_the_price_below_it():
    """All 1,774,543 boundaries: between two of them the estimate is monotonic, so this proves every price."""
    assert count_wrong_ticks(-MAX_TICK, MAX_TICK) == 0


def test_tick_of_some_ratios_and_of_the_prices_below_them(seed):
    """What the test of all ticks shows, for the lane without a compiler."""
    firsts = np.random.default_rng(seed).integers(-MAX_TICK, MAX_TICK - 20, 5)
    for first in (-MAX_TICK, MAX_TICK - 20, -10, *firsts.tolist()):
        assert count_wrong_ticks(first, first + 20) == 0


@given(st.lists(st.integers(oracle.MIN_RATIO, oracle.MAX_RATIO - 1), min_size=5, max_size=5))
@example([oracle.MIN_RATIO, oracle.MIN_RATIO + 1, oracle.MAX_RATIO - 1, 2**96, 2**96 - 1])
@example([2**k for k in range(33, 160)])
@example([2**k - 1 for k in range(33, 160)])
def test_tick_of_a_price_is_the_greatest_whose_ratio_it_reaches(prices):
    prices = prices + [
        max(oracle.MIN_RATIO, p >> s) for p, s in zip(prices, (20, 60, 90, 110, 120), strict=False)
    ]
    assert ticks_of(prices) == [(OK, oracle.tick_at_sqrt_ratio(p)) for p in prices]
