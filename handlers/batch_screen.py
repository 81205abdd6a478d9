"""Many cycles screened at once: legs that can't be part of one that pays are left out, the others' cycles are
multiplied as vectors.

Path by path (`enable_simd` off) the screen of one path is four rows from random places and six multiplications, for
every path through a pool that changed: at a chain's scale hundreds for each event. Here a boundary has three stages:

    value    the legs of the changed pools get their values, and lift their junctions' bounds (`leg_bounds`)
    search   each of these legs whose value and bound may pay, or that holds something open: its cycles
                 gather     the other legs' values, into columns
                 multiply   up(l) * down(m), down(l) * up(m) and the better: one loop of packed multiplications
                 choose     what may pay is screened once more by itself, as path by path, and queued (`path_queue`)
    judge    the queue, in order

Where the pass stands is in `path_cursor` and `screen_columns`, so that a slice may end anywhere.

DETERMINISM: the last word is the plain screen's own product, and the queue's order is the plain screen's. What the
stages before it leave out, it would not choose (`leg_bounds`: the proof). So `enable_simd` shows in no output.
INVARIANT: `multiply` stays vectors: `test_the_kernel_multiplies_in_the_widest_vectors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.leg_bounds import LOWEST, may_pay, revalue
from disruptor.handlers.path_legs import CHUNK
from disruptor.handlers.path_queue import dequeue, enqueue
from disruptor.handlers.path_visit import MARGIN, judge, marginal_products
from disruptor.handlers.vector_width import widest_vectors
from disruptor.jit import jit
from disruptor.message import FieldType, f64, u32
from disruptor.table import Table

#: Cycles screened at one go.
SEATS = 256
#: A cache line more than the seats: columns 2 KiB apart would compete for the same few lines of the cache.
_COLUMN = SEATS + 8
_VALUES = FieldType(f"f64[{_COLUMN}]", f64.base, _COLUMN, f64.alignment)
_NUMBERS = FieldType(f"u32[{SEATS}]", u32.base, SEATS, u32.alignment)
_ONE, _TWO = np.uint32(1), np.uint32(2)
#: Stages of a boundary.
VALUE, SEARCH, JUDGE = np.uint32(0), np.uint32(1), np.uint32(2)
#: Less than any product: of a leg with something open all is looked at.
_ALWAYS = -1.0

#: One row, and in it arrays: seat i of each belongs to one cycle of the leg that is searched.
screen_columns = Table(
    "screen_columns",
    {
        "up": _VALUES,  # of the other leg
        "down": _VALUES,
        "better": _VALUES,
        "paths": _NUMBERS,
        "chosen": _NUMBERS,  # seats
        "leg": u32,  # being searched, + 1; 0 none
        "chunk": u32,  # of it, the next + 1
    },
    digest=False,
)


@jit
def judge_batches(state: Any, out: Any, screens: Any, solves: Any) -> bool:
    """One slice of a boundary.

    Parameters
    ----------
    screens, solves : int64, legs and cycles to look at (by whole batches) and paths to judge in this slice

    Returns
    -------
    Whether there is more to do.
    """
    cursor = row(state.path_cursor, 0)
    turn = cursor["boundary"] + np.uint64(1)
    while cursor["stage"] != JUDGE:
        if screens <= 0:
            return True
        screens -= screen_next(state, turn)
    while cursor["queued"] != 0:
        if solves <= 0:
            return True
        solves -= 1
        at = dequeue(state)
        falling, rising = marginal_products(state, read(state.paths, at))
        judge(state, out, np.int64(at), falling, rising)
    return False


@jit
def begin_screen(state: Any) -> None:
    """Before a boundary's first slice, once its pools are marked: number them, and start with their legs."""
    cursor, rank = row(state.path_cursor, 0), np.uint32(0)
    at = cursor["first_marked"]
    while at != 0:
        head = row(state.path_heads, at - _ONE)
        head["rank"] = rank
        rank += _ONE
        at = head["next_marked"]
    cursor["stage"] = VALUE
    cursor["pool"], cursor["link"] = cursor["first_marked"], np.uint32(0)


