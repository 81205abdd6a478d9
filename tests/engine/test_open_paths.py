"""What is open, and greedy totals, against a plain walk over the same opportunities."""

from __future__ import annotations

import random

import numpy as np

from disruptor.engine.open_paths import Closing, OpenPaths, Total
from disruptor.engine.opportunity_rows import reports_of
from disruptor.handlers.messages import FLAG_GROSS
from tests.support.reported import DAI, USDC, WETH, Told, opportunities


def _closing(*rows):
    sequence, ordinal, path = (np.array(column) for column in zip(*rows, strict=True))
    return Closing(sequence, ordinal, path.astype(np.uint32))


def _book(told, closings=()):
    book, reports = OpenPaths(), reports_of(*opportunities(told))
    numbers = book.number_openings(reports)
    book.update(reports, np.ones(len(reports), np.bool_), closings)
    return book, numbers


def test_openings_are_numbered_by_path_over_batches():
    book = OpenPaths()
    first = [
        Told(sequence=s, path=p, opens=o) for s, (p, o) in enumerate([(7, True), (2, False), (7, False)])
    ]
    assert book.number_openings(reports_of(*opportunities(first))).tolist() == [1, 0, 1]
    then = [
        Told(sequence=9, path=p, opens=o) for p, o in [(2, True), (7, True), (2, False), (2, True), (0, True)]
    ]
    assert book.number_openings(reports_of(*opportunities(then))).tolist() == [1, 2, 1, 2, 1]


def test_the_last_word_on_a_path_within_a_batch_counts():
    told = [Told(sequence=s, ordinal=o, path=p) for s, o, p in [(3, 0, 0), (3, 2, 1), (5, 0, 2)]]
    book, numbers = _book(told, [_closing((3, 1, 0), (3, 1, 1)), _closing((4, 9, 2))])
    assert numbers.tolist() == [1, 1, 1]
    assert [book.is_open(path, 1) for path in range(3)] == [False, True, True]
    assert not book.is_open(1, 2)


def test_the_end_of_what_was_never_reported_opens_nothing():
    book, _ = _book([], [_closing((3, 1, 4))])
    assert not book.is_open(4, 0) and book.totals() == []


def test_a_total_takes_the_most_profitable_and_leaves_out_what_shares_a_pool():
    told = [
        Told(sequence=0, path=0, pools=(0, 1), profit=10, cost=1, flags=FLAG_GROSS),
        Told(sequence=0, path=1, pools=(1, 2), profit=2**100, cost=2),  # comes first, and bars both others
        Told(sequence=0, path=2, pools=(3, 2, 4), tokens=(WETH, USDC, DAI), profit=10, cost=4),
        Told(sequence=0, path=3, pools=(5, 6), profit=7, cost=8, flags=FLAG_GROSS),
        Told(sequence=0, path=4, pools=(5, 0), tokens=(USDC, WETH), profit=3),
    ]
    book, _ = _book(told)
    assert book.totals() == [Total(WETH, 2**100 + 7, 10, 1, 2, 2), Total(USDC, 3, 0, 0, 1, 0)]


def test_of_equal_profits_the_lower_path_is_taken():
    told = [Told(sequence=0, path=p, pools=(p, 9), profit=5, cost=p) for p in (3, 1, 2)]
    assert _book(told)[0].totals() == [Total(WETH, 5, 1, 0, 1, 2)]


def test_totals_of_many_are_those_of_a_plain_walk():
    source = random.Random(5)
    told = [
        Told(sequence=n, path=n, pools=tuple(source.sample(range(40), 2)), profit=source.randrange(1, 2**70))
        for n in range(200)
    ]
    used, profit, taken = set(), 0, 0
    for one in sorted(told, key=lambda one: (-one.profit, one.path)):
        if not used & set(one.pools):
            used |= set(one.pools)
            profit, taken = profit + one.profit, taken + 1
    assert 10 < taken < 20
    assert _book(told)[0].totals() == [Total(WETH, profit, 0, 0, taken, 200 - taken)]
