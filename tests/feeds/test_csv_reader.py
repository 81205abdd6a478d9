"""CSV logs: both layouts, columns in any order, and errors that name the line."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from disruptor.errors import InputError
from disruptor.feeds import csv_reader
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, REMOVED, LogBatch

ETL_HEADER = "log_index,transaction_hash,transaction_index,block_hash,block_number,address,data,topics"
FLAT_HEADER = "block_number,block_hash,tx_index,tx_hash,log_index,address,topic0,topic1,topic2,topic3,data"
Log = dict[str, Any]


def make_logs(count: int = 11) -> list[Log]:
    rng = np.random.default_rng(3)
    return [
        {
            "block": 500 + n // 3,
            "index": n % 3,
            "tx_index": n % 2,
            "hash": rng.bytes(32),
            "tx_hash": rng.bytes(32),
            "address": rng.bytes(20),
            "data": rng.bytes(32 * (n % 4)),
            "topics": [rng.bytes(32) for _ in range(n % 5)],
        }
        for n in range(count)
    ]


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def etl_line(log: Log) -> str:
    topics = ",".join(map(hexed, log["topics"]))
    fields = [log["index"], hexed(log["tx_hash"]), log["tx_index"], hexed(log["hash"]), log["block"]]
    return ",".join(map(str, [*fields, hexed(log["address"]), hexed(log["data"]), f'"{topics}"']))


def flat_line(log: Log) -> str:
    topics = [*map(hexed, log["topics"]), "", "", "", ""][:4]
    fields = [log["block"], hexed(log["hash"]), log["tx_index"], hexed(log["tx_hash"]), log["index"]]
    return ",".join(map(str, [*fields, hexed(log["address"]), *topics, hexed(log["data"])]))


def stream_of(text: str | bytes) -> Callable[[], BinaryIO]:
    stored = text.encode() if isinstance(text, str) else text
    return lambda: io.BytesIO(stored)


def copied(text: str | bytes, batch_rows: int = 4) -> list[LogBatch]:
    batches = csv_reader.read_logs("logs.csv", 2, stream_of(text), batch_rows)
    return [LogBatch(batch.rows.copy(), batch.blob.copy()) for batch in batches]


def check_rows(batches: list[LogBatch], logs: list[Log]) -> None:
    n = 0
    for rows, blob in batches:
        for row in rows:
            log, start = logs[n], int(row["data_offset"])
            assert blob[start : start + int(row["data_length"])].tobytes() == log["data"]
            keys = (row["block_number"], row["log_index"], row["transaction_index"], row["file"])
            assert keys == (log["block"], log["index"], log["tx_index"], 2)
            assert row["block_hash"].tobytes() == log["hash"]
            assert row["tx_hash"].tobytes() == log["tx_hash"]
            assert row["address"].tobytes() == log["address"]
            assert row["topic_count"] == len(log["topics"])
            assert row["topics"].tobytes() == b"".join(log["topics"]).ljust(128, b"\0")
            assert row["flags"] == HAS_BLOCK_HASH | HAS_TX_HASH
            n += 1
    assert n == len(logs)


@pytest.mark.parametrize(("header", "line"), [(ETL_HEADER, etl_line), (FLAT_HEADER, flat_line)])
def test_both_layouts_give_the_same_rows(header: str, line: Callable[[Log], str]) -> None:
    logs = make_logs()
    batches = copied("\n".join([header, *map(line, logs)]))
    assert [len(batch.rows) for batch in batches] == [4, 4, 3]
    assert np.concatenate([b.rows["position"] for b in batches]).tolist() == list(range(2, 13))
    check_rows(batches, logs)


def test_blocks_smaller_than_the_file_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1500)
    logs = make_logs()
    check_rows(copied("\n".join([ETL_HEADER, *map(etl_line, logs)]) + "\n"), logs)


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    logs = make_logs(3)
    check_rows(copied(b"\xef\xbb\xbf" + "\r\n".join([FLAT_HEADER, *map(flat_line, logs), ""]).encode()), logs)


def test_blank_lines_are_skipped_and_counted_as_lines() -> None:
    lines = [FLAT_HEADER, *map(flat_line, make_logs(3))]
    batches = copied("\n".join([*lines[:2], "", *lines[2:], "", ""]))
    assert batches[0].rows["position"].tolist() == [2, 4, 5]


def test_a_list_of_topics_may_be_written_as_json() -> None:
    log = make_logs(5)[4]
    line = etl_line(log).replace('"', "").split(",")
    topics = '"[' + ", ".join(f'""{topic}""' for topic in line[7:]) + ']"'
    check_rows(copied("\n".join([ETL_HEADER, ",".join([*line[:7], topics])])), [log])


def test_times_and_removals_are_taken_where_they_are() -> None:
    line = flat_line(make_logs(1)[0])
    text = [
        FLAT_HEADER + ",block_timestamp,removed",
        line + ",2023-11-14 22:13:20 UTC,True",
        line + ",7,false",
    ]
    rows = copied("\n".join(text))[0].rows
    assert rows["timestamp"].tolist() == [1_700_000_000, 7]
    assert (rows["flags"] & REMOVED).tolist() == [REMOVED, 0]


def test_only_a_header_is_no_logs() -> None:
    assert sum(len(batch.rows) for batch in copied(ETL_HEADER + "\n")) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the names of the columns"),
        ("a,b\n1,2\n", r"column block_number, .* missing; found a, b"),
        (b"\xff\xfe\x00", "line 1: .* no text"),
    ],
)
def test_other_files_are_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        copied(text)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, "12x", "block_number: expected a whole number"),
        (0, "9223372036854775808", "block_number: expected a whole number below"),
        (0, "-1", "block_number: expected a whole number"),
        (4, "", "log_index: missing"),
        (5, "0x12", "address: expected 20 bytes"),
        (6, "0x" + "g" * 64, "topic0: expected 32 bytes"),
        (10, "0x123", "data: expected 0x and an even number"),
        (10, "0x1,2", "expected 11 columns, found 12"),
    ],
)
def test_a_bad_value_is_named_with_its_line(field: int, value: str, message: str) -> None:
    lines = [FLAT_HEADER, *map(flat_line, make_logs(9))]
    fields = lines[7].split(",")
    fields[field] = value
    lines[7] = ",".join(fields)
    with pytest.raises(InputError, match=rf"logs\.csv: line 8: {message}"):
        copied("\n".join(lines))


def test_five_topics_are_refused() -> None:
    log = make_logs(1)[0] | {"topics": [bytes(32)] * 5}
    with pytest.raises(InputError, match="line 2: topics: expected up to 4"):
        copied("\n".join([ETL_HEADER, etl_line(log)]))


def test_a_file_cut_in_a_line_names_the_line() -> None:
    lines = [FLAT_HEADER, *map(flat_line, make_logs(3))]
    lines[3] = lines[3][:100]
    with pytest.raises(InputError, match="line 4: expected 11 columns"):
        copied("\n".join(lines))


def test_a_line_with_too_few_columns_that_is_no_text_is_not_dropped() -> None:
    lines = [line.encode() for line in [FLAT_HEADER, *map(flat_line, make_logs(3))]]
    lines[2] = b"7,\xff\xfe"
    with pytest.raises(InputError, match="line 3: expected 11 columns, found 2"):
        copied(b"\n".join(lines))


def test_a_line_longer_than_a_block_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 300)
    with pytest.raises(InputError, match="longer than 300 bytes"):
        copied("\n".join([FLAT_HEADER, *map(flat_line, make_logs(3))]))


def test_errors_of_the_stream_pass_through() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise InputError("logs.csv.gz: cut short")

    with pytest.raises(InputError, match=r"logs\.csv\.gz: cut short"):
        list(csv_reader.read_logs("logs.csv", 0, lambda: Broken(FLAT_HEADER.encode())))


@pytest.mark.skipif("DISRUPTOR_DATA" not in os.environ, reason="DISRUPTOR_DATA is not set")
def test_whole_mainnet_blocks_are_read() -> None:
    path = Path(os.environ["DISRUPTOR_DATA"]) / "mainnet/blocks/logs.csv"
    batches = csv_reader.read_logs(str(path), 0, lambda: path.open("rb"))
    lines = path.read_text().splitlines()
    assert sum(len(batch.rows) for batch in batches) == len(lines) - 1 == 4889
