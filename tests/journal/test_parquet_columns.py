"""Slots as columns: every byte comes back, and each column says what the slot says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from disruptor.errors import CorruptFrameError
from disruptor.journal.layout import Bytes, canonical_json
from disruptor.journal.parquet_columns import MessageColumns, decimal_text
from disruptor.journal.parquet_files import ColumnFile, ColumnWriter
from disruptor.journal.schema import StoredMessage, parse_schema
from disruptor.message import (
    byte_string,
    f32,
    f64,
    i8,
    i16,
    i64,
    i128,
    i256,
    message,
    u8,
    u32,
    u64,
    u128,
    u256,
)

SLOT_SIZE = 256
ALL = message(
    "All",
    1003,
    {
        "flags": u8,
        "wide": i256,
        "wide_decimal": u8,
        "small": i8,
        "middle": i16,
        "number": u32,
        "payload_flags": i64,
        "half": f32,
        "double": f64,
        "u": u128,
        "v": u256,
        "i": i128,
        "address": byte_string(20),
        "rest": u64,
    },
)


def stored() -> StoredMessage:
    return parse_schema(canonical_json([ALL.schema()]), SLOT_SIZE)[1003]


def some_slots(count: int, type_id: int = 1003) -> Bytes:
    """Any bytes, padding included, in slots of one type; half of them where their headers say they are."""
    slots = np.random.default_rng(4).integers(0, 256, (count, SLOT_SIZE), np.uint8)
    slots[:, 24:26] = np.frombuffer(type_id.to_bytes(2, "little"), np.uint8)
    slots[: count // 2, :8] = np.arange(10, 10 + count // 2, dtype="<i8").view(np.uint8).reshape(-1, 8)
    slots[: count // 2, 200:] = 0
    return slots


@pytest.mark.parametrize("known", [True, False])
def test_every_byte_comes_back(known: bool) -> None:
    columns, slots = MessageColumns(stored() if known else None, SLOT_SIZE), some_slots(40)
    table = columns.table(slots, 10 + np.arange(40))
    back = np.zeros((40, SLOT_SIZE), np.uint8)
    columns.fill(table.slice(7), back, np.arange(7, 40))
    columns.fill(table.slice(0, 7), back, np.arange(7))
    assert np.array_equal(back, slots)


def test_columns_hold_what_rows_hold() -> None:
    slots = some_slots(9)
    table = MessageColumns(stored(), SLOT_SIZE).table(slots, 10 + np.arange(9))
    values = {field.name: field.values(slots) for field in stored().fields}
    for name in ("small", "middle", "number"):
        assert table[name].to_pylist() == values[name]
    assert table["payload_flags"].to_pylist() == values["flags"]
    assert table["payload_flags_"].to_pylist() == values["payload_flags"]
    assert table["wide_decimal"].to_pylist() == values["wide"]
    assert table["wide_decimal_"].to_pylist() == values["wide_decimal"]
    assert table["u_decimal"].to_pylist() == values["u"]
    assert ["0x" + cell.hex() for cell in table["address"].to_pylist()] == values["address"]
    assert table["header_sequence"].null_count == 4 and table["rest_"].null_count == 0


def test_bytes_that_no_column_covers_are_null_where_they_are_zero() -> None:
    slots = np.zeros((3, SLOT_SIZE), np.uint8)
    slots[1, 33] = 5  # between `flags` and `wide`
    table = MessageColumns(stored(), SLOT_SIZE).table(slots, np.arange(3))
    assert table["rest_"].is_null().to_pylist() == [True, False, True]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_floats_that_are_no_numbers_keep_their_bits(tmp_path: Path, suffix: str) -> None:
    columns, slots = MessageColumns(stored(), SLOT_SIZE), some_slots(64)
    double = next(field for field in stored().fields if field.name == "double")
    patterns = 0x7FF8_0000_0000_0000 + np.arange(64, dtype="<u8") % 3
    patterns[::5] = 1 << 63  # minus zero
    slots[:, double.start : double.start + 8] = patterns.view(np.uint8).reshape(64, 8)
    writer = ColumnWriter(tmp_path / f"All.{suffix}", columns.schema, {}, columns.dictionary)
    writer.write(columns.table(slots, np.arange(64)))
    writer.finish()
    back = np.zeros((64, SLOT_SIZE), np.uint8)
    for batch in ColumnFile(tmp_path / f"All.{suffix}").batches():
        columns.fill(batch, back, np.arange(64))
    assert np.array_equal(back, slots)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("bits", [8, 64, 127, 128, 248, 249, 250, 256])
def test_decimals_are_those_of_python(signed: bool, size: int, bits: int) -> None:
    rng = np.random.default_rng(bits)
    limit = 1 << min(bits, 8 * size)
    numbers = [0, 1, limit - 1, limit // 2, limit // 2 - 1]
    numbers += [int.from_bytes(rng.bytes(32), "little") % limit for _ in range(20)]
    if signed:
        numbers = [number - limit // 2 for number in numbers]
    raw = b"".join(number.to_bytes(size, "little", signed=signed) for number in numbers)
    cells = np.frombuffer(raw, np.uint8).reshape(-1, size)
    assert decimal_text(cells, signed=signed).to_pylist() == [str(number) for number in numbers]


def changed(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    arrays = [values if field.name == name else batch[field.name] for field in batch.schema]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def test_a_decimal_that_is_not_its_number_is_noticed() -> None:
    columns = MessageColumns(stored(), SLOT_SIZE)
    table = columns.table(some_slots(5), np.arange(5))
    texts = table["u_decimal"].to_pylist()
    texts[3] = "1"
    with pytest.raises(
        CorruptFrameError, match=r"column u_decimal, sequence 3: .* the text beside it says 1"
    ):
        columns.fill(changed(table, "u_decimal", pa.array(texts)), np.zeros((5, 256), np.uint8), np.arange(5))


def test_a_missing_value_is_noticed() -> None:
    columns = MessageColumns(stored(), SLOT_SIZE)
    table = columns.table(some_slots(5), np.arange(5))
    holes = pc.if_else(pa.array([True, True, False, True, True]), table["number"], None)
    with pytest.raises(CorruptFrameError, match="column number: holds no value in 1 rows"):
        columns.fill(changed(table, "number", holes), np.zeros((5, 256), np.uint8), np.arange(5))
