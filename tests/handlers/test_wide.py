"""Wide integers against Python integers: operators, conversions, memory, floats; and what identities know of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from disruptor import identity
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers import wide as w
from disruptor.handlers.wide import U128, U256, U512
from disruptor.jit import jit
from tests.support.wide_numbers import BOUNDARIES, NUMBERS
from tests.support.wide_records import filled, number

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

COUNTS = [0, 1, 31, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256, 257, 511, 512, 2**62, -1]
CONSTANT = U256(2**96 + 5)
FIELDS = [
    *(
        "sum",
        "difference",
        "product",
        "negative",
        "and_",
        "or_",
        "xor",
        "left",
        "right",
        "shifted_in",
        "kept",
    ),
    *(
        "joined",
        "long_sum",
        "long_difference",
        "long_product",
        "long_left",
        "long_right",
        "square",
        "constant",
    ),
]
ROW = np.dtype(
    [
        *((name, "<u8", (4,)) for name in ("a", "b")),
        ("count", "<i8"),
        *((name, "<u8", (8 if name.startswith("long") or name == "square" else 4,)) for name in FIELDS),
        ("half", "<u8", (2,)),
        ("three", "<u8", (3,)),
        ("from_half", "<u8", (4,)),
        ("signed_half", "<u8", (4,)),
        ("from_three", "<u8", (4,)),
        ("packed_flag", "u1"),
        ("unaligned", "<u8", (4,)),
        ("small", "<u8", (4,)),
        ("words", "<u8", (4,)),
        ("low", "<u8"),
        ("lengths", "<i8", (3,)),
        ("answers", "<i8", (10,)),
        ("floats", "<f8", (3,)),
    ]
)


@jit
def larger_first(a, b):
    """Wide integers into and out of a kernel, alone and in a tuple."""
    if a < b:
        return 1, b, a
    return 0, a, b


@jit
def arithmetic(row, a, b, count):
    w.store(row["sum"], w.add(a, b))
    w.store(row["difference"], w.sub(a, b))
    w.store(row["product"], w.mul(a, b))
    w.store(row["negative"], w.negate(a))
    w.store(row["and_"], a & b)
    w.store(row["or_"], a | b)
    w.store(row["xor"], a ^ b)
    w.store(row["left"], a << count)
    w.store(row["right"], a >> count)
    w.store(row["shifted_in"], w.shift_in(a, b, count))
    w.store(row["kept"], w.choose(count > 64, a, b))
    w.store(row["constant"], (w.u256(1) << 96) ^ CONSTANT)


@jit
def long_arithmetic(row, a, b, count):
    x, y = w.pair(a, b), w.widen(b)
    w.store(row["long_sum"], w.add(x, y))
    w.store(row["long_difference"], w.sub(y, x))
    w.store(row["long_product"], w.mul(x, y))
    w.store(row["long_left"], x << count)
    w.store(row["long_right"], x >> count)
    w.store(row["square"], w.mul_wide(a, a))
    w.store(row["joined"], w.add(w.high(x), w.narrow(y)))
    row["lengths"][1] = w.bit_length(x)
    row["floats"][1] = w.to_f64(x)


@jit
def memory(row, a, b):
    w.store(row["half"], a)
    w.store(row["three"], a)
    w.store(row["unaligned"], a)
    w.store(row["from_half"], w.load(row["half"]))
    w.store(row["signed_half"], w.load_signed(row["half"]))
    w.store(row["from_three"], w.load(row["three"]))
    w3, w2, w1, w0 = w.split256(w.load(row["unaligned"]))
    w.store(row["words"], w.join256(w0, w1, w2, w3))
    row["low"] = w.low64(a)
    w.store(row["small"], w.add(w.u256(np.int64(-7)), w.u256(w.low64(a))))


@jit
def questions(row, a, b):
    answers = row["answers"]
    answers[0], answers[1], answers[2] = a == b, a != b, a < b
    answers[3], answers[4], answers[5] = a <= b, a > b, a >= b
    answers[6], answers[7] = w.is_zero(a), w.is_negative(a)
    answers[8] = w.less_signed(a, b)
    answers[9], larger, smaller = larger_first(a, b)
    if larger < smaller:
        answers[9] = -1
    row["lengths"][0] = w.bit_length(a)
    row["lengths"][2] = w.bit_length(w.high(a))
    row["floats"][0] = w.to_f64(a)
    row["floats"][2] = w.to_f64(w.narrow(a))


@entry_uncounted
def probe(rows):
    for k in range(len(rows)):
        row = rows[k]
        a, b = w.load(row["a"]), w.load(row["b"])
        arithmetic(row, a, b, row["count"])
        long_arithmetic(row, a, b, row["count"])
        memory(row, a, b)
        questions(row, a, b)


def run(cases):
    """The row of each case, answered by the kernel."""
    rows = filled(ROW, [{"a": a, "b": b, "count": count} for a, b, count in cases])
    probe(rows)
    return zip(cases, rows, strict=True)


def moved(value, count, bits):
    inside = 0 <= count < bits
    return ((value << count) % 2**bits, value >> count) if inside else (0, 0)


def signed(value, bits=256):
    return value - 2**bits if value >> (bits - 1) else value


CASES = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.sampled_from(COUNTS) | st.integers(0, 520)), min_size=1, max_size=12
)
EDGE_CASES = [
    (a, b, COUNTS[(i + j) % len(COUNTS)]) for i, a in enumerate(BOUNDARIES) for j, b in enumerate(BOUNDARIES)
]


@given(CASES)
@example(EDGE_CASES)
def test_arithmetic_and_shifts_are_those_of_integers_modulo_the_width(cases):
    for (a, b, count), row in run(cases):
        left, right = moved(a, count, 256)
        by = count % 256
        expected = {
            "sum": (a + b) % 2**256,
            "difference": (a - b) % 2**256,
            "product": a * b % 2**256,
            "negative": -a % 2**256,
            "and_": a & b,
            "or_": a | b,
            "xor": a ^ b,
            "left": left,
            "right": right,
            "shifted_in": (((a << 256) + b) << by >> 256) % 2**256,
            "kept": a if count > 64 else b,
            "constant": 5,
        }
        assert {name: number(row[name]) for name in expected} == expected


@given(CASES)
@example(EDGE_CASES)
def test_512_bits_hold_products_and_shift_as_integers_do(cases):
    for (a, b, count), row in run(cases):
        x = (a << 256) + b
        left, right = moved(x, count, 512)
        expected = {
            "long_sum": (x + b) % 2**512,
            "long_difference": (b - x) % 2**512,
            "long_product": x * b % 2**512,
            "long_left": left,
            "long_right": right,
            "square": a * a,
            "joined": (a + b) % 2**256,
        }
        assert {name: number(row[name]) for name in expected} == expected


@given(CASES)
@example(EDGE_CASES)
def test_fields_of_any_width_are_read_and_written_without_their_surroundings(cases):
    for (a, b, _), row in run(cases):
        words = [a >> 64 * k & 2**64 - 1 for k in range(4)]
        expected = {
            "half": a % 2**128,
            "three": a % 2**192,
            "unaligned": a,
            "from_half": a % 2**128,
            "signed_half": signed(a % 2**128, 128) % 2**256,
            "from_three": a % 2**192,
            "words": sum(word << 64 * (3 - k) for k, word in enumerate(words)),
            "low": words[0],
            "small": (words[0] - 7) % 2**256,
        }
        assert {name: number(row[name]) for name in expected} == expected
        assert (number(row["a"]), number(row["b"]), row["packed_flag"]) == (a, b, 0)


@given(CASES)
@example(EDGE_CASES)
def test_comparisons_are_unsigned_unless_they_say_otherwise(cases):
    for (a, b, _), row in run(cases):
        unsigned = [a == b, a != b, a < b, a <= b, a > b, a >= b]
        assert row["answers"].tolist() == [*unsigned, a == 0, a >= 2**255, signed(a) < signed(b), a < b]
        assert row["lengths"].tolist() == [v.bit_length() for v in (a, (a << 256) + b, a >> 128)]


def halfway(bits, last, nudge):
    """Next to the middle between two floats: where rounding twice would show."""
    return ((last << 1 | 1) << (bits - 54)) + nudge


MIDDLES = st.builds(halfway, st.integers(55, 256), st.integers(2**52, 2**53 - 1), st.integers(-1, 1))


@given(CASES | st.lists(st.tuples(MIDDLES, NUMBERS, st.just(0)), min_size=1))
@example(EDGE_CASES)
@example([(2**53 + 1, 0, 0), (2**53 + 3, 0, 0), (2**64 + 2**11, 0, 0), (2**64 + 2**11 + 1, 0, 0)])
def test_float_is_the_nearest_with_ties_to_even(cases):
    for (a, b, _), row in run(cases):
        assert row["floats"].tolist() == [float(a), float((a << 256) + b), float(a % 2**128)]


def test_python_integers_know_their_width():
    assert U256(1) << 255 << 1 == 0 and U256(-1) == 2**256 - 1 and U512(1) << 300 == 2**300
    assert [type(w.pair(np.uint64(1), np.uint64(2))), type(w.high(U512(1)))] == [U128, U256]
    assert w.add(U512(2**256 - 1), U512(1)) == 2**256 and w.add(U256(2**256 - 1), U256(1)) == 0


MISUSES = [lambda x: x + x, lambda x: x == w.widen(x), lambda x: w.load(x), lambda x: x << 1.5]


@pytest.mark.compiled
@pytest.mark.parametrize("misuse", MISUSES, ids=["plus", "two widths", "no field", "fraction"])
def test_what_does_not_fit_is_refused_when_it_is_compiled(misuse):
    operation = jit(misuse)

    @jit
    def kernel(value):
        return w.low64(operation(w.u256(value)))

    with pytest.raises(TypingError):
        kernel(np.uint64(1))


SOURCES = ("wide_type", "wide_code", "wide")
EDITS = [
    ("code of a function", "wide_code", "    return builder.add(a, b)", "    return builder.sub(a, b)"),
    (
        "code of a load",
        "wide_code",
        "as_pointer()), align=1)\n        return",
        "as_pointer()), align=8)\n        return",
    ),
    ("arguments that fit", "wide_code", "<= 4 else None", "<= 3 else None"),
    ("an operator", "wide_type", '_comparison("<", a, b)', '_comparison(">", a, b)'),
    ("how code is attached", "wide_type", "return None if kws", "return 0 if kws"),
]


KERNEL = """
from wide_copies.wide import add, load


