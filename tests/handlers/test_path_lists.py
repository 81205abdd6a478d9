"""Lists of paths in arrays, against lists."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.path_lists import CHUNK, chunk_capacity, list_paths, path_chunks, path_lists
from disruptor.handlers.path_tables import paths
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

TABLES = [paths, path_lists, path_chunks]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
POOLS, PATHS = 12, 40 * CHUNK


@entry_uncounted
def enter(tables, first, end):  # type: ignore[no-untyped-def]
    list_paths(bind_state(LAYOUT, tables), first, end)


def listed(state: State, pool: int) -> list[int]:
    """A pool's paths as the screen reads them: its own row, then its chunks, each from the end."""
    own, chunks = state.arrays["path_lists"].rows[pool], state.rows("path_chunks")
    found = own["entries"][: own["count"]][::-1].tolist()
    at = own["chunk"]
    while at:
        found += chunks[at - 1]["entries"][::-1].tolist()
        at = chunks[at - 1]["chunk"]
    return [int(path) for path in found]


def new_state(chunks: int) -> tuple[State, Any, Any]:
    state = State(TABLES, {"pools": POOLS, "paths": PATHS, "path_chunks": chunks}, plain_allocate)
    fault = np.zeros(8, np.int64)
    return state, describe_tables([state.arrays[t.name] for t in TABLES], fault), fault


def fill(state: State, cycles: list[list[int]]) -> None:
    for at, pools in enumerate(cycles):
        target = state.arrays["paths"].rows[at]
        target["hops"] = len(pools)
        for k, pool in enumerate(pools):
            target[f"pool{k}"] = pool


@pytest.mark.parametrize("each", [1, CHUNK, PATHS])
def test_lists_have_every_path_of_a_pool_newest_first(each: int, seed: int) -> None:
    source = random.Random(seed)
    state, tables, fault = new_state(chunk_capacity(PATHS))
    cycles = [source.sample(range(POOLS), source.randrange(2, 5)) for _ in range(PATHS)]
    fill(state, cycles)
    for first in range(0, PATHS, each):
        enter(tables, first, min(first + each, PATHS))
        if first in (0, CHUNK, PATHS - each):
            for pool in range(POOLS):
                entered = cycles[: first + each]
                newest = [at for at, pools in enumerate(entered) if pool in pools][::-1]
                assert listed(state, pool) == newest
    assert not fault.any()


def test_chunks_suffice_when_all_paths_share_four_pools() -> None:
    state, tables, fault = new_state(chunk_capacity(PATHS))
    fill(state, [[0, 1, 2, 3]] * PATHS)
    enter(tables, 0, PATHS)
    assert listed(state, 3) == list(range(PATHS))[::-1]
    assert not fault.any()
    used = int(state.arrays["path_chunks"].meta[0]["high"])
    assert used == 4 * (PATHS // CHUNK - 1) < chunk_capacity(PATHS)
