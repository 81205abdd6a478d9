"""Many queries answered at one state: the kernel behind `disruptor quote`.

A *single* query asks one pool, as UniswapV2Library and QuoterV2 are asked. A *path* is a chain of trades carried out in
one transaction: each hop takes all that the hop before paid, and moves its pool's price, so that a later hop through
the same pool finds it moved. To that end the rows of pools are changed hop by hop and put back afterwards
(`disruptor.handlers.moved_rows`), last change first: between two queries the state is what it was.

What a pair checks only when it is traded with, a zero output and a reserve beyond 112 bits, is checked along paths.

Source: Uniswap v2-core 1.0.1, UniswapV2Pair.swap and _update; v3-core 1.0.0, UniswapV3Pool.swap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.by_venue import move, takes_limit, trade
from disruptor.handlers.messages import KIND_UNKNOWN
from disruptor.handlers.moved_rows import keep_moved, put_back
from disruptor.handlers.pools import NO_FEE, UNVERIFIED, chain, is_complete, pool_directory, pools, ticks
from disruptor.handlers.quoting import (
    FEE_UNKNOWN,
    HOPS_APART,
    INCOMPLETE,
    LIMIT_NOT_TAKEN,
    UNKNOWN_POOL,
)
from disruptor.handlers.tick_bitmap import tick_bitmap
from disruptor.handlers.uniswap_v3_tables import v3_fees
from disruptor.handlers.wide import is_zero, load, split256, store, sub, u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit
from disruptor.references import StateLayout, bind_state
from disruptor.status import OK

#: The longest path.
MAX_HOPS = 8
#: What a query asks: `form`.
EXACT_IN, EXACT_OUT, PATH = 0, 1, 2
#: One query. Integers of 256 bits are four little-endian limbs. `amount` goes in, or with EXACT_OUT comes out;
#: `sqrt_price_limit_x96` 0 is none; the first `hops` elements of `pool` (addresses) and `zero_for_one` count.
QUERY_DTYPE = np.dtype(
    [
        ("block", "<u8"),
        ("amount", "<u8", (4,)),
        ("sqrt_price_limit_x96", "<u8", (4,)),
        ("pool", "<u1", (MAX_HOPS, 20)),
        ("zero_for_one", "<u1", (MAX_HOPS,)),
        ("hops", "<u1"),
        ("form", "<u1"),
    ],
    align=True,
)
#: One answer. `status` 0 is OK, else a key of `quoting.REASONS`; `hops` counts the hops before the one refused, and all
#: else is 0 then. `amount` and the price after (0 for V2) are of single queries, `outs` and `profit` (signed) of paths.
#: `unverified` is 1, whatever the status, if a pool that was asked had failed its audit by then: numbers follow from
#: its declared kind and fee, of which a swap has shown that the contract does something else.
ANSWER_DTYPE = np.dtype(
    [
        ("status", "<i8"),
        ("hops", "<i8"),
        ("amount", "<u8", (4,)),
        ("sqrt_price_x96_after", "<u8", (4,)),
        ("outs", "<u8", (MAX_HOPS, 4)),
        ("profit", "<u8", (4,)),
        ("partial", "<u1"),
        ("unverified", "<u1"),
    ],
    align=True,
)
#: The tables that quotes read, in the order in which the kernel gets them; behind them are those of users' venues.
QUOTE_TABLES = (pools, pool_directory, chain, ticks, tick_bitmap, v3_fees)


def quote_layout(venues: Sequence[Any] = ()) -> StateLayout:
    """The state that quotes are answered from, with these venues of users' own."""
    tables = list(dict.fromkeys([*QUOTE_TABLES, *(table for venue in venues for table in venue.tables)]))
    return StateLayout(tables, {table.name: "plain" for table in tables}, venues)


_LAYOUT = quote_layout()


@entry_uncounted
def answer_queries(tables: Any, queries: Any, ids: Any, answers: Any, kept: Any) -> None:
    """Answer queries at the present state.

    Parameters
    ----------
    tables : descriptors of `QUOTE_TABLES`. Their rows are as before when the call returns
    queries : (n,) QUERY_DTYPE, C-contiguous
    ids : (n, MAX_HOPS) int64, the pools of each query; -1 unknown
    answers : (n,) ANSWER_DTYPE, zeros. Mutated
    kept : (MAX_HOPS,) moved_dtype(), scratch
    """
    answer_each(bind_state(_LAYOUT, tables), queries, ids, answers, kept)


