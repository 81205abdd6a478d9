"""Division by reciprocal against Python's, where estimates of quotient words go wrong most."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers import division
from disruptor.handlers.wide import high, load, narrow, store, u256, widen
from tests.support.wide_numbers import BOUNDARIES, NUMBERS
from tests.support.wide_records import filled, number

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

NAMES = ("upper", "lower", "divisor", "quotient", "remainder", "short", "reciprocal", "inverse")
ROW = np.dtype([(name, "<u8", (4,)) for name in NAMES])


@entry_uncounted
def probe(rows):
    for k in range(len(rows)):
        row = rows[k]
        upper, lower, divisor = load(row["upper"]), load(row["lower"]), load(row["divisor"])
        if high(divisor) == narrow(u256(0)):
            quotient, rest = division.divide_by_128(narrow(upper), lower, narrow(divisor))
            store(row["quotient"], quotient)
            store(row["remainder"], widen(rest))
            if high(lower) < narrow(divisor):
                store(row["short"], widen(division.quotient_of_128(lower, narrow(divisor))))
        else:
            quotient, remainder = division.divide_by_256(upper, lower, divisor)
            store(row["quotient"], quotient)
            store(row["remainder"], remainder)


@entry_uncounted
def invert(rows):
    for k in range(len(rows)):
        row = rows[k]
        divisor = narrow(load(row["divisor"]))
        store(row["reciprocal"], u256(division.reciprocal(divisor)))
        store(row["inverse"], division.inverse(divisor))


def divided(cases):
    """Quotients and remainders of (n, d), n < d * 2^256."""
    rows = filled(ROW, [{"upper": n >> 256, "lower": n % 2**256, "divisor": d} for n, d in cases])
    probe(rows)
    return [(number(row["quotient"]), number(row["remainder"])) for row in rows]


def kept(n, d):
    """A dividend whose quotient fits."""
    return n % (d << 256), d


DIVISORS = NUMBERS.map(lambda d: d or 1)
LONG = st.builds(lambda upper, lower: upper << 256 | lower, NUMBERS, NUMBERS)
PAIRS = st.builds(kept, LONG, DIVISORS)
NEAR_MULTIPLES = st.builds(lambda q, d, e: kept(max(0, q * d + e), d), NUMBERS, DIVISORS, st.integers(-2, 2))
EDGES = [
    kept(a << 256 | b, d) for a in BOUNDARIES for b in (0, 1, 2**255, 2**256 - 1) for d in BOUNDARIES if d
]
#: The remainder's leading words equal the divisor's: the estimate would be 2^64.
TIES = (2**255 + 1, 2**255 + 2**127, 2**160 + 5)
EQUAL_LEADING = [((d - 1) << 256 | low, d) for d in TIES for low in (0, 2**256 - 1)]
#: The divisor's low words are ones: the estimate from its leading words is one too large.
LOW_ONES = [
    kept((2**255 + 2**192) << 250, 2**k + 2**j - 1) for k in range(129, 256, 9) for j in (64, 100, 128)
]


@given(st.lists(PAIRS | NEAR_MULTIPLES, min_size=1, max_size=20))
@example(EQUAL_LEADING + LOW_ONES)
def test_quotient_and_remainder_are_pythons(cases):
    assert divided(cases) == [divmod(n, d) for n, d in cases]


SHORT = NUMBERS.map(lambda d: d % 2**128 or 1)


@given(st.lists(st.tuples(NUMBERS, SHORT, st.integers(-2, 2)), min_size=1, max_size=30))
@example(
    [
        (q, d, e)
        for q in (0, 1, 2**64 - 1, 2**64, 2**128 - 1)
        for d in (1, 2**64, 2**127, 2**128 - 1)
        for e in (-1, 0)
    ]
)
def test_quotients_of_two_words_and_of_one(drawn):
    cases = [(min(max(0, q % 2**128 * d + e), d * 2**128 - 1), d) for q, d, e in drawn]
    rows = filled(ROW, [{"lower": n, "divisor": d} for n, d in cases])
    probe(rows)
    assert [number(row["short"]) for row in rows] == [n // d for n, d in cases]


def test_boundaries_divide_by_boundaries(lane):
    cases = EDGES[:: 40 if lane == "nojit" else 1]
    assert divided(cases) == [divmod(n, d) for n, d in cases]


NORMALISED = st.builds(lambda low: 2**127 | low, NUMBERS.map(lambda n: n % 2**127))
#: (2^192 - 1) / d just above an integer, where the estimate is one less.
JUST_ABOVE = st.builds(lambda v: max(2**127, (2**192 - 1) // (2**64 + v)), st.integers(0, 2**64 - 1))


@given(st.lists(NORMALISED | JUST_ABOVE, min_size=1, max_size=50))
@example([2**127, 2**127 + 1, 2**128 - 1, 2**128 - 2, 2**127 + 2**64 - 1, 2**127 + 2**64, 2**128 - 2**64])
@example([(2**192 - 1) // (2**64 + v) for v in (1, 2, 3, 2**32, 2**63, 2**64 - 1)])
def test_reciprocal_is_the_floor(divisors):
    rows = filled(ROW, [{"divisor": d} for d in divisors])
    invert(rows)
    assert [number(row["reciprocal"]) for row in rows] == [(2**192 - 1) // d - 2**64 for d in divisors]


@given(st.lists(st.integers(64, 127).flatmap(lambda k: st.integers(2**k, 2 ** (k + 1) - 1)), min_size=1))
@example([2**64, 2**64 + 1, 2**65 - 1, 2**127 - 1, 2**127, 2**127 + 1, 2**128 - 1])
def test_inverse_is_the_largest_u256_divided(divisors):
    rows = filled(ROW, [{"divisor": d} for d in divisors])
    invert(rows)
    assert [number(row["inverse"]) for row in rows] == [(2**256 - 1) // d for d in divisors]


def test_broken_promises_end_and_answer_anything(lane):
    cases = [(a, b, d) for a in BOUNDARIES for b in BOUNDARIES for d in BOUNDARIES][
        :: 400 if lane == "nojit" else 7
    ]
    rows = filled(ROW, [{"upper": a, "lower": b, "divisor": d} for a, b, d in cases])
    probe(rows)
    assert len(rows) == len(cases)


def test_rare_branches_are_reached(lane, monkeypatch):
    """The branches that correct an estimate, told apart by who says `seldom`; kernels can't be asked."""
    if lane != "nojit":
        pytest.skip("counts calls in plain Python")
    reached = set()
    monkeypatch.setattr(division, "seldom", lambda: reached.add(sys._getframe(1).f_code.co_name))
    divided(EQUAL_LEADING + LOW_ONES)
    rows = filled(ROW, [{"divisor": (2**192 - 1) // (2**64 + v)} for v in range(1, 200)])
    invert(rows)
    three_by_two = [kept(2**511 - 1, 2**255 + 2**192 - 1), kept((2**191) << 256, 2**128 - 1)]
    divided(three_by_two)
    assert reached == {"reciprocal", "_three_by_two", "_next_word"}
