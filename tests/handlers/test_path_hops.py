"""Hops of a solve against the contracts' arithmetic in Python: within a range, at its end, beyond, and off it."""

from __future__ import annotations

import random

import pytest

from tests.support.cycle_book import CycleBook, made_cycle
from tests.support.pool_book import Pair, Refused, trade
from tests.support.uniswap_oracle import Pool
from tests.support.wide_records import number


def answer(pool: Pool | Pair, zero_for_one: bool, exact_in: bool, amount: int) -> dict[str, int]:
    """What an exact quote says, or nothing of nothing."""
    try:
        return trade(pool, zero_for_one, exact_in, amount, 0)
    except Refused:
        return {"amount": 0, "partial": False}


def first_that_crosses(pool: Pool, zero_for_one: bool, exact_in: bool, most: int) -> int:
    """The smallest amount whose swap does not end before the tick at which its first step ends."""
    tick, _ = pool.next_tick(pool.tick, zero_for_one)
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        limit = 4295128740 if zero_for_one else 1461446703485210103287273052203988822378723970341
        ended = pool.swap(zero_for_one, middle if exact_in else -middle, limit)
        crossed = ended.tick < tick if zero_for_one else ended.tick >= tick
        low, high = (low, middle) if crossed or ended.remaining else (middle, high)
    return high


def amounts(
    rng: random.Random, pool: Pool | Pair, zero_for_one: bool, exact_in: bool, size: int
) -> list[int]:
    found = [1, 2, rng.randint(1, size), rng.randint(1, 1 + size // 1000), size * 100, 2**200, 2**255 + 1]
    if isinstance(pool, Pool):
        end = first_that_crosses(pool, zero_for_one, exact_in, size * 10**4)
        found += [max(1, end + step) for step in range(-2, 3)]
    return found


@pytest.mark.parametrize("size", [100, 10**6, 10**20])
def test_a_hop_takes_pays_and_needs_what_an_exact_quote_says(size: int, seed: int, lane: str) -> None:
    rng = random.Random(f"{seed} {size}")
    cycles = [made_cycle(rng, "3233", size) for _ in range(1 if lane == "nojit" else 2)]
    book, told = CycleBook(cycles), 0
    for hop in (0,) if lane == "nojit" else range(4):
        asked = []
        for cycle in cycles:
            pool, down = cycle.hops()[hop]
            asked.append([*amounts(rng, pool, down, True, size), *amounts(rng, pool, down, False, size)])
        for turn in range(min(map(len, asked))):
            offered = [amounts[turn] for amounts in asked]
            found = book.solve(*({"hop": hop, "offered": amount} for amount in offered))
            for cycle, amount, row in zip(cycles, offered, found, strict=True):
                pool, down = cycle.hops()[hop]
                paid, needed = answer(pool, down, True, amount), answer(pool, down, False, amount)
                full = isinstance(pool, Pool) or amount + pool.reserves[not down] < 2**112
                assert number(row["paid"]) == (paid["amount"] if full else 0)
                if number(row["paid"]):
                    assert (number(row["taken"]) == amount) == (not paid["partial"])
                assert number(row["needed"]) == needed["amount"]
                told += number(row["paid"]) > 0 and number(row["needed"]) > 0
    assert told > 4 or lane == "nojit"
