"""Every cycle of up to four hops through a pool, found when the pool is registered.

A cycle through pool P of the tokens A and B is P and a simple way back from A to B. So all cycles are found when
their last pool is entered, each once:

    2 hops   A ═P═ B            another pool of the pair
    3 hops   A ─Q─ X ─R─ B      X a neighbour of both
    4 hops   A ─Q─ X ─R─ Y ─S─ B   X a neighbour of A, Y one of B, X and Y a pair

A cycle starts at that of its tokens which ranks first: in the order of `base_tokens`, then by address. Which way
round it is stored does not matter: both directions are searched. Its pools are looked at, at the next boundary, even
if nothing happens to them: what was on no path may already pay.

The walk is repeated for each slice of entries and skips what has been entered: a place in four nested loops would
be much to remember, and few pools close more cycles than one slice takes.

Every row of `paths` can be used: a slice enters what there is room for, and goes on to see whether there is one more.
The loop asks for room for one path before each slice, so it stops before the first path too many; or, where the table
is full to the last row, at the next pool that is registered, whatever that closes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import claim_id, find, meta_of, read, row
from disruptor.handlers.path_tables import MAX_BASE_TOKENS, MAX_HOPS
from disruptor.jit import jit
from disruptor.status import AGAIN, OK

#: Paths entered in one slice.
MAX_ENTRIES = 64
_MILLION = 1_000_000
_ONE = np.uint32(1)


@jit
def link_pair(state: Any, pool: Any) -> None:
    """Enter a pool's pair into the lists of its two tokens, once."""
    number = read(state.pools, pool)["pair"]
    pair, links = read(state.pairs, number), row(state.pair_links, number)
    if links["linked"] != 0:
        return
    links["linked"] = _ONE
    first, second = row(state.token_links, pair["token0"]), row(state.token_links, pair["token1"])
    links["next0"], first["first_pair"] = first["first_pair"], number + _ONE
    links["next1"], second["first_pair"] = second["first_pair"], number + _ONE
    first["degree"] += _ONE
    second["degree"] += _ONE


@jit
def mark(state: Any, pool: Any) -> bool:
    """Put a pool on the list for the next boundary, once; whether it is on any path."""
    head = row(state.path_heads, pool)
    if head["first"] == 0:
        return False
    cursor = row(state.path_cursor, 0)
    if head["boundary"] != cursor["boundary"] + np.uint64(1):
        head["boundary"] = cursor["boundary"] + np.uint64(1)
        head["next_marked"] = cursor["first_marked"]
        cursor["first_marked"] = np.uint32(pool) + _ONE
    return True


@jit
def can_take_part(state: Any, pool: Any) -> bool:
    """Whether a pool may be on a path: it has two tokens, and a fee that is known."""
    p = read(state.pools, pool)
    return p["kind"] != 0 and p["token0"] != p["token1"] and p["fee"] < _MILLION


@jit
def find_paths(state: Any, pool: Any) -> Any:
    """Enter the next cycles through a pool; AGAIN while there may be more."""
    cursor = row(state.path_cursor, 0)
    max_hops = read(state.path_settings, 0)["max_hops"]
    skip = np.int64(cursor["entered"])
    full = meta_of(state.paths)["capacity"] - np.int64(cursor["path_count"])
    most = min(np.int64(MAX_ENTRIES), full)
    room = most + 1  # the last is only counted
    pool = np.int64(pool)
    skip, room = _two_hops(state, pool, skip, room)
    if max_hops >= 3:
        skip, room = _three_hops(state, pool, skip, room)
    if max_hops >= 4:
        skip, room = _four_hops(state, pool, skip, room)
    if room == 0:
        cursor["entered"] += np.uint32(most)
        return AGAIN
    cursor["entered"] = np.uint32(0)
    return OK


@jit
def _two_hops(state: Any, pool: Any, skip: Any, room: Any) -> Any:
    p = read(state.pools, pool)
    at = read(state.pairs, p["pair"])["first_pool"]
    while at != 0 and room > 0:
        other = np.int64(at) - 1
        if other != pool and can_take_part(state, other):
            skip, room = _take(state, (pool, other, pool, pool), np.int64(2), (skip, room))
        at = read(state.pools, other)["next_in_pair"]
    return skip, room


