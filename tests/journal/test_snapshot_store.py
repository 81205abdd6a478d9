"""The folder of snapshots: newest first, what is wrong is told, and what goes is said before it goes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from disruptor.errors import SnapshotError
from disruptor.journal.snapshot_file import SnapshotFiles
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from disruptor.state_image import view_rows
from tests.disruptor.test_restore import filled
from tests.journal.conftest import TINY, make_slots
from tests.journal.test_snapshot_layout import FACTS

SECOND = 1_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Snapshots at 10, 20, 30 and 40, a minute apart."""
    made = SnapshotStore(tmp_path)
    for k in (1, 3, 2, 4):
        made.write(view_rows(filled()), replace(FACTS, sequence=10 * k, event_time_ns=60 * k * SECOND))
    return made


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_snapshots_are_given_newest_first_up_to_a_sequence(store: SnapshotStore) -> None:
    assert [s.sequence for s in store.candidates().snapshots] == [40, 30, 20, 10]
    assert [s.sequence for s in store.candidates(29).snapshots] == [20, 10]
    assert store.candidates(9).snapshots == ()


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert SnapshotStore(tmp_path / "none").candidates() == ((), ())


def test_a_folder_that_can_not_be_made_is_told_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="snapshots need this folder"):
        SnapshotStore(tmp_path / "file").prepare()
    SnapshotStore(tmp_path).prepare()
    assert (tmp_path / "snapshots").is_dir()


def test_a_damaged_header_is_a_problem_and_foreign_files_are_nobodys(store: SnapshotStore) -> None:
    flip(store.directory / "00000000000000000030.dss", 50)
    (store.directory / "notes.txt").write_text("mine")
    found = store.candidates()
    assert [s.sequence for s in found.snapshots] == [40, 20, 10]
    (problem,) = found.problems
    assert str(problem).startswith("snapshots/00000000000000000030.dss, sequence 30: header CRC32C: expected")


def test_the_newest_stay_and_the_plan_changes_nothing(store: SnapshotStore) -> None:
    plan = store.plan(keep=2)
    assert [(s.sequence, why) for s, why in plan.removed] == [
        (20, "2 newer stay"),
        (10, "2 newer stay"),
    ]
    assert len(store.candidates().snapshots) == 4
    store.prune(plan)
    assert [s.sequence for s in store.candidates().snapshots] == [40, 30]
    assert store.plan(keep=2).removed == ()


def test_age_counts_from_the_newest_event_and_the_newest_always_stays(store: SnapshotStore) -> None:
    assert [s.sequence for s, _ in store.plan(max_age=120).removed] == [10]
    assert [s.sequence for s, _ in store.plan(max_age=0).removed] == [30, 20, 10]
    assert [s.sequence for s, _ in store.plan(keep=0).removed] == [30, 20, 10]
    assert [s.sequence for s, _ in store.plan(keep=3, max_age=60).removed] == [20, 10]
    assert store.plan().removed == ()


def test_where_times_are_unknown_the_files_date_is_their_age(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for sequence in (1, 2):
        store.write(view_rows(filled()), replace(FACTS, sequence=sequence, event_time_ns=0))
    assert store.plan(max_age=3600).removed == ()
    os.utime(store.directory / "00000000000000000001.dss", (0, 0))
    assert [s.sequence for s, _ in store.plan(max_age=3600).removed] == [1]


def test_a_damaged_one_does_not_count_among_those_that_stay(store: SnapshotStore) -> None:
    flip(store.directory / "00000000000000000040.dss", 4100)
    plan = store.plan(keep=1)
    assert [s.sequence for s in plan.kept] == [30]
    assert [s.sequence for s, _ in plan.removed] == [20, 10]
    assert "sequence 40" in str(plan.problems[0]) and "SHA-256" in str(plan.problems[0])
    store.prune(plan)
    assert [s.sequence for s in store.candidates().snapshots] == [40, 30], "it is left where it is"


def test_those_of_other_code_do_not_count_but_go_with_the_older_ones(store: SnapshotStore) -> None:
    for sequence, minutes in ((15, 1), (50, 5)):
        other = replace(FACTS, sequence=sequence, event_time_ns=60 * minutes * SECOND, code_identity="x")
        store.write(view_rows(filled()), other)
    store.write(view_rows(filled()), replace(FACTS, sequence=60, changed=("up to sequence 1: f is another",)))
    plan = store.plan(keep=2, code_identity=FACTS.code_identity)
    assert [s.sequence for s in plan.kept] == [40, 30]
    assert [s.sequence for s, _ in plan.removed] == [20, 15, 10]


class Stuck(SnapshotFiles):
    """A directory from which nothing can be removed."""

    def remove(self, name: str) -> None:
        raise PermissionError(13, "Permission denied")


def test_a_file_that_can_not_be_removed_is_an_error_and_one_that_is_gone_is_not(store: SnapshotStore) -> None:
    plan = store.plan(keep=2)
    with pytest.raises(SnapshotError, match="removing a snapshot failed: Permission denied"):
        SnapshotStore(store.directory.parent, Stuck(store.directory)).prune(plan)
    (store.directory / "00000000000000000020.dss").unlink()
    store.prune(plan)
    assert [s.sequence for s in store.candidates().snapshots] == [40, 30]


class Fleeting(SnapshotFiles):
    """Somebody removes the newest snapshot as soon as it was listed."""

    def names(self) -> list[str]:
        found = super().names()
        self.remove(found[-1])
        return found


def test_one_that_somebody_removes_meanwhile_is_no_problem(store: SnapshotStore) -> None:
    found = SnapshotStore(store.directory.parent, Fleeting(store.directory)).candidates()
    assert ([s.sequence for s in found.snapshots], found.problems) == ([30, 20, 10], ())


def test_a_journal_with_snapshots_is_as_sound_as_without_and_may_be_restarted(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with JournalWriter(journal, **TINY) as writer:
        writer.append(make_slots(3), 0)
        SnapshotStore(journal).write(view_rows(filled()), FACTS)
    with JournalWriter(journal, restart=True, **TINY) as writer:
        writer.append(make_slots(5), 0)
        writer.finish({})
    assert verify(journal).ok
