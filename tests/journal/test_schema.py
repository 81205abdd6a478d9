"""What a journal's own schema decodes, held against Python's integers; and what is refused of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.schema import parse_schema
from disruptor.message import (
    byte_string,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    i128,
    i256,
    message,
    u8,
    u16,
    u32,
    u64,
    u128,
    u256,
)

KINDS = {k.name: k for k in (u8, u16, u32, u64, i8, i16, i32, i64, u128, i128, u256, i256)}
ALL = message(
    "All", 1234, {**{f"of_{n}": k for n, k in KINDS.items()}, "a": f32, "b": f64, "raw": byte_string(20)}
)


def test_every_type_decodes_at_its_edges() -> None:
    schema = parse_schema(json.dumps([ALL.schema()]).encode(), 512)[1234]
    for edge in ("lowest", "highest", "one"):
        slot = np.zeros((1, 512), np.uint8)
        expected = {}
        for name, kind in KINDS.items():
            bits = 8 * kind.dtype.itemsize
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if name[0] == "i" else (0, (1 << bits) - 1)
            value = {"lowest": low, "highest": high, "one": 1}[edge]
            start = 32 + ALL.offsets[f"of_{name}"]
            slot[0, start : start + bits // 8] = np.frombuffer(
                value.to_bytes(bits // 8, "little", signed=name[0] == "i"), np.uint8
            )
            expected[f"of_{name}"] = str(value) if bits > 64 else value
        view = slot.reshape(-1).view(ALL.slot_dtype(512))
        view["a"], view["b"], view["raw"] = 0.5, np.nan, np.arange(20)
        expected |= {"a": 0.5, "b": "nan", "raw": "0x" + bytes(range(20)).hex()}
        assert {f.name: f.values(slot)[0] for f in schema.fields} == expected
    assert schema.to_json()["fields"] == ALL.schema()["fields"]


@pytest.mark.parametrize(
    "change",
    [
        {"type_id": 0},
        {"name": "no name"},
        {"fields": [["a", "u64", 1 << 40]]},
        {"fields": [["a", "u64", -40]]},
        {"fields": [["a", "u7", 0]]},
        {"fields": [["a", "bytes999999999", 0]]},
        {"fields": [["a", "u8", 0], ["a", "u8", 1]]},
        {"fields": [["a", "u64", 478]]},
        {"fields": 3},
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(JournalError, match="schema can't be read"):
        parse_schema(json.dumps([{**ALL.schema(), **change}]).encode(), 512)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_schema_or_an_error(content: bytes) -> None:
    try:
        assert isinstance(parse_schema(content, 64), dict)
    except JournalError as error:
        assert "schema can't be read" in str(error)