@jit
def _neighbour(state: Any, pair: Any, token: Any) -> Any:
    """(the pair's other token, the next pair of `token` + 1)."""
    tokens, links = read(state.pairs, pair), read(state.pair_links, pair)
    if tokens["token0"] == token:
        return tokens["token1"], links["next0"]
    return tokens["token0"], links["next1"]


@jit
def _pair_of(state: Any, one: Any, other: Any) -> Any:
    """Row of the pair of two tokens, or -1. Pairs are stored under (lower id, higher id)."""
    return find(state.pairs, min(one, other), max(one, other))


@jit
def _three_hops(state: Any, pool: Any, skip: Any, room: Any) -> Any:
    """Ways A - X - B, looked for from the token with fewer neighbours."""
    p = read(state.pools, pool)
    a, b = p["token0"], p["token1"]
    if read(state.token_links, b)["degree"] < read(state.token_links, a)["degree"]:
        a, b = b, a
    at = read(state.token_links, a)["first_pair"]
    while at != 0 and room > 0:
        pair = np.int64(at) - 1
        x, at = _neighbour(state, pair, a)
        closing = _pair_of(state, x, b) if x != b else np.int64(-1)
        if closing >= 0:
            q = read(state.pairs, pair)["first_pool"]
            while q != 0 and room > 0:
                skip, room = _each_last(
                    state, (pool, pool, np.int64(q) - 1), closing, np.int64(3), (skip, room)
                )
                q = read(state.pools, np.int64(q) - 1)["next_in_pair"]
    return skip, room


@jit
def _each_last(state: Any, so_far: Any, pair: Any, hops: Any, budget: Any) -> Any:
    """Complete a cycle with each pool of its last pair. `so_far` are its other pools, doubled in front for three."""
    skip, room = budget
    first, second, third = so_far
    usable = can_take_part(state, second) and can_take_part(state, third)
    at = read(state.pairs, pair)["first_pool"]
    while usable and at != 0 and room > 0:
        last = np.int64(at) - 1
        if can_take_part(state, last):
            if hops == 3:
                skip, room = _take(state, (first, third, last, first), hops, (skip, room))
            else:
                skip, room = _take(state, (first, second, third, last), hops, (skip, room))
        at = read(state.pools, last)["next_in_pair"]
    return skip, room


@jit
def _four_hops(state: Any, pool: Any, skip: Any, room: Any) -> Any:
    """Ways A - X - Y - B."""
    p = read(state.pools, pool)
    a, b = p["token0"], p["token1"]
    at = read(state.token_links, a)["first_pair"]
    while at != 0 and room > 0:
        near = np.int64(at) - 1
        x, at = _neighbour(state, near, a)
        if x != b:
            skip, room = _through(state, (pool, near, x), skip, room)
    return skip, room


@jit
def _through(state: Any, start: Any, skip: Any, room: Any) -> Any:
    """Ways A - X - Y - B for one X: over the neighbours of B or those of X, whichever are fewer."""
    pool, near, x = start
    p = read(state.pools, pool)
    a, b = p["token0"], p["token1"]
    from_b = read(state.token_links, b)["degree"] <= read(state.token_links, x)["degree"]
    centre = b if from_b else x
    at = read(state.token_links, centre)["first_pair"]
    while at != 0 and room > 0:
        one = np.int64(at) - 1
        y, at = _neighbour(state, one, centre)
        if y in (a, b, x):
            continue
        other = _pair_of(state, y, x if from_b else b)
        if other < 0:
            continue
        middle, last = (np.int64(other), np.int64(one)) if from_b else (np.int64(one), np.int64(other))
        q = read(state.pairs, near)["first_pool"]
        while q != 0 and room > 0:
            r = read(state.pairs, middle)["first_pool"]
            while r != 0 and room > 0:
                skip, room = _each_last(
                    state, (pool, np.int64(q) - 1, np.int64(r) - 1), last, np.int64(4), (skip, room)
                )
                r = read(state.pools, np.int64(r) - 1)["next_in_pair"]
            q = read(state.pools, np.int64(q) - 1)["next_in_pair"]
    return skip, room


