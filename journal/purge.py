"""Old segments removed: `disruptor journal purge`.

    what goes     whole closed segments from the oldest on: before a sequence, older than an age, beyond a size, or all
                  that no kept snapshot needs
    what stays    the last segment; from the last event of the oldest kept snapshot on, which a replay from it needs;
                  from the first sequence on that a living reader still reads

    1  store journal.head, which says where the journal begins from now on, and what was before that
    2  remove the index, which names sequences that go
    3  remove the segments, oldest first, plain and compressed; sync the directory

A journal is readable between any two of these steps, and the next purge finishes what one has left. All of it runs
under a lock that keeps readers from registering meanwhile (`disruptor.journal.readers`).

A journal of which no sound snapshot is kept is not purged unless that is asked for by name: nothing could be replayed
from what is left. A snapshot counts by its header; that one of them is sound to the last byte is checked.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disruptor.errors import JournalError, SnapshotError
from disruptor.journal.closed import closed_segments
from disruptor.journal.compressed import SUFFIX
from disruptor.journal.head import HEAD_NAME, Head, encode_head
from disruptor.journal.maintenance import failed, maintenance
from disruptor.journal.manifest import SegmentEntry
from disruptor.journal.readers import directory_lock, readers
from disruptor.journal.segment_file import segment_names, stored_size
from disruptor.journal.snapshot_file import Snapshot, check_file
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.journal.storage import INDEX_NAME, Storage


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What may go: exactly one of the first four.

    Attributes
    ----------
    before : sequences before this one
    keep_bytes : the oldest, as long as more than this is stored
    older_than_s : segments last written more than so many seconds ago
    to_snapshot : everything that the oldest kept snapshot does not need
    without_snapshot : even if no snapshot is kept
    """

    before: int | None = None
    keep_bytes: int | None = None
    older_than_s: float | None = None
    to_snapshot: bool = False
    without_snapshot: bool = False


@dataclass
class PurgePlan:
    """What would go.

    Attributes
    ----------
    gone : segments purged before
    entries : segments that would go now, oldest first
    size : bytes that they take on disk
    first_sequence : of what would be left
    kept_for : why less would go than was asked for, a sentence each
    leftovers : files of segments that an interrupted purge has not removed
    """

    gone: list[SegmentEntry]
    entries: list[SegmentEntry]
    size: int
    first_sequence: int
    kept_for: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


def plan_purge(
    directory: str | os.PathLike[str], retention: Retention, *, now: float | None = None
) -> PurgePlan:
    """What would be purged now.

    Parameters
    ----------
    now : seconds since the epoch; default the present

    Raises
    ------
    JournalError : no journal, an import that is not finished, or not exactly one rule.
    """
    path = Path(directory)
    rules = (retention.before, retention.keep_bytes, retention.older_than_s, retention.to_snapshot or None)
    if sum(rule is not None for rule in rules) != 1:
        raise JournalError("purge: say one of a sequence, a size, an age, or to the oldest snapshot")
    manifest, head, entries = closed_segments(directory)
    gone = [] if head is None else head.segments
    first = manifest.first_sequence if head is None else head.first_sequence
    if manifest.complete:
        entries = entries[:-1]  # the last stays: a journal without slots could not be gone on from
    wanted = _wanted(path, entries, retention, time.time() if now is None else now)
    limit, kept_for = _limit(path, retention, wanted[-1].end_sequence if wanted else first)
    going = [entry for entry in wanted if entry.end_sequence <= limit]
    left = going[-1].end_sequence if going else first
    size = sum(stored_size(path / entry.name) for entry in going)
    leftovers = [name for name in os.listdir(path) if segment_names([name]) and int(name[:20]) < first]
    return PurgePlan(gone, going, size, left, kept_for, sorted(leftovers))


