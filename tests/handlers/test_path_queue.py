"""The queue gives paths in the order in which a walk along the lists of the changed pools meets them."""

from __future__ import annotations

import random

import pytest

from tests.support.leg_book import POOLS, Book


@pytest.mark.parametrize("count", [1, 2, 3, 150])
def test_paths_come_by_the_first_changed_pool_and_then_newest_first(seed: int, count: int) -> None:
    book = Book(random.Random(f"{seed} {count}"))
    book.enter(count)
    for pool in range(POOLS):
        book.set_rates(pool, 1.1, 1.1)
    everything = book.source.sample(range(POOLS), POOLS)
    assert [at for at, *_ in book.screen(everything)] == [at for at, *_ in book.expected(everything)]
    few = everything[: POOLS // 4]
    found = [at for at, *_ in book.screen(few)]
    assert found == [at for at, *_ in book.expected(few)]
    assert len(found) <= count and int(book.rows("path_cursor")[0]["queued"]) == 0
