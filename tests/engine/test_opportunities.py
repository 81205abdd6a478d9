"""The ranking against an oracle that keeps every record: one line an opening, the best first."""

from __future__ import annotations

import random

import numpy as np
import pytest

from disruptor.engine.opportunities import BestOpportunities, Ranking, resolve_pools, resolve_tokens
from disruptor.errors import InputError
from disruptor.handlers.messages import FLAG_OPENING, ArbitrageOpportunity, DeFiSwapEvent

WETH, USDC, DAI = (bytes([n]) * 20 for n in (1, 2, 3))


def _pool(number):
    return bytes([100 + number]) * 20


def _run(rows, ranking, records, context, batch=4, **extra):
    best = BestOpportunities(ranking)
    best.open([ArbitrageOpportunity], _pool)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        slots = records(
            ArbitrageOpportunity,
            [
                {
                    "sequence": row["sequence"],
                    "flags": FLAG_OPENING if row["opens"] else 0,
                    "token_pair": row.get("pair", WETH + USDC),
                    "venue_a": row["venues"][0],
                    "venue_b": row["venues"][1],
                    "price_diff": row["spread"],
                }
                for row in part
            ],
        )
        columns = {name: column[start : start + batch] for name, column in extra.items()}
        block = np.array([row.get("block", 0) for row in part], dtype=np.uint64)
        best.write(slots, context(ArbitrageOpportunity, len(part), block=block, extra=columns))
        best.end_batch()
    return best.result()


def _random_rows(seed, count=200):
    source = random.Random(seed)
    return [
        {
            "sequence": sequence,
            "opens": source.random() < 0.3,
            "venues": source.choice([(0, 1), (1, 0), (2, 3)]),
            "spread": float(source.randrange(60)),
            "block": sequence // 3,
        }
        for sequence in range(count)
    ]


def _oracle(rows, top, rank):
    openings, best = {}, {}
    for row in rows:
        openings[row["venues"]] = openings.get(row["venues"], 0) + row["opens"]
        key = (row["venues"], openings[row["venues"]])
        if key not in best or rank(row) > rank(best[key]):
            best[key] = row
    ordered = sorted(best.values(), key=lambda row: (-rank(row), row["sequence"]))
    return [row["sequence"] for row in ordered[:top]]


@pytest.mark.parametrize("sort_by", ["spread", "block"])
@pytest.mark.parametrize("batch", [1, 7, 200])
def test_the_best_of_each_opening_whatever_the_batches(records, context, sort_by, batch):
    rows = _random_rows(3)
    rank = {"spread": lambda row: row["spread"], "block": lambda row: row["block"]}[sort_by]
    found = _run(rows, Ranking(top=5, sort_by=sort_by), records, context, batch=batch)
    assert [row.sequence for row in found] == _oracle(rows, 5, rank)


def test_an_opportunity_that_stays_open_is_one_line_at_its_best(records, context):
    rows = [
        {"sequence": s, "opens": s in (0, 3), "venues": (4, 5), "spread": spread, "block": s}
        for s, spread in enumerate([1.0, 9.0, 2.0, 4.0])
    ]
    found = _run(rows, Ranking(), records, context)
    assert [(row.block, row.spread_bps) for row in found] == [(1, 9.0), (3, 4.0)]
    assert (found[0].buy_pool, found[0].sell_pool) == (_pool(4), _pool(5))
    assert (found[0].token0, found[0].token1) == (WETH, USDC)


def test_filters_by_token_pool_and_spread(records, context):
    rows = [
        {"sequence": 0, "opens": True, "venues": (0, 1), "spread": 5.0},
        {"sequence": 1, "opens": True, "venues": (2, 3), "spread": 6.0, "pair": USDC + DAI},
        {"sequence": 2, "opens": True, "venues": (4, 5), "spread": 0.5, "pair": WETH + DAI},
    ]

    def sequences(**ranking):
        return [row.sequence for row in _run(rows, Ranking(**ranking), records, context)]

    assert sequences(tokens=frozenset([DAI])) == [1, 2]
    assert sequences(tokens=frozenset([WETH])) == [0, 2]
    assert sequences(pools=frozenset([_pool(3), _pool(4)])) == [1, 2]
    assert sequences(min_bps=1.0) == [1, 0]
    assert sequences(tokens=frozenset([bytes(20)])) == []


def test_depth_ranks_and_is_shown_exactly(records, context):
    rows = [{"sequence": s, "opens": True, "venues": (s, s + 1), "spread": 1.0} for s in range(3)]
    depth0 = np.array([[5, 0], [0, 1], [9, 0]], dtype=np.uint64)
    found = _run(
        rows, Ranking(sort_by="depth", top=2), records, context, depth0=depth0, depth1=np.array([1, 2, 3])
    )
    assert [(row.depth0, row.depth1) for row in found] == [(2**64, 2), (9, 3)]


def test_depth_without_depth_is_told(records, context):
    rows = [{"sequence": 0, "opens": True, "venues": (0, 1), "spread": 1.0}]
    with pytest.raises(InputError, match="--sort-by depth: this source gives no depth"):
        _run(rows, Ranking(sort_by="depth"), records, context)


def test_other_types_are_not_looked_at(records, context):
    best = BestOpportunities(Ranking())
    best.write(records(DeFiSwapEvent, [{}]), context(DeFiSwapEvent, 1))
    assert best.result() == []


def test_memory_is_bounded_by_top(records, context):
    best = BestOpportunities(Ranking(top=3))
    slots = records(ArbitrageOpportunity, [{"flags": FLAG_OPENING} for _ in range(50)])
    for start in range(0, 500, 50):
        slots["price_diff"] = np.arange(start, start + 50)
        best.write(slots, context(ArbitrageOpportunity, 50))
        assert len(best._best) <= 6
    assert [row.spread_bps for row in best.result()] == [499.0, 498.0, 497.0]


def test_tokens_are_found_by_symbol_or_address():
    known = {WETH: ("WETH", 18), USDC: ("USDC", 6), DAI: ("usdc", 6)}
    assert resolve_tokens(["weth", "0x" + "AA" * 20], known) == {WETH, b"\xaa" * 20}
    assert resolve_tokens(["USDC"], known) == {USDC, DAI}
    assert resolve_tokens([], known) is None
    with pytest.raises(InputError, match="no such symbol: give an address, or --tokens FILE"):
        resolve_tokens(["PEPE"], known)
    for bad in ("0x12", "0xzz" + "0" * 38):
        with pytest.raises(InputError, match="40 hex digits"):
            resolve_pools([bad])
    with pytest.raises(InputError, match="--pool 'WETH': expected an address"):
        resolve_pools(["WETH"])
