"""The reader: what was written comes back, from any sequence on; what was not is an error that says where."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.directory import is_journal
from disruptor.journal.layout import Bytes
from disruptor.journal.reader import BUFFERS, JournalReader
from disruptor.journal.recording_reader import open_journal


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 45),
    first=st.integers(0, 2**62),
    cuts=st.lists(st.integers(0, 45)),
    frame_slots=st.integers(1, 9),
    start=st.integers(0, 45),
)
def test_journal_behaves_like_a_list(
    tmp_path_factory: pytest.TempPathFactory,
    write: Callable[..., None],
    some_slots: Any,
    count: int,
    first: int,
    cuts: list[int],
    frame_slots: int,
    start: int,
) -> None:
    directory = tmp_path_factory.mktemp("model")
    slots, start = some_slots(count), min(start, count)
    write(directory, slots, [min(c, count) for c in cuts], first, frame_slots=frame_slots)
    reader, expected = JournalReader(directory), first
    assert (reader.first_sequence, reader.slot_count) == (expected, count)
    assert reader.last_sequence == expected + count - 1
    sequence, rest = expected + start, [bytes(row) for row in slots[start:]]
    for frame in reader.frames(expected + start):
        assert frame.first_sequence == sequence and frame.count == len(frame.slots) > 0
        assert [bytes(row) for row in frame.slots] == rest[: frame.count]
        sequence, rest = sequence + frame.count, rest[frame.count :]
    assert not rest


def test_what_an_import_says_of_itself_comes_back(tiny: Path) -> None:
    reader = open_journal(tiny)
    assert reader.identity == {"source": "test"} and reader.settings == {"chain_id": 1}
    assert reader.summary["warnings"] == {"removed_logs": 2}
    assert [(m["name"], m["type_id"]) for m in reader.messages] == [("Tick", 1001)]


def test_slots_are_read_only_and_aligned(tiny: Path) -> None:
    for frame in JournalReader(tiny).frames(3):
        assert frame.slots.shape == (frame.count, 64) and not frame.slots.flags.writeable
        assert frame.slots.ctypes.data % 64 == 0 and frame.slots.flags.c_contiguous


def test_buffers_are_used_again(tiny: Path) -> None:
    """Memory is flat: eight frames come in no more buffers than there are."""
    assert len({frame.slots.ctypes.data for frame in JournalReader(tiny).frames()}) <= BUFFERS


def test_a_reader_left_early_leaves_no_thread_and_no_file(tiny: Path) -> None:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    frames = JournalReader(tiny).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


@pytest.mark.parametrize("start", [-1, 31, 1 << 70])
def test_a_sequence_outside_the_journal_is_refused(tiny: Path, start: int) -> None:
    with pytest.raises(JournalError, match=r"outside the journal \(0 to 29\)"):
        JournalReader(tiny).frames(start)


def test_frames_before_the_damage_are_given(tiny: Path, slots: Bytes) -> None:
    path = tiny / f"{12:020d}.dsj"
    content = bytearray(path.read_bytes())
    content[4096 * 2 + 64 + 5] ^= 1
    path.write_bytes(content)
    seen = []
    with pytest.raises(
        CorruptFrameError, match=r"0012\.dsj, offset 8192, sequence 16: payload CRC32C"
    ) as caught:
        for frame in JournalReader(tiny).frames():
            seen.append(frame.slots.tobytes())
    assert b"".join(seen) == slots[:16].tobytes()
    assert (caught.value.facts["offset"], caught.value.facts["sequence"]) == (8192, 16)


def test_a_segment_that_shrinks_while_read_is_an_error(tmp_path: Path, write: Any, some_slots: Any) -> None:
    write(tmp_path, some_slots(400), segment_bytes=1 << 20)
    frames = JournalReader(tmp_path).frames()
    next(frames)
    os.truncate(tmp_path / f"{0:020d}.dsj", 50 * 4096 + 10)
    with pytest.raises(CorruptFrameError, match="bytes read: expected 4096, found 10"):
        for _ in frames:
            pass


@pytest.mark.parametrize("change", ["missing", "longer", "shorter", "directory"])
def test_a_segment_that_is_not_as_written_is_an_error(tiny: Path, change: str) -> None:
    path = tiny / f"{24:020d}.dsj"
    content = path.read_bytes()
    path.unlink()
    if change == "longer":
        path.write_bytes(content + bytes(4096))
    elif change == "shorter":
        path.write_bytes(content[:-4096])
    elif change == "directory":
        path.mkdir()
    with pytest.raises(JournalError, match=r"0024\.dsj"):
        list(JournalReader(tiny).frames())


def test_no_journal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        assert not is_journal(path)
        with pytest.raises(JournalError, match="no journal here"):
            open_journal(path)


def test_is_journal(tiny: Path) -> None:
    assert is_journal(tiny) and is_journal(str(tiny))
