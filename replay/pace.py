"""`--speed`: a replay as fast as the stream was recorded, or some multiple of it, by the times of its blocks.

A block is held back until its time has come, counted from the first block that counts; then all of its events run at
once, since no log has a time of its own. What is late is not waited for, and a block whose time nobody told comes with
the one before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from disruptor.errors import InputError
from disruptor.replay.bounds import Part
from disruptor.replay.slots import block_starts, block_times, cut

#: Seconds of one sleep at most, so that an interrupt is not kept waiting.
_LONGEST_SLEEP = 0.2


class Pace:
    """Holds blocks back.

    Parameters
    ----------
    factor : how many times as fast as recorded, above 0
    clock, sleep : what tells the time in seconds, and waits
    """

    def __init__(
        self,
        factor: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert factor > 0, "a pace must be above 0"
        self._factor, self._clock, self._sleep = factor, clock, sleep
        self._began: tuple[float, int] | None = None  # on the clock, and the block's time

    def pieces(self, part: Part) -> Iterator[Part]:
        """See `Watcher`."""
        if not part.counted:
            yield part
            return
        starts, numbers = block_starts(part.run)
        times = block_times(part.run, starts)
        at = part.run.first
        for start, number, seconds in zip(starts.tolist(), numbers.tolist(), times.tolist(), strict=True):
            if start + part.run.first > at:
                yield Part(cut(part.run, at, part.run.first + start), True)
                at = part.run.first + start
            self._wait(number, seconds)
        if at < part.run.first + len(part.run.slots):
            yield Part(cut(part.run, at, part.run.first + len(part.run.slots)), True)

    def _wait(self, number: int, seconds: int) -> None:
        if self._began is None:
            if seconds == 0:
                raise InputError(
                    f"--speed: the source does not say when block {number} was: give its headers with --blocks "
                    "(of a journal: at import), or leave --speed out"
                )
            self._began = (self._clock(), seconds)
        due = self._began[0] + (seconds - self._began[1]) / self._factor
        while seconds and (left := due - self._clock()) > 0:
            self._sleep(min(left, _LONGEST_SLEEP))
