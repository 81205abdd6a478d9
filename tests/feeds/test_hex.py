"""Hex and decimal kernels against bytes.fromhex and int."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.feeds import hex as kernels


def as_array(text: str | bytes) -> np.ndarray:
    return np.frombuffer(text.encode() if isinstance(text, str) else text, dtype=np.uint8)


def decode(text: str | bytes) -> bytes | int:
    source, target = as_array(text), np.zeros(len(text) + 1, dtype=np.uint8)
    length = int(kernels.decode_prefixed(source, 0, len(source), target, 1))
    return length if length < 0 else target[1 : 1 + length].tobytes()


@given(st.binary(max_size=80), st.booleans())
def test_decode_prefixed_agrees_with_bytes_fromhex(value: bytes, upper: bool) -> None:
    digits = value.hex().upper() if upper else value.hex()
    assert decode("0x" + digits) == value
    assert decode("0X" + digits) == value


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_is_a_digit_exactly_when_python_says_so(byte: int) -> None:
    is_digit = chr(byte) in "0123456789abcdefABCDEF"
    for text in (b"0x0" + bytes([byte]), b"0x" + bytes([byte]) + b"0"):
        assert (decode(text) != kernels.NOT_A_DIGIT) == is_digit


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", kernels.NO_PREFIX),
        ("0", kernels.NO_PREFIX),
        ("1x00", kernels.NO_PREFIX),
        ("ff", kernels.NO_PREFIX),
        ("0x0", kernels.ODD_DIGITS),
        ("0x", b""),
    ],
)
def test_prefix_and_parity_are_judged(text: str, result: bytes | int) -> None:
    assert decode(text) == result


def test_decode_fixed_wants_exactly_the_length_of_its_target() -> None:
    target = np.zeros(2, dtype=np.uint8)
    for text, result in (
        ("0xabcd", 2),
        ("0xab", kernels.WRONG_LENGTH),
        ("0xabcdef", kernels.WRONG_LENGTH),
        ("0xabc", kernels.WRONG_LENGTH),
        ("abcd", kernels.NO_PREFIX),
        ("0xabcg", kernels.NOT_A_DIGIT),
    ):
        assert int(kernels.decode_fixed(as_array(text), 0, len(text), target)) == result


@given(st.integers(0, 2**65), st.integers(0, 3), st.booleans())
def test_parse_number_agrees_with_int(value: int, zeros: int, in_hex: bool) -> None:
    text = ("0x" + "0" * zeros + f"{value:x}") if in_hex else "0" * zeros + str(value)
    expected = value if value < 2**63 else kernels.TOO_LARGE
    assert int(kernels.parse_number(as_array(text), 0, len(text))) == expected


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, 2**64])
def test_parse_number_is_exact_at_the_edge_of_int64(value: int) -> None:
    expected = value if value < 2**63 else kernels.TOO_LARGE
    for text in (str(value), hex(value)):
        assert int(kernels.parse_number(as_array(text), 0, len(text))) == expected


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", kernels.NO_DIGITS),
        ("0x", kernels.NO_DIGITS),
        ("-1", kernels.NOT_A_DIGIT),
        ("1a", kernels.NOT_A_DIGIT),
        ("0xg", kernels.NOT_A_DIGIT),
        ("1 ", kernels.NOT_A_DIGIT),
    ],
)
def test_parse_number_refuses_what_is_no_number(text: str, result: int) -> None:
    assert int(kernels.parse_number(as_array(text), 0, len(text))) == result


def test_every_failure_has_a_description() -> None:
    for name in ("NOT_A_DIGIT", "ODD_DIGITS", "NO_DIGITS", "TOO_LARGE", "NO_PREFIX", "WRONG_LENGTH"):
        assert not kernels.describe(getattr(kernels, name)).startswith("result")