@jit
def screen_next(state: Any, turn: Any) -> Any:
    """Look at the next leg, or at the next cycles of the one that is searched; how many. Then the next stage."""
    cursor, columns = row(state.path_cursor, 0), row(state.screen_columns, 0)
    if columns["leg"] != 0:
        return _search(state, columns, turn)
    at = _next_leg(state)
    if cursor["stage"] == VALUE:
        if at >= 0:
            revalue(state, at, turn)
        else:
            cursor["stage"] = SEARCH
            cursor["pool"] = cursor["first_marked"]
    elif at < 0:
        cursor["stage"] = JUDGE
        cursor["first_marked"] = np.uint32(0)
    elif read(state.path_legs, at)["searched"] != turn:
        row(state.path_legs, at)["searched"] = turn
        if read(state.path_legs, at)["open"] != 0 or may_pay(state, at, turn):
            columns["leg"] = np.uint32(at) + _ONE
            columns["chunk"] = np.uint32(0)
    return np.int64(1)


@jit
def _next_leg(state: Any) -> Any:
    """The next leg of the changed pools, pool after pool; -1 behind the last."""
    cursor = row(state.path_cursor, 0)
    while cursor["link"] == 0:
        if cursor["pool"] == 0:
            return np.int64(-1)
        head = read(state.path_heads, cursor["pool"] - _ONE)
        cursor["link"], cursor["pool"] = head["first_leg"], head["next_marked"]
    at, side = (cursor["link"] - _ONE) // _TWO, (cursor["link"] - _ONE) % _TWO
    leg = read(state.path_legs, at)
    cursor["link"] = leg["next0"] if side == 0 else leg["next1"]
    return np.int64(at)


@jit
def _search(state: Any, columns: Any, turn: Any) -> Any:
    """Screen the next cycles of a leg; how many."""
    leg = read(state.path_legs, columns["leg"] - _ONE)
    seats = np.int64(0)
    if columns["chunk"] == 0:
        seats = _gather(state, columns, leg, seats)
        columns["chunk"] = leg["chunk"]
    while columns["chunk"] != 0 and seats <= SEATS - CHUNK:
        part = read(state.leg_chunks, columns["chunk"] - _ONE)
        seats = _gather(state, columns, part, seats)
        columns["chunk"] = part["chunk"]
    multiply(columns, seats, leg["up"], leg["down"])
    _choose(state, columns, seats, turn)
    if columns["chunk"] == 0:
        columns["leg"] = np.uint32(0)
    return seats


@jit
def _gather(state: Any, columns: Any, part: Any, seats: Any) -> Any:
    """Give each cycle of a part of a leg's list a seat; how many are taken then."""
    opposite, paths = part["opposite"], part["path"]
    for k in range(np.int64(part["count"])):
        other = read(state.path_legs, opposite[k])
        columns["up"][seats], columns["down"][seats] = other["up"], other["down"]
        columns["paths"][seats] = paths[k]
        seats += 1
    return seats


@jit
def multiply(columns: Any, seats: Any, up: Any, down: Any) -> None:
    """The better product of each cycle of a leg with these values."""
    never_inlined()
    widest_vectors()
    ups, downs, better = columns["up"], columns["down"], columns["better"]
    for seat in range(seats):
        one, other = up * downs[seat], down * ups[seat]
        better[seat] = one if one >= other else other


@jit
def _choose(state: Any, columns: Any, seats: Any, turn: Any) -> None:
    """Screen by themselves, once a boundary, the cycles that may pay, and those of a leg with something open."""
    holds_open = read(state.path_legs, columns["leg"] - _ONE)["open"] != 0
    least = _ALWAYS if holds_open else LOWEST
    better, chosen = columns["better"], columns["chosen"]
    count = np.int64(0)
    for seat in range(seats):
        chosen[count] = np.uint32(seat)
        count += np.int64(better[seat] > least)
    for k in range(count):
        at = columns["paths"][chosen[k]]
        path = row(state.paths, at)
        if path["boundary"] == turn:
            continue
        path["boundary"] = turn
        row(state.path_cursor, 0)["screened"] += np.uint64(1)
        forward, backward = marginal_products(state, path)
        if max(forward, backward) > MARGIN or path["open"] != 0:
            enqueue(state, at, turn)
