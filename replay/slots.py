"""A run: what every source of events gives and the processor takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.handlers.messages import BlockStart
from disruptor.message import header_dtype


class Run(NamedTuple):
    """Consecutive events.

    slots : (n, slot_size) uint8, C-contiguous, valid until the next run is asked for
    first : sequence of the first slot
    """

    slots: npt.NDArray[np.uint8]
    first: int


def cut(run: Run, begin: int, end: int) -> Run:
    """The events `begin` .. `end - 1` of a run, by sequence."""
    return Run(run.slots[begin - run.first : end - run.first], begin)


def block_starts(run: Run) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where in a run's slots blocks begin, and their numbers, both ascending."""
    slots, size = run.slots.reshape(-1), run.slots.shape[1]
    starts = np.flatnonzero(slots.view(header_dtype(size))["type_id"] == BlockStart.type_id)
    return starts, slots.view(BlockStart.slot_dtype(size))["number"][starts].astype(np.int64)


def block_times(run: Run, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Seconds of the blocks that begin at a run's slots `starts`; 0 where nobody told."""
    slots, size = run.slots.reshape(-1), run.slots.shape[1]
    return slots.view(BlockStart.slot_dtype(size))["timestamp"][starts].astype(np.int64)
