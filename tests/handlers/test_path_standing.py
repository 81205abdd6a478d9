"""Answers that stand are not looked for again, and no answer stands that an engine which has never seen another would
not find."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from disruptor.handlers import messages as m
from tests.support.markets import ETHER, USDC, WETH, Event, Market, registration, sync, types
from tests.support.uniswap_oracle import sqrt_ratio_at_tick

MakeEngine = Callable[..., Any]
GROSS = "arbitrage.gas=off"
KINDS = (m.KIND_UNISWAP_V2, m.KIND_UNISWAP_V3, m.KIND_UNISWAP_V3)
TICKS = {1: 300, 2: 601}
SPACING = 60
LEVEL = sync(0, 1000 * ETHER, 1000 * ETHER)


def initialize(pool: int) -> Event:
    tick = TICKS[pool]
    return m.UniswapV3Initialize, {"pool": pool, "sqrt_price_x96": sqrt_ratio_at_tick(tick), "tick": tick}


def mint(pool: int, lower: int, upper: int, liquidity: int = 1000 * ETHER) -> Event:
    return m.UniswapV3Mint, {"pool": pool, "tick_lower": lower, "tick_upper": upper, "liquidity": liquidity}


def burn(pool: int, lower: int, upper: int, liquidity: int) -> Event:
    return m.UniswapV3Burn, mint(pool, lower, upper, liquidity)[1]


#: Two V3 pools, each with a wide range of its own, and a pair between which and them it pays to trade.
BEGINNING = (LEVEL, *(event for pool in TICKS for event in (initialize(pool), mint(pool, -6000, 6000))))


def market_of(engine: Any) -> Market:
    market = Market(engine)
    assert not engine.feed([registration(pool, (WETH, USDC), kind) for pool, kind in enumerate(KINDS)])
    return market


def opened(engine: MakeEngine) -> Market:
    market = market_of(engine(GROSS))
    assert types(market.block(*BEGINNING)) == ["open", "path"] * 3
    return market


def solves(market: Market, *logs: Event) -> tuple[int, list[str]]:
    """How many cycles were solved at a block with these logs, and what was said."""
    before = market.cursor()["solved"]
    said = types(market.block(*logs))
    return market.cursor()["solved"] - before, said


def test_liquidity_where_no_price_gets_to_changes_no_answer(engine: MakeEngine) -> None:
    market = opened(engine)
    assert solves(market, mint(1, 60_000, 66_000), burn(1, 60_000, 66_000, ETHER)) == (0, [])
    assert solves(market, burn(1, -6000, 6000, 0)) == (0, [])


def test_liquidity_in_range_or_within_sight_is_looked_at(engine: MakeEngine) -> None:
    market = opened(engine)
    assert solves(market, mint(1, 0, 600)) == (2, ["path", "open"][::-1] * 2)
    below = (TICKS[1] // SPACING - 1) * SPACING
    assert solves(market, mint(1, below - SPACING, below, 10**30))[0] == 2


def test_all_that_is_open_is_looked_through_without_solving_it_when_something_is_barred(
    engine: MakeEngine,
) -> None:
    market = opened(engine)
    cheated = {"pool": 0, "amount0_in": 10**15, "amount1_out": ETHER}
    reserves = sync(0, 1000 * ETHER + 10**15, 999 * ETHER)
    count, said = solves(market, reserves, (m.UniswapV2Swap, cheated))
    assert (count, said) == (0, ["closed"] * 2)
    assert market.cursor()["first_open"] != 0  # between the V3 pools


def answers(rows: list[dict[str, Any]], known: dict[int, Any]) -> None:
    """Bring what is open, by path, up to date with what an engine said."""
    fields = ("zero_for_one", "amount_in", "profit", "amount_out0", "pool0", "pool1")
    for row in rows:
        if row["type"] == "ArbitragePath":
            known[row["path"]] = [row[name] for name in fields]
        elif row["type"] == "OpportunityClosed":
            del known[row["path"]]


def test_what_is_open_is_what_a_fresh_engine_opens(engine: MakeEngine, seed: int, lane: str) -> None:
    """Liquidity comes and goes at random places of a map, near and far; one engine in 40 blocks, others in one."""
    rng, logs, known, positions = random.Random(seed), [*BEGINNING], dict[int, Any](), list[Any]()
    market = opened(engine)
    answers(market_of(engine(GROSS)).block(*logs), known)
    solved = market.cursor()["solved"]
    for _ in range(3 if lane == "nojit" else 40):
        if positions and rng.random() < 0.4:
            event = burn(*positions.pop(rng.randrange(len(positions))))
        else:
            pool, width = rng.choice([1, 2]), rng.choice([1, 3, 40])
            lower = TICKS[pool] // SPACING + rng.choice([rng.randint(-4, 4), rng.randint(-90, 90)])
            positions.append((pool, lower * SPACING, (lower + width) * SPACING, rng.randint(1, 10**23)))
            event = mint(*positions[-1])
        if rng.random() < 0.1:
            event = sync(0, rng.randint(900, 1100) * ETHER, 1000 * ETHER)
        logs.append(event)
        answers(market.block(event), known)
        fresh = dict[int, Any]()
        answers(market_of(engine(GROSS)).block(*logs), fresh)
        assert known == fresh
    solved = market.cursor()["solved"] - solved
    assert solved < 60 or lane == "nojit"
