"""Parquet logs: each way of writing the same columns gives the same rows; other tables a clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disruptor.errors import InputError
from disruptor.feeds import parquet_reader
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, LogBatch

ROW_COUNT = 23
_BYTES = ("transaction_hash", "address", "topic0", "topic1", "topic2", "topic3", "data")


def make_columns(count: int = ROW_COUNT) -> dict[str, list[Any]]:
    """Plain Python values of a small cryo table; topic counts 0 to 4 and data of 0 to 160 bytes occur."""
    rng = np.random.default_rng(5)
    columns: dict[str, list[Any]] = {
        "block_number": [100 + n // 4 for n in range(count)],
        "transaction_index": [n % 4 // 2 for n in range(count)],
        "log_index": [n % 4 for n in range(count)],
        "transaction_hash": [rng.bytes(32) for _ in range(count)],
        "address": [rng.bytes(20) for _ in range(count)],
        "data": [rng.bytes(32 * (n % 6)) for n in range(count)],
        "n_data_bytes": [32 * (n % 6) for n in range(count)],
        "chain_id": [1] * count,
    }
    for topic in range(4):
        columns[f"topic{topic}"] = [rng.bytes(32) if n % 5 > topic else None for n in range(count)]
    return columns


def as_hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()


def make_table(columns: dict[str, list[Any]], kind: Any = None) -> pa.Table:
    """An Arrow table whose byte columns have the given type; text types hold hex."""
    arrays = {}
    for name, values in columns.items():
        if name not in _BYTES:
            arrays[name] = pa.array(values, pa.uint64() if name == "chain_id" else pa.uint32())
            continue
        texts = kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))
        given = [as_hex(value) for value in values] if texts else values
        arrays[name] = pa.array(given, kind or pa.binary())
    return pa.table(arrays)


def write(tmp_path: Path, table: pa.Table, **options: Any) -> str:
    path = str(tmp_path / "logs.parquet")
    pq.write_table(table, path, **options)
    return path


def copied(path: str, batch_rows: int = 7) -> list[LogBatch]:
    return [LogBatch(b.rows.copy(), b.blob.copy()) for b in parquet_reader.read_logs(path, 3, batch_rows)]


def check_rows(batches: list[LogBatch], columns: dict[str, list[Any]]) -> None:
    """Compare with the plain Python values, row by row."""
    n = 0
    for rows, blob in batches:
        for row in rows:
            start = int(row["data_offset"])
            assert blob[start : start + int(row["data_length"])].tobytes() == columns["data"][n]
            for name in ("block_number", "transaction_index", "log_index"):
                assert row[name] == columns[name][n]
            assert row["address"].tobytes() == columns["address"][n]
            assert row["tx_hash"].tobytes() == columns["transaction_hash"][n]
            topics = [columns[f"topic{k}"][n] for k in range(4)]
            assert row["topic_count"] == sum(topic is not None for topic in topics)
            assert row["topics"].tobytes() == b"".join(topic or bytes(32) for topic in topics)
            assert (row["file"], row["position"], row["timestamp"]) == (3, n + 1, -1)
            assert row["flags"] == HAS_TX_HASH
            n += 1
    assert n == len(columns["address"])


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.binary()),
    ],
    ids=str,
)
def test_every_way_to_write_bytes_gives_the_same_rows(kind: Any, tmp_path: Path) -> None:
    columns = make_columns()
    check_rows(copied(write(tmp_path, make_table(columns, kind))), columns)


@pytest.mark.parametrize(("batch_rows", "group_rows"), [(1, 5), (100, 4), (5, 100)])
def test_batches_and_row_groups_do_not_change_the_logs(
    batch_rows: int, group_rows: int, tmp_path: Path
) -> None:
    columns = make_columns()
    path = write(tmp_path, make_table(columns), row_group_size=group_rows, compression="zstd")
    batches = copied(path, batch_rows)
    assert max(len(batch.rows) for batch in batches) <= batch_rows
    check_rows(batches, columns)


def test_hex_in_a_binary_column_is_recognised_by_its_length(tmp_path: Path) -> None:
    columns = make_columns()
    texts = {name: [as_hex(v) and as_hex(v).encode() for v in columns[name]] for name in _BYTES}  # type: ignore[union-attr]
    table = make_table(columns | texts, pa.binary())
    check_rows(copied(write(tmp_path, table)), columns)


def test_raw_data_that_begins_like_hex_stays_raw(tmp_path: Path) -> None:
    columns = make_columns()
    columns["data"] = [b"0x12"] * ROW_COUNT
    check_rows(copied(write(tmp_path, make_table(columns))), columns)


def test_block_hash_and_times_are_taken_where_they_are(tmp_path: Path) -> None:
    table = make_table(make_columns(3))
    table = table.append_column("block_hash", pa.array([b"\1" * 32, None, b"\3" * 32], pa.binary()))
    seconds = pa.array([1_700_000_000, None, 1_700_000_012], pa.timestamp("s", "UTC"))
    table = table.append_column("block_timestamp", seconds.cast(pa.timestamp("us", "UTC")))
    rows = copied(write(tmp_path, table))[0].rows
    assert rows["timestamp"].tolist() == [1_700_000_000, -1, 1_700_000_012]
    assert (rows["flags"] & HAS_BLOCK_HASH != 0).tolist() == [True, False, True]
    assert rows["block_hash"][:, 0].tolist() == [1, 0, 3]


def test_times_written_as_text_in_any_iso_form_are_read(tmp_path: Path) -> None:
    table = make_table(make_columns(4))
    texts = ["1700000000", "2023-11-14 22:13:20 UTC", "2023-11-14T23:13:20+01:00", ""]
    path = write(tmp_path, table.append_column("timestamp", pa.array(texts)))
    assert copied(path)[0].rows["timestamp"].tolist() == [1_700_000_000] * 3 + [-1]


def test_an_empty_table_has_no_logs(tmp_path: Path) -> None:
    path = write(tmp_path, make_table(make_columns()).slice(0, 0))
    assert sum(len(batch.rows) for batch in copied(path)) == 0
    assert parquet_reader.chain_id(path) is None


def test_chain_id_is_the_one_of_all_rows(tmp_path: Path) -> None:
    assert parquet_reader.chain_id(write(tmp_path, make_table(make_columns()))) == 1
    assert parquet_reader.chain_id(write(tmp_path, make_table(make_columns()).drop(["chain_id"]))) is None
    mixed = make_columns() | {"chain_id": [1] * 20 + [10] * 3}
    with pytest.raises(InputError, match=r"several chains \(1, 10\)"):
        parquet_reader.chain_id(write(tmp_path, make_table(mixed)))


def test_other_columns_are_named_missing_and_found(tmp_path: Path) -> None:
    path = write(tmp_path, make_table(make_columns()).drop(["log_index", "topic2"]))
    with pytest.raises(InputError, match=r"column log_index, topic2 missing; found block_number, "):
        copied(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("address", b"\1" * 19, r"row 12: address: expected 20 bytes.*19 bytes"),
        ("address", None, r"row 12: address: missing"),
        ("topic0", b"\1" * 31, r"row 12: topic0: expected 32 bytes"),
        ("block_number", None, r"row 12: block_number: missing"),
    ],
)
def test_a_bad_value_is_named_with_its_row(name: str, value: Any, message: str, tmp_path: Path) -> None:
    columns = make_columns()
    columns[name][11] = value
    with pytest.raises(InputError, match=message):
        copied(write(tmp_path, make_table(columns)))


def test_a_topic_behind_a_missing_one_is_an_error(tmp_path: Path) -> None:
    columns = make_columns()
    columns["topic0"][4] = None
    with pytest.raises(InputError, match="row 5: topic1: given, but the topic before it is missing"):
        copied(write(tmp_path, make_table(columns)))


@pytest.mark.parametrize("text", ["0x123", "12", "0xzz"])
def test_bad_hex_data_is_named_with_its_row(text: str, tmp_path: Path) -> None:
    table = make_table(make_columns(), pa.string())
    texts = table["data"].to_pylist()
    texts[9] = text
    at = table.schema.get_field_index("data")
    path = write(tmp_path, table.set_column(at, "data", pa.array(texts)))
    with pytest.raises(InputError, match=r"row 10: data: expected 0x and an even number"):
        copied(path)


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    path = Path(write(tmp_path, make_table(make_columns())))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"can't be read as Parquet"):
        copied(str(path))


def test_damaged_pages_are_an_error(tmp_path: Path) -> None:
    path = Path(write(tmp_path, make_table(make_columns()), compression="zstd"))
    stored = bytearray(path.read_bytes())
    stored[4:400] = bytes(396)
    path.write_bytes(stored)
    with pytest.raises(InputError, match=r"can't be read as Parquet"):
        copied(str(path))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        copied(str(tmp_path / "none.parquet"))


def test_a_reader_may_be_left_early(tmp_path: Path) -> None:
    batches = parquet_reader.read_logs(write(tmp_path, make_table(make_columns())), 0, 2)
    assert len(next(batches).rows) == 2
    batches.close()  # type: ignore[attr-defined]
    assert list(batches) == []