def purge(
    directory: str | os.PathLike[str],
    retention: Retention,
    *,
    storage: Storage | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """Purge what a rule says, as far as nobody needs it at this moment.

    Returns
    -------
    dict : as `report` of the plan that was carried out

    Raises
    ------
    JournalError : as `plan_purge`; another process is at it, or an I/O error: the journal is whole.
    """
    path, storage = Path(directory), storage or Storage(directory)
    with maintenance(path), directory_lock(path, exclusive=True):
        plan = plan_purge(directory, retention, now=now)
        try:
            if plan.entries:
                storage.replace(HEAD_NAME, encode_head(Head(segments=[*plan.gone, *plan.entries])))
            _remove(storage, [INDEX_NAME] if plan.entries else [])
            for entry in plan.entries:
                _remove(storage, [entry.name, entry.name + SUFFIX])
            _remove(storage, plan.leftovers)
            storage.sync_directory()
        except OSError as error:
            raise failed(str(path), "purging", error) from error
    return report(plan)


def report(plan: PurgePlan) -> dict[str, Any]:
    """A plan in plain values."""
    last = plan.entries[-1].end_sequence - 1 if plan.entries else None
    return {
        "segments": len(plan.entries),
        "bytes": plan.size,
        "first_purged": plan.entries[0].first_sequence if plan.entries else None,
        "last_purged": last,
        "first_sequence": plan.first_sequence,
        "leftovers": len(plan.leftovers),
        "kept_for": plan.kept_for,
    }


def oldest_snapshot(directory: str | os.PathLike[str]) -> int | None:
    """The last sequence that the oldest kept snapshot includes; None where not one is sound."""
    snapshots = SnapshotStore(directory).candidates().snapshots
    return snapshots[-1].sequence if any(map(_is_sound, snapshots)) else None


def _is_sound(snapshot: Snapshot) -> bool:
    try:
        check_file(snapshot)
    except SnapshotError:
        return False
    return True


def _wanted(path: Path, entries: list[SegmentEntry], retention: Retention, now: float) -> list[SegmentEntry]:
    """The oldest segments that a rule lets go, whoever needs them."""
    count = 0
    if retention.keep_bytes is not None:
        sizes = [stored_size(path / entry.name) for entry in entries]
        end = entries[-1].end_sequence if entries else 0
        rest = [name for name in segment_names(os.listdir(path)) if int(name[:20]) >= end]
        total = sum(sizes) + sum(stored_size(path / name) for name in rest)
        while count < len(entries) and total > retention.keep_bytes:  # bounded: by the segments
            total, count = total - sizes[count], count + 1
        return entries[:count]
    limit = retention.before
    if retention.to_snapshot:
        limit = oldest_snapshot(path) or 0
    for entry in entries:
        if limit is not None and entry.end_sequence > limit:
            break
        if retention.older_than_s is not None and now - _written(path / entry.name) < retention.older_than_s:
            break
        count += 1
    return entries[:count]


def _limit(path: Path, retention: Retention, wanted: int) -> tuple[int, list[str]]:
    """The sequence from which on all is needed, and who needs what the rule would have let go."""
    limit, kept_for = wanted, []
    snapshot = oldest_snapshot(path)
    if snapshot is not None and snapshot < wanted:
        kept_for.append(f"a replay from the snapshot at {snapshot} needs what follows it")
        limit = snapshot
    if snapshot is None and not retention.without_snapshot:
        kept_for.append(
            "no sound snapshot is kept: without one nothing could be replayed from what would be left"
        )
        limit = -1
    for reader in readers(path):
        if reader.sequence < wanted:
            kept_for.append(f"process {reader.pid} reads from {reader.sequence} on")
            limit = min(limit, reader.sequence)
    return limit, kept_for


def _written(path: Path) -> float:
    return os.stat(path if path.exists() else f"{path}{SUFFIX}").st_mtime


def _remove(storage: Storage, names: list[str]) -> None:
    for name in names:
        try:
            storage.remove(name)
        except FileNotFoundError:
            continue
