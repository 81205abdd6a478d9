"""Columns of text against `str` and `hex` of Python."""

from __future__ import annotations

import random

import numpy as np
import pytest

from disruptor.engine.json_columns import constant, decimal_text, hex_text, join_columns, replace_rows


def _texts(column):
    return [bytes(row).replace(b"\0", b"").decode() for row in column]


def _limbs(values, bits, *, signed):
    raw = b"".join(value.to_bytes(bits // 8, "little", signed=signed) for value in values)
    return np.frombuffer(raw, dtype="<u8").reshape(len(values), bits // 64)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_decimals_of_plain_integers(dtype):
    kind = np.iinfo(dtype)
    values = sorted({kind.min, kind.max, 0, 1, 9, 10, 99, 100} | {kind.min // 3, kind.max // 7})
    column = np.array(values, dtype=dtype)
    assert _texts(decimal_text(column, signed=dtype[0] == "i")) == [str(value) for value in values]


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("signed", [False, True])
def test_decimals_of_wide_integers(bits, signed):
    source = random.Random(7)
    top = bits - signed
    values = [0, 1, 10**9 - 1, 10**9, 10**18, 2**32, 2**64 - 1, 2**64, 2**top - 1]
    values += [source.getrandbits(source.randrange(1, top)) for _ in range(50)]
    values += [-value for value in values] + [-(2**top)] if signed else []
    assert _texts(decimal_text(_limbs(values, bits, signed=signed), signed=signed)) == list(map(str, values))


def test_a_column_is_no_wider_than_its_longest_number():
    assert decimal_text(np.array([3, 45, 0]), signed=True).shape == (3, 2)
    assert decimal_text(np.array([0]), signed=False).shape == (1, 1)
    assert decimal_text(np.array([-3, 45]), signed=True).shape == (2, 2)


def test_hex_of_a_strided_column():
    table = np.arange(64, dtype=np.uint8).reshape(4, 16)
    assert _texts(hex_text(table[:, 3:6])) == [bytes(row).hex() for row in table[:, 3:6]]


def test_join_drops_the_padding_and_tells_where_rows_end():
    numbers = decimal_text(np.array([5, 123]), signed=False)
    text, ends = join_columns([constant("a="), numbers, constant(";")], 2)
    assert (text, ends.tolist()) == (b"a=5;a=123;", [4, 10])


def test_replaced_rows_may_be_longer_or_shorter_than_the_column():
    rows = np.array([True, False])
    assert _texts(replace_rows(decimal_text(np.array([1, 2]), signed=False), rows, "null")) == ["null", "2"]
    wide = decimal_text(np.array([123456, 654321]), signed=False)
    assert _texts(replace_rows(wide, rows, "null")) == ["null", "654321"]
    assert replace_rows(wide, ~rows & rows, "null") is wide
