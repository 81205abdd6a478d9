"""Rows of the search asked for before a pool's event is handled, so that they come from memory meanwhile.

What a changed pool's boundary will read is asked for here too, its rates, first leg and that leg's junction: a block's
rows are few enough to stay in the cache until its end. Stages as in `disruptor.handlers.lookahead`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import holds, prefetch, read
from disruptor.jit import jit


@jit
def change_rows(state: Any, event: Any) -> None:
    """What marking a pool writes, and the boundary begins with."""
    pool = np.int64(event["pool"])
    prefetch(state.path_heads, pool)
    prefetch(state.last_changes, pool)
    prefetch(state.rates, pool)


@jit
def leg_row(state: Any, event: Any) -> None:
    """The pool's first leg."""
    pool = np.int64(event["pool"])
    if holds(state.path_heads, pool):
        link = np.int64(read(state.path_heads, pool)["first_leg"])
        if link != 0:
            prefetch(state.path_legs, (link - 1) // 2)


@jit
def junction_row(state: Any, event: Any) -> None:
    """The leg's junction, and the pool's next leg."""
    pool = np.int64(event["pool"])
    if holds(state.path_heads, pool):
        link = np.int64(read(state.path_heads, pool)["first_leg"])
        if link != 0:
            leg = read(state.path_legs, (link - 1) // 2)
            prefetch(state.junctions, leg["junction"])
            following = np.int64(leg["next0"] if (link - 1) % 2 == 0 else leg["next1"])
            if following != 0:
                prefetch(state.path_legs, (following - 1) // 2)


CHANGE = (change_rows, leg_row, junction_row)
