"""Going on from a snapshot: which one may be used, and what a processor is once its rows are back.

A snapshot may be used if

    its bytes     are those written                          else the one before is tried
    its identity  is this run's: code, tables, settings      else the one before, or it is allowed and told
    its event     is in the journal, at that sequence        else it is of another journal: the one before

Nothing is lost where none may: whoever asked begins at the first event.

Settings that handlers read are rows too (`disruptor.replay.path_setup`). Those of this run stay: they are the same, or
the change was allowed, and then new settings count from here on and what older ones made of earlier events stays. But
how paths are screened is the snapshot's (`enable_simd`): legs have only been kept up to date if they were in use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import CapacityError, InputError, SnapshotError
from disruptor.handler_set import HandlerSet
from disruptor.identity_parts import changes, environment_parts, setting_parts
from disruptor.journal.problem import Problem
from disruptor.journal.reader import JournalReader
from disruptor.journal.snapshot_file import Snapshot
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.journal.snapshot_store import SnapshotStore, problem_of
from disruptor.message import header_dtype
from disruptor.processor import Processor
from disruptor.replay.path_setup import SETTING_TABLES, keep_screen
from disruptor.replay.program import code_identity
from disruptor.replay.settings import RunSettings

#: Bytes of the slot at a sequence, or None where there is none.
EventAt = Callable[[int], bytes | None]
_NAMED = 3


class RunIdentity(NamedTuple):
    """What a run computes: `code` in one hash, `parts` by name."""

    code: str
    parts: dict[str, str]


class Restored(NamedTuple):
    """What became of an attempt to go on from a snapshot.

    sequence : of the last event that the state includes; None: the processor is as fresh as before
    changed : what is another than when the snapshot was taken, one line each; only if that was allowed
    problems : snapshots that were passed over, and why
    """

    sequence: int | None
    changed: tuple[str, ...]
    problems: tuple[Problem, ...]


def identity_of(handlers: HandlerSet, settings: RunSettings) -> RunIdentity:
    """The identity of what these handlers make with these settings."""
    semantic = settings.semantic()
    return RunIdentity(
        code_identity(handlers, semantic), {**handlers.identity_parts(), **setting_parts(semantic)}
    )


def restore_newest(
    store: SnapshotStore,
    processor: Processor,
    identity: RunIdentity,
    at_most: int | None = None,
    *,
    event_at: EventAt | None = None,
    end: tuple[int, str] | None = None,
    accept: Callable[[SnapshotFacts], bool] = lambda _: True,
    allow_code_change: bool = False,
) -> Restored:
    """Put the newest snapshot that may be used into a processor, which then expects the event after it.

    Parameters
    ----------
    store : of the journal that holds the events to go on with
    processor : from `build_processor`, and nothing processed yet; mutated
    identity : of this run
    at_most : highest sequence that the state may include
    event_at : looks an event up in the journal; None leaves out whether the snapshot is of this journal
    end : last sequence and running hash (hex) of a finished journal, which a snapshot of its end must have too
    accept : False for a snapshot that this run has no use for
    allow_code_change : use one of another identity

    Raises
    ------
    CapacityError : the newest that may be used has more rows than there is room for; the message names the setting.
    """
    found = store.candidates(at_most)
    problems = list(found.problems)
    for snapshot in found.snapshots:
        if not accept(snapshot.facts):
            continue
        changed = changed_since(snapshot.facts, identity)
        try:
            _refuse_code(changed if not allow_code_change else ())
            _refuse_journal(snapshot.facts, event_at, end)
            _load(store, snapshot, processor)
        except CapacityError as error:
            raise CapacityError(f"{snapshot.path}: {error}", **error.facts) from error
        except SnapshotError as error:
            problems.append(problem_of(snapshot.path, snapshot.sequence, error))
            continue
        processor.start_at(snapshot.sequence + 1)
        return Restored(snapshot.sequence, changed, tuple(problems))
    return Restored(None, (), tuple(problems))


def check_beginning(journal: JournalReader, restored: Restored) -> None:
    """Refuse to begin at the first event of a journal that has lost it.

    Raises
    ------
    InputError : no snapshot was restored, and the journal's beginning was purged.
    """
    if restored.sequence is None and journal.head is not None:
        why = f": {restored.problems[0]}" if restored.problems else " that fits"
        raise InputError(f"{journal.head.why(journal.directory)}. There is no snapshot to begin with{why}")


def changed_since(facts: SnapshotFacts, identity: RunIdentity) -> tuple[str, ...]:
    """What of code, tables and settings is another than when a snapshot's state was made, by name."""
    if facts.code_identity == identity.code:
        return facts.changed
    return (*facts.changed, *(changes(facts.identity, identity.parts) or ["code identity is another"]))


