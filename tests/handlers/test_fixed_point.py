"""Exact arithmetic against Python integers, statuses included; roots; signed variants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers import fixed_point as fp
from disruptor.handlers.fixed_point import DIVISION_BY_ZERO, OK, OVERFLOW, UNDERFLOW
from disruptor.handlers.wide import load, pair, store, u256
from disruptor.jit import jit
from tests.support.wide_numbers import BOUNDARIES, NUMBERS
from tests.support.wide_records import filled, number

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

UNSIGNED = [
    "sum",
    "difference",
    "product",
    "quotient",
    "rounded_up",
    "mul_div",
    "mul_div_up",
]
SIGNED = ["signed_sum", "signed_difference", "signed_quotient", "signed_mul_div"]
PLAIN = [
    "remainder",
    "signed_remainder",
    "root",
    "long_root",
    "size",
    "zeros",
]
ROW = np.dtype(
    [(name, "<u8", (4,)) for name in ("a", "b", "d", *UNSIGNED, *SIGNED, *PLAIN)]
    + [("status", [(name, "<i8") for name in UNSIGNED + SIGNED])]
)
MOD, MAX, MIN_SIGNED = 2**256, 2**256 - 1, -(2**255)


@jit
def unsigned(row, a, b, d):
    status = row["status"]
    status["sum"], value = fp.checked_add(a, b)
    store(row["sum"], value)
    status["difference"], value = fp.checked_sub(a, b)
    store(row["difference"], value)
    status["product"], value = fp.checked_mul(a, b)
    store(row["product"], value)
    status["mul_div"], value = fp.mul_div(a, b, d)
    store(row["mul_div"], value)
    status["mul_div_up"], value = fp.mul_div_rounding_up(a, b, d)
    store(row["mul_div_up"], value)
    store(row["zeros"], u256(fp.leading_zeros(a)))


@jit
def quotients(row, a, b, d):
    status = row["status"]
    value, remainder = fp.divide(a, d)
    store(row["quotient"], value)
    store(row["remainder"], remainder)
    status["rounded_up"], value = fp.div_rounding_up(a, d)
    store(row["rounded_up"], value)


@jit
def roots(row, a, b):
    store(row["root"], fp.sqrt256(a))
    store(row["long_root"], fp.sqrt512(pair(a, b)))


@jit
def signed(row, a, b, d):
    status = row["status"]
    status["signed_sum"], value = fp.checked_add_signed(a, b)
    store(row["signed_sum"], value)
    status["signed_difference"], value = fp.checked_sub_signed(a, b)
    store(row["signed_difference"], value)
    status["signed_quotient"], value, remainder = fp.divide_signed(a, d)
    store(row["signed_quotient"], value)
    store(row["signed_remainder"], remainder)
    status["signed_mul_div"], value = fp.mul_div_signed(a, b, d)
    store(row["signed_mul_div"], value)
    store(row["size"], fp.magnitude(a))


@entry_uncounted
def probe(rows):
    for k in range(len(rows)):
        row = rows[k]
        a, b, d = load(row["a"]), load(row["b"]), load(row["d"])
        unsigned(row, a, b, d)
        quotients(row, a, b, d)
        signed(row, a, b, d)
        roots(row, a, b)


def answers(cases):
    """Every case with what the kernel says: by name, the value, with a status the pair."""
    rows = filled(ROW, [{"a": a, "b": b, "d": d} for a, b, d in cases])
    probe(rows)
    for case, row in zip(cases, rows, strict=True):
        status = {name: int(row["status"][name]) for name in UNSIGNED + SIGNED}
        found = {name: (status[name], number(row[name])) for name in status}
        yield case, found | {name: number(row[name]) for name in PLAIN}


def as_signed(value):
    return value - MOD if value >= 2**255 else value


def fitting(value, lowest=0, highest=MAX, *, wraps=False):
    """Status and value of a result that should lie between these."""
    status = OVERFLOW if value > highest else UNDERFLOW if value < lowest else OK
    return status, value % MOD if wraps or status == OK else 0


def fitting_signed(value, *, wraps=False):
    return fitting(value, MIN_SIGNED, 2**255 - 1, wraps=wraps)


def toward_zero(n, d):
    return abs(n) // abs(d) * (1 if (n < 0) == (d < 0) else -1)


def expected_unsigned(a, b, d):
    found = {"sum": fitting(a + b, wraps=True), "difference": fitting(a - b, wraps=True)}
    found |= {"product": fitting(a * b, wraps=True), "zeros": 256 - a.bit_length()}
    if d == 0:
        failed = dict.fromkeys(("mul_div", "mul_div_up", "rounded_up"), (DIVISION_BY_ZERO, 0))
        return found | failed | {"quotient": (OK, 0), "remainder": 0}
    found |= {"mul_div": fitting(a * b // d), "mul_div_up": fitting(-(-a * b // d))}
    return found | {"quotient": (OK, a // d), "remainder": a % d, "rounded_up": (OK, -(-a // d))}


def expected_signed(a, b, d):
    a, b, d = as_signed(a), as_signed(b), as_signed(d)
    found = {"signed_sum": fitting_signed(a + b, wraps=True), "size": abs(a)}
    found |= {"signed_difference": fitting_signed(a - b, wraps=True)}
    if d == 0:
        failed = (DIVISION_BY_ZERO, 0)
        return found | {"signed_quotient": failed, "signed_mul_div": failed, "signed_remainder": 0}
    quotient = toward_zero(a, d)
    found |= {"signed_quotient": fitting_signed(quotient), "signed_remainder": (a - quotient * d) % MOD}
    return found | {"signed_mul_div": fitting_signed(toward_zero(a * b, d))}


def every(stride):
    """Triples of boundaries; with the JIT off one in `stride`."""
    return [(a, b, d) for a in BOUNDARIES for b in BOUNDARIES for d in BOUNDARIES][::stride]


CASES = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6)
#: a * 2^256 + b and a next to multiples of d.
NEXT_TO_MULTIPLES = st.builds(
    lambda q, d, e: (min(MOD**2 - 1, max(0, q * d + e)) // MOD, max(0, q * d + e) % MOD, d),
    NUMBERS,
    NUMBERS,
    st.integers(-2, 2),
)


@given(CASES | st.lists(NEXT_TO_MULTIPLES, min_size=1, max_size=6))
@example([(MAX, MAX, MAX), (MAX, MAX - 1, MAX), (MAX, 2, 1), (2**255, 2, 2**255), (1, 1, 0)])
def test_results_and_statuses_are_those_of_integers(cases):
    for case, found in answers(cases):
        expected = expected_unsigned(*case) | expected_signed(*case)
        assert {name: found[name] for name in expected} == expected


def test_results_at_every_boundary(lane):
    for case, found in answers(every(stride=397 if lane == "nojit" else 3)):
        expected = expected_unsigned(*case) | expected_signed(*case)
        assert {name: found[name] for name in expected} == expected, case


SQUARES = st.builds(
    lambda root, e: divmod(min(MOD**2 - 1, max(0, root**2 + e)), MOD), NUMBERS, st.integers(-1, 1)
)
SMALL_SQUARES = st.builds(lambda root, e: (max(0, (root >> 128) ** 2 + e), 0), NUMBERS, st.integers(-1, 1))


@given(st.lists(SQUARES | SMALL_SQUARES | st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=10))
@example(
    [
        (MAX, MAX),
        (MAX, 0),
        (MAX - 1, MAX),
        (MAX - 1, 0),
        (0, 0),
        (1, 0),
        (0, 1),
        (2**254, 0),
        (2**254 - 1, MAX),
    ]
)
def test_roots_are_floors(pairs):
    for (a, b, _), found in answers([(a, b, 1) for a, b in pairs]):
        assert (found["root"], found["long_root"]) == (math.isqrt(a), math.isqrt((a << 256) + b))


def test_small_roots(lane):
    below = 60 if lane == "nojit" else 3000
    found = [found["root"] for _, found in answers([(n, 0, 1) for n in range(below)])]
    assert found == [math.isqrt(n) for n in range(below)]


@pytest.mark.compiled
def test_a_division_is_one_function_however_often_it_is_called():
    @jit
    def thrice(rows):
        row = rows[0]
        a, b, d = load(row["a"]), load(row["b"]), load(row["d"])
        for _ in range(2):
            a = fp.mul_div(a, b, d)[1]
        b = fp.mul_div(b, a, d)[1]
        store(row["mul_div"], fp.mul_div(a, b, d)[1])

    thrice(filled(ROW, [{"a": 3, "b": 5, "d": 2}]))
    (code,) = thrice.inspect_asm().values()
    assert (
        code.count("vdivsd") + code.count("\tdivsd") <= 4
    )  # a reciprocal by 128 and one by 256 bits, and wrappers'
