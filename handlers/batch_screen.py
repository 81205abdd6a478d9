"""Many cycles screened at once: their rates gathered into columns, and multiplied as vectors.

The screen of one path is four rows from random places and six multiplications. Path by path (`enable_simd` off) the
processor waits for the path's row to learn which is next, and guesses how many hops it has. Here up to `SEATS` paths
go through the same steps side by side, none of which waits for the one before or branches on what it finds:

    fill       numbers of the paths whose turn it is, out of the arrays of `path_lists`
    gather     per path and hop the rate forward and the rate backward, into columns
    multiply   forward = f0 * f1 * f2 * f3, backward alike, and the better: one loop of packed multiplications
    choose     seats whose better product may pay, and those of open paths

What is chosen waits in the columns, across slices if need be, until it has been judged.

DETERMINISM: products are those of the path-by-path screen to the last bit (the same order of multiplications, and
x * 1 is x), and paths are chosen in the same order. So `enable_simd` shows in no output.
INVARIANT: `multiply` stays vectors: `test_the_kernel_multiplies_in_the_widest_vectors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.path_lists import CHUNK
from disruptor.handlers.path_tables import MAX_HOPS
from disruptor.handlers.path_visit import MARGIN, judge
from disruptor.handlers.vector_width import widest_vectors
from disruptor.jit import jit
from disruptor.message import FieldType, f64, u32
from disruptor.table import Table

#: Paths screened at one go. Half as many were slower (bench/screen_throughput.py).
SEATS = 256
#: A cache line more than the seats: columns 2 KiB apart would compete for the same few lines of the cache.
_COLUMN = SEATS + 8
_RATES = FieldType(f"f64[{_COLUMN}]", f64.base, _COLUMN, f64.alignment)
_NUMBERS = FieldType(f"u32[{SEATS}]", u32.base, SEATS, u32.alignment)
_ONE = np.uint32(1)
#: Less than any product: what is open is looked at again whatever it pays.
_ALWAYS = -1.0

#: One row, and in it arrays: seat i of each belongs to one path.
screen_columns = Table(
    "screen_columns",
    {
        **{f"forward{k}": _RATES for k in range(MAX_HOPS)},
        **{f"backward{k}": _RATES for k in range(MAX_HOPS)},
        "hops": _RATES,
        "forward": _RATES,
        "backward": _RATES,
        "better": _RATES,
        "least": _RATES,  # a better product above this is chosen
        "paths": _NUMBERS,
        "chosen": _NUMBERS,  # seats
        "count": u32,  # seats chosen
        "taken": u32,  # of them, taken by the search
        "chunk": u32,  # of the marked pool being read: next chunk + 1, 0 none
        "reserved": u32,
    },
    digest=False,
)


@jit
def judge_batches(state: Any, out: Any, screens: Any, solves: Any) -> bool:
    """One slice: screen the paths of the marked pools, and judge what is chosen.

    Parameters
    ----------
    screens, solves : int64, entries of lists to read (by whole batches) and paths to judge in this slice

    Returns
    -------
    Whether there is more to do.
    """
    columns, cursor = row(state.screen_columns, 0), read(state.path_cursor, 0)
    while True:
        while columns["taken"] < columns["count"]:
            if solves <= 0:
                return True
            solves -= 1
            seat = columns["chosen"][columns["taken"]]
            columns["taken"] += _ONE
            judge(state, out, columns["paths"][seat], columns["forward"][seat], columns["backward"][seat])
        if cursor["first_marked"] == 0 and columns["chunk"] == 0:
            return False
        if screens <= 0:
            return True
        screens -= screen_next(state, MARGIN)


@jit
def screen_next(state: Any, margin: Any) -> Any:
    """Screen the next paths through marked pools.

    Parameters
    ----------
    state : tables; written: `path_cursor`, `paths` (whose turn it was), `screen_columns`
    margin : float64, a product above it may pay

    Returns
    -------
    int64 number of paths read, 0 at the end of all lists. Seats `chosen[taken .. count)` are what may pay.

    Invariants
    ----------
    Called only when `taken` has reached `count`. Each path is screened once a boundary.
    """
    columns = row(state.screen_columns, 0)
    seats, walked = _fill(state, columns)
    row(state.path_cursor, 0)["screened"] += np.uint64(seats)
    _gather(state, columns, seats, margin)
    multiply(columns, seats)
    _choose(columns, seats)
    return walked


@jit
def _fill(state: Any, columns: Any) -> Any:
    """(seats filled, entries read): by whole lists and chunks, as long as one more would fit."""
    cursor = row(state.path_cursor, 0)
    seats, walked = np.int64(0), np.int64(0)
    while seats <= SEATS - CHUNK:
        if columns["chunk"] != 0:
            part = read(state.path_chunks, columns["chunk"] - _ONE)
        elif cursor["first_marked"] != 0:
            pool = cursor["first_marked"] - _ONE
            part = read(state.path_lists, pool)
            cursor["first_marked"] = read(state.path_heads, pool)["next_marked"]
        else:
            break
        columns["chunk"] = part["chunk"]
        seats = _seat(state, columns, seats, part)
        walked += np.int64(part["count"])
    return seats, walked


@jit
def _seat(state: Any, columns: Any, seats: Any, part: Any) -> Any:
    """Give those of a list's part whose turn it is a seat each, newest first; seats taken now."""
    turn = read(state.path_cursor, 0)["boundary"] + np.uint64(1)
    entries, count = part["entries"], np.int64(part["count"])
    for k in range(count):
        at = entries[count - 1 - k]
        path = row(state.paths, at)
        # Written whether or not it counts: a branch guessed wrong would hold up the loads that follow.
        columns["paths"][seats] = at
        seats += np.int64(path["boundary"] != turn)
        path["boundary"] = turn
    return seats


