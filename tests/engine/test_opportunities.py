"""The ranking against an oracle that keeps every report: one line an opening, the best first."""

from __future__ import annotations

import random

import pytest

from disruptor.engine.opportunities import BestOpportunities, Ranking, resolve_pools, resolve_tokens
from disruptor.errors import InputError
from disruptor.handlers.messages import ArbitrageOpportunity, DeFiSwapEvent, OpportunityClosed
from tests.support.reported import DAI, USDC, WBTC, WETH, Ended, Told, endings, opportunities, pool_address

ROUTES = {
    0: ((0, 1), (WETH, USDC)),
    1: ((1, 0), (WETH, USDC)),
    2: ((0, 2, 3), (WETH, USDC, DAI)),
    3: ((4, 5), (USDC, DAI)),
    4: ((6, 7, 8, 9), (USDC, WBTC, DAI, WETH)),
}


def _play(best, events, batch):
    """Hand reports and ends over as a run does: one type after the other, then the end of the batch."""
    for start in range(0, len(events), batch):
        part = events[start : start + batch]
        for kind, make in ((Ended, endings), (Told, opportunities)):
            rows = [event for event in part if isinstance(event, kind)]
            if rows:
                best.write(*make(rows))
        best.end_batch()


def _run(events, batch=4, **ranking):
    best = BestOpportunities(Ranking(**ranking))
    best.open([ArbitrageOpportunity, OpportunityClosed], pool_address)
    _play(best, events, batch)
    return best