@jit
def answer_each(state: Any, queries: Any, ids: Any, answers: Any, kept: Any) -> None:
    """Answer queries at a state; see `answer_queries`."""
    for i in range(len(queries)):
        _answer(state, queries[i], ids, i, answers[i], kept)


@jit
def _answer(state: Any, query: Any, ids: Any, i: Any, answer: Any, kept: Any) -> None:
    """Answer one query, hop by hop; a single query has one. All trades are made here: one call to compile."""
    is_path, exact_in = query["form"] == PATH, query["form"] != EXACT_OUT
    amount, limit = load(query["amount"]), load(query["sqrt_price_limit_x96"])
    other, done, status, token = amount, np.int64(0), np.int64(OK), np.int64(-1)
    for k in range(np.int64(query["hops"])):
        pool, zero_for_one = ids[i, k], query["zero_for_one"][k] != 0
        status = _check_pool(state, pool, is_path, limit)
        if status == OK:
            p = read(state.pools, pool)
            answer["unverified"] |= np.uint8((p["flags"] & np.uint32(UNVERIFIED)) != 0)
            status, token = _next_token(p, zero_for_one, token)
        if status != OK:
            break
        t = trade(state, pool, zero_for_one, exact_in, other, limit)
        status = t.status
        if status == OK and is_path:
            keep_moved(state, pool, kept[k])
            status = move(state, pool, zero_for_one, other, t)
        if status != OK:
            break
        other = t.amount_out if exact_in else t.amount_in
        done += 1
        answer["partial"] |= np.uint8(t.partial)
        if is_path:
            _store_out(answer, k, other)
        else:
            store(answer["sqrt_price_x96_after"], t.sqrt_price)
    answer["status"], answer["hops"] = status, done
    if is_path:
        _undo(state, ids, i, done, kept)
    if status != OK:
        _forget(answer, done)
    elif is_path:
        store(answer["profit"], sub(other, amount))
    else:
        store(answer["amount"], other)


@jit
def _check_pool(state: Any, pool: Any, is_path: Any, limit: U256) -> Any:
    """Whether a pool can be asked: its state is the chain's, its fee is known, and it takes the limit."""
    if pool < 0:
        return np.int64(UNKNOWN_POOL)
    p = read(state.pools, pool)
    if p["kind"] == KIND_UNKNOWN:
        return np.int64(UNKNOWN_POOL)
    if not is_complete(state, pool):
        return np.int64(INCOMPLETE)
    if p["fee"] == NO_FEE:
        return np.int64(FEE_UNKNOWN)
    fits = is_zero(limit) or (takes_limit(state, pool) and not is_path)
    return np.int64(OK if fits else LIMIT_NOT_TAKEN)


@jit
def _next_token(p: Any, zero_for_one: Any, token: Any) -> tuple[Any, Any]:
    """Whether a pool takes the token that the hop before paid (-1: there was none), and the token that it pays."""
    taken, paid = np.int64(p["token0"]), np.int64(p["token1"])
    if not zero_for_one:
        taken, paid = paid, taken
    return np.int64(OK if token < 0 or token == taken else HOPS_APART), paid


@jit
def _undo(state: Any, ids: Any, i: Any, done: Any, kept: Any) -> None:
    """Undo the first `done` moves of a path, last first: a pool may have moved more than once."""
    for back in range(done):
        k = done - 1 - back
        put_back(state, ids[i, k], kept[k])


@jit
def _store_out(answer: Any, k: Any, amount: U256) -> None:
    w3, w2, w1, w0 = split256(amount)
    outs = answer["outs"]
    outs[k, 0], outs[k, 1], outs[k, 2], outs[k, 3] = w0, w1, w2, w3


@jit
def _forget(answer: Any, done: Any) -> None:
    """A transaction that fails pays nothing, whatever its first hops would have. Whom it asked stays true."""
    for k in range(done):
        _store_out(answer, k, u256(0))
    answer["partial"] = np.uint8(0)
