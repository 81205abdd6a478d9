"""The paths of each pool as arrays, newest first: what the batch screen reads instead of the links in `paths`.

A link says where the next path is only once its own row has come from memory, so a walk along links waits for one
row after the other: 150 ns a path where the paths do not fit in the cache. Here the numbers of 14 paths arrive with
one cache line, and their rows are fetched side by side.

    path_lists   a row a pool:    entries[0 .. count)   the newest paths, in the order in which they came
                                  chunk ────► path_chunks: 14 older ones ────► 14 older ones ────► 0

A list fills up in place; when it is full, its entries move into a chunk. So chunks are always full, a pool with few
paths has none, and there are never more than hops / 14 of them. Both orders are the links' order: newest first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, claim_id, meta_of, read, row
from disruptor.handlers.path_search import hop_pool
from disruptor.handlers.path_tables import MAX_HOPS
from disruptor.jit import jit
from disruptor.message import FieldType, u32
from disruptor.table import Table

#: Paths of one chunk; a row is a cache line.
CHUNK = 14
_ENTRIES = FieldType(f"u32[{CHUNK}]", "<u4", CHUNK, 4)
_ONE = np.uint32(1)

#: One layout for both, so that a kernel reads a list from either.
_PART = {
    "entries": _ENTRIES,
    "count": u32,
    "chunk": u32,  # next chunk + 1, 0 none
}

path_lists = Table("path_lists", _PART, key="pools", digest=False)
path_chunks = Table("path_chunks", _PART, key="path_chunks", digest=False)


def chunk_capacity(paths: int) -> int:
    """Rows of `path_chunks` that so many paths can't exceed.

    >>> chunk_capacity(14)
    5
    """
    return paths * MAX_HOPS // CHUNK + 1


@jit
def list_paths(state: Any, first: Any, end: Any) -> None:
    """Enter the paths `first` up to `end`, newest of all so far, into the lists of their pools."""
    for at in range(np.int64(first), np.int64(end)):
        path = read(state.paths, at)
        for k in range(np.int64(path["hops"])):
            _append(state, hop_pool(path, k), np.uint32(at))


@jit
def _append(state: Any, pool: Any, path: Any) -> None:
    """Enter a path into a pool's list; a full list is emptied into a chunk before."""
    own = row(state.path_lists, pool)
    if own["count"] == CHUNK:
        free = meta_of(state.path_chunks)["high"]
        if not claim_id(state.path_chunks, free):
            return
        chunk = row(state.path_chunks, free)
        assign(chunk["entries"], own["entries"])
        chunk["count"], own["count"] = own["count"], np.uint32(0)
        chunk["chunk"], own["chunk"] = own["chunk"], np.uint32(free) + _ONE
    own["entries"][own["count"]] = path
    own["count"] += _ONE
