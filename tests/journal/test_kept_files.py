"""A journal and a snapshot that an earlier version wrote: every later one must read them and come to the same end.

`fixtures/accounts-1` was made once by `write_kept` and is never made again: a version that can't read it has broken the
promise of docs/format.md and docs/format-snapshot.md. What is in it is spelled out below, in plain Python.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.access import PlainView, find
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from disruptor.message import u32, u64, u128
from disruptor.processor import plain_allocate
from disruptor.replay.restore import RunIdentity, events_of, facts_of, restore_newest
from disruptor.state import State
from disruptor.state_image import copy_rows
from disruptor.table import Table
from tests.disruptor.test_processor import Close, Deposit, Event, Run, ledger, slots_of

KEPT = Path(__file__).resolve().parent / "fixtures" / "accounts-1"
#: A snapshot is behind the event 11: two accounts are closed by then, and one row is free.
CUT = 12
EVENTS: list[Event] = [
    *((Deposit, (account, 1000 + account)) for account in range(5)),
    (Close, (1,)),
    (Deposit, (7, 2**63)),
    (Close, (3,)),
    (Close, (2,)),
    (Deposit, (0, 5)),
    (Deposit, (7, 2**63 - 1)),
    (Deposit, (9, 1)),
    *((Deposit, (account, 10)) for account in (3, 7, 0, 2)),
    (Close, (4,)),
]
DIGEST = "03218e9d4831b9539c546ade0bfd3e6a"
IDENTITY = RunIdentity("kept", {"table accounts": "1"})


def write_kept(folder: Path) -> str:
    """Make the files; returns the digest of the last state."""
    slots = slots_of(EVENTS)
    with JournalWriter(
        folder, messages=[Deposit, Close], identity={"kept": 1}, settings={}, slot_size=192, frame_slots=8
    ) as writer:
        writer.append(slots, 0)
        writer.finish({"events": len(EVENTS)})
    run = Run()(EVENTS[:CUT])
    SnapshotStore(folder).write(
        copy_rows(run.processor.state), facts_of(run.processor, IDENTITY, slots[CUT - 1])
    )
    run(EVENTS[CUT:], CUT, base=CUT)
    return run.processor.state.digest()


def replayed(run: Run, first: int) -> Run:
    for frame in open_journal(KEPT).frames(first):
        begin, end = frame.first_sequence, frame.first_sequence + frame.count
        run.processor.process(frame.slots, begin, end, run.keep, base=begin)
    return run


def test_the_journal_is_sound_and_holds_the_same_events() -> None:
    assert verify(KEPT).ok
    frames = open_journal(KEPT).frames()
    assert b"".join(frame.slots.tobytes() for frame in frames) == slots_of(EVENTS).tobytes()
    assert json.loads((KEPT / "journal.json").read_text())["summary"] == {"events": len(EVENTS)}


def test_the_snapshot_says_what_it_said() -> None:
    (snapshot,) = SnapshotStore(KEPT).candidates().snapshots
    facts: SnapshotFacts = snapshot.facts
    assert (facts.sequence, facts.block, facts.code_identity) == (CUT - 1, None, "kept")
    assert facts.identity == {"table accounts": "1"} and "numba" in facts.environment


def test_the_run_from_the_start_and_the_one_from_the_snapshot_come_to_the_recorded_end() -> None:
    whole, run = replayed(Run(), 0), Run()
    found = restore_newest(
        SnapshotStore(KEPT), run.processor, IDENTITY, event_at=events_of(open_journal(KEPT))
    )
    assert found == (CUT - 1, (), ())
    replayed(run, CUT)
    assert whole.balances() == ledger(EVENTS)[0]
    assert run.open() == whole.open() == ledger(EVENTS)[1]
    assert run.processor.state.digest() == whole.processor.state.digest() == DIGEST
    assert whole.octets.endswith(run.octets) and run.octets


@pytest.mark.parametrize("room", [6, 500])
def test_the_snapshot_loads_into_a_table_that_has_grown(room: int) -> None:
    fields: dict[str, Any] = {"note": u128, "account": u32, "kind": u32, "total": u64}
    accounts = Table("accounts", fields, key=("account",))
    probes = Table("probes", {"hits": u64, "last": u64}, key="probes", capacity=9)
    state = State([Table("new", {"x": u32}), probes, accounts], {"accounts": room}, plain_allocate)
    store = SnapshotStore(KEPT)
    store.load(store.candidates().snapshots[0], state)
    expected = ledger(EVENTS[:CUT])[1]
    rows = state.live("accounts")
    assert {int(r["account"]): int(r["total"]) for r in rows} == expected
    assert not rows["note"].any() and not rows["kind"].any()
    with np.errstate(over="ignore"):
        view = PlainView(*state.arrays["accounts"], np.zeros(8, np.int64))
        assert {a for a in range(12) if find(view, a, 0) >= 0} == set(expected)
