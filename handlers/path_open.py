"""What is open, newest first: all of it, and of each pool what begins there; and looking through it all.

When a token or a pool is barred, or all pools are lost, everything open is looked at again: the first pool of each open
path is marked, from the newest path to the oldest, so that the oldest comes first on the list of marked pools.

Most verdicts on tokens say that one behaves, and turn nothing (`conduct_counters.turns`). Then no path that is not
looked at anyway has another answer than before: its pools have not moved, nothing of it was barred or set free, and
gas has a price in no token. But the marks would show, in the order of what is said of other paths. So there the
pools only *count* as marked: where one would stand on the list follows from the newest path that begins at it. The
pools that count as marked come before those that are, in the order of these paths' openings. (A walk through all
that is open waits for memory at every step: on a stream where nothing closes it took most of the time.)

INVARIANT: both ways say the same in the same order: `test_path_open.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.path_graph import mark
from disruptor.handlers.path_search import hop_pool
from disruptor.jit import jit

_ONE = np.uint32(1)
#: No number of turns: something has changed that nothing counts.
UNCOUNTED = np.uint64(2**64 - 1)
#: Openings up to which their numbers order the queue.
MAX_OPENINGS = np.uint64(2**31)


@jit
def barred_count(state: Any) -> Any:
    """How often a token or a pool has been barred so far: when it grows, what is open must be looked at again."""
    return read(state.audit_counters, 0)["unverified"] + read(state.conduct_counters, 0)["verdicts"]


@jit
def turned_count(state: Any) -> Any:
    """How often that, or what was taken back of it, may have changed an answer."""
    return read(state.audit_counters, 0)["unverified"] + read(state.conduct_counters, 0)["turns"]


@jit
def is_distrusting(state: Any) -> bool:
    """Whether something has been barred, or all pools lost, since the open paths were last looked through."""
    cursor = read(state.path_cursor, 0)
    return bool(cursor["epoch"] != read(state.chain, 0)["epoch"] or cursor["flagged"] != barred_count(state))


@jit
def look_through(state: Any) -> None:
    """If something was barred, mark the pools at which open paths begin, or let them count as marked."""
    cursor = row(state.path_cursor, 0)
    cursor["as_marked"] = np.uint32(0)
    if not is_distrusting(state):
        return
    turned = _may_have_turned(state)
    cursor["epoch"], cursor["flagged"] = read(state.chain, 0)["epoch"], barred_count(state)
    if not turned:
        cursor["as_marked"] = _ONE
        return
    cursor["turned"] = turned_count(state)
    at = cursor["first_open"]
    while at != 0:
        mark(state, read(state.paths, at - _ONE)["pool0"])
        at = read(state.path_state, at - _ONE)["next_open"]


@jit
def _may_have_turned(state: Any) -> bool:
    """Whether paths whose pools have not moved may have another answer; or only marks can put them in order."""
    cursor, settings = read(state.path_cursor, 0), read(state.path_settings, 0)
    priced = settings["count_gas"] != 0 and cursor["priced"] != 0
    lost = cursor["epoch"] != read(state.chain, 0)["epoch"]
    ordered = settings["simd"] != 0 and cursor["openings"] < MAX_OPENINGS
    return bool(priced or lost or not ordered or cursor["turned"] != turned_count(state))


@jit
def rank_as_marked(state: Any, path: Any, turn: Any) -> Any:
    """The smallest number of an opening by which a pool of a path counts as marked; `MAX_OPENINGS` if none does."""
    rank = MAX_OPENINGS
    for k in range(np.int64(path["hops"])):
        pool = hop_pool(path, k)
        newest = read(state.pool_moves, pool)["newest_open"]
        if newest != 0 and read(state.path_heads, pool)["boundary"] != turn:
            rank = min(rank, read(state.path_state, newest - _ONE)["opening"])
    return rank


@jit
def link(state: Any, at: Any) -> None:
    """Put a path that opens at the head of the lists of open ones."""
    cursor, kept = row(state.path_cursor, 0), row(state.path_state, at)
    number = np.uint32(at) + _ONE
    kept["next_open"], kept["previous_open"] = cursor["first_open"], np.uint32(0)
    if cursor["first_open"] != 0:
        row(state.path_state, cursor["first_open"] - _ONE)["previous_open"] = number
    cursor["first_open"] = number
    here = row(state.pool_moves, read(state.paths, at)["pool0"])
    kept["opening"] = cursor["openings"]
    kept["next_here"], kept["previous_here"] = here["newest_open"], np.uint32(0)
    if here["newest_open"] != 0:
        row(state.path_state, here["newest_open"] - _ONE)["previous_here"] = number
    here["newest_open"] = number


@jit
def unlink(state: Any, at: Any) -> None:
    """Take a path that closes off the lists of open ones."""
    cursor, kept = row(state.path_cursor, 0), row(state.path_state, at)
    before, after = kept["previous_open"], kept["next_open"]
    if before != 0:
        row(state.path_state, before - _ONE)["next_open"] = after
    else:
        cursor["first_open"] = after
    if after != 0:
        row(state.path_state, after - _ONE)["previous_open"] = before
    before, after = kept["previous_here"], kept["next_here"]
    if before != 0:
        row(state.path_state, before - _ONE)["next_here"] = after
    else:
        row(state.pool_moves, read(state.paths, at)["pool0"])["newest_open"] = after
    if after != 0:
        row(state.path_state, after - _ONE)["previous_here"] = before
