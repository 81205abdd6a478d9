"""What the screen has chosen, in the order in which a walk along the pools' lists would have met it.

Legs are looked through in an order of their own, and a path may be found through any of its pools. So that this shows
in no output, a path is judged in the place that the plain screen gives it: in the list of the first changed pool that
it is on, newest first. That place is one number, and the queue a binary heap of them:

    key = rank of the pool among the changed ones << 32 | 2^32 - 1 - path

Where pools count as changed without being on the list, they come first (`disruptor.handlers.path_open`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.path_open import MAX_OPENINGS, rank_as_marked
from disruptor.handlers.path_search import hop_pool
from disruptor.jit import jit

_ONE = np.uint32(1)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
#: Levels of a heap of 2^32 keys.
_LEVELS = 32


@jit
def enqueue(state: Any, at: Any, turn: Any) -> None:
    """Add a path with a changed pool, which is not on the queue."""
    cursor = row(state.path_cursor, 0)
    key = _place(state, at, turn)
    hole = np.int64(cursor["queued"])
    cursor["queued"] += _ONE
    for _ in range(_LEVELS):
        above = (hole - 1) // 2
        if hole == 0 or read(state.path_queue, above)["key"] < key:
            break
        row(state.path_queue, hole)["key"] = read(state.path_queue, above)["key"]
        hole = above
    row(state.path_queue, hole)["key"] = key


@jit
def dequeue(state: Any) -> Any:
    """Take the path that is first; the caller promises that there is one."""
    cursor = row(state.path_cursor, 0)
    first = read(state.path_queue, 0)["key"]
    cursor["queued"] -= _ONE
    count = np.int64(cursor["queued"])
    key, hole = read(state.path_queue, count)["key"], np.int64(0)
    for _ in range(_LEVELS):
        below = 2 * hole + 1
        if below >= count:
            break
        if (
            below + 1 < count
            and read(state.path_queue, below + 1)["key"] < read(state.path_queue, below)["key"]
        ):
            below += 1
        if key < read(state.path_queue, below)["key"]:
            break
        row(state.path_queue, hole)["key"] = read(state.path_queue, below)["key"]
        hole = below
    row(state.path_queue, hole)["key"] = key
    return np.int64(_LOW - (first & _LOW))


@jit
def _place(state: Any, at: Any, turn: Any) -> Any:
    path = read(state.paths, at)
    rank = _LOW
    for k in range(np.int64(path["hops"])):
        head = read(state.path_heads, hop_pool(path, k))
        if head["boundary"] == turn and np.uint64(head["rank"]) < rank:
            rank = np.uint64(head["rank"])
    if read(state.path_cursor, 0)["as_marked"] != 0:
        first = rank_as_marked(state, path, turn)
        rank = first if first < MAX_OPENINGS else min(rank + MAX_OPENINGS, _LOW)
    return rank << _SHIFT | (_LOW - np.uint64(at))
