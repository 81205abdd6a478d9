"""The batch screen against the screen of one path and a plain walk, and what became of its loops in machine code."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

from disruptor.handlers.batch_screen import SEATS, multiply, screen_columns
from disruptor.handlers.path_visit import MARGIN
from disruptor.handlers.vector_width import widest
from disruptor.jit import jit_uncounted
from tests.support.leg_book import PATHS, POOLS, Book

REGISTERS = {512: "zmm", 256: "ymm"}
EDGES = (0.0, 1.0, MARGIN, np.nextafter(MARGIN, 0.0), np.nextafter(MARGIN, 2.0), 5e-324, 1e-200, 1e75)


@pytest.fixture
def book(seed: int) -> Book:
    return Book(random.Random(seed))


def shuffled(book: Book, count: int = POOLS) -> list[int]:
    return book.source.sample(range(POOLS), count)


def test_choice_order_and_products_are_those_of_a_plain_walk(book: Book) -> None:
    for entered in (5, 90, PATHS - 95):
        book.enter(entered)
        for pool in range(POOLS):
            book.set_rates(pool, book.source.uniform(0.99, 1.01), book.source.uniform(0.99, 1.01))
        changed = shuffled(book)
        found = book.screen(changed)
        assert found == book.expected(changed)
    assert len(found) > SEATS


def test_rates_at_the_edges_choose_alike(book: Book) -> None:
    book.enter(PATHS)
    for _ in range(4):
        for pool in range(POOLS):
            book.set_rates(pool, book.source.choice(EDGES), book.source.choice(EDGES))
        changed = shuffled(book)
        found = book.screen(changed)
        assert found == book.expected(changed)
        assert 0 < len(found) < PATHS


def test_open_paths_are_chosen_whatever_they_pay(book: Book) -> None:
    book.enter(100)
    assert book.screen(shuffled(book)) == []
    rows, legs = book.rows("paths"), book.rows("path_legs")
    for at in (1, 3, 41):
        rows[at]["open"] = 1
        legs["open"][[rows[at]["leg0"], rows[at]["leg1"]]] += 1
    touched = [book.hops[at][0][0] for at in (41, 3)]
    assert book.screen(touched) == book.expected(touched)
    assert {at for at, *_ in book.expected(touched)} >= {3, 41}


def test_nothing_is_screened_without_a_marked_pool(book: Book) -> None:
    book.enter(20)
    assert book.screen([]) == []
    assert book.screened() == 0


@pytest.mark.compiled
def test_the_kernel_multiplies_in_the_widest_vectors(lane: str) -> None:
    if lane == "bounds":
        pytest.skip("a loop that checks each index is no vector loop")
    if widest() not in REGISTERS:
        pytest.skip(f"this processor's vectors have {widest()} bits")

    @jit_uncounted
    def run(rows: Any, seats: int, up: float, down: float) -> None:
        multiply(rows[0], seats, up, down)

    run(np.zeros(1, screen_columns.dtype), SEATS, 1.0, 1.0)
    (assembly,) = run.inspect_asm().values()
    # One multiplication each way, of which LLVM may unroll the loop any number of times.
    packed = re.findall(rf"\bvmulpd\b.*%{REGISTERS[widest()]}", assembly)
    assert len(packed) >= 2 and len(packed) % 2 == 0
