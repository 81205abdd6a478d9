"""Which files a source reads, in which order, and what it refuses."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from disruptor.errors import InputError
from disruptor.feeds import json_reader
from disruptor.feeds.source import LogSource, block_range, find_gaps

WORD = "0x" + "ab" * 32
ADDRESS = "0x" + "12" * 20
CSV_COLUMNS = [
    *("log_index", "transaction_hash", "transaction_index", "block_hash"),
    *("block_number", "address", "data", "topics"),
]


def jsonl(blocks: Iterable[int]) -> bytes:
    return b"".join(
        json.dumps(
            {"address": ADDRESS, "topics": [WORD], "data": "0x01", "blockNumber": block, "logIndex": 0}
        ).encode()
        + b"\n"
        for block in blocks
    )


def csv_text(blocks: Iterable[int]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CSV_COLUMNS)
    for block in blocks:
        rows.writerow([0, WORD, 0, WORD, block, ADDRESS, "0x01", WORD])
    return text.getvalue().encode()


def parquet(blocks: Iterable[int], chain_id: int = 1) -> bytes:
    numbers = list(blocks)
    one = len(numbers)
    table = pa.table(
        {
            "block_number": pa.array(numbers, pa.uint32()),
            "transaction_index": pa.array([0] * one, pa.uint32()),
            "log_index": pa.array([0] * one, pa.uint32()),
            "transaction_hash": [bytes.fromhex(WORD[2:])] * one,
            "address": [bytes.fromhex(ADDRESS[2:])] * one,
            "topic0": [bytes.fromhex(WORD[2:])] * one,
            "topic1": pa.array([None] * one, pa.binary()),
            "topic2": pa.array([None] * one, pa.binary()),
            "topic3": pa.array([None] * one, pa.binary()),
            "data": [b"\x01"] * one,
            "chain_id": pa.array([chain_id] * one, pa.uint64()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def blocks_of(source: LogSource) -> list[int]:
    return [int(block) for batch in source for block in batch.rows["block_number"]]


@pytest.mark.parametrize("kind", [jsonl, csv_text, parquet])
def test_each_kind_is_read_whatever_its_extension(
    tmp_path: Path, kind: Callable[[Iterable[int]], bytes]
) -> None:
    fill(tmp_path, {"logs.dat": kind(range(10, 15))})
    source = LogSource([tmp_path / "logs.dat"], batch_rows=2)
    assert blocks_of(source) == [10, 11, 12, 13, 14]
    assert source.bytes_read == source.total_bytes == (tmp_path / "logs.dat").stat().st_size


@pytest.mark.parametrize("kind", [jsonl, csv_text])
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_compressed_kinds_are_read_whatever_their_extension(
    tmp_path: Path, kind: Callable[[Iterable[int]], bytes], pack: Callable[[bytes], bytes]
) -> None:
    fill(tmp_path, {"logs": pack(kind([3, 4]))})
    source = LogSource([str(tmp_path / "logs")])
    assert blocks_of(source) == [3, 4]
    assert source.bytes_read == source.total_bytes


def test_rows_name_their_file(tmp_path: Path) -> None:
    fill(tmp_path, {"a": jsonl([7]), "b": csv_text([5]), "c": parquet([6])})
    source = LogSource([tmp_path])
    assert [file.name for file in source.files] == ["b", "c", "a"]
    assert [(int(b.rows["block_number"][0]), int(b.rows["file"][0])) for b in source] == [
        (5, 0),
        (6, 1),
        (7, 2),
    ]


def test_chunks_come_in_the_order_of_their_ranges_and_gaps_are_named(tmp_path: Path) -> None:
    names = ["x__logs__100_to_199.jsonl", "x__logs__9_to_99.jsonl", "x__logs__1000_to_1099.jsonl"]
    fill(tmp_path, {name: jsonl([int(name.split("__")[2].split("_")[0])]) for name in names})
    source = LogSource([str(tmp_path / "*.jsonl")])
    assert blocks_of(source) == [9, 100, 1000]
    assert source.chunk_gaps == [(200, 999)]


def test_names_that_differ_only_in_numbers_come_in_their_order(tmp_path: Path) -> None:
    fill(tmp_path, {f"part-{n}": jsonl([n]) for n in (10, 9, 100)})
    assert blocks_of(LogSource([tmp_path])) == [9, 10, 100]


def test_other_files_come_in_the_order_of_their_first_blocks(tmp_path: Path) -> None:
    fill(tmp_path, {"late": jsonl([50]), "early": gzip.compress(jsonl([7])), "none": b"[]"})
    source = LogSource([tmp_path / "late", tmp_path / "none", tmp_path / "early"])
    assert [file.name for file in source.files] == ["none", "early", "late"]
    assert blocks_of(source) == [7, 50]


def test_a_directory_gives_its_chunks_and_says_what_it_left_out(tmp_path: Path) -> None:
    other = {
        ".hidden": b"",
        "_SUCCESS": b"",
        "README.txt": b"hello there",
        "blocks.jsonl": b'{"number":"0x1","hash":"0x"}\n',
        "blocks.csv": b"number,hash\n1,0x\n",
        "old.bz2": b"BZh9...",
    }
    fill(tmp_path, other | {"logs.jsonl": jsonl([1])})
    (tmp_path / "folder").mkdir()
    source = LogSource([tmp_path])
    assert [file.name for file in source.files] == ["logs.jsonl"]
    assert sorted(file.name for file in source.ignored) == [
        "README.txt",
        "blocks.csv",
        "blocks.jsonl",
        "old.bz2",
    ]


def test_chain_id_comes_from_parquet_and_must_be_one(tmp_path: Path) -> None:
    fill(tmp_path, {"l_1_to_1": parquet([1], 137), "l_2_to_2": parquet([2], 10), "logs": jsonl([1])})
    assert LogSource([tmp_path / "logs"]).chain_id is None
    assert LogSource([tmp_path / "l_1_to_1"]).chain_id == 137
    with pytest.raises(InputError, match=r"l_2_to_2: is of chain 10, the files before of chain 137"):
        blocks_of(LogSource([tmp_path / "l_1_to_1", tmp_path / "l_2_to_2"]))


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ({}, "nowhere", "nowhere: no such file or directory"),
        ({}, "*.jsonl", "no file matches this pattern"),
        ({}, ".", "is a directory without chunks"),
        ({"a.txt": b"text"}, ".", "is a directory without chunks: none of its 1 files holds logs"),
        ({"logs": b""}, "logs", "logs: is empty"),
        ({"logs": b"", "more": jsonl([1])}, ".", "logs: is empty"),
        ({"logs": gzip.compress(b"")}, "logs", "logs: is empty"),
        ({"logs": b"BZh9..."}, "logs", "is bzip2, which is not read"),
        ({"logs": b"text"}, "logs", "is no recorded log that can be read"),
        ({"logs": gzip.compress(jsonl(range(9)))[:-9]}, ".", "damaged gzip data"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_at_once(
    tmp_path: Path, files: dict[str, bytes], path: str, message: str
) -> None:
    fill(tmp_path, files)
    with pytest.raises(InputError, match=message):
        LogSource([tmp_path / path])


def test_no_source_and_no_logs_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no source given"):
        LogSource([])
    fill(tmp_path, {"a": b"[]", "b": b"[]\n"})
    with pytest.raises(InputError, match=r"no logs in .*a, .*b"):
        blocks_of(LogSource([tmp_path / "a", tmp_path / "b"]))


def test_a_truncated_parquet_is_an_input_error(tmp_path: Path) -> None:
    fill(tmp_path, {"logs": parquet([1, 2])[:-20]})
    with pytest.raises(InputError, match="logs"):
        LogSource([tmp_path / "logs"])


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_reader, "CHUNK_BYTES", 1024)
    content = jsonl(range(40))
    path = fill(tmp_path, {"logs": content}) / "logs"
    batches = iter(LogSource([path], batch_rows=16))
    next(batches)
    os.truncate(path, len(content) // 2)
    with pytest.raises(InputError, match="it shrank while it was read"):
        list(batches)


def test_block_range_and_gaps() -> None:
    assert block_range(Path("logs.jsonl")) is None
    names = ["a_0_to_9", "a_10_to_19", "a_15_to_17", "a_21_to_29", "unnamed", "a_40_to_49"]
    assert find_gaps([Path(name) for name in names]) == [(20, 20), (30, 39)]


@pytest.mark.skipif("DISRUPTOR_DATA" not in os.environ, reason="DISRUPTOR_DATA is not set")
def test_the_evm_stream_is_read_whole() -> None:
    path = Path(os.environ["DISRUPTOR_DATA"]) / "evm" / "logs.jsonl"
    expected = [
        (int(found["blockNumber"], 16), int(found["logIndex"], 16)) for found in map(json.loads, path.open())
    ]
    found = [
        (int(row["block_number"]), int(row["log_index"]))
        for batch in LogSource([path])
        for row in batch.rows[["block_number", "log_index"]]
    ]
    assert found == expected