@jit
def _gather(state: Any, columns: Any, seats: Any, margin: Any) -> None:
    """Put each path's rates into its seat of the columns. A hop that is not there reads pool 0, and is left out later.

    Without a branch: half of the guesses of how many hops a path has would be wrong.
    """
    for seat in range(seats):
        path = read(state.paths, columns["paths"][seat])
        ways = path["zero_for_one"]
        r = read(state.rates, path["pool0"])
        columns["forward0"][seat], columns["backward0"][seat] = _directed(r, ways & np.uint32(1))
        r = read(state.rates, path["pool1"])
        columns["forward1"][seat], columns["backward1"][seat] = _directed(r, ways & np.uint32(2))
        r = read(state.rates, path["pool2"])
        columns["forward2"][seat], columns["backward2"][seat] = _directed(r, ways & np.uint32(4))
        r = read(state.rates, path["pool3"])
        columns["forward3"][seat], columns["backward3"][seat] = _directed(r, ways & np.uint32(8))
        columns["hops"][seat] = np.float64(path["hops"])
        columns["least"][seat] = margin if path["open"] == 0 else _ALWAYS


@jit
def _directed(rates: Any, falling: Any) -> Any:
    """(forward, backward) of a hop that sells token0 going forward, or does not."""
    down, up = rates["zero_for_one"], rates["one_for_zero"]
    return (down if falling != 0 else up), (up if falling != 0 else down)


@jit
def multiply(columns: Any, seats: Any) -> None:
    """Products of the first `seats` seats, both ways, and the better of the two."""
    never_inlined()
    widest_vectors()
    f0, f1, f2, f3 = columns["forward0"], columns["forward1"], columns["forward2"], columns["forward3"]
    b0, b1, b2, b3 = columns["backward0"], columns["backward1"], columns["backward2"], columns["backward3"]
    hops = columns["hops"]
    for seat in range(seats):
        third, fourth = hops[seat] > 2.0, hops[seat] > 3.0
        forward = f0[seat] * f1[seat] * (f2[seat] if third else 1.0) * (f3[seat] if fourth else 1.0)
        backward = b0[seat] * b1[seat] * (b2[seat] if third else 1.0) * (b3[seat] if fourth else 1.0)
        columns["forward"][seat] = forward
        columns["backward"][seat] = backward
        columns["better"][seat] = forward if forward >= backward else backward


@jit
def _choose(columns: Any, seats: Any) -> None:
    """List the seats that may pay, without a branch for each."""
    better, least, chosen = columns["better"], columns["least"], columns["chosen"]
    count = np.int64(0)
    for seat in range(seats):
        chosen[count] = np.uint32(seat)
        count += np.int64(better[seat] > least[seat])
    columns["count"], columns["taken"] = np.uint32(count), np.uint32(0)