def kernel(row):
    a = load(row)
    return add(a, a) < a
"""


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[str, str]]]:
    """Copies of the modules in a package of their own; gives cache key and identity of a kernel that uses them."""
    folder = tmp_path / "wide_copies"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in SOURCES:
        text = (Path(w.__file__).parent / f"{name}.py").read_text()
        (folder / f"{name}.py").write_text(text.replace("disruptor.handlers.wide", "wide_copies.wide"))
    (folder / "kernel.py").write_text(KERNEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def identities() -> tuple[str, str]:
        forget()
        importlib.invalidate_caches()
        closure = identity.close([importlib.import_module("wide_copies.kernel").kernel])
        return identity.cache_key(closure), identity.semantic_identity(closure)

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("wide_copies")]:
            del sys.modules[name]

    yield identities
    forget()


@pytest.mark.parametrize(("what", "name", "old", "new"), EDITS, ids=[edit[0] for edit in EDITS])
def test_editing_the_code_that_kernels_get_changes_their_identities(
    copies: Callable[[], Any], tmp_path: Path, what: str, name: str, old: str, new: str
) -> None:
    path = tmp_path / "wide_copies" / f"{name}.py"
    before, text = copies(), path.read_text()
    assert old in text and copies() == before
    path.write_text(text.replace(old, new))
    key, meaning = copies()
    assert key != before[0] and meaning != before[1], what
