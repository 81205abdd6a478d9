"""Recorded bytes come out whole or not at all, whatever the compression."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from disruptor.errors import InputError
from disruptor.feeds.compression import RecordedFile, compression_of, open_recorded

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": lambda content: zstandard.ZstdCompressor().compress(content),
}
PACKED = [name for name in PACKERS if name != "plain"]
#: Several blocks of the reading thread, and no compressor's dream.
CONTENT = random.Random(7).randbytes(300_000) * 10


def write(folder: Path, content: bytes) -> Path:
    path = folder / "recorded"
    path.write_bytes(content)
    return path


def read_all(path: Path) -> bytes:
    with open_recorded(path) as stream:
        return stream.read()


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("content", [b"", b"x", b"line\n" * 5000])
def test_content_comes_back_whole(tmp_path: Path, packer: str, content: bytes) -> None:
    assert read_all(write(tmp_path, PACKERS[packer](content))) == content


def test_content_of_several_blocks_comes_back_whole(tmp_path: Path) -> None:
    assert read_all(write(tmp_path, PACKERS["zstd"](CONTENT))) == CONTENT


@pytest.mark.parametrize("packer", PACKED)
def test_members_in_a_row_are_one_stream_and_zero_padding_is_passed(tmp_path: Path, packer: str) -> None:
    pack = PACKERS[packer]
    path = write(tmp_path, pack(b"first,") + b"\0" * 8 + pack(b"") + pack(b"second") + b"\0" * 4)
    assert read_all(path) == b"first,second"


@pytest.mark.parametrize("packer", PACKED)
def test_every_truncation_is_an_error(tmp_path: Path, packer: str) -> None:
    packed = PACKERS[packer](b"some lines of a log\n" * 20)
    for length in range(6, len(packed)):
        with pytest.raises(InputError, match=r"damaged .* cut off"):
            read_all(write(tmp_path, packed[:length]))


@pytest.mark.parametrize("packer", ["gzip", "xz"])
def test_damage_is_an_error_with_file_and_position(tmp_path: Path, packer: str) -> None:
    packed = bytearray(PACKERS[packer](random.Random(3).randbytes(2000)))
    packed[1000] ^= 0xFF
    path = write(tmp_path, bytes(packed))
    with pytest.raises(InputError, match=f"damaged {packer} data near byte") as caught:
        read_all(path)
    assert caught.value.facts["file"] == str(path)


@pytest.mark.parametrize("packer", PACKED)
def test_bytes_behind_the_last_member_are_an_error(tmp_path: Path, packer: str) -> None:
    with pytest.raises(InputError, match="something else follows"):
        read_all(write(tmp_path, PACKERS[packer](b"logs") + b"garbage"))


def test_known_compressions_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is bzip2, which is not read"):
        open_recorded(write(tmp_path, bz2.compress(b"logs")))


def test_uncompressed_heads_have_no_compression() -> None:
    assert compression_of(b'{"address"', Path("x")) is None
    assert compression_of(b"", Path("x")) is None


def test_missing_file_and_directory_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: can't be read \(No such file"):
        open_recorded(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no regular file"):
        open_recorded(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no regular file"):
        open_recorded(tmp_path / "pipe")


def test_a_file_that_shrinks_is_an_error_with_the_byte_where_it_ends(tmp_path: Path) -> None:
    path = write(tmp_path, b"0123456789")
    with RecordedFile(path) as file:
        assert file.read(4) == b"0123"
        os.truncate(path, 4)
        with pytest.raises(InputError, match="ends at byte 4 but had 10 bytes"):
            file.read(4)


def test_a_file_that_shrinks_behind_what_was_read_is_an_error_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path, b"0123456789")
    with RecordedFile(path) as file:
        assert file.read(10) == b"0123456789"
        os.truncate(path, 7)
        with pytest.raises(InputError, match="ends at byte 7"):
            file.read(1)


def test_a_file_rewritten_in_place_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, b"0123456789")
    with RecordedFile(path) as file:
        file.read(10)
        path.write_bytes(b"abcdefghij")
        os.utime(path, ns=(1, 1))
        with pytest.raises(InputError, match="was rewritten"):
            file.read(1)


def test_a_file_that_grows_is_read_up_to_its_size_at_opening(tmp_path: Path) -> None:
    path = write(tmp_path, b"0123456789")
    with RecordedFile(path) as file:
        with path.open("ab") as more:
            more.write(b"later")
        assert file.read() == b"0123456789"


@pytest.mark.parametrize("packer", PACKERS)
def test_on_read_counts_bytes_of_file(tmp_path: Path, packer: str) -> None:
    path = write(tmp_path, PACKERS[packer](CONTENT[:50_000]))
    counts: list[int] = []
    with open_recorded(path, counts.append) as stream:
        while stream.read(1000):
            pass
    assert sum(counts) == path.stat().st_size


def test_an_abandoned_stream_stops_its_thread(tmp_path: Path) -> None:
    stream = open_recorded(write(tmp_path, PACKERS["zstd"](CONTENT * 3)))
    assert isinstance(stream, io.RawIOBase)
    assert stream.read(10) == CONTENT[:10]
    stream.close()
    assert not stream._thread.is_alive()  # type: ignore[attr-defined]
