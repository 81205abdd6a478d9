"""A journal in any state: everything sound is given, once, and what is not is named with its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.layout import FRAME_HEADER_DTYPE, SEGMENT_HEADER_DTYPE, Bytes, crc32c
from disruptor.journal.manifest import MANIFEST_NAME
from disruptor.journal.problem import Problem
from disruptor.journal.survey import BEING_WRITTEN, COMPLETE, UNFINISHED, UNKNOWN, survey
from disruptor.journal.writer import JournalWriter

SECOND = f"{12:020d}.dsj"


def read(directory: Path, start: int = 0) -> tuple[dict[int, bytes], list[Problem], str]:
    """Slots by sequence, problems and state; no slot twice."""
    found = survey(directory)
    slots: dict[int, bytes] = {}
    for frame in found.frames(start):
        if isinstance(frame, Problem):
            continue
        assert frame.payload is not None
        for at, slot in enumerate(frame.payload.reshape(frame.count, found.geometry.slot_size)):
            assert frame.first_sequence + at not in slots
            slots[frame.first_sequence + at] = slot.tobytes()
    return slots, found.problems, found.state


def all_but(slots: Bytes, *lost: int) -> dict[int, bytes]:
    return {at: slot.tobytes() for at, slot in enumerate(slots) if at not in lost}


def test_a_whole_journal_has_no_problem(tiny: Path, slots: Bytes) -> None:
    assert read(tiny) == (all_but(slots), [], COMPLETE)
    assert read(tiny, 17)[0] == all_but(slots, *range(16))


@pytest.mark.parametrize(
    ("at", "lost", "place"),
    [
        (0, (), (SECOND, 0, None, 12, None)),
        (130, (), (SECOND, 0, None, 12, None)),
        (4096 + 5, (12, 13, 14, 15), (SECOND, 4096, 0, 12, 15)),
        (4096 + 70, (12, 13, 14, 15), (SECOND, 4096, 0, 12, 15)),
        (8192 + 4000, (16, 17, 18, 19), (SECOND, 8192, 1, 16, 19)),
        (16384, (), (SECOND, 16384, 3, 24, None)),
        (16384 + 80, (), (SECOND, 16384, 3, 24, None)),
    ],
)
def test_one_flipped_byte_is_one_problem_at_its_place(
    tiny: Path, slots: Bytes, at: int, lost: tuple[int, ...], place: tuple[Any, ...]
) -> None:
    content = bytearray((tiny / SECOND).read_bytes())
    content[at] ^= 1
    (tiny / SECOND).write_bytes(content)
    given, problems, _ = read(tiny)
    assert given == all_but(slots, *lost)
    assert len(problems) == 1
    found = problems[0]
    assert (found.segment, found.offset, found.frame, found.sequence, found.last_sequence) == place


@pytest.mark.parametrize("size", [0, 100, 4096, 4097, 8192, 9000, 12288, 16384, 20479])
def test_a_cut_segment_loses_its_end_only(tiny: Path, slots: Bytes, size: int) -> None:
    os.truncate(tiny / SECOND, size)
    given, problems, _ = read(tiny)
    whole = max(0, min(3, (size - 4096) // 4096))
    assert given == all_but(slots, *range(12 + 4 * whole, 24))
    assert problems and all(p.segment == SECOND for p in problems)
    assert [p for p in problems if p.last_sequence == 23] or size >= 16384


def test_missing_files_are_named(tiny: Path, slots: Bytes) -> None:
    (tiny / SECOND).unlink()
    given, problems, _ = read(tiny)
    assert given == all_but(slots, *range(12, 24))
    assert [(p.segment, p.sequence, p.last_sequence) for p in problems] == [(SECOND, 12, 23)]
    (tiny / MANIFEST_NAME).unlink()
    given, problems, state = read(tiny)
    assert (given, state) == (all_but(slots, *range(12, 24)), UNKNOWN)
    assert "sequence 12 should follow" in str(problems[1]) and len(problems) == 2


def test_a_journal_being_written_has_no_problem_and_its_writer_is_not_disturbed(
    tmp_path: Path, options: dict[str, Any], slots: Bytes
) -> None:
    with JournalWriter(tmp_path, **options) as writer:
        assert read(tmp_path) == ({}, [], BEING_WRITTEN)
        writer.append(slots, 0)
        given, problems, state = read(tmp_path)
        assert given.items() <= all_but(slots).items() and (problems, state) == ([], BEING_WRITTEN)
        writer.finish({})
    assert read(tmp_path) == (all_but(slots), [], COMPLETE)


def test_an_unfinished_journal_gives_what_was_written(
    tmp_path: Path, options: dict[str, Any], slots: Bytes, tiny: Path, unfinish: Callable[..., None]
) -> None:
    JournalWriter(tmp_path / "empty", **options).close()
    assert read(tmp_path / "empty") == ({}, [], UNFINISHED)
    unfinish(tiny)
    assert read(tiny) == (all_but(slots), [], UNFINISHED)
    os.truncate(tiny / f"{24:020d}.dsj", 8192)
    os.truncate(tiny / f"{24:020d}.dsj", 20480)
    assert read(tiny) == (all_but(slots, 28, 29), [], UNFINISHED)


def test_a_last_frame_with_a_sector_of_zeros_is_torn_and_another_is_damaged(
    tmp_path: Path,
    some_slots: Callable[..., Bytes],
    write: Callable[..., None],
    unfinish: Callable[..., None],
) -> None:
    wide = some_slots(32)
    write(tmp_path, wide, frame_slots=16)
    unfinish(tmp_path)
    os.truncate(tmp_path / f"{0:020d}.dsj", 12288)
    path = tmp_path / f"{0:020d}.dsj"
    content = path.read_bytes()
    for fill, torn in ((b"\0", True), (b"\1", False)):
        path.write_bytes(content[: 8192 + 512] + fill * 512 + content[8192 + 1024 :])
        given, problems, _ = read(tmp_path)
        assert given == all_but(wide, *range(16, 32)) and len(problems) == 1
        assert (problems[0].sequence, problems[0].last_sequence) == (16, 31)
        assert problems[0].what.startswith("torn") == torn


def test_forged_checksums_decode_nothing(tiny: Path, slots: Bytes) -> None:
    path = tiny / f"{0:020d}.dsj"
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    frame = content[4096:8192]
    frame[64] ^= 1
    header = frame[:64].view(FRAME_HEADER_DTYPE)
    header["payload_crc"], header["header_crc"] = crc32c(frame[64:320]), 0
    header["header_crc"] = crc32c(frame[8:64])
    path.write_bytes(content.tobytes())
    given, problems, _ = read(tiny)
    assert given == all_but(slots, 0, 1, 2, 3) and "running hash" in problems[0].what


def test_a_forged_schema_decodes_nothing_even_without_a_manifest(tiny: Path) -> None:
    path = tiny / f"{0:020d}.dsj"
    content = np.frombuffer(path.read_bytes().replace(b'"price","u64"', b'"price","i64"'), np.uint8).copy()
    content[:128].view(SEGMENT_HEADER_DTYPE)["header_crc"] = crc32c(content[12:4096])
    path.write_bytes(content.tobytes())
    (tiny / MANIFEST_NAME).unlink()
    found = survey(tiny)
    assert found.schema[1001].fields[1].type == "u64"
    assert any("are not this journal's" in str(p) for p in found.frames() if isinstance(p, Problem))


def test_a_pipe_in_a_segments_place_is_not_waited_for(tiny: Path, slots: Bytes) -> None:
    (tiny / SECOND).unlink()
    os.mkfifo(tiny / SECOND)
    given, problems, _ = read(tiny)
    assert given == all_but(slots, *range(12, 24)) and "no regular file" in str(problems[0])


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / SECOND).write_bytes(b"x" * 5000)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(JournalError):
            survey(path)
