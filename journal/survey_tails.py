"""The tails of a recording as a survey reads them: what comes behind its segments.

A writer may be at work. It removes a tail once its slots are in segments; so all tails are opened before the segments
are read, and what an open file held is in one of the two at any time. What its last flush left in part is not there
yet, and no problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from disruptor.errors import JournalError
from disruptor.journal.layout import KIND_SLOTS
from disruptor.journal.problem import Problem
from disruptor.journal.salvage import FoundFrame, RawSegment
from disruptor.journal.tail import (
    CLOSING,
    KIND_TAIL_FOLLOWED,
    TailFrame,
    TailHeader,
    read_tail_header,
    tail_frames,
    tail_name,
    tail_names,
)


@dataclass
class OpenTails:
    """The tails of a recording, their files open; close them when done.

    Attributes
    ----------
    is_closed : whether the last one says that nothing follows; known after `frames`
    slots, end : given by `frames`; the sequence that would follow
    incarnation : the highest of any tail
    """

    directory: Path
    files: list[tuple[str, RawSegment]]
    problems: list[Problem]
    is_closed: bool = False
    slots: int = 0
    end: int = 0
    incarnation: int = 0

    def close(self) -> None:
        """Close all files."""
        with ExitStack() as stack:
            for _, raw in self.files:
                stack.enter_context(closing(raw))

    def frames(self, end: int, slot_size: int, *, live: bool) -> Iterator[FoundFrame | Problem]:
        """What follows in tails from sequence `end` on, and each problem in its place.

        Parameters
        ----------
        live : a writer is at work
        """
        yield from self.problems
        begun, before = [], None
        for name, raw in self.files:
            try:
                header = read_tail_header(raw)
            except JournalError as error:
                yield Problem(str(error), name, 0)
                continue
            if header is not None:
                begun.append((raw, header))
                self.incarnation = max(self.incarnation, header.incarnation)
        for number, (raw, header) in enumerate(begun):
            last = number + 1 == len(begun)
            fault = _misfit(header, before, slot_size)
            if fault is not None:
                yield Problem(fault, header.name, 0)
                continue
            running, closed, followed = header.seed, False, False
            for frame in tail_frames(raw, header):
                running, closed = frame.running_hash, frame.kind in CLOSING
                followed = frame.kind == KIND_TAIL_FOLLOWED
                if frame.payload is None:
                    if not (live and last):
                        yield _problem(header.name, frame)
                    break
                if frame.first_sequence > end:
                    place = (header.name, frame.offset, None, end, frame.first_sequence - 1)
                    yield Problem("these slots are in no segment and in no tail", *place)
                found = _behind(frame, end, slot_size)
                if found is not None:
                    self.slots += found.count
                    yield found
                end = self.end = max(end, frame.first_sequence + frame.count)
            if not (closed or last):
                yield Problem("the mark that closes the tail is missing", header.name)
            if followed and not live and tail_name(header.number + 1) not in self.names:
                yield Problem("this tail is missing", tail_name(header.number + 1))
            before, self.is_closed = (header.number, running if closed else None), closed

    @property
    def names(self) -> list[str]:
        """The files' names."""
        return [name for name, _ in self.files]


def open_tails(directory: Path, names: list[str]) -> OpenTails:
    """Open all tails that a directory's listing names."""
    tails = OpenTails(directory, [], [])
    for name in tail_names(names):
        try:
            tails.files.append((name, RawSegment(directory / name)))
        except JournalError as error:
            if (directory / name).exists():  # else its slots have gone into segments since
                tails.problems.append(Problem(str(error), name))
    return tails


def _misfit(header: TailHeader, before: tuple[int, bytes | None] | None, slot_size: int) -> str | None:
    """Why a tail does not belong behind the one before."""
    if header.slot_size != slot_size:
        return f"tail header: slots of {header.slot_size} bytes, the journal's have {slot_size}"
    if before is not None and before[0] + 1 == header.number and before[1] not in (None, header.seed):
        return "tail header: it does not follow from the tail before"
    return None


def _behind(frame: TailFrame, end: int, slot_size: int) -> FoundFrame | None:
    """The part of a frame from sequence `end` on, if there is one."""
    assert frame.payload is not None
    skip = max(0, end - frame.first_sequence)
    if skip >= frame.count:
        return None
    payload = frame.payload[skip * slot_size :]
    first = frame.first_sequence + skip
    return FoundFrame(0, frame.offset, first, frame.count - skip, KIND_SLOTS, frame.running_hash, payload)


def _problem(name: str, frame: TailFrame) -> Problem:
    what = frame.fault or ""
    if frame.torn:
        what = f"torn: written only in part when its writer ended ({what})"
    return Problem(what, name, frame.offset, None, frame.first_sequence, is_trace=frame.torn)
