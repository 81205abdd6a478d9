"""Looking on while a replay runs: waiting, stopping, stepping, without the loop knowing.

A watcher cuts a part of a run into pieces and gives them one after the other. Each piece has been handled by the time
the next is asked for, so between two of them a watcher may wait, look at the state and at what was emitted, or end the
run. Watchers are put in a row: what one cuts, the next may cut further.

    part ──► Pace (--speed) ──► Until (--until) ──► Stepper (--step) ──► the processor

Pieces are what this costs: each is one entry into the loop, some 10 µs, where a run of 4,096 events is one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from disruptor.replay.bounds import Part

Octets = npt.NDArray[np.uint8]


class Watched:
    """What watchers share: what the last piece emitted, and whether the run is to end.

    Attributes
    ----------
    emitted : output slots of the piece that was handled last
    stopped : why the run ended, as the report says it; None while it goes on
    """

    def __init__(self) -> None:
        self.emitted: list[Octets] = []
        self.stopped: dict[str, Any] | None = None

    def take(self, consume: Callable[[Octets], None]) -> Callable[[Octets], None]:
        """Keep what `consume` gets as the outputs of one more piece."""
        self.emitted = []

        def taken(slots: Octets) -> None:
            self.emitted.append(slots.copy())
            consume(slots)

        return taken


class Watcher(Protocol):
    """One who looks on."""

    def pieces(self, part: Part) -> Iterator[Part]:
        """The part in pieces, in order; each has been handled when the next is asked for. May set `stopped`."""


def watch(watchers: Sequence[Watcher], watched: Watched, part: Part) -> Iterator[Part]:
    """The pieces of a part that all watchers together make, up to where one of them ends the run."""
    pieces: Iterable[Part] = (part,)
    for watcher in watchers:
        pieces = _further(watcher, watched, pieces)
    yield from pieces


def _further(watcher: Watcher, watched: Watched, pieces: Iterable[Part]) -> Iterator[Part]:
    for piece in pieces:
        for smaller in watcher.pieces(piece):
            yield smaller
            if watched.stopped is not None:
                return
        if watched.stopped is not None:
            return
