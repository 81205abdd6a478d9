"""Verification: no changed, cut, added or exchanged byte stays unnoticed, and none is a traceback."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.layout import FRAME_HEADER_DTYPE, SEGMENT_HEADER_DTYPE, crc32c
from disruptor.journal.manifest import load_manifest
from disruptor.journal.reader import SegmentLoader
from disruptor.journal.segment import places
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter


def flips(path: Path, offsets: range) -> Iterator[int]:
    """Flip one bit of each byte in turn, in place, and put it back."""
    content = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for offset in offsets:
            os.pwrite(file.fileno(), bytes([content[offset] ^ 1 << offset % 8]), offset)
            yield offset
            os.pwrite(file.fileno(), content[offset : offset + 1], offset)


def test_a_good_journal_is_ok(tiny: Path) -> None:
    report = verify(tiny)
    assert report.ok and report.status == "complete" and report.problems == []
    assert (report.segments, report.frames, report.slots) == (3, 8, 30)
    assert report.size == sum(path.stat().st_size for path in tiny.glob("*.dsj"))
    assert report.running_hash == load_manifest(tiny).running_hash


@pytest.mark.slow
def test_every_flipped_byte_of_a_segment_is_noticed_by_the_reader(tiny: Path) -> None:
    """Byte by byte over header, frames, padding and end mark; the reader alone, without the running hash."""
    manifest, buffer = load_manifest(tiny), np.empty(4096, np.uint8)
    wanted = list(places(manifest, 2, 24))
    path = tiny / manifest.segments[2].name
    for offset in flips(path, range(path.stat().st_size)):
        loader = SegmentLoader(tiny, manifest)
        try:
            with pytest.raises(JournalError):
                for place in wanted:
                    loader.load(place, buffer)
        finally:
            loader.close()
        assert offset >= 0
    assert verify(tiny).ok


@pytest.mark.slow
@pytest.mark.parametrize("file", ["journal.json", f"{0:020d}.dsj", f"{12:020d}.dsj", f"{24:020d}.dsj"])
def test_verify_notices_flipped_bytes_of_every_file(tiny: Path, file: str) -> None:
    size = (tiny / file).stat().st_size
    for offset in flips(tiny / file, range(0, size, 1 if file == "journal.json" else 199)):
        assert not verify(tiny).ok, offset
    assert verify(tiny).ok


@pytest.mark.parametrize("file", ["journal.json", f"{24:020d}.dsj"])
def test_every_truncation_is_noticed(tiny: Path, file: str) -> None:
    content = (tiny / file).read_bytes()
    for size in range(0, len(content), 1021):
        (tiny / file).write_bytes(content[:size])
        assert not verify(tiny).ok


def test_trailing_bytes_are_noticed(tiny: Path) -> None:
    for path in sorted(tiny.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert len(verify(tiny).problems) == 1
        path.write_bytes(content)


def test_every_damaged_segment_is_named(tiny: Path) -> None:
    for first in (0, 24):
        path = tiny / f"{first:020d}.dsj"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    report = verify(tiny)
    assert len(report.problems) == 2 and report.segments == 1
    assert all(f"{first:020d}.dsj" in p for first, p in zip((0, 24), report.problems, strict=True))


def test_files_that_are_not_the_journals_are_noticed(tiny: Path) -> None:
    (tiny / f"{30:020d}.dsj").write_bytes(b"")
    assert "not part of the journal" in verify(tiny).problems[0]


def test_a_forged_frame_with_good_checksums_breaks_the_running_hash(tiny: Path) -> None:
    path = tiny / f"{0:020d}.dsj"
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    frame = content[4096:8192]
    frame[64] ^= 1
    header = frame[:64].view(FRAME_HEADER_DTYPE)
    header["payload_crc"] = crc32c(frame[64 : 64 + 256])
    header["header_crc"] = crc32c(frame[8:64])
    path.write_bytes(content.tobytes())
    assert "running hash" in verify(tiny).problems[0]


def test_a_forged_schema_with_good_checksums_is_noticed(tiny: Path) -> None:
    path = tiny / f"{24:020d}.dsj"
    content = np.frombuffer(path.read_bytes().replace(b'"Tick"', b'"Tock"'), np.uint8).copy()
    content[:128].view(SEGMENT_HEADER_DTYPE)["header_crc"] = crc32c(content[12:4096])
    path.write_bytes(content.tobytes())
    assert "schema or identity" in verify(tiny).problems[0]


def test_a_segment_of_another_journal_is_noticed(
    tiny: Path, tmp_path: Path, write: Callable[..., None], some_slots: Any
) -> None:
    """Same identity, sequences and sizes; only slots of an earlier segment differ."""
    other = some_slots(30)
    other[0, 0] ^= 1
    write(tmp_path / "other", other)
    name = f"{12:020d}.dsj"
    (tiny / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert "chain of the segment before" in verify(tiny).problems[0]


def test_an_unfinished_journal_is_not_ok(tmp_path: Path, options: dict[str, Any]) -> None:
    JournalWriter(tmp_path, **options).close()
    report = verify(tmp_path)
    assert not report.ok and report.status == "importing"


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(JournalError):
            verify(path)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(target=st.integers(0, 3), content=st.binary(max_size=300), at=st.integers(0, 25000))
def test_any_bytes_anywhere_are_reported_not_raised(
    tmp_path_factory: pytest.TempPathFactory,
    write: Any,
    some_slots: Any,
    target: int,
    content: bytes,
    at: int,
) -> None:
    directory = tmp_path_factory.mktemp("any")
    write(directory, some_slots(30))
    path = sorted(p for p in directory.iterdir() if p.suffix != ".lock")[target]
    before = path.read_bytes()
    after = before[:at] + content + before[at + len(content) :]
    path.write_bytes(after)
    assert verify(directory).ok == (hashlib.sha256(after).digest() == hashlib.sha256(before).digest())
