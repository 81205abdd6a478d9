"""Slots of a journal in any state, as rows, with what is damaged named in its place.

Bounds are inclusive. A block's slots are those from its `BlockStart` to the next; what comes before the first
block (registrations) is in no block. Behind a damaged stretch, slots count to the block seen last until the next
one begins: the problem that is given between them says why. The index finds where to start; the block's own
slot, once read, decides. A range by block starts at the block that the index names only if that slot says
so; otherwise the index is made anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.blocks import BlockFinder, BlockMark
from disruptor.journal.index import BlockIndex, load_index, rebuild_index
from disruptor.journal.layout import Bytes
from disruptor.journal.problem import Problem
from disruptor.journal.rows import Chosen, Row, rows, type_ids
from disruptor.journal.salvage import FoundFrame
from disruptor.journal.survey import Survey, survey


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which slots; None: no bound. Times are seconds since the epoch, types are names; none: all."""

    from_sequence: int | None = None
    to_sequence: int | None = None
    from_block: int | None = None
    to_block: int | None = None
    from_time: int | None = None
    to_time: int | None = None
    types: tuple[str, ...] = ()

    @property
    def by_block(self) -> bool:
        """Whether a block or a time bounds it."""
        bounds = (self.from_block, self.to_block, self.from_time, self.to_time)
        return any(bound is not None for bound in bounds)

    def begins(self, mark: BlockMark) -> bool:
        """Whether a block is not before the range."""
        return mark.number >= (self.from_block or 0) and mark.time >= (self.from_time or 0)

    def past_block(self, mark: BlockMark) -> bool:
        """Whether a block is past the range by its number."""
        return self.to_block is not None and mark.number > self.to_block

    def past_time(self, mark: BlockMark) -> bool:
        """Whether a block is past the range by its time."""
        return self.to_time is not None and mark.time > self.to_time


class Dump:
    """What is to be given; after a pass over `rows`, its `survey` says what was wrong.

    Raises
    ------
    JournalError : a type that the journal does not know; blocks or times of a journal that has none.
    """

    def __init__(self, survey: Survey, wanted: Wanted) -> None:
        self.survey, self.wanted = survey, wanted
        self._finder = BlockFinder(survey.schema)
        self._index = BlockIndex(())
        known = {message.name: type_id for type_id, message in survey.schema.items()}
        unknown = [name for name in wanted.types if name not in known]
        if unknown:
            raise JournalError(
                f"{survey.directory}: no message {unknown[0]} in this journal; there are "
                f"{', '.join(sorted(known)) or 'none that can be read'}"
            )
        self._types = [known[name] for name in wanted.types]
        if wanted.by_block and not self._finder.known:
            raise JournalError(f"{survey.directory}: this journal has no blocks: choose by sequence")

    def rows(self) -> Iterator[Row | Problem]:
        """Each slot of the range as a row, and each problem in its place; problems of the whole come first."""
        yield from list(self.survey.problems)
        first, last = self.wanted.from_sequence, self.wanted.to_sequence
        start = self._start()
        inside = not self.wanted.by_block
        for found in self.survey.frames(start):
            if isinstance(found, Problem):
                if last is None or found.sequence is None or found.sequence <= last:
                    yield found
                continue
            assert found.payload is not None
            if last is not None and found.first_sequence > last:
                return
            slots = found.payload.reshape(found.count, self.survey.geometry.slot_size)
            chosen, inside, ended = self._chosen(slots, found, inside)
            sequences = found.first_sequence + np.arange(found.count)
            chosen &= sequences >= (0 if first is None else first)
            chosen &= True if last is None else sequences <= last
            yield from rows(slots, found.first_sequence, self.survey.schema, chosen)
            if ended:
                return

    def _chosen(self, slots: Bytes, found: FoundFrame, inside: bool) -> tuple[Chosen, bool, bool]:
        """Which slots of a frame are in the range by block and type; whether its end is; whether that is over."""
        chosen, ended = np.ones(len(slots), np.bool_), False
        if self.wanted.by_block:
            chosen[:] = inside
            for mark in self._finder.marks(slots, found.first_sequence):
                past_block, past_time = self.wanted.past_block(mark), self.wanted.past_time(mark)
                inside = self.wanted.begins(mark) and not past_block and not past_time
                chosen[mark.sequence - found.first_sequence :] = inside
                # Only where blocks ascend does nothing of the range come after the first one past it.
                ended = (past_block and bool(self._index.marks)) or (past_time and self._index.times_known)
        if self._types:
            chosen &= np.isin(type_ids(slots), self._types)
        return chosen, inside, ended

    def _start(self) -> int:
        """A sequence from which on the range is surely met."""
        if not self.wanted.by_block:
            return self.wanted.from_sequence or 0
        self._index = load_index(self.survey)
        mark = self._mark()
        if mark is not None and not self._confirmed(mark):
            self._index = rebuild_index(self.survey.directory)
            mark = self._mark()
        return 0 if mark is None else mark.sequence

    def _mark(self) -> BlockMark | None:
        """The last block that the index knows to begin no later than the range, whichever bound says so."""
        index, wanted = self._index, self.wanted
        marks = [
            None if wanted.from_sequence is None else index.before_sequence(wanted.from_sequence),
            None if wanted.from_block is None else index.before_block(wanted.from_block),
            None if wanted.from_time is None else index.before_time(wanted.from_time),
        ]
        return max((mark for mark in marks if mark is not None), default=None)

    def _confirmed(self, mark: BlockMark) -> bool:
        """Whether the slot that the index names begins that block."""
        look = survey(self.survey.directory)
        found = next(iter(look.frames(mark.sequence)), None)
        if found is None or isinstance(found, Problem):
            return False
        assert found.payload is not None
        slots = found.payload.reshape(found.count, look.geometry.slot_size)
        begun = self._finder.marks(slots, found.first_sequence)
        return any(begins[:2] == mark[:2] and mark.time in (0, begins.time) for begins in begun)


def dump(directory: str | os.PathLike[str], wanted: Wanted | None = None) -> Dump:
    """Prepare to give the slots of a journal in any state.

    Parameters
    ----------
    directory : of the journal; nothing but its index file is ever written there
    wanted : which slots; default all
    """
    return Dump(survey(directory), wanted or Wanted())