def facts_of(
    processor: Processor,
    identity: RunIdentity,
    last: npt.NDArray[np.uint8],
    running_hash: str | None = None,
    restored: Restored | None = None,
) -> SnapshotFacts:
    """What is to be said of a snapshot of a processor's state as it is now.

    Parameters
    ----------
    processor : between two events, at least one processed
    last : (slot_size,) uint8, the last event processed
    running_hash : of the journal up to that event (hex), where known
    restored : what the processor began with; a change of code that was allowed then stays told
    """
    assert processor.between_events, "a snapshot is taken between two events"
    slot = np.ascontiguousarray(last)
    header = slot.view(header_dtype(len(slot)))[0]
    sequence = processor.next_sequence - 1
    assert int(header["sequence"]) == sequence, "facts_of: not the event that was processed last"
    chain = processor.state.arrays.get("chain")
    return SnapshotFacts(
        sequence=sequence,
        event_time_ns=int(header["event_time_ns"]),
        block=None if chain is None else int(chain.rows[0]["block_number"]),
        last_event=hashlib.sha256(slot.data).hexdigest(),
        running_hash=running_hash,
        code_identity=identity.code,
        identity=identity.parts,
        environment=environment_parts(),
        changed=() if restored is None or not restored.changed else (_in_short(restored),),
    )


def events_of(journal: JournalReader) -> EventAt:
    """Looks events up in a finished journal."""

    def event_at(sequence: int) -> bytes | None:
        if not journal.first_sequence <= sequence <= journal.last_sequence:
            return None
        frames = journal.frames(sequence)
        try:
            return next(iter(frames)).slots[0].tobytes()
        finally:
            frames.close()  # type: ignore[attr-defined]

    return event_at


def _refuse_code(changed: tuple[str, ...]) -> None:
    """Refuse a snapshot of other code."""
    if changed:
        raise SnapshotError(
            f"made by another code or settings: {_named(changed)}: --allow-code-change uses it"
        )


def _refuse_journal(facts: SnapshotFacts, event_at: EventAt | None, end: tuple[int, str] | None) -> None:
    """Refuse a snapshot of another journal, as far as it says of which it is."""
    if event_at is not None and facts.last_event is not None:
        slot = event_at(facts.sequence)
        if slot is None or hashlib.sha256(slot).hexdigest() != facts.last_event:
            raise SnapshotError("of another journal: its last event is not the one here")
    at_end = end is not None and end[0] == facts.sequence and facts.running_hash is not None
    if at_end and end is not None and facts.running_hash != end[1]:
        raise SnapshotError("of another journal: the running hash of all its events is not the one here")


def _in_short(restored: Restored) -> str:
    """A change that was allowed, as later snapshots tell it."""
    return f"up to sequence {restored.sequence}: {_named(restored.changed)}"


def _named(changed: tuple[str, ...]) -> str:
    more = f", and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"{'; '.join(changed[:_NAMED])}{more}"


def _load(store: SnapshotStore, snapshot: Snapshot, processor: Processor) -> None:
    """Put the rows into the processor's tables; those of settings stay, whether it works or not."""
    arrays = processor.state.arrays
    # As bytes: a copy of rows may have anything between the fields.
    own = {name: arrays[name].rows.view(np.uint8).copy() for name in SETTING_TABLES if name in arrays}
    try:
        store.load(snapshot, processor.state)
        if "path_settings" in own:
            keep_screen(own["path_settings"].view(arrays["path_settings"].rows.dtype), processor.state)
    finally:
        for name, octets in own.items():
            arrays[name].rows.view(np.uint8)[:] = octets
