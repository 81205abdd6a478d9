"""The snapshots of a journal: a folder of files named by sequence, beside the segments.

A snapshot is a shortcut and no evidence: a state can always be had from the journal alone. So whatever is wrong with
one is a problem to be told of, and the one before is used, or none. Whoever loads one decides what it must agree with
(`disruptor.replay.restore`); here is what is there, newest first.
"""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from disruptor.errors import SnapshotError
from disruptor.journal.problem import Problem
from disruptor.journal.snapshot_file import (
    Snapshot,
    SnapshotFiles,
    check_file,
    load,
    read_header,
    write_snapshot,
)
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.journal.storage import SNAPSHOTS_NAME
from disruptor.state import State
from disruptor.state_image import StateImage

_SNAPSHOT_FILE = re.compile(r"[0-9]{20}\.dss\Z")
_SECOND_NS = 1_000_000_000


class Listing(NamedTuple):
    """What a folder holds: snapshots whose headers are sound, newest first; and what is wrong with others."""

    snapshots: tuple[Snapshot, ...]
    problems: tuple[Problem, ...]


class Retention(NamedTuple):
    """What would be removed and why, and what stays; from `SnapshotStore.plan`."""

    removed: tuple[tuple[Snapshot, str], ...]
    kept: tuple[Snapshot, ...]
    problems: tuple[Problem, ...]


class SnapshotStore:
    """The snapshots of one journal.

    Parameters
    ----------
    journal : the journal's directory; the folder in it is made when the first snapshot is written
    files : for tests, file operations that fail
    """

    def __init__(self, journal: str | os.PathLike[str], files: SnapshotFiles | None = None) -> None:
        self.directory = Path(journal) / SNAPSHOTS_NAME
        self._files = files or SnapshotFiles(self.directory)

    def write(self, image: StateImage, facts: SnapshotFacts) -> Path:
        """Write a snapshot, durably; may run beside the loop if the image is a copy. See `write_snapshot`."""
        return write_snapshot(self._files, image, facts)

    def prepare(self) -> None:
        """Make the folder, so that a directory that can't be written to is told before the work and not after.

        Raises
        ------
        SnapshotError : it can't be made or written to.
        """
        try:
            self._files.make_directory()
            if not os.access(self.directory, os.W_OK):
                raise PermissionError(errno.EACCES, "no permission to write")
        except OSError as error:
            raise SnapshotError(
                f"{self.directory}: {error.strerror or error}: snapshots need this folder"
            ) from error

    def candidates(self, at_most: int | None = None) -> Listing:
        """Snapshots that include nothing after the sequence `at_most`, newest first. Their rows are not checked yet.

        Raises
        ------
        SnapshotError : the folder can't be read.
        """
        try:
            names = [name for name in self._files.names() if _SNAPSHOT_FILE.match(name)]
        except OSError as error:
            raise SnapshotError(f"{self.directory}: {error.strerror or error}") from error
        found, problems = list[Snapshot](), list[Problem]()
        for name in sorted(names, reverse=True):
            sequence = int(name.partition(".")[0])
            if at_most is not None and sequence > at_most:
                continue
            try:
                found.append(read_header(self.directory / name))
            except SnapshotError as error:
                if os.path.lexists(self.directory / name):  # or somebody has removed it meanwhile
                    problems.append(problem_of(self.directory / name, sequence, error))
        return Listing(tuple(found), tuple(problems))

    def load(self, snapshot: Snapshot, state: State) -> None:
        """Put a snapshot's rows into a fresh state, every byte checked; see `disruptor.journal.snapshot_file.load`."""
        load(snapshot, state)

    def plan(
        self, keep: int | None = None, max_age: float | None = None, code_identity: str | None = None
    ) -> Retention:
        """Which snapshots could go: all but the `keep` newest, and those older than `max_age` seconds.

        The newest stays whatever its age. Those that stay are checked to the last byte; one that is damaged, or of
        other code than `code_identity`, does not count, so that another stays for it, and is left where it is unless
        enough newer ones stay. Age is by the chain's clock, from the newest snapshot's last event; where a time is
        unknown, by the file's own date.
        """
        snapshots, problems = self.candidates()
        removed, kept = list[tuple[Snapshot, str]](), list[Snapshot]()
        for snapshot in snapshots:
            age = _age(snapshot, kept[0]) if kept else 0.0
            if keep is not None and len(kept) >= max(1, keep):
                removed.append((snapshot, f"{len(kept)} newer {'stay' if len(kept) > 1 else 'stays'}"))
            elif max_age is not None and age > max_age:
                removed.append((snapshot, f"{age:,.0f} seconds old"))
            elif code_identity is None or _is_of(snapshot.facts, code_identity):
                try:
                    check_file(snapshot)
                    kept.append(snapshot)
                except SnapshotError as error:
                    problems += (problem_of(snapshot.path, snapshot.sequence, error),)
        return Retention(tuple(removed), tuple(kept), problems)

    def prune(self, plan: Retention) -> None:
        """Remove what a plan says; what is gone already is no error.

        Raises
        ------
        SnapshotError : a file can't be removed; those before it are.
        """
        try:
            for snapshot, _ in plan.removed:
                with suppress(FileNotFoundError):
                    self._files.remove(snapshot.path.name)
            if plan.removed:
                self._files.sync_directory()
        except OSError as error:
            raise SnapshotError(
                f"{self.directory}: removing a snapshot failed: {error.strerror or error}"
            ) from error


def _is_of(facts: SnapshotFacts, code_identity: str) -> bool:
    """Whether all of a state was made by this code."""
    return facts.code_identity == code_identity and not facts.changed


def problem_of(path: Path, sequence: int, error: Exception) -> Problem:
    """What is wrong with a snapshot, as a problem of the journal."""
    what = str(error).removeprefix(str(path)).lstrip(":, ")
    return Problem(what, segment=f"{SNAPSHOTS_NAME}/{path.name}", sequence=sequence)


def _age(snapshot: Snapshot, newest: Snapshot) -> float:
    """Seconds from a snapshot to the newest."""
    own, last = snapshot.facts.event_time_ns, newest.facts.event_time_ns
    return (last - own) / _SECOND_NS if own and last else time.time() - snapshot.path.stat().st_mtime
