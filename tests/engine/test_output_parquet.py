"""Parquet files against the JSON lines of the same records."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from disruptor.engine import output_parquet
from disruptor.engine.output_jsonl import json_lines
from disruptor.engine.output_parquet import ParquetDirectoryOutput, ParquetFileOutput
from disruptor.errors import InputError
from disruptor.handlers.messages import ArbitrageOpportunity, DeFiSwapEvent
from disruptor.message import byte_string, f64, i128, message, u64, u128, u256

MIXED = message(
    "Mixed",
    1002,
    {"price": f64, "count": u64, "amount": u128, "change": i128, "word": u256, "raw": byte_string(3)},
)
ROWS = [
    {
        "sequence": 3,
        "price": 0.1,
        "count": 2**64 - 1,
        "amount": 2**127,
        "change": -5,
        "word": 2**255,
        "raw": b"abc",
    },
    {"sequence": 4, "flags": 9, "amount": 7, "change": 7, "word": 7},
]


def _as_json_row(row, message):
    """A Parquet row in the words of a JSON line."""
    answer = {}
    for name, value in row.items():
        if f"{name}_decimal" in row:
            signed = message.fields[name].name.startswith("i")
            assert int.from_bytes(value, "little", signed=signed) == int(row[f"{name}_decimal"])
            answer[name] = row[f"{name}_decimal"]
        elif not name.endswith("_decimal"):
            answer[name] = f"0x{value.hex()}" if isinstance(value, bytes) else value
    return answer


def test_rows_hold_what_the_json_lines_hold(tmp_path, records, context):
    slots = records(MIXED, ROWS)
    where = context(MIXED, 2, has_tx=np.array([True, False]), log_index=np.array([-1, 4]))
    sink = ParquetFileOutput(tmp_path / "a.parquet", ["Mixed"])
    sink.open([MIXED, DeFiSwapEvent], lambda pool: None)
    sink.write(slots, where)
    slots[:] = np.zeros(1, dtype=slots.dtype)  # the ring is reused once the call returns
    sink.end_batch()
    sink.close()
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    expected = [json.loads(line) for line in json_lines(records(MIXED, ROWS), where)[0].splitlines()]
    assert [_as_json_row(row, MIXED) for row in rows] == expected


def test_columns_have_the_widths_of_the_fields():
    schema = output_parquet.schema_of(MIXED)
    assert {name: str(schema.field(name).type) for name in ("amount", "word", "raw", "amount_decimal")} == {
        "amount": "fixed_size_binary[16]",
        "word": "fixed_size_binary[32]",
        "raw": "fixed_size_binary[3]",
        "amount_decimal": "string",
    }


def test_a_directory_gets_one_file_a_type_even_without_rows(tmp_path, records, context):
    sink = ParquetDirectoryOutput(tmp_path / "out", None)
    sink.open([MIXED, ArbitrageOpportunity], lambda pool: None)
    sink.write(records(MIXED, ROWS), context(MIXED, 2))
    sink.end_batch()
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [".partial", ".partial"]
    sink.close()
    counts = {p.name: pq.read_metadata(p).num_rows for p in (tmp_path / "out").iterdir()}
    assert counts == {"Mixed.parquet": 2, "ArbitrageOpportunity.parquet": 0}


def test_rows_are_in_order_and_in_groups_of_bounded_size(tmp_path, records, context, monkeypatch):
    monkeypatch.setattr(output_parquet, "ROW_GROUP_ROWS", 4)
    sink = ParquetFileOutput(tmp_path / "a.parquet", None)
    sink.open([MIXED], lambda pool: None)
    for start in range(0, 12, 3):
        for sequence in (start + 2, start, start + 1):
            sink.write(records(MIXED, [{"sequence": sequence}]), context(MIXED, 1))
        sink.end_batch()
    sink.close()
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.read()["sequence"].to_pylist() == list(range(12))
    assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= 4


def test_one_file_needs_one_type(tmp_path):
    with pytest.raises(InputError, match="name a directory such as"):
        ParquetFileOutput(tmp_path / "a.parquet", ["Mixed", "DeFiSwapEvent"])
    sink = ParquetFileOutput(tmp_path / "a.parquet", None)
    with pytest.raises(InputError, match="this run writes DeFiSwapEvent, Mixed: choose one with --types"):
        sink.open([MIXED, DeFiSwapEvent], lambda pool: None)


def test_abort_leaves_nothing(tmp_path, records, context, capfd):
    sink = ParquetDirectoryOutput(tmp_path / "out", None)
    sink.open([MIXED], lambda pool: None)
    sink.write(records(MIXED, ROWS), context(MIXED, 2))
    sink.end_batch()
    sink.abort()
    del sink
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_abort_keeps_a_directory_that_was_there(tmp_path):
    sink = ParquetDirectoryOutput(tmp_path, None)
    sink.open([MIXED], lambda pool: None)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_unless_forced(tmp_path):
    (tmp_path / "Mixed.parquet").write_text("precious")
    with pytest.raises(InputError, match="add --force"):
        ParquetDirectoryOutput(tmp_path, ["Mixed"])
    late = ParquetDirectoryOutput(tmp_path, None)
    with pytest.raises(InputError, match="add --force"):
        late.open([MIXED], lambda pool: None)
    late.abort()
    with pytest.raises(InputError, match="add --force"):
        ParquetFileOutput(tmp_path / "Mixed.parquet", None)
    assert (tmp_path / "Mixed.parquet").read_text() == "precious"
    sink = ParquetDirectoryOutput(tmp_path, None, force=True)
    sink.open([MIXED], lambda pool: None)
    sink.close()
    assert pq.read_metadata(tmp_path / "Mixed.parquet").num_rows == 0


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match=r"ends in neither \.jsonl nor \.parquet"):
        ParquetDirectoryOutput(tmp_path / "out", None)
