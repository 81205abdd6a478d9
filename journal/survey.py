"""A journal in whatever state it is: finished, unfinished, damaged, or being written at this moment.

Nothing is written and no lock is taken. The manifest is one witness and the segments are another: where one is
damaged, the other says what it can. What holds for the whole journal (sizes, schema) is taken from the first
segment whose header the running hash of its first frame confirms, so that a header that was exchanged together
with its checksum decodes nothing.

Each stretch of sequences is either given, by a frame that its checksums and the running hash vouch for, or
named in a problem. One thing that is wrong is one problem: behind a damaged frame the running hash goes on
from the value that the frame itself carries.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from disruptor.errors import JournalError
from disruptor.journal.head import HEAD_NAME, Head, load_head
from disruptor.journal.incarnations import INCARNATIONS_NAME, Incarnation, load_incarnations
from disruptor.journal.manifest import MANIFEST_NAME, Manifest
from disruptor.journal.problem import Problem
from disruptor.journal.salvage import (
    FoundFrame,
    Geometry,
    RawSegment,
    SegmentHeader,
)
from disruptor.journal.schema import Schema
from disruptor.journal.segment_file import segment_names
from disruptor.journal.storage import LOCK_NAME
from disruptor.journal.survey_tails import OpenTails, open_tails
from disruptor.journal.survey_walk import LIVE, FoundSegment, Walk, not_begun
from disruptor.journal.witness import (
    BEING_RECORDED,
    BEING_WRITTEN,
    COMPLETE,
    INTERRUPTED,
    STOPPED,
    UNFINISHED,
    UNKNOWN,
    believed_header,
    state_of,
)


@dataclass
class Survey:
    """What a directory holds.

    Attributes
    ----------
    state : see `disruptor.journal.witness`; UNKNOWN where the manifest can't be read. `frames` finds out whether a
        recording was STOPPED or INTERRUPTED
    manifest : None where it can't be read
    geometry, schema : of the journal; an empty schema where no header could be read
    header : the header that they are from
    confirmed : whether the manifest or a running hash vouches for that header, or its own checksum alone
    head : what was purged, or None
    incarnations : of a recording, who wrote from which sequence on
    problems : found so far. `frames` adds to them
    segments : found so far, by `frames`
    segments_end : the sequence after the last one that `frames` found in segments
    tail_slots, end : of a recording, slots that `frames` found behind them, and the sequence that would follow
    """

    directory: Path
    state: str
    manifest: Manifest | None
    geometry: Geometry
    header: SegmentHeader | None
    schema: Schema
    confirmed: bool
    names: list[str]
    head: Head | None
    incarnations: list[Incarnation]
    problems: list[Problem] = field(default_factory=list)
    segments: list[FoundSegment] = field(default_factory=list)
    segments_end: int = 0
    tail_slots: int = 0
    end: int = 0

    @property
    def ok(self) -> bool:
        """Whether the journal is finished or a sound recording, and nothing wrong was found so far."""
        return self.state in (COMPLETE, STOPPED, BEING_RECORDED) and not self.problems

    @property
    def is_recording(self) -> bool:
        """Whether tails belong to it."""
        return self.state in (STOPPED, INTERRUPTED, BEING_RECORDED)

    def may_go_on_at(self, number: int) -> bool:
        """Whether a segment is the last of a journal that is not finished, so may lack its end."""
        return number == len(self.names) - 1 and self.state in (UNFINISHED, *LIVE, STOPPED, INTERRUPTED)

    def frames(self, start_sequence: int = 0) -> Generator[FoundFrame | Problem]:
        """Every sound frame of slots from the one that holds `start_sequence` on, and each problem in its place.

        Invariants
        ----------
        Sequences ascend. A payload is valid until the iterator advances. All is read and checked on the way:
        after a pass from the start that yields no problem, no byte of a segment is wrong.
        """
        if not self.is_recording:
            yield from self._segments(start_sequence)
            return
        with closing(open_tails(self.directory, os.listdir(self.directory))) as tails:
            self.names = begun_segments(self.directory, self.head)
            yield from self._segments(start_sequence)
            yield from self._tails(tails, start_sequence)

    def _tails(self, tails: OpenTails, start_sequence: int) -> Iterator[FoundFrame | Problem]:
        """What comes behind the segments."""
        end = self.segments_end
        for found in tails.frames(end, self.geometry.slot_size, live=self.state == BEING_RECORDED):
            if isinstance(found, Problem):
                self.problems.append(found)
                yield found
            elif found.first_sequence + found.count > start_sequence:
                yield found
        newest = max((one.number for one in self.incarnations), default=0)
        if newest > tails.incarnation and self.state != BEING_RECORDED:
            missing = Problem(f"the tail of incarnation {newest} is missing")
            self.problems.append(missing)
            yield missing
        self.tail_slots, self.end = tails.slots, max(self.segments_end, tails.end)
        if self.state == STOPPED and tails.names and not tails.is_closed:
            self.state = INTERRUPTED
            what = "not cleanly closed: its writer ended without saying so"
            last = Problem(what, tails.names[-1], is_trace=True)
            self.problems.append(last)
            yield last

    def _segments(self, start_sequence: int) -> Iterator[FoundFrame | Problem]:
        walked = Walk(self)
        for number, name in enumerate(self.names):
            follows = self.names[number + 1] if number + 1 < len(self.names) else None
            if follows is not None and int(follows[:20]) <= start_sequence:
                walked.skip()
                self.segments_end = int(follows[:20])
                continue
            self.segments_end = int(name[:20])
            for found in walked.segment(number, name, start_sequence):
                if isinstance(found, Problem):
                    self.problems.append(found)
                else:
                    self.segments_end = found.first_sequence + found.count
                yield found
            self.segments_end = walked.expected or self.segments_end


def survey(directory: str | os.PathLike[str]) -> Survey:
    """Look at a journal in any state.

    Raises
    ------
    JournalError : nothing there that could be a journal, or nothing of it can be read.
    """
    path = Path(directory)
    if not path.is_dir():
        raise JournalError(f"{directory}: no such directory")
    head, problems = _head(path)
    on_disk = left_segments(path, head)
    if not on_disk and not (path / MANIFEST_NAME).exists():
        raise JournalError(f"{directory}: no journal here ({MANIFEST_NAME} is missing)")
    state, manifest, wrong = state_of(path)
    problems += wrong
    names = on_disk
    if manifest is not None and manifest.complete:
        known = {entry.name for entry in manifest.segments[0 if head is None else head.segment_number :]}
        problems += [Problem("this file is not part of the journal", n) for n in on_disk if n not in known]
        names = sorted(known)
    elif manifest is not None and manifest.recording:
        names = begun_segments(path, head)
    lock = path / LOCK_NAME
    if lock.exists() and lock.stat().st_size:
        problems.append(Problem("the lock file must be empty", LOCK_NAME))
    try:
        past = load_incarnations(path)
    except JournalError as error:
        past = []
        problems.append(Problem(str(error).removeprefix(f"{path / INCARNATIONS_NAME}: "), INCARNATIONS_NAME))
    header, schema, confirmed = believed_header(path, names, manifest)
    if header is not None:
        geometry = header.geometry
    elif manifest is not None:
        sizes = manifest.header_size, manifest.slot_size, manifest.frame_slots, manifest.segment_bytes
        geometry = Geometry(*sizes)
    else:
        raise JournalError(f"{directory}: neither {MANIFEST_NAME} nor any segment's header can be read")
    return Survey(path, state, manifest, geometry, header, schema, confirmed, names, head, past, problems)


def _head(path: Path) -> tuple[Head | None, list[Problem]]:
    """What was purged, and what is wrong with the file that says so."""
    try:
        return load_head(path), []
    except JournalError as error:
        return None, [Problem(str(error).removeprefix(f"{path / HEAD_NAME}: "), HEAD_NAME)]


def left_segments(directory: Path, head: Head | None) -> list[str]:
    """The names of the segments in a directory that were not purged, in order."""
    first = 0 if head is None else head.first_sequence
    return [name for name in segment_names(os.listdir(directory)) if int(name[:20]) >= first]


def begun_segments(directory: Path, head: Head | None = None) -> list[str]:
    """The segments of a recording in order, without those that were purged and those that are only prepared."""
    begun = []
    for name in left_segments(directory, head):
        try:
            if (directory / name).exists():
                with closing(RawSegment(directory / name)) as raw:
                    if not_begun(raw):
                        continue
        except JournalError:
            pass  # whoever reads it says what is wrong
        begun.append(name)
    return begun


__all__ = [
    "BEING_RECORDED",
    "BEING_WRITTEN",
    "COMPLETE",
    "INTERRUPTED",
    "STOPPED",
    "UNFINISHED",
    "UNKNOWN",
    "FoundSegment",
    "Survey",
    "begun_segments",
    "left_segments",
    "survey",
]
