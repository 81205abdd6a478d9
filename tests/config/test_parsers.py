"""Parsers of setting values: what they take, what they refuse, in whose words."""

from __future__ import annotations

import os

import pytest

from disruptor.config import parsers


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-7", -7), ("1_000", 1000), ("1e18", 10**18), ("2.5e3", 2500), ("0x10", 16), ("5.0", 5)],
)
def test_exact_int_reads_what_the_user_wrote(text, value):
    assert parsers.exact_int(text) == value


@pytest.mark.parametrize("text", ["1.5", "12:30:00", "", "abc", "nan", "inf", "1e999999999", "0xzz", "1__0"])
def test_exact_int_refuses_what_is_no_exact_integer(text):
    assert parsers.exact_int(text) is None


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("9", 9), ("5e0", 5)])
def test_integer_takes_its_bounds(text, value):
    assert parsers.integer(1, 9)(text) == value


@pytest.mark.parametrize("raw", ["0", "10", "x", ["1"]])
def test_integer_names_its_range(raw):
    with pytest.raises(ValueError, match="an integer from 1 to 9"):
        parsers.integer(1, 9)(raw)


def test_power_of_two_is_demanded():
    parse = parsers.integer(2, 1024, power_of_two=True)
    assert [n for n in range(2, 1025) if _accepts(parse, str(n))] == [2**k for k in range(1, 11)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("On", True), ("1", True), ("true", True), ("no", False), ("OFF", False), ("0", False)],
)
def test_boolean_words(text, value):
    assert parsers.boolean(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2GiB", 2 << 30),
        ("2 gib", 2 << 30),
        ("1.5MiB", 3 << 19),
        ("3MB", 3_000_000),
        ("4096000", 4_096_000),
        ("2_000_000", 2_000_000),
        ("1e9", 10**9),
    ],
)
def test_byte_size_units(text, value):
    assert parsers.byte_size(1, 1 << 40)(text) == value


@pytest.mark.parametrize("text", ["", "GiB", "2XB", "-1", "1.5", "0", "2TiB", "1e99999999999"])
def test_byte_size_refuses(text):
    with pytest.raises(ValueError, match="a size from 1 to 1TiB"):
        parsers.byte_size(1, 1 << 40)(text)


def test_choice_is_a_word_even_where_yaml_would_see_a_boolean():
    choice = parsers.Choice("require", "prefer", "off")
    assert choice("off") == "off"
    with pytest.raises(ValueError, match="require, prefer or off"):
        choice("false")


@pytest.mark.parametrize("text", ["", "null", "~", "None"])
def test_optional_takes_null(text):
    assert parsers.optional(parsers.integer(1, 2))(text) is None


def test_optional_says_that_null_is_allowed():
    with pytest.raises(ValueError, match="an integer from 1 to 2, or null"):
        parsers.optional(parsers.integer(1, 2))("3")


def test_cpu_cores_must_be_allowed_for_this_process():
    allowed = sorted(os.sched_getaffinity(0))
    assert parsers.cpu_cores([str(c) for c in allowed]) == tuple(allowed)
    assert parsers.cpu_cores(str(allowed[0])) == (allowed[0],)
    assert parsers.cpu_cores([]) == parsers.cpu_cores("") == ()
    for bad in (["99999"], [str(allowed[0])] * 2, "x", ["-1"]):
        with pytest.raises(ValueError, match="a list of distinct CPU numbers"):
            parsers.cpu_cores(bad)


def test_numa_node_must_exist():
    assert parsers.numa_node("0") == 0
    with pytest.raises(ValueError, match="a NUMA node out of"):
        parsers.numa_node("9999")


def test_address_is_lower_cased_and_keeps_leading_zeros():
    assert parsers.address("0x" + "0A" * 20) == "0x" + "0a" * 20
    for bad in ("0x12", "ab" * 20, "0x" + "zz" * 20):
        with pytest.raises(ValueError, match="40 hex digits"):
            parsers.address(bad)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("2.5", 2.5), ("1e1", 10.0)])
def test_number_from_zero(text, value):
    assert parsers.number_from_zero(text) == value


@pytest.mark.parametrize("text", ["-0.1", "nan", "inf", "x", "", "1e400"])
def test_number_from_zero_refuses(text):
    with pytest.raises(ValueError, match="a number of at least 0"):
        parsers.number_from_zero(text)


def test_page_size_words():
    assert [parsers.page_size(word) for word in ("2MiB", "1gib")] == [2 << 20, 1 << 30]
    with pytest.raises(ValueError, match="2MiB or 1GiB"):
        parsers.page_size("4KiB")


def _accepts(parse, text):
    try:
        parse(text)
    except ValueError:
        return False
    return True
