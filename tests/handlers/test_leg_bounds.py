"""Bounds on legs: whatever prices do, no cycle is left out that the plain screen takes, and most are not looked at."""

from __future__ import annotations

import random

import pytest

from tests.support.leg_book import PATHS, POOLS, Book

FEE = 0.003


def move(book: Book, prices: list[float], pools: list[int], width: float) -> None:
    """New prices for some pools, both ways net of a fee."""
    for pool in pools:
        prices[pool] = 1.0 + book.source.uniform(-width, width)
        book.set_rates(pool, prices[pool] * (1.0 - FEE), (1.0 - FEE) / prices[pool])


def bounds_hold(book: Book) -> bool:
    used = book.rows("path_legs")[: int(book.state.arrays["path_legs"].meta[0]["high"])]
    groups = book.rows("junctions")[used["junction"]]
    return bool((used["up"] <= groups["most_up"]).all() and (used["down"] <= groups["most_down"]).all())


@pytest.mark.parametrize("width", [0.001, 0.003, 0.006, 0.03])
def test_no_cycle_is_dropped_however_prices_rise_and_fall(seed: int, width: float) -> None:
    book = Book(random.Random(f"{seed} {width}"))
    book.enter(PATHS)
    prices = [1.0] * POOLS
    move(book, prices, list(range(POOLS)), 0.001)
    book.screen(list(range(POOLS)))
    chosen = 0
    for _ in range(30):
        changed = book.source.sample(range(POOLS), book.source.randrange(1, 6))
        move(book, prices, changed, width)
        expected = book.expected(changed)
        assert book.screen(changed) == expected
        assert bounds_hold(book)
        chosen += len(expected)
    assert (chosen > 0) == (width > FEE)


def test_while_prices_are_within_fees_hardly_a_cycle_is_looked_at(seed: int) -> None:
    book = Book(random.Random(seed))
    book.enter(PATHS)
    prices = [1.0] * POOLS
    for _ in range(20):
        move(book, prices, list(range(POOLS)), 0.9 * FEE)
        assert book.screen(list(range(POOLS))) == []
    assert book.screened() < 20 * PATHS // 100


def test_bounds_that_were_too_high_are_made_tight_where_something_opens(seed: int) -> None:
    book = Book(random.Random(seed))
    book.enter(PATHS)
    prices = [1.0] * POOLS
    move(book, prices, list(range(POOLS)), 0.0)
    assert book.screen(list(range(POOLS))) == []
    for pool in range(POOLS):
        book.set_rates(pool, 1.0, 1.0 - 2 * FEE)  # the bounds rise ...
        book.screen([pool])
        move(book, prices, [pool], 0.0)  # ... and stay while the rates fall
        assert book.screen([pool]) == []
    book.set_rates(7, 1.03, 0.96)
    found = book.screen([7])
    assert found == book.expected([7]) and found
    used = book.rows("path_legs")[: int(book.state.arrays["path_legs"].meta[0]["high"])]
    junction = used[book.rows("paths")[found[0][0]]["leg0"]]["junction"]
    inside, group = used[used["junction"] == junction], book.rows("junctions")[junction]
    assert (group["most_up"], group["most_down"]) == (inside["up"].max(), inside["down"].max())
