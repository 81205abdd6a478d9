"""How far each stage of a live engine has come, readable by any process at any time.

    sequenced   published into the input ring: has its place in the order, and survives the death of our processes
    synced      on the device, in the journal
    processed   handled
    released    its outputs were handed on

They are the ring's own words: the cursor, and the sequences of the consumers with fixed places. Reading them takes no
lock and disturbs nobody; each is read by itself, so between two of them events may pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from disruptor.atomics import load_acquire
from disruptor.layout import CURSOR_WORD, gating_word
from disruptor.memory import Region
from disruptor.sequence import NOT_GATING, Words

#: Places of the consumers of a live engine's input ring.
JOURNALER, PROCESSOR, RELEASER = 0, 1, 2


class Watermarks(NamedTuple):
    """Sequences up to which each stage has come, -1 before the first event; None where the stage does not exist."""

    sequenced: int
    synced: int | None
    processed: int | None
    released: int | None


def watermarks(block: Words) -> Watermarks:
    """Read them from a ring's control block. MEMORY ORDER: acquire, each."""
    released, processed, synced = (_of(block, place) for place in (RELEASER, PROCESSOR, JOURNALER))
    return Watermarks(int(load_acquire(block, CURSOR_WORD)), synced, processed, released)


def watermarks_of(name: str, directory: Path | None = None) -> Watermarks:
    """Read them of another process's engine, alive or dead, by the name of its region.

    Raises
    ------
    RegionError : there is none.
    """
    return watermarks(Region.attach(name, directory=directory).block)


def _of(block: Words, place: int) -> int | None:
    sequence = int(load_acquire(block, gating_word(place)))
    return None if sequence == NOT_GATING else sequence
