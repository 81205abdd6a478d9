"""Rows of pool tracking asked for before their events are handled, so that they come from memory meanwhile.

A chain touches more pools than fit in any cache: without this a V3 swap waits for ten cache lines one after the other.
Each kernel here is one stage of a handler's `ahead`: it may look at what the stage before has asked for, since that has
come in the meantime. What it sees can be from before events in between; then a row is asked for in vain, or too late.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import holds, prefetch, prefetch_found, prefetch_key, read
from disruptor.handlers.tick_bitmap import word_of
from disruptor.jit import jit


@jit
def v2_rows(state: Any, event: Any) -> None:
    """What a `Sync` and its `Swap` touch."""
    pool = np.int64(event["pool"])
    prefetch(state.pools, pool)
    prefetch(state.market, pool)
    prefetch(state.v2_before, pool)


@jit
def v3_rows(state: Any, event: Any) -> None:
    """A V3 pool's own rows."""
    pool = np.int64(event["pool"])
    prefetch(state.pools, pool)
    prefetch(state.market, pool)
    prefetch(state.v3_fees, pool)


@jit
def word_bucket(state: Any, event: Any) -> None:
    """Where the bitmap's word of the price is looked up."""
    pool = np.int64(event["pool"])
    if holds(state.pools, pool):
        p = read(state.pools, pool)
        prefetch_key(state.tick_bitmap, pool, word_of(p["tick"], p["tick_spacing"]))


@jit
def word_row(state: Any, event: Any) -> None:
    """The word itself."""
    pool = np.int64(event["pool"])
    if holds(state.pools, pool):
        p = read(state.pools, pool)
        prefetch_found(state.tick_bitmap, pool, word_of(p["tick"], p["tick_spacing"]))


@jit
def range_buckets(state: Any, event: Any) -> None:
    """Where the ends of a range are looked up, and the words that they are in."""
    pool, lower, upper = np.int64(event["pool"]), event["tick_lower"], event["tick_upper"]
    prefetch_key(state.ticks, pool, lower)
    prefetch_key(state.ticks, pool, upper)
    if holds(state.pools, pool):
        spacing = read(state.pools, pool)["tick_spacing"]
        prefetch_key(state.tick_bitmap, pool, word_of(lower, spacing))
        prefetch_key(state.tick_bitmap, pool, word_of(upper, spacing))


@jit
def range_rows(state: Any, event: Any) -> None:
    """The ends of a range, and the words that they are in."""
    pool, lower, upper = np.int64(event["pool"]), event["tick_lower"], event["tick_upper"]
    prefetch_found(state.ticks, pool, lower)
    prefetch_found(state.ticks, pool, upper)
    if holds(state.pools, pool):
        spacing = read(state.pools, pool)["tick_spacing"]
        prefetch_found(state.tick_bitmap, pool, word_of(lower, spacing))
        prefetch_found(state.tick_bitmap, pool, word_of(upper, spacing))


V2_SYNC = (v2_rows,)
V3_SWAP = (v3_rows, word_bucket, word_row)
V3_RANGE = (v3_rows, range_buckets, range_rows)
