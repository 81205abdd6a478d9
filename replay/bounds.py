"""Which part of a stream counts: `--from-*` and `--to-*`, in blocks, in block times or in sequences.

State is always built from the start; a lower bound only mutes outputs and counts before it. An upper bound ends the
run. Runs are cut where a bound falls inside them. A block whose time nobody told goes with the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.replay.request import ReplayRequest
from disruptor.replay.slots import Run, block_starts, block_times, cut


class Part(NamedTuple):
    """A piece of a run, and whether it lies within the bounds."""

    run: Run
    counted: bool


class Bounds:
    """Cuts runs at the request's bounds.

    Attributes
    ----------
    ended : whether an upper bound has been passed; no later run counts
    """

    def __init__(self, request: ReplayRequest) -> None:
        self._from_seq, self._to_seq = request.from_seq, request.to_seq
        self._from_block, self._to_block = request.from_block, request.to_block
        self._from_time, self._to_time = request.from_time, request.to_time
        self._started = self._from_block is None and self._from_time is None
        self._time_known = self._from_time is None and self._to_time is None
        self.ended = False

    def parts(self, run: Run) -> Iterator[Part]:
        """The pieces of a run up to the upper bound, in order."""
        end = run.first + len(run.slots)
        begin = run.first if self._from_seq is None else min(max(run.first, self._from_seq), end)
        if self._to_seq is not None and end > self._to_seq:
            end = max(self._to_seq + 1, run.first)
            self.ended = True
        if self._to_block is not None or self._to_time is not None or not self._started:
            begin, end = self._by_block(run, begin, end)
        begin = min(begin, end)
        if begin > run.first:
            yield Part(cut(run, run.first, begin), False)
        if end > begin:
            yield Part(cut(run, begin, end), True)

    def _by_block(self, run: Run, begin: int, end: int) -> tuple[int, int]:
        starts, numbers = block_starts(run)
        times = block_times(run, starts)
        self._check_times(numbers, times)
        if not self._started:
            late = (times >= self._from_time) & (times > 0) if self._from_time is not None else True
            reached = np.flatnonzero((numbers >= (self._from_block or 0)) & late)
            self._started = bool(len(reached))
            begin = max(begin, run.first + int(starts[reached[0]])) if len(reached) else end
        past = np.zeros(len(numbers), np.bool_)
        if self._to_block is not None:
            past |= numbers > self._to_block
        if self._to_time is not None:
            past |= times > self._to_time
        beyond = np.flatnonzero(past)
        if len(beyond):
            end = min(end, run.first + int(starts[beyond[0]]))
            self.ended = True
        return begin, end

    def _check_times(self, numbers: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> None:
        """Refuse a stream that begins with a block of unknown time, if times decide."""
        if not self._time_known and len(times):
            if times[0] == 0:
                raise InputError(
                    f"--from-time, --to-time: the source does not say when block {int(numbers[0])} was: "
                    "give its headers with --blocks (of a journal: at import), or bounds in blocks"
                )
            self._time_known = True
