"""The batch screen against the screen of one path and a plain walk, and what became of its loops in machine code."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

from disruptor.access import read, row
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.batch_screen import SEATS, multiply, screen_columns, screen_next
from disruptor.handlers.path_lists import CHUNK, chunk_capacity, list_paths, path_chunks, path_lists
from disruptor.handlers.path_tables import path_cursor, path_heads, paths, rates
from disruptor.handlers.path_visit import MARGIN, marginal_products
from disruptor.handlers.vector_width import widest
from disruptor.jit import jit_uncounted
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

TABLES = [paths, path_lists, path_chunks, path_heads, path_cursor, rates, screen_columns]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
POOLS, PATHS = 40, 3 * SEATS
REGISTERS = {512: "zmm", 256: "ymm"}
CHOSEN = np.dtype([("path", "<i8"), ("forward", "<f8"), ("backward", "<f8")], align=True)
EDGES = (0.0, 1.0, MARGIN, np.nextafter(MARGIN, 0.0), np.nextafter(MARGIN, 2.0), 5e-324, 1e-200, 1e75)


@entry_uncounted
def screen_all(tables, chosen, singly):  # type: ignore[no-untyped-def]
    """One boundary in batches: what is chosen, in order; and each path's products one by one. Returns how many."""
    state = bind_state(LAYOUT, tables)
    columns, count = row(state.screen_columns, 0), np.int64(0)
    while screen_next(state, MARGIN) > 0:
        for k in range(np.int64(columns["count"])):
            seat, c = columns["chosen"][k], chosen[count]
            c["path"] = columns["paths"][seat]
            c["forward"], c["backward"] = columns["forward"][seat], columns["backward"][seat]
            count += 1
    for at in range(len(singly)):
        s = singly[at]
        s["forward"], s["backward"] = marginal_products(state, read(state.paths, at))
    row(state.path_cursor, 0)["boundary"] += np.uint64(1)
    return count


@entry_uncounted
def enter(tables, first, end):  # type: ignore[no-untyped-def]
    list_paths(bind_state(LAYOUT, tables), first, end)


class Book:
    """Random paths over few pools, as rows of tables and as lists."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        capacities = {"pools": POOLS, "paths": PATHS, "path_chunks": chunk_capacity(PATHS)}
        self.state = State(TABLES, capacities, plain_allocate)
        fault = np.zeros(8, np.int64)
        self.tables = describe_tables([self.state.arrays[t.name] for t in TABLES], fault)
        self.lists: list[list[int]] = [[] for _ in range(POOLS)]
        self.hops: list[list[tuple[int, bool]]] = []

    def rows(self, name: str) -> Any:
        return self.state.arrays[name].rows

    def enter(self, count: int) -> None:
        """So many more paths; every second goes through pool 0."""
        first = len(self.hops)
        for at in range(first, first + count):
            pools = self.source.sample(range(1, POOLS), self.source.randrange(2, 5))
            pools[0] = 0 if at % 2 else pools[0]
            hops = [(pool, self.source.random() < 0.5) for pool in pools]
            self.hops.append(hops)
            target = self.rows("paths")[at]
            target["hops"] = len(hops)
            for k, (pool, falling) in enumerate(hops):
                target[f"pool{k}"] = pool
                target["zero_for_one"] |= int(falling) << k
                self.lists[pool].insert(0, at)
        enter(self.tables, first, first + count)

    def set_rates(self, values: Any) -> None:
        for pool in range(POOLS):
            self.rows("rates")[pool] = (values(), values())

    def mark(self, pools: list[int]) -> None:
        """Put pools on the list of the next boundary, the first in front."""
        cursor = self.rows("path_cursor")[0]
        for pool in reversed(pools):
            self.rows("path_heads")[pool]["next_marked"] = cursor["first_marked"]
            cursor["first_marked"] = pool + 1

    def products(self, at: int) -> tuple[float, float]:
        forward = backward = 1.0
        for pool, falling in self.hops[at]:
            down, up = map(float, self.rows("rates")[pool])
            forward *= down if falling else up
            backward *= up if falling else down
        return forward, backward

    def expected(self, pools: list[int]) -> list[tuple[int, float, float]]:
        """What may pay or is open among the paths of the pools, each once, newest first of each pool."""
        seen = dict.fromkeys(at for pool in pools for at in self.lists[pool])
        is_open = self.rows("paths")["open"]
        found = [(at, *self.products(at)) for at in seen]
        return [f for f in found if max(f[1:]) > MARGIN or is_open[f[0]]]


@pytest.fixture
def book(seed: int) -> Book:
    return Book(random.Random(seed))


def screen(book: Book, pools: list[int]) -> list[tuple[int, float, float]]:
    book.mark(pools)
    chosen, singly = np.zeros(PATHS, CHOSEN), np.zeros(len(book.hops), CHOSEN)
    count = screen_all(book.tables, chosen, singly)
    # To the last bit, zeros by their sign too.
    for at, forward, backward in chosen[:count]:
        one = singly[at]
        assert (forward.hex(), backward.hex()) == (one["forward"].hex(), one["backward"].hex())
    return [(int(at), float(forward), float(backward)) for at, forward, backward in chosen[:count]]


def test_choice_and_products_are_those_of_a_plain_walk(book: Book) -> None:
    for entered, pools in ((5, [3]), (90, [0, 7]), (PATHS - 95, [9, 0, 30, 2])):
        book.enter(entered)
        book.set_rates(lambda: book.source.uniform(0.99, 1.01))
        found = screen(book, pools)
        assert found == book.expected(pools)
    assert len(found) > CHUNK
    assert int(book.rows("path_cursor")[0]["screened"]) > SEATS


def test_rates_at_the_edges_choose_alike(book: Book) -> None:
    book.enter(PATHS)
    book.set_rates(lambda: book.source.choice(EDGES))
    everything = list(range(POOLS))
    book.source.shuffle(everything)
    found = screen(book, everything)
    assert found == book.expected(everything)
    assert 0 < len(found) < PATHS


def test_open_paths_are_chosen_whatever_they_pay(book: Book) -> None:
    book.enter(100)
    book.set_rates(lambda: 0.0)
    assert screen(book, [0]) == []
    book.rows("paths")["open"][[1, 3, 41]] = (1, 2, 1)
    assert screen(book, [0]) == [(at, 0.0, 0.0) for at in (41, 3, 1)]


def test_nothing_is_screened_without_a_marked_pool(book: Book) -> None:
    book.enter(20)
    book.set_rates(lambda: 2.0)
    assert screen(book, []) == []
    assert int(book.rows("path_cursor")[0]["screened"]) == 0


@pytest.mark.compiled
def test_the_kernel_multiplies_in_the_widest_vectors(lane: str) -> None:
    if lane == "bounds":
        pytest.skip("a loop that checks each index is no vector loop")
    if widest() not in REGISTERS:
        pytest.skip(f"this processor's vectors have {widest()} bits")

    @jit_uncounted
    def run(rows: Any, seats: int) -> None:
        multiply(rows[0], seats)

    run(np.zeros(1, screen_columns.dtype), SEATS)
    (assembly,) = run.inspect_asm().values()
    # Three multiplications each way, of which LLVM may unroll the loop any number of times.
    packed = re.findall(rf"\bvmulpd\b.*%{REGISTERS[widest()]}", assembly)
    assert len(packed) >= 6 and len(packed) % 6 == 0
