"""Recordings: flushed as they come, read while they grow, and in the end the journal of an import."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import CorruptFrameError, JournalError, UnfinishedJournalError
from disruptor.journal.describe import describe
from disruptor.journal.incarnations import load_incarnations
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import load_manifest
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.tail import tail_name
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from disruptor.message import message, u32, u64

TICK = message("Tick", 1001, {"pool": u32, "price": u64})
COUNT = 200
OPTIONS: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 8,
    "segment_bytes": 7 * 4096,
    "messages": [TICK],
    "identity": {"source": "test"},
    "settings": {"chain_id": 1},
}
STEPS = (1, 1, 2, 3, 5, 8, 16, 17, 40)


@pytest.fixture
def ticks() -> Bytes:
    slots = np.zeros((COUNT, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"] = np.arange(COUNT), TICK.type_id
    rows["price"] = np.arange(COUNT) * 7 + (np.arange(COUNT) % 3 == 0) * (1 << 60)
    slots[np.arange(COUNT) % 5 > 0, 56:] = 9  # some frames end in zeros, others do not
    return slots


def read_all(directory: Path, first: int = 0) -> Bytes:
    held = [frame.slots.copy() for frame in open_journal(directory).frames(first)]
    return np.concatenate(held) if held else np.empty((0, 64), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_however_it_was_flushed_and_interrupted_it_is_the_journal_of_an_import(
    tmp_path: Path, ticks: Bytes, seed: int
) -> None:
    chance, directory, opened = random.Random(seed), tmp_path / "recorded", 1
    recorder = Recorder(str(directory), **OPTIONS)
    while (at := recorder.next_sequence) < COUNT:
        recorder.write(ticks[at : at + chance.choice(STEPS)])
        if chance.random() < 0.2:
            end, number = recorder.next_sequence, recorder.incarnation
            recorder.close(mark=chance.random() < 0.5)
            recorder = Recorder(str(directory), **OPTIONS)
            assert (recorder.next_sequence, recorder.incarnation) == (end, number + 1)
            opened += 1
    recorder.finish({"x": 1})
    assert [one.number for one in load_incarnations(directory)] == list(range(1, opened + 1))
    with JournalWriter(tmp_path / "imported", **OPTIONS) as writer:
        writer.append(ticks, 0)
        writer.finish({"x": 1})
    names = {path.name for path in (tmp_path / "imported").iterdir()}
    assert {path.name for path in directory.iterdir()} == names | {"incarnations.json"}
    for name in names:
        assert (directory / name).read_bytes() == (tmp_path / "imported" / name).read_bytes()
    assert verify(directory).ok


@pytest.mark.slow
def test_it_can_be_read_while_it_grows(tmp_path: Path, ticks: Bytes) -> None:
    chance, recorder = random.Random(3), Recorder(str(tmp_path), **OPTIONS)
    while True:
        end = recorder.next_sequence
        first = chance.randrange(end + 1)
        assert np.array_equal(read_all(tmp_path), ticks[:end])
        assert np.array_equal(read_all(tmp_path, first), ticks[first:end])
        report, said = verify(tmp_path), describe(tmp_path)
        assert report.ok and report.slots == end
        assert (said["state"], said["slots"], said["ok"]) == ("being recorded", end, True)
        if end == COUNT:
            break
        recorder.write(ticks[end : end + chance.choice(STEPS)])
    recorder.close()
    assert describe(tmp_path)["state"] == "stopped"


def test_an_end_without_a_mark_is_reported_and_loses_nothing(tmp_path: Path, ticks: Bytes) -> None:
    recorder = Recorder(str(tmp_path), **OPTIONS)
    recorder.write(ticks[:13])
    recorder.close(mark=False)
    report = verify(tmp_path)
    assert report.status == "interrupted" and ["not cleanly closed" in p for p in report.problems] == [True]
    assert np.array_equal(read_all(tmp_path), ticks[:13])
    with Recorder(str(tmp_path), **OPTIONS) as recorder:
        assert recorder.next_sequence == 13 and recorder.cuts == []
    assert verify(tmp_path).ok


def test_one_writer_and_only_of_the_same_recording(tmp_path: Path, ticks: Bytes) -> None:
    with Recorder(str(tmp_path), **OPTIONS) as recorder:
        recorder.write(ticks[:3])
        with pytest.raises(JournalError, match="another process is writing"):
            Recorder(str(tmp_path), **OPTIONS)
    with pytest.raises(JournalError, match=r"something else \(settings.chain_id: was 1, is 2\)"):
        Recorder(str(tmp_path), **{**OPTIONS, "settings": {"chain_id": 2}})
    for restart in (False, True):
        with pytest.raises(JournalError, match="holds a recording, which no import overwrites"):
            JournalWriter(tmp_path, restart=restart, **OPTIONS)
    Recorder(str(tmp_path), **OPTIONS).finish({})
    with pytest.raises(JournalError, match="holds a complete journal"):
        Recorder(str(tmp_path), **OPTIONS)
    assert load_manifest(tmp_path).slot_count == 3


def test_an_unfinished_import_is_no_recording(tmp_path: Path, ticks: Bytes) -> None:
    JournalWriter(tmp_path, **OPTIONS).close()
    with pytest.raises(JournalError, match="holds an unfinished import"):
        Recorder(str(tmp_path), **OPTIONS)
    with pytest.raises(UnfinishedJournalError):
        open_journal(tmp_path)


def test_slots_out_of_order_or_without_a_type_are_refused(tmp_path: Path, ticks: Bytes) -> None:
    blank = ticks.copy()
    blank.reshape(-1).view(TICK.slot_dtype(64))["type_id"][2] = 0
    with Recorder(str(tmp_path), **OPTIONS) as recorder:
        for wrong in (ticks[1:3], blank[:3]):
            with pytest.raises(JournalError, match="expected sequence"):
                recorder.write(wrong)
        assert recorder.next_sequence == 0
        recorder.write(ticks[:3])
    assert np.array_equal(read_all(tmp_path), ticks[:3])


@pytest.mark.slow
def test_every_changed_byte_is_noticed_or_changes_nothing(tmp_path: Path, ticks: Bytes) -> None:
    """Any byte of any file of a stopped recording: verify says so, and nobody reads or records on over it unawares."""
    whole = tmp_path / "whole"
    with Recorder(str(whole), **OPTIONS) as recorder:
        for at in range(0, 37, 3):
            recorder.write(ticks[at : min(37, at + 3)])
    chance = random.Random(5)
    for path in sorted(whole.iterdir()):
        content = path.read_bytes()
        written = [at for at in range(0, len(content), 7) if any(content[at & -512 : (at & -512) + 512])]
        for at in chance.sample(written, min(40, len(written))):
            shutil.rmtree(tmp_path / "hurt", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "hurt")
            changed = bytearray(content)
            changed[at] ^= 1 << chance.randrange(8)
            (tmp_path / "hurt" / path.name).write_bytes(changed)
            assert_noticed(tmp_path / "hurt", ticks, (path.name, at))


def assert_noticed(directory: Path, ticks: Bytes, where: tuple[str, int]) -> None:
    try:
        sound = verify(directory).ok and describe(directory)["ok"]
    except JournalError:
        sound = False
    assert not sound, where
    with suppress(JournalError):
        held = read_all(directory)
        assert np.array_equal(held, ticks[: len(held)]), where
    with suppress(JournalError), Recorder(str(directory), **OPTIONS) as recorder:
        assert recorder.next_sequence == 37, where


def test_a_tail_that_was_removed_is_missed(tmp_path: Path, ticks: Bytes) -> None:
    """The only one; the last one of a writer; the one of the last writer."""
    whole, wrong = tmp_path / "whole", tmp_path / "wrong"
    for end in (30, 33, 34):
        with Recorder(str(whole), **OPTIONS) as recorder:
            while recorder.next_sequence < end:
                recorder.write(ticks[recorder.next_sequence :][:1])
        tails = sorted(path.name for path in whole.glob("*.dst"))
        for name in tails[1:] or tails:
            shutil.rmtree(wrong, ignore_errors=True)
            shutil.copytree(whole, wrong)
            (wrong / name).unlink()
            assert not verify(wrong).ok, name
            with pytest.raises(JournalError, match=r"missing|should follow"):
                Recorder(str(wrong), **OPTIONS)
    assert len(tails) > 1 and verify(whole).ok


def test_a_tail_that_was_cut_is_damage(tmp_path: Path, ticks: Bytes) -> None:
    with Recorder(str(tmp_path), **OPTIONS) as recorder:
        recorder.write(ticks[:3])
        recorder.write(ticks[3:5])
    tail = tmp_path / tail_name(0)
    tail.write_bytes(tail.read_bytes()[: 2 * 4096])
    with pytest.raises(CorruptFrameError, match="instead of"):
        read_all(tmp_path)
    with pytest.raises(JournalError, match=r"damage.*repair"):
        Recorder(str(tmp_path), **OPTIONS)
