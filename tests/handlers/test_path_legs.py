"""The legs of cycles, against the cycles."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from disruptor.handlers.messages import NO_ID
from disruptor.handlers.path_legs import CHUNK
from tests.support.leg_book import PATHS, POOLS, TOKENS, Book


@pytest.fixture
def book(seed: int) -> Book:
    book = Book(random.Random(seed))
    book.enter(3)
    book.enter(PATHS - 3)
    return book


def legs_of(book: Book) -> Any:
    return book.rows("path_legs")[: int(book.state.arrays["path_legs"].meta[0]["high"])]


def listed(book: Book, leg: Any) -> list[tuple[int, int]]:
    """(other leg, path) of a leg as the screen reads them: its own row, then its chunks."""
    found, part = [], leg
    while True:
        found += list(zip(part["opposite"][: part["count"]], part["path"][: part["count"]], strict=True))
        if part["chunk"] == 0:
            return [(int(other), int(path)) for other, path in found]
        part = book.rows("leg_chunks")[part["chunk"] - 1]
        assert part["count"] == CHUNK


def chain(rows: Any, link: int, names: tuple[str, str]) -> list[int]:
    """Rows on a list of links."""
    found = []
    while link:
        at, side = divmod(int(link) - 1, 2)
        found.append(at)
        link = rows[at][names[side]]
    return found


def test_both_legs_of_a_cycle_have_it_once_and_all_its_pools_between_them(book: Book) -> None:
    legs, held = legs_of(book), defaultdict(list)
    for at, leg in enumerate(legs):
        for other, path in listed(book, leg):
            held[path].append((at, other))
    assert len(held) == PATHS
    for path, ((one, other), back) in held.items():
        assert back == (other, one)
        row = book.rows("paths")[path]
        assert {int(row["leg0"]), int(row["leg1"])} == {one, other}
        pools = [int(legs[leg][name]) for leg in (one, other) for name in ("pool0", "pool1")]
        assert sorted(p for p in pools if p != NO_ID) == sorted(pool for pool, _ in book.hops[path])


def test_a_leg_goes_up_from_its_lower_token_and_legs_of_two_tokens_are_a_junction(book: Book) -> None:
    groups, seen = book.rows("junctions"), set()
    for leg in legs_of(book):
        pools = [int(leg["pool0"])] + ([int(leg["pool1"])] if leg["pool1"] != NO_ID else [])
        group = groups[leg["junction"]]
        token = low = int(group["token0"])
        for k, pool in enumerate(pools):
            ends = book.ends[pool]
            assert token == ends[0 if leg["ways"] >> k & 1 else 1]
            token = sum(ends) - token
        assert (low, token) == (int(group["token0"]), int(group["token1"])) and low < token
        seen.add((tuple(pools), int(leg["junction"])))
    assert len(seen) == len(legs_of(book))
    used = groups[: int(book.state.arrays["junctions"].meta[0]["high"])]
    assert len({(int(g["token0"]), int(g["token1"])) for g in used}) == len(used)


def test_pools_tokens_and_junctions_list_what_they_hold(book: Book) -> None:
    legs, groups = legs_of(book), book.rows("junctions")
    used = range(int(book.state.arrays["junctions"].meta[0]["high"]))
    for pool in range(POOLS):
        head = book.rows("path_heads")[pool]
        found = chain(legs, head["first_leg"], ("next0", "next1"))
        expected = [at for at, leg in enumerate(legs) if pool in (leg["pool0"], leg["pool1"])]
        assert sorted(found) == expected and head["legs"] == len(expected)
    for token in range(TOKENS):
        link = book.rows("token_links")[token]
        found = chain(groups, link["first_junction"], ("next0", "next1"))
        expected = [at for at in used if token in (groups[at]["token0"], groups[at]["token1"])]
        assert sorted(found) == expected and link["junctions"] == len(expected)
    for at in used:
        inside, number = [], int(groups[at]["first_leg"])
        while number:
            inside.append(number - 1)
            number = int(legs[number - 1]["next_in_junction"])
        assert sorted(inside) == [k for k, leg in enumerate(legs) if leg["junction"] == at]


def test_a_cycle_is_cut_at_the_tokens_with_most_pairs(book: Book) -> None:
    legs, groups = legs_of(book), book.rows("junctions")
    for path in range(PATHS):
        tokens = book.tokens(path)
        group = groups[legs[book.rows("paths")[path]["leg0"]]["junction"]]
        ends = {int(group["token0"]), int(group["token1"])}
        degrees = [book.degrees[token] for token in tokens]
        if len(tokens) == 3:
            (inner,) = set(tokens) - ends
            assert book.degrees[inner] == min(degrees)
        elif len(tokens) == 4:
            cuts = [(min(degrees[k], degrees[k + 2]), {tokens[k], tokens[k + 2]}) for k in range(2)]
            assert min(book.degrees[t] for t in ends) == max(cut for cut, _ in cuts)
            assert ends in [pair for _, pair in cuts]


def test_hundreds_of_cycles_share_few_legs(book: Book) -> None:
    most = max(len(listed(book, leg)) for leg in legs_of(book))
    assert most > 3 * CHUNK
