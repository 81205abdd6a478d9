"""Compressing and purging a recording: while it is written, and when its writer comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.compact import compact, plan_compact
from disruptor.journal.describe import describe
from disruptor.journal.follow import Follower
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import load_manifest
from disruptor.journal.parquet_export import Selection, to_columns
from disruptor.journal.parquet_import import from_columns
from disruptor.journal.problem import Problem
from disruptor.journal.purge import Retention, purge
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from disruptor.message import message, u32, u64

TICK = message("Tick", 1001, {"pool": u32, "price": u64})
#: Segments of four frames of eight slots.
OPTIONS: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 8,
    "segment_bytes": 7 * 4096,
    "messages": [TICK],
    "identity": {"source": "test"},
    "settings": {},
}


def ticks(count: int) -> Bytes:
    slots = np.zeros((count, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"], rows["price"] = (
        np.arange(count),
        TICK.type_id,
        np.arange(count) * 7 + 1,
    )
    return slots


def read(directory: Path, start: int) -> bytes:
    return b"".join(frame.slots.tobytes() for frame in open_journal(directory).frames(start))


def of_segments(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if ".dsj" in path.name)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """What an import of the same slots writes."""
    with JournalWriter(tmp_path / "whole", **OPTIONS) as writer:
        writer.append(ticks(200), 0)
        writer.finish({})
    return tmp_path / "whole"


def test_a_recording_is_compressed_and_purged_while_it_is_written(tmp_path: Path, whole: Path) -> None:
    slots, directory = ticks(200), tmp_path / "recorded"
    recorder = Recorder(str(directory), **OPTIONS)
    recorder.write(slots[:150])
    recorder.write(slots[150:157])
    plan = plan_compact(directory)
    assert [entry.first_sequence for entry in plan.entries] == [0, 40, 80]
    assert compact(plan)["segments"] == 3
    assert read(directory, 0) == slots[:157].tobytes() and verify(directory).ok
    answer = purge(directory, Retention(before=90, without_snapshot=True))
    assert (answer["segments"], answer["first_sequence"]) == (2, 80)
    assert of_segments(directory)[0] == "00000000000000000080.dsj.zst"
    assert read(directory, 80) == slots[80:157].tobytes()
    recorder.write(slots[157:])
    recorder.finish({})
    assert read(directory, 80) == slots[80:].tobytes()
    report = verify(directory)
    assert report.ok and report.purged_before == 80
    assert load_manifest(directory).segments == load_manifest(whole).segments


def test_a_writer_that_comes_back_goes_on_behind_what_was_purged(tmp_path: Path, whole: Path) -> None:
    slots, directory = ticks(200), tmp_path / "recorded"
    recorder = Recorder(str(directory), **OPTIONS)
    recorder.write(slots[:130])
    recorder.close()
    compact(plan_compact(directory))
    purge(directory, Retention(before=40, without_snapshot=True))
    assert describe(directory)["ok"] and describe(directory)["purged_before"] == 40
    again = Recorder(str(directory), **OPTIONS)
    assert again.next_sequence == 130 and again.cuts == []
    again.write(slots[130:])
    again.finish({})
    assert read(directory, 40) == slots[40:].tobytes() and verify(directory).ok
    assert load_manifest(directory).running_hash == load_manifest(whole).running_hash


def test_following_a_recording_gives_every_flush(tmp_path: Path) -> None:
    slots, directory = ticks(100), tmp_path / "recorded"
    recorder = Recorder(str(directory), **OPTIONS)
    recorder.write(slots[:30])
    seen: list[int] = []
    at_waits: list[int] = []
    steps = [30, 31, 50, 90, 100]

    def wait() -> None:
        at_waits.append(len(seen))
        recorder.write(slots[steps.pop(0) : steps[0]]) if len(steps) > 1 else recorder.finish({})

    for row in Follower(directory, from_sequence=0, wait=wait).rows():
        assert not isinstance(row, Problem)
        seen.append(row["sequence"])
    assert seen == list(range(100)) and at_waits == [30, 31, 50, 90, 100]


def test_a_finished_recording_goes_to_columns_and_back_and_one_in_use_is_exported(tmp_path: Path) -> None:
    slots, directory = ticks(60), tmp_path / "recorded"
    recorder = Recorder(str(directory), **OPTIONS)
    recorder.write(slots[:45])
    assert to_columns(directory, tmp_path / "part", Selection(from_sequence=3))["slots"] == 42
    with pytest.raises(JournalError, match="a recording that is not finished: choose types or a range"):
        to_columns(directory, tmp_path / "archive")
    recorder.write(slots[45:])
    recorder.finish({})
    to_columns(directory, tmp_path / "archive")
    from_columns(tmp_path / "archive", tmp_path / "back")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == files
    assert "incarnations.json" in files


def test_segments_without_a_manifest_are_never_recorded_over(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), **OPTIONS)
    recorder.write(ticks(90))
    recorder.close()
    compact(plan_compact(tmp_path))
    for name in ("journal.json", *(name for name in of_segments(tmp_path) if name.endswith(".dsj"))):
        (tmp_path / name).unlink()
    for path in tmp_path.glob("*.dst"):
        path.unlink()
    with pytest.raises(JournalError, match=r"segments without journal.json"):
        Recorder(str(tmp_path), **OPTIONS)
