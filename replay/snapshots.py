"""Snapshots of a finished journal's state at chosen sequences, by replaying it from the newest one that may be used.

Only the journal is read, and only its folder of snapshots is written to: an engine that writes another journal, or
readers of this one, notice nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.journal.reader import JournalReader
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.replay.events import JournalEvents
from disruptor.replay.held import check_layouts
from disruptor.replay.request import Progress, RunRequest
from disruptor.replay.restore import Restored, RunIdentity, facts_of, identity_of
from disruptor.replay.session import Session, handlers_of, run_session
from disruptor.replay.slots import Run, cut
from disruptor.state_image import check_claimed, view_rows

#: A shorter interval than this would write more than the journal holds.
MIN_INTERVAL = 1000


def take_snapshots(
    request: RunRequest,
    *,
    at: int | None = None,
    every: int | None = None,
    allow_code_change: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the snapshots of a journal that are missing.

    Parameters
    ----------
    request : one journal, settings, and handlers; no pools
    at : the last sequence to include; the journal's last by default
    every : also one wherever the number of events from sequence 0 on is a multiple of this
    allow_code_change : begin with a snapshot of other code or settings, if that is the newest

    Returns
    -------
    The `--json` object, without what is said of retention.

    Raises
    ------
    InputError : no journal, or a sequence outside of it. DisruptorError : whatever else a replay can meet.
    """
    began = time.perf_counter()
    handlers = handlers_of(request)
    identity = identity_of(handlers, request.settings)

    def attempt(session: Session) -> dict[str, Any]:
        taking = _Taking(session, handlers, identity)
        taking.run(at, every, allow_code_change=allow_code_change)
        return taking.report()

    report = run_session(request, handlers, attempt, progress)
    return {**report, "code_identity": identity.code, "seconds": round(time.perf_counter() - began, 6)}


class _Taking:
    """One pass over a journal, with snapshots on the way."""

    def __init__(self, session: Session, handlers: HandlerSet, identity: RunIdentity) -> None:
        if not isinstance(session.events, JournalEvents):
            raise InputError("snapshot: expected a journal: import the recorded logs first")
        self._session, self._identity = session, identity
        self._reader: JournalReader = session.events.reader
        check_layouts(self._reader, handlers.inputs)
        self._store = SnapshotStore(self._reader.directory)
        self._restored = Restored(None, (), ())
        self._events = 0
        self._written: list[dict[str, Any]] = []

    def run(self, at: int | None, every: int | None, *, allow_code_change: bool) -> None:
        """Replay up to the last sequence wanted."""
        first, last = self._reader.first_sequence, self._reader.last_sequence
        if last < first:
            raise InputError(f"{self._reader.directory}: the journal is empty: there is no state to keep")
        at = last if at is None else at
        if not first <= at <= last:
            raise InputError(f"--at {at}: the journal holds the sequences {first} to {last}")
        if every is not None and every < MIN_INTERVAL:
            raise InputError(
                f"--every {every}: expected at least {MIN_INTERVAL} events between two snapshots"
            )
        self._restored = self._session.restore(self._identity, at, allow_code_change=allow_code_change)
        begin = first if self._restored.sequence is None else self._restored.sequence + 1
        if begin > at:
            return
        self._store.prepare()
        for run in self._session.runs():
            for part in _parts(run, at, every):
                self._take_part(part, at, every)
            if run.first + len(run.slots) > at:
                break

    def _take_part(self, part: Run, at: int, every: int | None) -> None:
        self._session.process(part, _nobody)
        self._events += len(part.slots)
        end = part.first + len(part.slots)
        if end > at or (every is not None and end % every == 0):
            self._write(part.slots[-1])

    def _write(self, last: npt.NDArray[np.uint8]) -> None:
        began = time.perf_counter()
        processor = self._session.processor
        at_end = processor.next_sequence > self._reader.last_sequence
        running_hash = self._reader.running_hash if at_end else None
        facts = facts_of(processor, self._identity, last, running_hash, self._restored)
        check_claimed(processor.state)
        path = self._store.write(view_rows(processor.state), facts)
        self._written.append(
            {
                "path": str(path),
                "sequence": facts.sequence,
                "block": facts.block,
                "bytes": path.stat().st_size,
                "seconds": round(time.perf_counter() - began, 6),
            }
        )

    def report(self) -> dict[str, Any]:
        """What was done, and what was found wrong on the way."""
        return {
            "journal": str(self._reader.directory),
            "started_from": self._restored.sequence,
            "slots": self._events,
            "snapshots": self._written,
            "state_digest": self._session.processor.state.digest(),
            "changed": list(self._restored.changed),
            "problems": [problem.to_json() for problem in self._restored.problems],
        }


def prune_snapshots(
    directory: str, keep: int | None, max_age: float | None, code_identity: str, *, yes: bool
) -> dict[str, Any]:
    """Remove the snapshots of a journal that `SnapshotStore.plan` names, or only name them.

    Returns
    -------
    What goes and why, what stays, whether it is done, and what was found damaged.
    """
    store = SnapshotStore(directory)
    plan = store.plan(keep, max_age, code_identity)
    if yes:
        store.prune(plan)
    return {
        "removed": [{"path": str(s.path), "sequence": s.sequence, "why": why} for s, why in plan.removed],
        "done": yes,
        "kept": [s.sequence for s in plan.kept],
        "problems": [problem.to_json() for problem in plan.problems],
    }


def _parts(run: Run, at: int, every: int | None) -> Iterator[Run]:
    """A run up to the sequence `at`, cut where snapshots are due."""
    begin, end = run.first, min(run.first + len(run.slots), at + 1)
    while begin < end:
        stop = end if every is None else min(end, begin + every - begin % every)
        yield cut(run, begin, stop)
        begin = stop


def _nobody(_slots: npt.NDArray[np.uint8]) -> None:
    """Outputs are of no interest here."""