@jit
def _take(state: Any, pools: Any, hops: Any, budget: Any) -> Any:
    """Enter a cycle unless an earlier slice has, or a later one has to."""
    skip, room = budget
    if skip > 0:
        return skip - 1, room
    if room > 1:
        _enter(state, pools, hops)
    return skip, room - 1


@jit
def _shared_token(state: Any, one: Any, other: Any) -> Any:
    """The token at which two neighbouring pools of a longer cycle meet."""
    p, q = read(state.pools, one), read(state.pools, other)
    return p["token0"] if p["token0"] == q["token0"] or p["token0"] == q["token1"] else p["token1"]


@jit
def _enter(state: Any, pools: Any, hops: Any) -> None:
    """Write a cycle's row, begun at its first-ranking token, and put it on the lists of its pools.

    `pools` go round the cycle. The token before pools[k] is where it meets pools[k - 1].
    """
    start = _start_of(state, pools, hops)
    cursor = row(state.path_cursor, 0)
    path = cursor["path_count"]
    if not claim_id(state.paths, path) or not claim_id(state.path_state, path):
        return
    cursor["path_count"] += _ONE
    t = row(state.paths, path)
    t["hops"] = np.uint32(hops)
    directions = np.uint32(0)
    token = _token_before(state, pools, hops, start)
    for k in range(hops):
        pool = pools[(start + k) % hops]
        p = read(state.pools, pool)
        if p["token0"] == token:
            directions |= _ONE << np.uint32(k)
        token = p["token1"] if p["token0"] == token else p["token0"]
        head = row(state.path_heads, pool)
        set_hop(t, k, pool, head["first"])
        head["first"] = path * np.uint32(MAX_HOPS) + np.uint32(k) + _ONE
        mark(state, pool)  # its rates are not kept while it is on no path
    t["zero_for_one"] = directions


@jit
def set_hop(path: Any, k: Any, pool: Any, following: Any) -> None:
    """Write hop k of a path's row: its pool, and the next path on the pool's list."""
    if k == 0:
        path["pool0"], path["next0"] = pool, following
    elif k == 1:
        path["pool1"], path["next1"] = pool, following
    elif k == 2:
        path["pool2"], path["next2"] = pool, following
    else:
        path["pool3"], path["next3"] = pool, following


@jit
def _token_before(state: Any, pools: Any, hops: Any, k: Any) -> Any:
    """The token with which a cycle enters pools[k]."""
    if hops == 2:  # the two pools share both tokens: hop 0 begins at token0, hop 1 at token1
        p = read(state.pools, pools[0])
        return p["token0"] if k == 0 else p["token1"]
    return _shared_token(state, pools[(k + hops - 1) % hops], pools[k])


@jit
def _start_of(state: Any, pools: Any, hops: Any) -> Any:
    """The hop before which the cycle's first-ranking token stands."""
    best = np.int64(0)
    for k in range(1, hops):
        if ranks_before(state, _token_before(state, pools, hops, k), _token_before(state, pools, hops, best)):
            best = np.int64(k)
    return best


@jit
def _rank(state: Any, token: Any) -> Any:
    address = read(state.tokens, token)["address"]
    named = np.int64(read(state.path_settings, 0)["base_tokens"])
    for k in range(min(named, np.int64(MAX_BASE_TOKENS))):
        if _compare(read(state.base_tokens, k)["address"], address) == 0:
            return np.int64(k)
    return named


@jit
def _compare(one: Any, other: Any) -> Any:
    for k in range(20):
        if one[k] != other[k]:
            return np.int64(-1) if one[k] < other[k] else np.int64(1)
    return np.int64(0)


@jit
def ranks_before(state: Any, one: Any, other: Any) -> bool:
    """Whether a cycle would rather start at token `one` than at `other`."""
    rank_one, rank_other = _rank(state, one), _rank(state, other)
    if rank_one != rank_other:
        return rank_one < rank_other
    return _compare(read(state.tokens, one)["address"], read(state.tokens, other)["address"]) < 0
