"""Goes over the segments of a journal in any state, and knows what has to follow from what was read before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.head import is_purged
from disruptor.journal.layout import BLOCK_SIZE, HASH_SIZE, KIND_JOURNAL_END, TOTALS_DTYPE
from disruptor.journal.manifest import MANIFEST_NAME, SegmentEntry
from disruptor.journal.problem import Problem
from disruptor.journal.salvage import FoundFrame, FrameWalk, RawSegment, read_header
from disruptor.journal.witness import BEING_RECORDED, BEING_WRITTEN, COMPLETE, UNKNOWN, agrees

if TYPE_CHECKING:
    from disruptor.journal.survey import Survey

LIVE = (BEING_WRITTEN, BEING_RECORDED)


@dataclass
class FoundSegment:
    """One segment as it was found; filled while its frames are walked."""

    name: str
    first_sequence: int
    size: int = 0  # bytes, of the file
    slots: int = 0
    frames: int = 0
    closed: bool = False
    end_mark_seen: bool = False  # sound or not
    running_hash: str = ""


class Walk:
    """Goes over segments in order, and knows what has to follow from what was read before."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        head, slots = survey.head, survey.geometry.frame_slots
        #: The sequence behind the last segment, if that is closed; None: anything may follow.
        self.expected = None if head is None else head.first_sequence
        self._hash = None if head is None else head.chain
        self._frames_before = 0 if head is None else sum(-(-one.slot_count // slots) for one in head.segments)
        self._number: int | None = 0 if head is None else head.segment_number  # of the segment to come
        self._complete_so_far = True

    def skip(self) -> None:
        """Leave out a segment: nothing is known of what follows from it."""
        self._complete_so_far, self._hash, self._number, self.expected = False, None, None, None

    def segment(self, number: int, name: str, start_sequence: int) -> Iterator[FoundFrame | Problem]:
        """The frames and problems of one segment."""
        survey, first = self._survey, int(name[:20])
        found = FoundSegment(name, first)
        survey.segments.append(found)
        expected, self.expected = self.expected, None
        if expected is not None and first != expected:
            self.skip()
            yield Problem(f"sequence {expected} should follow", name, sequence=first)
        try:
            raw = RawSegment(survey.directory / name)
        except JournalError as error:
            self.skip()
            if is_purged(survey.directory, first):  # since the journal was looked at
                survey.segments.remove(found)
                return
            yield Problem(str(error), name, sequence=first, last_sequence=_last_known(survey, number))
            return
        with closing(raw):
            found.size = raw.size
            if survey.may_go_on_at(number) and not_begun(raw):
                return
            seed, faults = self._header(raw, number, first)
            yield from (Problem(fault, name, 0, sequence=first) for fault in faults)
            walk = FrameWalk(raw, survey.geometry, first, seed)
            skipped = max(0, start_sequence - first) // survey.geometry.frame_slots
            self._complete_so_far &= not skipped and not faults
            yield from self._frames(walk.frames(skipped), raw, found, number)

    def _frames(
        self, frames: Iterator[FoundFrame], raw: RawSegment, found: FoundSegment, number: int
    ) -> Iterator[FoundFrame | Problem]:
        survey, last = self._survey, number == len(self._survey.names) - 1
        # Of a frame that no other follows yet: perhaps only its writer is not done.
        pending: Problem | None = None
        torn, end, sequence = False, 0, found.first_sequence
        for frame in frames:
            if not end and not found.frames:  # the frames before were left out, as not asked for
                survey.segments_end = max(survey.segments_end, frame.first_sequence)
            if pending is not None:
                yield pending
            pending, torn = None, frame.torn
            end = frame.offset + frame.disk_size(survey.geometry)
            self._hash = frame.stored_hash
            if frame.stored_hash is not None:
                found.running_hash = frame.stored_hash.hex()
            sequence = frame.first_sequence + frame.count
            if frame.payload is None:
                self._complete_so_far = False
                pending = _damage(found.name, frame)
                found.end_mark_seen = frame.is_end
                continue
            if frame.is_end:
                found.closed = True
                self.expected = frame.first_sequence
                yield from self._end_mark(frame, raw, found, number)
                continue
            found.slots, found.frames = found.slots + frame.count, found.frames + 1
            self.expected = frame.first_sequence + frame.count
            yield frame
        if pending is not None and not (last and survey.state in LIVE):
            yield _torn(pending) if torn and survey.may_go_on_at(number) else pending
        if not found.closed:
            self.expected, self._hash, self._complete_so_far = None, None, False
            if not found.end_mark_seen and not survey.may_go_on_at(number):
                lost = _last_known(survey, number)
                stretch = (sequence, lost) if lost is not None and sequence <= lost else (None, None)
                yield Problem("the end mark is missing", found.name, end or None, None, *stretch)
        self._frames_before += found.frames

    def _header(self, raw: RawSegment, number: int, first: int) -> tuple[bytes | None, list[str]]:
        """The running hash that the header gives, if it is to be believed, and what is wrong with it."""
        survey = self._survey
        try:
            header = read_header(raw)
        except JournalError as error:
            self._number = None if self._number is None else self._number + 1
            return None, [str(error)]
        base = survey.header
        faults = []
        expected = header.segment_number if self._number is None else self._number
        self._number = expected + 1
        if (header.first_sequence, header.segment_number) != (first, expected):
            faults.append(
                f"segment header: number {header.segment_number} from sequence {header.first_sequence} on; "
                f"expected {expected}, {first}"
            )
        before = bytes(HASH_SIZE) if expected == 0 else self._hash
        if before is not None and header.chain != before:
            faults.append("segment header: it does not follow from the segment before")
        same = base is None or (header.geometry, header.schema, header.identity) == (
            base.geometry,
            base.schema,
            base.identity,
        )
        if not same or not agrees(header, survey.manifest):
            faults.append("segment header: sizes, schema or identity are not this journal's")
            return None, faults
        return header.seed, faults

    def _end_mark(
        self, frame: FoundFrame, raw: RawSegment, found: FoundSegment, number: int
    ) -> Iterator[Problem]:
        survey, last = self._survey, number == len(self._survey.names) - 1
        assert frame.payload is not None
        place = (found.name, frame.offset, frame.number, frame.first_sequence)
        totals = frame.payload.view(TOTALS_DTYPE)[0]
        first = int(survey.names[0][:20]) if survey.head is None else survey.head.journal_first_sequence
        expected = {
            "slot_count": frame.first_sequence - first,
            "last_sequence": frame.first_sequence - 1,
        }
        if self._number is not None:
            expected["segment_count"] = self._number
        if self._complete_so_far:
            expected["frame_count"] = self._frames_before + found.frames
        wrong = [name for name, value in expected.items() if int(totals[name]) != value]
        if wrong or totals["reserved"].any():
            yield Problem(f"end mark: {', '.join(wrong) or 'reserved bytes'} can't be right", *place)
        if (frame.kind == KIND_JOURNAL_END) != last and not survey.may_go_on_at(number):
            yield Problem(
                f"end mark: kind {frame.kind}, but {'no' if last else 'another'} segment follows", *place
            )
        end = frame.offset + frame.disk_size(survey.geometry)
        if raw.size != end and survey.state in (COMPLETE, UNKNOWN):  # a file is cut after its end mark
            yield Problem(f"{raw.size - end} bytes follow the end mark", found.name, end)
        entry = _entry(survey, number)
        if entry is not None and frame.stored_hash is not None:
            facts = (entry.slot_count, entry.size, entry.running_hash)
            here = (frame.first_sequence - found.first_sequence, raw.size, frame.stored_hash.hex())
            if facts != here:
                yield Problem(
                    f"end mark: {MANIFEST_NAME} says another size or running hash of this segment", *place
                )


def not_begun(raw: RawSegment) -> bool:
    """Whether a segment was reserved and its header not yet written, or not in full."""
    head = raw.read(np.empty(BLOCK_SIZE, np.uint8), 0)
    return not head.any()


def _entry(survey: Survey, number: int) -> SegmentEntry | None:
    manifest, gone = survey.manifest, 0 if survey.head is None else survey.head.segment_number
    return manifest.segments[gone + number] if manifest is not None and manifest.complete else None


def _last_known(survey: Survey, number: int) -> int | None:
    """The last sequence that a segment must hold, by the manifest or by the segment after it."""
    entry = _entry(survey, number)
    if entry is not None:
        return entry.end_sequence - 1
    return int(survey.names[number + 1][:20]) - 1 if number + 1 < len(survey.names) else None


def _damage(name: str, frame: FoundFrame) -> Problem:
    last = frame.first_sequence + frame.count - 1 if not frame.is_end else None
    what = frame.fault if not frame.is_end else f"end mark: {frame.fault}"
    return Problem(what or "", name, frame.offset, frame.number, frame.first_sequence, last)


def _torn(problem: Problem) -> Problem:
    what = f"torn: written only in part when its writer ended ({problem.what})"
    place = problem.segment, problem.offset, problem.frame, problem.sequence, problem.last_sequence
    return Problem(what, *place, is_trace=True)