def _random_events(seed, count=300):
    """Paths that open, change, close and open again, several at one sequence."""
    source, events, is_open = random.Random(seed), [], set()
    for at in range(count):
        path = source.randrange(5)
        place = {"sequence": at // 3, "ordinal": at % 3, "path": path}
        if path in is_open and source.random() < 0.4:
            is_open.discard(path)
            events.append(Ended(**place))
            continue
        pools, tokens = ROUTES[path]
        profit = source.choice([source.randrange(1, 50), 2**100 + source.randrange(3)])
        facts = {"spread": float(source.randrange(60)), "block": at // 9, "profit": profit, "cost": path}
        events.append(Told(**place, opens=path not in is_open, pools=pools, tokens=tokens, **facts))
        is_open.add(path)
    return events


def _oracle(events, top, rank, group=lambda told: 0):
    """Sequences and ordinals of the best reports, and whether their openings last."""
    openings, best, is_open = {}, {}, {}
    for event in events:
        if isinstance(event, Ended):
            is_open[event.path] = False
            continue
        openings[event.path] = openings.get(event.path, 0) + event.opens
        is_open[event.path] = True
        key = (event.path, openings[event.path])
        if key not in best or rank(event) > rank(best[key]):
            best[key] = event
    found = []
    for name in sorted({group(event) for event in best.values()}):
        own = [(key, event) for key, event in best.items() if group(event) == name]
        own.sort(key=lambda item: (-rank(item[1]), item[1].sequence, item[1].ordinal))
        found += own[:top]
    lasts = [is_open[path] and openings[path] == number for (path, number), _ in found]
    return [(event.sequence, event.profit, lasting) for (_, event), lasting in zip(found, lasts, strict=True)]


RANKS = {
    "spread": (lambda told: told.spread, lambda told: 0),
    "block": (lambda told: told.block, lambda told: 0),
    "profit": (lambda told: told.profit, lambda told: told.tokens[0]),
}


@pytest.mark.parametrize("sort_by", RANKS)
@pytest.mark.parametrize("batch", [1, 7, 300])
def test_the_best_of_each_opening_whatever_the_batches(sort_by, batch):
    for seed in (1, 2, 3):
        events = _random_events(seed)
        found = _run(events, batch, top=4, sort_by=sort_by).result()
        assert [(row.sequence, row.profit, row.open) for row in found] == _oracle(events, 4, *RANKS[sort_by])


def test_an_opportunity_that_changes_while_open_is_one_line_at_its_best():
    events = [
        Told(sequence=s, opens=s in (0, 3), spread=w, block=s) for s, w in enumerate([1.0, 9.0, 2.0, 4.0])
    ]
    found = _run([*events[:3], Ended(sequence=2, ordinal=1), events[3]]).result()
    assert [(row.block, row.spread_bps, row.open) for row in found] == [(1, 9.0, False), (3, 4.0, True)]


def test_a_row_has_the_whole_route():
    pools, tokens = ROUTES[4]
    told = Told(
        sequence=5, pools=pools, tokens=tokens, amount_in=2**90, profit=3, cost=2, outs=(10, 11, 2**64)
    )
    (row,) = _run([told]).result()
    assert [hop.pool for hop in row.hops] == [pool_address(n) for n in pools]
    assert [hop.token_in for hop in row.hops] == [*tokens]
    assert [hop.amount_out for hop in row.hops] == [10, 11, 2**64, 2**90 + 3]
    assert [hop.zero_for_one for hop in row.hops] == [True, False, False, True]
    assert [(hop.kind, hop.fee) for hop in row.hops] == [(3, 500), (2, 3000)] * 2
    assert (row.amount_in, row.profit, row.cost, row.token) == (2**90, 3, 2, USDC)
    assert (row.gas, row.gas_cost_wei, row.confidence) == (200_000, 7, 0.5)


def test_what_was_not_looked_up_is_none():
    pools, tokens = ROUTES[2]
    best = BestOpportunities(Ranking())
    best.write(*opportunities([Told(sequence=0, pools=pools, tokens=tokens)], looked_up=False))
    best.end_batch()
    (row,) = best.result()
    assert [hop.token_in for hop in row.hops] == [WETH, USDC, None]
    assert [(hop.pool, hop.fee) for hop in row.hops] == [(None, None)] * 3


def test_filters_by_token_pool_and_spread_look_at_every_hop():
    spreads = {2: 5.0, 3: 6.0, 4: 0.5}
    events = [
        Told(sequence=path, path=path, pools=ROUTES[path][0], tokens=ROUTES[path][1], spread=spread)
        for path, spread in spreads.items()
    ]

    def paths(**ranking):
        best = _run(events, **ranking)
        assert sum(total.taken + total.left_out for total in best.totals()) == len(best.result())
        return [row.sequence for row in best.result()]

    assert paths(tokens=frozenset([DAI])) == [3, 2, 4]
    assert paths(tokens=frozenset([WBTC])) == [4]
    assert paths(pools=frozenset([pool_address(3), pool_address(9)])) == [2, 4]
    assert paths(min_bps=1.0) == [3, 2]
    assert paths(tokens=frozenset([bytes(20)])) == []


def test_an_opportunity_without_a_route_is_not_shown():
    records, context = opportunities([Told(sequence=0), Told(sequence=1, path=3)])
    context.extra["hops"][0] = 0
    best = BestOpportunities(Ranking())
    best.write(records, context)
    best.end_batch()
    assert [row.sequence for row in best.result()] == [1]


def test_other_types_are_not_looked_at(records, context):
    best = BestOpportunities(Ranking())
    best.write(records(DeFiSwapEvent, [{}]), context(DeFiSwapEvent, 1))
    best.end_batch()
    assert best.result() == [] and best.totals() == []


def test_a_run_that_starts_over_begins_with_nothing():
    best = _run([Told(sequence=0, spread=9.0)])
    best.open([ArbitrageOpportunity, OpportunityClosed], pool_address)
    assert best.result() == [] and best.totals() == []
    _play(best, [Told(sequence=0, spread=2.0)], 1)
    assert [row.spread_bps for row in best.result()] == [2.0]


@pytest.mark.parametrize("sort_by", RANKS)
def test_memory_is_bounded_by_top(sort_by):
    best = BestOpportunities(Ranking(top=3, sort_by=sort_by))
    for start in range(0, 500, 50):
        numbers = range(start, start + 50)
        best.write(*opportunities([Told(sequence=n, path=n, spread=n, profit=n, block=n) for n in numbers]))
        best.end_batch()
        assert len(best._best) <= 6
    assert [row.sequence for row in best.result()] == [499, 498, 497]


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
