"""Queries answered by the kernel, against contracts written in slow integers."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import numpy as np
import pytest

from disruptor.handlers.moved_rows import moved_dtype
from disruptor.handlers.pools import NO_FEE
from disruptor.handlers.quote_kernels import (
    ANSWER_DTYPE,
    EXACT_IN,
    EXACT_OUT,
    MAX_HOPS,
    PATH,
    QUERY_DTYPE,
    answer_queries,
)
from disruptor.replay.queries import answer_lines
from tests.support.pool_book import Book, Pair, Refused, limbs, trade, walk
from tests.support.uniswap_oracle import MAX_RATIO, MIN_RATIO, Pool, sqrt_ratio_at_tick

Hops = list[tuple[int, bool]]


def made_pool(rng: random.Random) -> Pool:
    """A V3 pool with ranges of very different liquidity, gaps, and a price anywhere among them."""
    spacing, fee = rng.choice([(50, 500), (60, 3000), (200, 10_000)])
    pool = Pool(fee, spacing)
    reach = rng.choice([300, 3000, 60_000])
    pool.initialize(sqrt_ratio_at_tick(rng.randint(-reach, reach)) + rng.randint(0, 2), 0)
    for _ in range(rng.randint(0, 8)):
        ends = sorted(rng.sample(range(-reach // spacing - 1, reach // spacing + 2), 2))
        delta = rng.randint(1, 2 ** rng.randint(1, 90))
        pool.change_range(ends[0] * spacing, ends[1] * spacing, delta, 0)
    return pool


def made_pair(rng: random.Random) -> Pair:
    return Pair([rng.randint(1, 2 ** rng.randint(1, 112) - 1) for _ in range(2)], rng.choice([3000, 2500, 0]))


def made_amount(rng: random.Random) -> int:
    return rng.choice(
        [0, 1, rng.randint(0, 2 ** rng.randint(1, 120)), rng.randint(0, 2 ** rng.randint(1, 256) - 1)]
    )


def made_limit(rng: random.Random, pool: Pool | Pair) -> int:
    if isinstance(pool, Pair) or rng.random() < 0.5:
        return int(rng.random() < 0.1)
    near = pool.price + rng.randint(-1, 1) * rng.randint(0, pool.price // rng.choice([2, 100, 10**6]) + 1)
    return rng.choice([near, near, MIN_RATIO, MIN_RATIO + 1, MAX_RATIO - 1, MAX_RATIO, 2**256 - 1])


def query(form: int, amount: int, hops: Hops, limit: int = 0) -> Any:
    found = np.zeros(1, QUERY_DTYPE)[0]
    found["form"], found["hops"] = form, len(hops)
    found["amount"], found["sqrt_price_limit_x96"] = limbs(amount, 4), limbs(limit, 4)
    for k, (_, zero_for_one) in enumerate(hops):
        found["zero_for_one"][k] = zero_for_one
    return found


def answers_of(book: Book, asked: list[tuple[Any, Hops]]) -> list[Any]:
    """Answers as JSON objects; pools are given by id."""
    queries = np.array([q for q, _ in asked], QUERY_DTYPE)
    ids = np.full((len(asked), MAX_HOPS), -1, np.int64)
    for row, (_, hops) in zip(ids, asked, strict=True):
        row[: len(hops)] = [at for at, _ in hops]
    answers = np.zeros(len(asked), ANSWER_DTYPE)
    with np.errstate(over="ignore"):
        answer_queries(book.tables(), queries, ids, answers, np.zeros(MAX_HOPS, moved_dtype()))
    assert not book.fault.any()
    return [json.loads(line) for line in answer_lines(queries, answers)]


@functools.cache
def made_book(seed: int) -> Book:
    rng = random.Random(seed)
    return Book([made_pool(rng) if k % 3 else made_pair(rng) for k in range(12)])


def expected_single(book: Book, form: int, amount: int, hop: tuple[int, bool], limit: int) -> dict[str, Any]:
    try:
        found = trade(book.pools[hop[0]], hop[1], form == EXACT_IN, amount, limit)
    except Refused as reason:
        return {"error": str(reason)}
    found.pop("outcome", None)
    return {name: value if name == "partial" else str(value) for name, value in found.items()}


def test_single_queries_are_answered_as_the_contracts_do(seed: int) -> None:
    rng, book = random.Random(seed), made_book(seed)
    asked, expected = [], []
    for _ in range(300):
        hop = (rng.randrange(len(book.pools)), rng.random() < 0.5)
        form, amount = rng.choice([EXACT_IN, EXACT_OUT]), made_amount(rng)
        limit = made_limit(rng, book.pools[hop[0]])
        asked.append((query(form, amount, [hop], limit), [hop]))
        expected.append(expected_single(book, form, amount, hop, limit))
    found = answers_of(book, asked)
    assert found == expected
    reasons = {a["error"] for a in found if "error" in a}
    assert {"AS", "SPL", "Unexpected error"} <= reasons
    assert any(a.get("partial") for a in found) and sum("amount" in a for a in found) > 30


def test_paths_are_walked_as_one_transaction_and_leave_no_trace(lane: str, seed: int) -> None:
    rng, book = random.Random(seed + 1), made_book(seed)
    before = book.state.memory.copy()
    asked, expected = [], []
    for _ in range(20 if lane == "nojit" else 100):
        few = rng.sample(range(len(book.pools)), 2)
        hops = [(rng.choice(few), rng.random() < 0.5) for _ in range(rng.randint(1, MAX_HOPS))]
        amount = rng.randint(0, 2 ** rng.choice([10, 60, 80, 113]))
        asked.append((query(PATH, amount, hops), hops))
        expected.append(walk(book.pools, amount, hops))
    found = answers_of(book, asked)
    assert found == expected
    assert book.state.memory.tobytes() == before.tobytes()
    whole = [len(a["outs"]) for a in found if "outs" in a]
    again = [
        h for (_, h), a in zip(asked, found, strict=True) if "outs" in a and len({at for at, _ in h}) < len(h)
    ]
    assert max(whole) > 1 and again and len(whole) < len(found)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": 0}, "unknown pool"),
        ({"flags": 0}, "incomplete pool"),
        ({"epoch": 1}, "incomplete pool"),
        ({"fee": NO_FEE}, "fee unknown"),
    ],
)
def test_pools_that_can_not_be_asked_are_named(change: dict[str, int], reason: str) -> None:
    book = Book([Pair([10**6, 10**6], 3000), Pair([10**6, 10**6], 3000)])
    for name, value in change.items():
        book.rows("pools")[1][name] = value
    hops = [(0, True), (1, True)]
    single, path, good = answers_of(
        book,
        [
            (query(EXACT_IN, 9, [(1, True)]), [(1, True)]),
            (query(PATH, 9, hops), hops),
            (query(EXACT_IN, 9, hops[:1]), hops[:1]),
        ],
    )
    assert single == {"error": reason} and path == {"error": reason, "hop": 1} and "amount" in good


def test_a_pool_without_a_price_is_locked() -> None:
    assert answers_of(Book([Pool(500, 10)]), [(query(EXACT_IN, 9, [(0, True)]), [(0, True)])]) == [
        {"error": "LOK"}
    ]


def test_a_path_takes_no_limit() -> None:
    book, hops = Book([Pair([10**6, 10**6], 3000)]), [(0, True)]
    (found,) = answers_of(book, [(query(PATH, 9, hops, 5), hops)])
    assert found == {"error": "price limit on other than one Uniswap V3 pool", "hop": 0}
