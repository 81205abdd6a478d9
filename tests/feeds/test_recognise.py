"""Content decides what a file is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disruptor.errors import InputError
from disruptor.feeds.recognise import CSV, JSON, PARQUET, holds_logs, read_head, recognise

NOWHERE = Path("some.file")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'{"address":"0x', JSON),
        (b' \n\t[{"address"', JSON),
        (b"[]", JSON),
        (b"block_number,log_index,data\n1,2,0x\n", CSV),
        (b'"block_number","log_index"\r\n1,2\r\n', CSV),
    ],
)
def test_kinds_are_told_by_the_first_bytes(head: bytes, kind: str) -> None:
    assert recognise(head, NOWHERE) == kind


@pytest.mark.parametrize(
    "head", [b"\x00\x01\x02", b"hello world\n", b"1,2,3\n", b"<html>", b"ORC", "é,ü\n".encode()]
)
def test_other_content_is_refused_by_name(head: bytes) -> None:
    with pytest.raises(InputError, match=r"some\.file: is no recorded log"):
        recognise(head, NOWHERE)


@pytest.mark.parametrize("head", [b"", b"\n\n  \n"])
def test_an_empty_file_is_refused(head: bytes) -> None:
    with pytest.raises(InputError, match=r"some\.file: is empty"):
        recognise(head, NOWHERE)


def test_read_head_decompresses_and_drops_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "logs"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf[" + b" " * 100_000))
    assert read_head(path) == b"[" + b" " * (65536 - 4)


def write_parquet(path: Path, *columns: str) -> Path:
    pq.write_table(pa.table({name: [b"x"] for name in columns}), path)
    return path


def test_parquet_is_recognised_only_uncompressed(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "logs", "topic0")
    assert recognise(read_head(path), path) == PARQUET
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="Parquet inside a compressed file"):
        recognise(read_head(path), path)


def test_holds_logs_looks_at_column_names(tmp_path: Path) -> None:
    assert holds_logs(b"", PARQUET, write_parquet(tmp_path / "logs", "topic0", "data"))
    assert not holds_logs(b"", PARQUET, write_parquet(tmp_path / "blocks", "number", "hash"))
    assert holds_logs(b"log_index,topics,data\n", CSV, NOWHERE)
    assert not holds_logs(b"number,hash\n1,topics log_index\n", CSV, NOWHERE)
    assert holds_logs(b'{"topics":[],"logIndex":"0x0"}', JSON, NOWHERE)
    assert not holds_logs(b'{"number":"0x1","hash":"0x"}', JSON, NOWHERE)


def test_a_parquet_without_its_footer_is_left_to_the_reader(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "blocks", "number")
    path.write_bytes(path.read_bytes()[:-8])
    assert holds_logs(b"", PARQUET, path)
