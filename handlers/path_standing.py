"""Which answers still stand: a cycle whose pools have not moved since it was solved is not solved again.

Many cycles are looked at that nothing has happened to. When a token or a pool is barred, all that is open is looked
through; and liquidity comes and goes in V3 pools where no price gets to. Such a cycle's answer is known. A solve is a
function of its pools' rows, of V3 pools' tick maps and of settings; settings are fixed during a run, so

    an answer stands while each of its pools was last moved at or before the boundary at which it was solved.

**What moves a pool**: every event that may change its row or its ticks. But liquidity that comes or goes outside of
the present range changes nothing except two ticks, and the rows of the tick map that tell of them. Where a
search has not been, it can't have seen them: what a solve has looked at lies between the pool's tick and the furthest
tick that it reached, either way. The furthest of all solves since the pool moved is kept with the pool. Within it, or
next to it, a change counts as a move; beyond it, it is none. A swap's last step looks for a tick within one word of
the map, so a word beyond the tick where the swap ended is all that it can have seen.

Whether the answer is still worth its gas, and whether anything is barred, depends on more, and is asked again.
Pools of users' venues may read what they like: a cycle through one is solved again each time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.path_search import hop_of, hop_pool
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK
from disruptor.handlers.wide import is_zero
from disruptor.jit import jit
from disruptor.status import OK

_ONE = np.uint64(1)
#: Usable ticks in a word of the tick map.
_WORD = 256


@jit
def note_move(state: Any, pool: Any) -> None:
    """A pool's state may have changed: answers from before the next boundary do not stand."""
    never_inlined()
    moves = row(state.pool_moves, pool)
    moves["boundary"] = read(state.path_cursor, 0)["boundary"] + _ONE
    moves["lowest"], moves["highest"] = np.int32(MAX_TICK), np.int32(MIN_TICK)


@jit
def note_range(state: Any, pool: Any, lower: Any, upper: Any, liquidity: Any) -> None:
    """Liquidity came to, or went from, a range of a V3 pool: a move only where an answer may rest on it.

    Parameters
    ----------
    lower, upper : int32, ticks
    liquidity : U256, how much
    """
    if is_zero(liquidity):
        return
    tick, moves = read(state.pools, pool)["tick"], read(state.pool_moves, pool)
    lowest, highest = min(tick, moves["lowest"]) - 1, max(tick, moves["highest"]) + 1
    seen = lowest <= lower <= highest or lowest <= upper <= highest
    if seen or lower <= tick < upper:
        note_move(state, pool)


@jit
def note_answer(state: Any, path: Any, kept: Any, forward: Any) -> None:
    """After a solve: its answer is that of this boundary; widen what has been looked at of its V3 pools.

    Parameters
    ----------
    kept : row of `path_state`, whose field `solved` is written
    forward : the direction that was solved; `hop_cells` are those of the solve
    """
    kept["solved"] = read(state.path_cursor, 0)["boundary"] + _ONE
    for k in range(np.int64(path["hops"])):
        pool, _ = hop_of(path, k, forward)
        kind = read(state.pools, pool)["kind"]
        if kind == KIND_UNISWAP_V3:
            cell, moves = read(state.hop_cells, k), row(state.pool_moves, pool)
            moves["lowest"] = min(moves["lowest"], cell["lowest"], cell["boundary_tick"])
            moves["highest"] = max(moves["highest"], cell["highest"], cell["boundary_tick"])
        elif kind != KIND_UNISWAP_V2:
            kept["solved"] = np.uint64(0)


@jit
def note_end(state: Any, k: Any, pool: Any, zero_for_one: Any, status: Any, tick: Any) -> None:
    """Of hop k of a solve: the ticks at which a trade may have looked that ended at `tick`; all of them if it failed.

    Pools of other kinds than V3 have no ticks, and nobody asks.
    """
    never_inlined()
    cell, reach = row(state.hop_cells, k), np.int64(MAX_TICK - MIN_TICK)
    if status == OK:
        reach = min(reach, _WORD * np.int64(read(state.pools, pool)["tick_spacing"]))
    if zero_for_one:
        cell["lowest"] = min(np.int64(cell["lowest"]), np.int64(tick) - reach)
    else:
        cell["highest"] = max(np.int64(cell["highest"]), np.int64(tick) + reach)


@jit
def stands(state: Any, path: Any, kept: Any) -> bool:
    """Whether the answer in a path's row of `path_state` is what a solve would find now."""
    solved = kept["solved"]
    if solved == 0:
        return False
    latest = np.uint64(0)
    for k in range(np.int64(path["hops"])):
        latest = max(latest, read(state.pool_moves, hop_pool(path, k))["boundary"])
    return bool(latest <= solved)
