"""Slots of a journal as they become readable: what `tail -f` is to a log.

Nothing tells a reader that a writer has written; so the journal is looked at anew every `POLL_S`, from the first
sequence that was not given yet. A look costs a few milliseconds and keeps nothing open in between. Of a recording, no
purge takes what was not given yet. It ends when the journal is complete, for then nothing ever follows, or when its
manifest can't be read. A journal whose writer has died may be gone on with: it is waited for, and what its last frame
lacks is no problem until frames follow.

A look may meet a frame half written, and the next one whole: the writer is faster than the look. So what looks damaged
in a journal that is not complete ends the look, and counts if the next look finds it so again.

A journal that is started over in the meantime is another journal, and is said to be one; the same import started
over gives the same slots, so that there nothing is given twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.problem import Problem
from disruptor.journal.readers import Registration, register
from disruptor.journal.rows import Row, rows, type_ids
from disruptor.journal.survey import COMPLETE, UNKNOWN, Survey, survey

POLL_S = 0.2
#: Looks in a row that may find no journal: one that is started over is gone for a moment.
MAX_MISSED = 25


class Follower:
    """What has been given of a journal, and what is to come.

    Parameters
    ----------
    directory : of the journal, in any state; only read
    from_sequence : where to begin; default by `last`
    last : begin with this many slots before the present end
    types : names of message types; none: all
    wait : called between two looks that found nothing new

    Attributes
    ----------
    problems : everything that was found wrong, each once, as it was given

    Raises
    ------
    JournalError : no journal, or a type that it does not know.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        from_sequence: int | None = None,
        last: int = 10,
        types: tuple[str, ...] = (),
        wait: Callable[[], None] = lambda: time.sleep(POLL_S),
    ) -> None:
        self._directory, self._types, self._wait = directory, types, wait
        self.problems: list[Problem] = []
        found = survey(directory)
        self._chosen(found)
        self._next = from_sequence if from_sequence is not None else max(0, _end(found) - last)
        self._identity = None if found.header is None else found.header.identity
        self._doubted: set[Problem] = set()  # in the look before
        self._met_doubt = False

    def rows(self) -> Iterator[Row | Problem]:
        """Rows and problems as they come, until the journal is complete.

        Raises
        ------
        JournalError : the journal has gone away.
        """
        place: Registration | None = None
        try:
            for found in self._looks():
                if place is None and (found.is_recording or found.state == COMPLETE):
                    place = register(self._directory, self._next)
                yield from self._begin(found)
                before = self._next
                yield from self._look(found)
                if found.state in (COMPLETE, UNKNOWN):
                    return
                if place is not None:
                    place.advance(self._next)
                if self._next == before or self._met_doubt:
                    self._wait()
        finally:
            if place is not None:
                place.close()

    def _looks(self) -> Iterator[Survey]:
        """The journal as it is now, again and again."""
        missed = 0
        while True:  # ends with whoever iterates
            try:
                found = survey(self._directory)
                missed = 0
            except JournalError:
                missed += 1
                if missed > MAX_MISSED:
                    raise
                self._wait()
                continue
            yield found

    def _begin(self, found: Survey) -> Iterator[Problem]:
        """What is wrong with the whole; and whether it is still the same journal."""
        identity = None if found.header is None else found.header.identity
        if self._identity is not None and identity is not None and identity != self._identity:
            self._next, self.problems = 0, []
            yield from self._new(
                [Problem("another journal was begun in this directory: its first slot is next")]
            )
        self._identity = identity or self._identity
        yield from self._new(found.problems)

    def _look(self, found: Survey) -> Iterator[Row | Problem]:
        """Everything that can be read from the next sequence on."""
        types, final = self._chosen(found), found.state in (COMPLETE, UNKNOWN)
        pending: list[Problem] = []
        before, self._doubted, self._met_doubt = self._doubted, set(), False
        for frame in found.frames(self._next):
            if isinstance(frame, Problem):
                pending.append(frame)
                if not final:
                    self._doubted.add(frame)
                    if frame not in before:
                        self._met_doubt = True
                        return
                continue
            end = frame.first_sequence + frame.count
            if end <= self._next:
                continue
            yield from self._new(pending)
            pending = []
            assert frame.payload is not None
            slots = frame.payload.reshape(frame.count, found.geometry.slot_size)
            chosen = frame.first_sequence + np.arange(frame.count) >= self._next
            if types:
                chosen &= np.isin(type_ids(slots), types)
            self._next = end
            yield from rows(slots, frame.first_sequence, found.schema, chosen)
        if final:
            yield from self._new(pending)

    def _new(self, problems: list[Problem]) -> Iterator[Problem]:
        """Those that were not given before."""
        for problem in problems:
            if problem not in self.problems:
                self.problems.append(problem)
                yield problem

    def _chosen(self, found: Survey) -> list[int]:
        """The ids of the types that are wanted."""
        known = {message.name: type_id for type_id, message in found.schema.items()}
        unknown = [name for name in self._types if name not in known]
        if unknown and found.schema:
            raise JournalError(
                f"{self._directory}: no message {unknown[0]} in this journal; there are {', '.join(sorted(known))}"
            )
        return [known[name] for name in self._types if name in known]


def _end(found: Survey) -> int:
    """The sequence after the last that can be read now."""
    if found.manifest is not None and found.manifest.complete:
        return found.manifest.last_sequence + 1
    end = 0
    for frame in found.frames(int(found.names[-1][:20]) if found.names else 0):
        if not isinstance(frame, Problem):
            end = frame.first_sequence + frame.count
    return end
