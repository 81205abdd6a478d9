"""Purging: only what nobody needs goes, what is left is a journal that says so, and nothing can stop half-way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from disruptor.errors import JournalError
from disruptor.journal.compact import compact, plan_compact
from disruptor.journal.describe import describe
from disruptor.journal.dump import dump
from disruptor.journal.head import HEAD_NAME, encode_head, load_head
from disruptor.journal.layout import Bytes
from disruptor.journal.maintenance import maintenance
from disruptor.journal.problem import Problem
from disruptor.journal.proof import check, prove
from disruptor.journal.purge import Retention, oldest_snapshot, plan_purge, purge
from disruptor.journal.reader import JournalReader
from disruptor.journal.readers import register
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.journal.storage import Storage
from disruptor.journal.survey import survey
from disruptor.journal.verify import verify
from disruptor.state_image import view_rows
from tests.disruptor.test_restore import filled
from tests.journal.test_snapshot_layout import FACTS

#: Segments of the tiny journal begin at 0, 12 and 24; it ends at 29.
FORCED = Retention(before=24, without_snapshot=True)


def snapshot(journal: Path, *sequences: int) -> list[Path]:
    store = SnapshotStore(journal)
    return [store.write(view_rows(filled()), replace(FACTS, sequence=sequence)) for sequence in sequences]


def segments(journal: Path) -> list[int]:
    return sorted(int(path.name[:20]) for path in journal.iterdir() if ".dsj" in path.name)


def test_what_is_left_is_a_journal_that_says_what_went(tiny: Path, slots: Bytes) -> None:
    manifest = (tiny / "journal.json").read_bytes()
    answer = purge(tiny, FORCED)
    assert (answer["segments"], answer["first_purged"], answer["last_purged"]) == (2, 0, 23)
    assert segments(tiny) == [24] and (tiny / "journal.json").read_bytes() == manifest
    report = verify(tiny)
    assert report.ok and (report.purged_before, report.slots, report.segments) == (24, 6, 1)
    reader = JournalReader(tiny)
    assert (reader.first_sequence, reader.last_sequence, reader.slot_count) == (24, 29, 6)
    assert b"".join(f.slots.tobytes() for f in reader.frames(24)) == slots[24:].tobytes()
    whole = describe(tiny)
    assert whole["ok"] and (whole["first_sequence"], whole["slots"], whole["purged_before"]) == (24, 6, 24)
    rows = list(dump(tiny).rows())
    assert [row["sequence"] for row in rows if isinstance(row, dict)] == list(range(24, 30))


def test_what_went_can_not_be_read(tiny: Path) -> None:
    purge(tiny, Retention(before=12, without_snapshot=True))
    for start in (None, 0, 11):
        with pytest.raises(
            JournalError, match=r"sequences 0 to 11 were purged.*: begin at 12 or later, a replay"
        ):
            JournalReader(tiny).frames(start)


def test_purging_goes_on_where_it_was(tiny: Path) -> None:
    purge(tiny, Retention(before=12, without_snapshot=True))
    answer = purge(tiny, Retention(before=24, without_snapshot=True))
    assert (answer["first_purged"], answer["last_purged"]) == (12, 23)
    head = load_head(tiny)
    assert head is not None and [entry.first_sequence for entry in head.segments] == [0, 12]
    assert verify(tiny).ok and purge(tiny, FORCED)["segments"] == 0


@pytest.mark.parametrize(("before", "left"), [(0, 0), (11, 0), (12, 12), (23, 12), (24, 24), (1000, 24)])
def test_whole_segments_before_a_sequence_go_and_never_the_last(tiny: Path, before: int, left: int) -> None:
    answer = purge(tiny, Retention(before=before, without_snapshot=True))
    assert answer["first_sequence"] == left and segments(tiny)[0] == left and verify(tiny).ok


def test_size_and_age_choose_the_oldest(tiny: Path) -> None:
    sizes = [path.stat().st_size for path in sorted(tiny.glob("*.dsj"))]
    for keep, left in ((sum(sizes), 0), (sum(sizes) - 1, 12), (sizes[2] + sizes[1], 12), (0, 24)):
        plan = plan_purge(tiny, Retention(keep_bytes=keep, without_snapshot=True))
        assert plan.first_sequence == left and plan.size == sum(sizes[: len(plan.entries)])
    for age, path in zip((300, 100, 100), sorted(tiny.glob("*.dsj")), strict=True):
        os.utime(path, (1000 - age, 1000 - age))
    for older, left in ((301, 0), (300, 12), (101, 12), (100, 24)):
        rule = Retention(older_than_s=older, without_snapshot=True)
        assert plan_purge(tiny, rule, now=1000).first_sequence == left


@pytest.mark.parametrize(
    ("kept", "left"), [((12, 29), 12), ((11, 29), 0), ((23,), 12), ((24,), 24), ((29,), 24), ((25, 12), 12)]
)
def test_nothing_goes_that_a_snapshot_needs(tiny: Path, kept: tuple[int, ...], left: int) -> None:
    snapshot(tiny, *kept)
    assert oldest_snapshot(tiny) == min(kept)
    asked = plan_purge(tiny, Retention(before=24))
    assert asked.first_sequence == left
    assert bool(asked.kept_for) == (left < 24)
    assert plan_purge(tiny, Retention(to_snapshot=True)).first_sequence == left


def test_without_a_snapshot_nothing_goes_unless_that_is_said(tiny: Path) -> None:
    for rule in (Retention(before=24), Retention(to_snapshot=True)):
        answer = purge(tiny, rule)
        assert answer["segments"] == 0 and segments(tiny) == [0, 12, 24]
    assert "no sound snapshot is kept" in purge(tiny, Retention(before=24))["kept_for"][0]


def test_a_damaged_snapshot_is_none(tiny: Path) -> None:
    oldest, newest = snapshot(tiny, 13, 26)
    content = oldest.read_bytes()
    oldest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert plan_purge(tiny, Retention(before=24)).first_sequence == 12
    newest.write_bytes(content[:-1])
    assert plan_purge(tiny, Retention(before=24)).first_sequence == 0
    oldest.write_bytes(content)
    assert plan_purge(tiny, Retention(before=24)).first_sequence == 12


def test_nothing_goes_that_somebody_reads(tiny: Path, slots: Bytes) -> None:
    frames = JournalReader(tiny).frames(13)
    got = next(frames).slots.tobytes()
    answer = purge(tiny, FORCED)
    assert answer["first_sequence"] == 12
    assert answer["kept_for"] == [f"process {os.getpid()} reads from 13 on"]
    assert got + b"".join(frame.slots.tobytes() for frame in frames) == slots[13:].tobytes()
    assert purge(tiny, FORCED)["first_sequence"] == 24 and not (tiny / "readers").exists()


def test_a_reader_that_begins_after_a_purge_is_told(tiny: Path) -> None:
    reader = JournalReader(tiny)
    frames = reader.frames(13)  # nothing is read yet, so nothing is held
    purge(tiny, FORCED)
    with pytest.raises(JournalError, match="sequences 0 to 23 were purged"):
        next(frames)
    assert not (tiny / "readers").exists()


def test_a_reader_from_before_a_purge_reads_what_is_left(tiny: Path, slots: Bytes) -> None:
    reader = JournalReader(tiny)
    purge(tiny, FORCED)
    assert b"".join(frame.slots.tobytes() for frame in reader.frames(24)) == slots[24:].tobytes()


def test_what_goes_while_it_is_looked_at_is_no_damage(tiny: Path) -> None:
    found = survey(tiny)
    purge(tiny, FORCED)
    given = list(found.frames())
    assert [frame.first_sequence for frame in given if not isinstance(frame, Problem)] == [
        24,
        28,
    ] and found.ok


def test_a_purge_is_a_plan_first(tiny: Path) -> None:
    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    plan = plan_purge(tiny, FORCED)
    assert [entry.first_sequence for entry in plan.entries] == [0, 12]
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before


@pytest.mark.parametrize(
    "rule", [Retention(), Retention(before=1, keep_bytes=1), Retention(before=1, to_snapshot=True)]
)
def test_one_rule_is_asked_for(tiny: Path, rule: Retention) -> None:
    with pytest.raises(JournalError, match="say one of"):
        plan_purge(tiny, rule)


def test_compressed_segments_go_too(tiny: Path, slots: Bytes) -> None:
    compact(plan_compact(tiny))
    purge(tiny, FORCED)
    assert segments(tiny) == [24] and verify(tiny).ok
    assert b"".join(f.slots.tobytes() for f in JournalReader(tiny).frames(24)) == slots[24:].tobytes()


def test_a_proof_of_the_whole_says_what_it_can_not_check(tiny: Path) -> None:
    proof = prove(tiny)
    purge(tiny, FORCED)
    assert check(proof, tiny) == ["sequences before 24 were purged: nothing can be said of those bytes"]
    with pytest.raises(
        JournalError, match="sequences before 24 were purged: what is proven is a whole journal"
    ):
        prove(tiny)


def test_a_segment_that_is_missing_behind_the_head_is_damage(tiny: Path) -> None:
    purge(tiny, Retention(before=12, without_snapshot=True))
    (tiny / "00000000000000000012.dsj").unlink()
    assert not verify(tiny).ok and not describe(tiny)["ok"]
    with pytest.raises(JournalError, match="is missing"):
        JournalReader(tiny)


def test_a_head_that_is_damaged_or_of_another_journal_is_noticed(
    tiny: Path, tmp_path: Path, write: Callable[..., None], some_slots: Callable[..., Bytes]
) -> None:
    purge(tiny, FORCED)
    head = load_head(tiny)
    assert head is not None
    other = msgspec.structs.replace(head.segments[1], running_hash="00" * 32)
    wrong = msgspec.structs.replace(head, segments=[head.segments[0], other])
    for content in (b"{}", encode_head(wrong)):
        (tiny / HEAD_NAME).write_bytes(content)
        assert not verify(tiny).ok and not describe(tiny)["ok"]
    (tiny / HEAD_NAME).unlink()
    assert not verify(tiny).ok and not describe(tiny)["ok"]
    assert any(isinstance(row, Problem) for row in dump(tiny).rows())


class Died(BaseException):
    """Not an error that anybody handles."""


class Stops(Storage):
    """A storage whose process dies at the n-th operation: that one and all after it do not happen."""

    def __init__(self, directory: Path, after: int) -> None:
        super().__init__(directory)
        self.left = after

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died

    def replace(self, name: str, content: bytes) -> None:
        self._step()
        super().replace(name, content)

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)

    def sync_directory(self) -> None:
        self._step()
        super().sync_directory()


def test_whatever_stops_a_purge_the_journal_is_readable_and_the_next_one_ends_it(
    tmp_path: Path, write: Callable[..., None], some_slots: Callable[..., Bytes]
) -> None:
    slots, after, died = some_slots(30), 0, True
    while died:
        journal = tmp_path / f"journal{after}"
        write(journal, slots)
        (journal / "journal.index").write_bytes(b"of the whole journal")
        died = False
        try:
            purge(journal, FORCED, storage=Stops(journal, after))
        except Died:
            died = True
        reader = JournalReader(journal)
        assert reader.first_sequence in (0, 24)
        got = b"".join(f.slots.tobytes() for f in reader.frames(reader.first_sequence))
        assert got == slots[reader.first_sequence :].tobytes()
        assert verify(journal).ok and describe(journal)["ok"]
        purge(journal, FORCED)
        assert segments(journal) == [24] and verify(journal).ok
        after += 1
    assert after > 7


def test_one_at_a_time(tiny: Path) -> None:
    with maintenance(tiny), pytest.raises(JournalError, match="another process compresses or purges"):
        purge(tiny, FORCED)


def test_a_dead_readers_place_holds_nothing_back(tiny: Path) -> None:
    place = register(tiny, 0)
    assert place is not None
    (path,) = (tiny / "readers").iterdir()
    content = path.read_bytes()
    place.close()
    (tiny / "readers").mkdir()
    path.write_bytes(content)
    assert purge(tiny, FORCED)["first_sequence"] == 24
