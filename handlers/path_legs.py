"""Every cycle as two legs between two tokens: what lets one comparison stand for hundreds of cycles.

A *leg* is one pool, or two with a token in between. It joins two tokens, and all legs that join the same two are a
*junction*. A cycle is cut at two of its tokens into two legs of one junction:

    2 hops   A ═P═ B ═Q═ A            P | Q
    3 hops   A ─P─ X ─Q─ B ─R─ A      P Q | R
    4 hops   A ─P─ X ─Q─ B ─R─ Y ─S─  P Q | R S       or  Q R | S P, cut at X and Y

Where there is a choice, a cycle is cut at the tokens with most pairs. So the 125,000 cycles A - X - B - Y that 500 ways
from one hub to another make are kept by 500 legs, and a pool that changed is on very few of them.

    path_legs    pools and directions of each leg, its value both ways, and its cycles: the other leg, and the path
    leg_chunks   older cycles of legs that have many; a full list in a leg's row moves there as a whole
    junctions    bounds on the values of its legs (`disruptor.handlers.leg_bounds`)
    path_heads   first leg of each pool          ┐ lists through the rows of `path_legs` and `junctions`: a link is
    token_links  first junction of each token    ┘ (row * 2 + side) + 1, 0 at the end

*Up* is from the token with the lower id to the other, *down* the way back.

A leg or junction is looked for along the shorter of two lists: a hash would take a third more memory, all of it touched
when an engine starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, claim_id, meta_of, read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import NO_ID
from disruptor.handlers.path_search import hop_pool
from disruptor.handlers.path_tables import path_heads, token_links
from disruptor.jit import jit
from disruptor.message import FieldType, f64, u32, u64
from disruptor.table import Table

#: Cycles of one chunk; a row is a cache line.
CHUNK = 7
_NUMBERS = FieldType(f"u32[{CHUNK}]", "<u4", CHUNK, 4)
_ONE, _TWO = np.uint32(1), np.uint32(2)

#: One layout for both, so that a kernel reads a list from either: entries [0 .. count), oldest first, and where older
#: ones are.
_LIST = {
    "opposite": _NUMBERS,  # the other leg
    "path": _NUMBERS,
    "count": u32,
    "chunk": u32,  # next chunk + 1, 0 none
}

#: Two cache lines: what a changed pool reads of its legs is in the first.
path_legs = Table(
    "path_legs",
    {
        "up": f64,  # what one unit brings at the margin
        "down": f64,
        "pool0": u32,  # at the lower token
        "pool1": u32,  # NO_ID: there is none
        "ways": u32,  # bit k: going up, pool k is sold its token0
        "junction": u32,
        "next0": u32,  # next leg of pool0, of pool1
        "next1": u32,
        "next_in_junction": u32,  # leg + 1
        "open": u32,  # cycles that are open
        "valued": u64,  # boundary of `up` and `down`
        "searched": u64,  # looked through at this boundary
        **_LIST,
    },
    key="path_legs",
    digest=False,
)

leg_chunks = Table("leg_chunks", _LIST, key="leg_chunks", digest=False)

#: No more than paths: each is new with some path.
junctions = Table(
    "junctions",
    {
        "most_up": f64,  # no leg's value is above
        "most_down": f64,
        "token0": u32,  # the lower id
        "token1": u32,
        "next0": u32,  # next junction of token0, of token1
        "next1": u32,
        "tightened": u64,  # boundary at which the bounds were the greatest values
        "first_leg": u32,  # leg + 1
        "reserved": u32,
    },
    key="paths",
    digest=False,
)

#: What entering a path writes.
LEG_TABLES = (path_legs, leg_chunks, junctions, path_heads, token_links)


def leg_capacities(paths: int) -> dict[str, int]:
    """Rows by domain that the legs of so many paths can't exceed.

    >>> leg_capacities(14)
    {'path_legs': 28, 'leg_chunks': 5}
    """
    return {"path_legs": 2 * paths, "leg_chunks": 2 * paths // CHUNK + 1}


@jit
def enter_legs(state: Any, at: Any) -> None:
    """Cut a path, the newest so far, into its legs, and enter it with both."""
    path = row(state.paths, at)
    hops = np.int64(path["hops"])
    first, length = _cut(state, path, hops), np.int64(1 if hops == 2 else 2)
    one = _leg(state, path, first, length)
    other = _leg(state, path, (first + length) % hops, hops - length)
    if one < 0 or other < 0:
        return
    path["leg0"], path["leg1"] = np.uint32(one), np.uint32(other)
    _append(state, one, np.uint32(other), np.uint32(at))
    _append(state, other, np.uint32(one), np.uint32(at))


@jit
def _token_before(state: Any, path: Any, k: Any) -> Any:
    """The token that hop k of a path takes, going forward."""
    never_inlined()
    pool = read(state.pools, hop_pool(path, k))
    falling = (path["zero_for_one"] >> np.uint32(k)) & _ONE
    return pool["token0"] if falling != 0 else pool["token1"]


@jit
def _degree(state: Any, path: Any, k: Any) -> Any:
    return read(state.token_links, _token_before(state, path, k))["degree"]


@jit
def _cut(state: Any, path: Any, hops: Any) -> Any:
    """The hop at which the first leg begins: so that legs end at tokens with many pairs."""
    if hops == 2:
        return np.int64(0)
    if hops == 3:
        lone = np.int64(0)
        for k in range(1, 3):
            if _degree(state, path, k) < _degree(state, path, lone):
                lone = np.int64(k)
        return (lone + 2) % 3
    even = min(_degree(state, path, 0), _degree(state, path, 2))
    return np.int64(0) if even >= min(_degree(state, path, 1), _degree(state, path, 3)) else np.int64(1)


@jit
def _leg(state: Any, path: Any, k: Any, length: Any) -> Any:
    """The leg of one or two hops from hop k on, entered if it is new; -1 if there is no room."""
    never_inlined()
    hops = np.int64(path["hops"])
    last = (k + length - 1) % hops
    start, end = _token_before(state, path, k), _token_before(state, path, (last + 1) % hops)
    rising = start < end
    near, far = (k, last) if rising else (last, k)
    pool0 = hop_pool(path, near)
    pool1 = hop_pool(path, far) if length == 2 else np.uint32(NO_ID)
    found = _find_leg(state, pool0, pool1)
    if found >= 0:
        return found
    ways = (path["zero_for_one"] >> np.uint32(near)) & _ONE
    ways |= ((path["zero_for_one"] >> np.uint32(far)) & _ONE) << _ONE
    if not rising:
        ways ^= np.uint32(3)
    return _new_leg(state, (pool0, pool1, ways), _junction(state, min(start, end), max(start, end)))


@jit
def _find_leg(state: Any, pool0: Any, pool1: Any) -> Any:
    """The leg of these pools, or -1."""
    shorter = pool0
    if pool1 != NO_ID and read(state.path_heads, pool1)["legs"] < read(state.path_heads, pool0)["legs"]:
        shorter = pool1
    link = read(state.path_heads, shorter)["first_leg"]
    while link != 0:
        leg = read(state.path_legs, (link - _ONE) // _TWO)
        if leg["pool0"] == pool0 and leg["pool1"] == pool1:
            return np.int64(link - _ONE) // 2
        link = leg["next0"] if (link - _ONE) % _TWO == 0 else leg["next1"]
    return np.int64(-1)


@jit
def _new_leg(state: Any, route: Any, junction: Any) -> Any:
    """Enter a leg (pools, ways) of a junction; -1 if there is no room."""
    pool0, pool1, ways = route
    at = meta_of(state.path_legs)["high"]
    if junction < 0 or not claim_id(state.path_legs, at):
        return np.int64(-1)
    leg, group = row(state.path_legs, at), row(state.junctions, junction)
    leg["pool0"], leg["pool1"], leg["ways"], leg["junction"] = pool0, pool1, ways, np.uint32(junction)
    leg["next_in_junction"], group["first_leg"] = group["first_leg"], np.uint32(at) + _ONE
    head = row(state.path_heads, pool0)
    leg["next0"], head["first_leg"] = head["first_leg"], np.uint32(at) * _TWO + _ONE
    head["legs"] += _ONE
    if pool1 != NO_ID:
        head = row(state.path_heads, pool1)
        leg["next1"], head["first_leg"] = head["first_leg"], np.uint32(at) * _TWO + _TWO
        head["legs"] += _ONE
    return np.int64(at)


@jit
def _junction(state: Any, token0: Any, token1: Any) -> Any:
    """The junction of two tokens, entered if it is new; -1 if there is no room."""
    first, second = row(state.token_links, token0), row(state.token_links, token1)
    link = first["first_junction"] if first["junctions"] <= second["junctions"] else second["first_junction"]
    while link != 0:
        group = read(state.junctions, (link - _ONE) // _TWO)
        if group["token0"] == token0 and group["token1"] == token1:
            return np.int64(link - _ONE) // 2
        link = group["next0"] if (link - _ONE) % _TWO == 0 else group["next1"]
    at = meta_of(state.junctions)["high"]
    if not claim_id(state.junctions, at):
        return np.int64(-1)
    group = row(state.junctions, at)
    group["token0"], group["token1"] = token0, token1
    group["next0"], first["first_junction"] = first["first_junction"], np.uint32(at) * _TWO + _ONE
    group["next1"], second["first_junction"] = second["first_junction"], np.uint32(at) * _TWO + _TWO
    first["junctions"] += _ONE
    second["junctions"] += _ONE
    return np.int64(at)


@jit
def _append(state: Any, at: Any, opposite: Any, path: Any) -> None:
    """Enter a path into a leg's list; a full list is emptied into a chunk before."""
    never_inlined()
    leg = row(state.path_legs, at)
    if leg["count"] == CHUNK:
        free = meta_of(state.leg_chunks)["high"]
        if not claim_id(state.leg_chunks, free):
            return
        chunk = row(state.leg_chunks, free)
        assign(chunk["opposite"], leg["opposite"])
        assign(chunk["path"], leg["path"])
        chunk["count"], leg["count"] = leg["count"], np.uint32(0)
        chunk["chunk"], leg["chunk"] = leg["chunk"], np.uint32(free) + _ONE
    leg["opposite"][leg["count"]] = opposite
    leg["path"][leg["count"]] = path
    leg["count"] += _ONE
