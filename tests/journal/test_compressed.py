"""Compressed segments: the same bytes from anywhere, and no changed byte unnoticed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard

from disruptor.errors import CorruptFrameError
from disruptor.journal import compressed
from disruptor.journal.compressed import CHUNK_DTYPE, DIRECTORY_DTYPE, ChunkCompressor, CompressedSegment
from disruptor.journal.layout import Bytes
from disruptor.journal.segment_file import open_segment, segment_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "CHUNK_SIZE", 100)


def some_bytes(size: int) -> Bytes:
    return (np.arange(size) ** 2 // 50).astype(np.uint8)


def packed(content: Bytes) -> bytes:
    maker = ChunkCompressor()
    parts = [maker.chunk(content[at : at + 100]).tobytes() for at in range(0, len(content), 100)]
    return b"".join(parts) + maker.end().tobytes()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "00000000000000000000.dsj.zst"
    path.write_bytes(packed(some_bytes(1050)))
    return path


def opened(path: Path) -> CompressedSegment:
    return CompressedSegment(os.open(path, os.O_RDONLY))


def read_all(path: Path) -> bytes:
    segment = opened(path)
    buffer, done = np.empty(segment.size + 1, np.uint8), 0
    while got := segment.read_at(buffer[done:], done):
        done += got
    segment.close()
    return buffer[:done].tobytes()


@pytest.mark.parametrize("size", [1, 99, 100, 101, 1050])
def test_what_was_compressed_is_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed(some_bytes(size)))
    assert read_all(path) == some_bytes(size).tobytes()


@pytest.mark.parametrize(("offset", "size"), [(0, 10), (95, 5), (95, 30), (999, 1), (1040, 50), (1050, 5)])
def test_any_part_is_read(stored: Path, offset: int, size: int) -> None:
    segment, buffer, done = opened(stored), np.zeros(size, np.uint8), 0
    while got := segment.read_at(buffer[done:], offset + done):
        done += got
    assert buffer[:done].tobytes() == some_bytes(1050)[offset : offset + size].tobytes()


def test_zstd_gives_the_segment_back(stored: Path) -> None:
    whole = zstandard.ZstdDecompressor().stream_reader(stored.read_bytes(), read_across_frames=True).read()
    assert whole == some_bytes(1050).tobytes()


def test_the_seek_table_is_the_one_of_the_seekable_format(stored: Path) -> None:
    """Read by its specification: contrib/seekable_format of zstd."""
    content = stored.read_bytes()
    frames, descriptor, magic = (
        int.from_bytes(content[a:b], "little") for a, b in ((-9, -5), (-5, -4), (-4, None))
    )
    assert (frames, descriptor, magic) == (12, 0, 0x8F92EAB1)
    table = np.frombuffer(content[-9 - 8 * frames : -9], "<u4").reshape(frames, 2)
    head = np.frombuffer(content[-17 - 8 * frames : -9 - 8 * frames], "<u4").tolist()
    assert head == [0x184D2A5E, 8 * frames + 9]
    assert table[:, 1].tolist() == [100] * 10 + [50, 0]
    assert table[:, 0].sum() + 8 * frames + 17 == len(content)
    at = int(table[:4, 0].sum())
    assert (
        zstandard.ZstdDecompressor().decompress(content[at : at + int(table[4, 0])])
        == some_bytes(1050)[400:500].tobytes()
    )


def damaged(content: bytes) -> Iterator[bytes]:
    for at in range(len(content)):
        yield content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
    for size in range(0, len(content), 3):
        yield content[:size]
    yield content + b"\0"


def test_no_flipped_bit_and_no_cut_goes_unnoticed(tmp_path: Path) -> None:
    path, content = tmp_path / "file", packed(some_bytes(250))
    for wrong in damaged(content):
        path.write_bytes(wrong)
        with pytest.raises(CorruptFrameError, match="compressed"):
            read_all(path)


def test_a_chunk_that_claims_another_size_is_not_decompressed(tmp_path: Path) -> None:
    maker = ChunkCompressor()
    bomb = maker.chunk(np.zeros(1 << 24, np.uint8)).tobytes()
    maker._original = 100
    (tmp_path / "file").write_bytes(bomb + maker.end().tobytes())
    with pytest.raises(CorruptFrameError, match="holds 16777216 bytes; expected 100"):
        read_all(tmp_path / "file")


def test_the_plain_file_counts_while_both_are_there(stored: Path) -> None:
    name = stored.with_suffix("")
    assert open_segment(name).size == 1050
    name.write_bytes(b"plain")
    assert open_segment(name).size == 5
    assert segment_names(os.listdir(stored.parent)) == [name.name]


def test_a_segment_that_is_not_there_is_named_plainly(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_segment(tmp_path / "00000000000000000000.dsj")
    assert caught.value.filename.endswith(".dsj")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dsj.zst")
    with pytest.raises(OSError, match="no regular file"):
        open_segment(tmp_path / "a.dsj")


def test_the_tool_of_zstd_agrees(stored: Path) -> None:
    try:
        made = subprocess.run(["zstd", "-dc", str(stored)], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no zstd program here")
    assert made.stdout == some_bytes(1050).tobytes()


def test_the_documented_bytes_are_those() -> None:
    text = (
        (ROOT / "docs" / "format.md").read_text().partition("## Compressed segments")[2].partition("\n## ")[0]
    )
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("|")
    ]
    fields = {row[2].strip("`"): (row[0], row[1]) for row in rows if row[0].isdigit()}
    names = DIRECTORY_DTYPE.fields
    assert names is not None and CHUNK_DTYPE.itemsize == 8
    expected = {name: (str(at), str(kind.itemsize)) for name, (kind, at) in names.items()}  # type: ignore[misc]
    assert {name: fields[name] for name in expected} == expected
