"""Arbitrage against an enumeration of all ordered pairs of pools in rationals, and its rules one by one."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from disruptor.errors import SettingError
from disruptor.handlers import messages as m
from disruptor.handlers.pools import NO_FEE
from tests.model import UNIT, Ledger, Pool, Search

V2, V3 = m.KIND_UNISWAP_V2, m.KIND_UNISWAP_V3
TOKEN0, TOKEN1 = bytes([1]) * 20, bytes([2]) * 20
ALL = m.NO_ID


def registered(pool, kind=V2, fee=3000, tokens=(0, 1)):
    fields = {"pool": pool, "kind": kind, "fee": fee, "address": bytes([pool + 10]) * 20}
    fields |= {"token0": tokens[0], "token1": tokens[1]}
    return m.PoolRegistered, {**fields, "token0_address": TOKEN0, "token1_address": TOKEN1}


def sync(pool, reserve0, reserve1):
    return m.UniswapV2Sync, {"pool": pool, "reserve0": reserve0, "reserve1": reserve1}


def lost(pool):
    return m.PoolIncomplete, {"pool": pool}


START = (m.BlockStart, {"number": 7, "timestamp": 1000})
END = (m.BlockEnd, {"block_number": 7})
OPEN = (sync(0, 1000, 1000), sync(1, 1000, 1100))


def reports(rows):
    """(a, b, opening) of the opportunities."""
    kept = [r for r in rows if r["type"] == "ArbitrageOpportunity"]
    return [(r["venue_a"], r["venue_b"], bool(r["flags"] & m.FLAG_OPENING)) for r in kept]


def two(engine, *sets):
    """An engine with two pools of one pair, at 0.3 % each."""
    one = engine(*sets)
    assert one.feed([registered(0), registered(1), START, END]) == []
    return one


def test_what_is_reported_of_an_opening(engine):
    one = two(engine)
    opportunity, candidate = one.feed([*OPEN, END])
    gain = Fraction(1100, 1000) * Fraction(997, 1000) ** 2 - 1
    assert opportunity["flags"] == m.FLAG_SCREENED | m.FLAG_OPENING
    assert opportunity["token_pair"] == "0x" + (TOKEN0 + TOKEN1).hex()
    assert (opportunity["venue_a"], opportunity["venue_b"]) == (0, 1)
    assert opportunity["max_profit"] == 0 and opportunity["gas_estimate"] == 200_000
    assert opportunity["expires_at"] == 1012 * 10**9 and opportunity["confidence"] == 1.0
    assert abs(candidate["spread"] - int(gain * UNIT)) <= 1
    assert opportunity["price_diff"] == candidate["spread"] / 2**32
    depths = [candidate[f"depth{k}_{v}"] for v in "ab" for k in (0, 1)]
    assert depths == [1000, 1000, 1000, 1100]


def test_an_opening_is_one_while_it_lasts(engine):
    one = two(engine)
    assert reports(one.feed([*OPEN, END])) == [(0, 1, True)]
    assert reports(one.feed([START, END])) == []
    assert reports(one.feed([sync(1, 1000, 1090), END])) == [(0, 1, False)]
    assert reports(one.feed([sync(1, 1000, 1000), END])) == []
    assert reports(one.feed([sync(1, 1000, 1100), END])) == [(0, 1, True)]
    assert reports(one.feed([sync(1, 1000, 900), END])) == [(1, 0, True)]


def test_only_a_pair_of_which_one_changed_is_told_again(engine):
    one = two(engine)
    one.feed([registered(2), *OPEN, sync(2, 1000, 1300), END])
    assert sorted(reports(one.feed([sync(0, 1000, 1001), END]))) == [(0, 1, False), (0, 2, False)]


@pytest.mark.parametrize("loss", [0, 1, ALL])
def test_an_incomplete_pool_never_appears(engine, loss):
    one = two(engine)
    one.feed([*OPEN, END])
    assert reports(one.feed([lost(loss), END])) == []
    other = 1 - loss if loss != ALL else 0
    assert reports(one.feed([sync(other, 1000, 1000 + 100 * other), END])) == []
    back = 1 - other
    assert reports(one.feed([sync(back, 1000, 1000 + 100 * back), END])) == [(0, 1, True)]


def test_a_pool_without_liquidity_never_appears(engine):
    one = engine()
    one.feed([registered(0), registered(1, V3, 500), sync(0, 1000, 1000)])
    price = {"pool": 1, "sqrt_price_x96": 2**97, "tick": 13863}
    assert one.feed([(m.UniswapV3Initialize, price), END]) == []
    ends = {"pool": 1, "tick_lower": 0, "tick_upper": 60000, "liquidity": 10**6}
    assert reports(one.feed([(m.UniswapV3Mint, ends), END])) == [(0, 1, True)]
    assert one.feed([(m.UniswapV3Burn, {**ends, "liquidity": 0}), END]) == []
    assert one.feed([(m.UniswapV3Burn, ends), END]) == []
    assert reports(one.feed([(m.UniswapV3Mint, ends), END])) == [(0, 1, True)]
    assert one.feed([sync(0, 0, 1000), END]) == [] == one.feed([sync(0, 0, 0), END])


@pytest.mark.parametrize("fee", [NO_FEE, 10**6])
def test_a_pool_without_a_usable_fee_never_appears(engine, fee):
    one = engine()
    assert one.feed([registered(0), registered(1, fee=fee), *OPEN, END]) == []
    assert one.feed([sync(1, 1000, 10), END]) == []


def test_pools_of_other_pairs_are_not_compared(engine):
    one = engine()
    assert one.feed([registered(0), registered(1, tokens=(0, 2)), *OPEN, END]) == []


@pytest.mark.parametrize(("reserve", "pays"), [(10**12, False), (10**12 + 1, True), (10**12 - 1, False)])
def test_the_sign_is_exact(engine, reserve, pays):
    one = engine()
    one.feed([registered(0, fee=0), registered(1, fee=0), sync(0, 10**12, 10**12)])
    rows = one.feed([sync(1, 10**12, reserve), END])
    assert ((0, 1, True) in reports(rows)) == pays


def test_the_sign_is_exact_where_no_mantissa_tells(engine):
    one, most = engine(), 2**112 - 1
    one.feed([registered(0, fee=0), registered(1, fee=0)])
    rows = one.feed([sync(0, most, most - 1), sync(1, most - 1, most - 2), END])
    assert reports(rows) == [(1, 0, True)]
    assert [r["spread"] for r in rows if "spread" in r] == [0]
    assert one.feed([sync(0, most, most), sync(1, most - 1, most - 1), END]) == []


@pytest.mark.parametrize(("min_bps", "pays"), [(934.1, False), (934.09, True), (933, True), (935, False)])
def test_min_bps_is_the_smallest_spread_reported(engine, min_bps, pays):
    # 1.1 * 0.997^2 - 1 is 934.099 basis points.
    one = two(engine, f"arbitrage.min_bps={min_bps}")
    assert reports(one.feed([*OPEN, END])) == ([(0, 1, True)] if pays else [])


def test_the_largest_min_bps_reports_nothing_and_a_larger_one_is_refused(engine):
    one = two(engine, "arbitrage.min_bps=2147483647")
    assert one.feed([sync(0, 2**40, 1), sync(1, 1, 2**40)]) == []
    assert engine("arbitrage.block_time=1e9").feed([END]) == []
    for setting in ("arbitrage.min_bps=2147483648", "arbitrage.min_bps=1e300", "arbitrage.block_time=1e10"):
        with pytest.raises(SettingError, match=setting.split("=")[0]):
            engine(setting)


def test_a_spread_beyond_all_bounds_is_the_largest_there_is(engine):
    one = two(engine)
    rows = one.feed([sync(0, 2**112 - 1, 1), sync(1, 1, 2**112 - 1), END])
    assert [r["spread"] for r in rows if "spread" in r] == [2**63 - 1]


def test_many_pools_of_a_pair_take_several_slices_and_miss_none(engine):
    one, count = engine("capacity.openings=1024"), 40
    one.feed([registered(k, fee=0) for k in range(count)])
    rows = one.feed([*(sync(k, 10**6, 10**6 + k) for k in range(count)), END])
    assert sorted(reports(rows)) == [(a, b, True) for a in range(count) for b in range(a + 1, count)]
    assert len({(r["source_id"], r["source_sequence"]) for r in rows}) == len(rows)
    assert [r["source_sequence"] for r in rows] == list(range(len(rows)))


def test_random_markets_are_what_the_enumeration_says(engine, seed, lane):
    draw = random.Random(seed)
    one, ledger = engine(), Ledger()
    search, pools = Search(ledger), []
    for k in range(7):
        kind, fee, tokens = (
            draw.choice([V2, V3]),
            draw.choice([0, 100, 3000]),
            draw.choice([(0, 1), (0, 1), (0, 2)]),
        )
        pools.append(kind)
        one.feed([registered(k, kind, fee, tokens)])
        name = "uniswap_v2" if kind == V2 else "uniswap_v3"
        ledger.register(Pool(str(k), name, str(tokens[0]), str(tokens[1]), fee), born=False)
        if kind == V3:
            start = {"sqrt_price_x96": 2**96, "tick": 0}
            one.feed([(m.UniswapV3Initialize, {"pool": k, **start})])
            ledger.apply("Initialize", {"pool": str(k), **start})
            search.changed.add(str(k))
    told = 0
    for _ in range(10 if lane == "nojit" else 60):
        events = []
        for pool in draw.sample(range(7), draw.randrange(1, 4)):
            if draw.random() < 0.05:
                events.append(lost(pool))
                ledger.lose(str(pool))
            elif pools[pool] == V2:
                fields = {f"reserve{j}": draw.choice([0, 1000, 2**100]) + draw.randrange(20) for j in (0, 1)}
                events.append((m.UniswapV2Sync, {"pool": pool, **fields}))
                ledger.apply("Sync", {"pool": str(pool), **fields})
            else:
                root, liquidity = 2**96 + draw.randrange(-(2**88), 2**88), draw.choice([0, 5, 2**90])
                fields = {"sqrt_price_x96": root, "tick": 0, "liquidity": liquidity}
                events.append((m.UniswapV3Swap, {"pool": pool, **fields}))
                ledger.apply("Swap", {"pool": str(pool), **fields})
            search.changed.add(str(pool))
        rows = one.feed([*events, END])
        expected = {(int(a), int(b)): (spread, opening) for a, b, spread, opening in search.boundary()}
        assert sorted(reports(rows)) == sorted((*key, opening) for key, (_, opening) in expected.items())
        for row in rows:
            if row["type"] == "ArbitrageCandidate":
                exact = min(expected[row["venue_a"], row["venue_b"]][0], 2**63 - 1)
                assert abs(row["spread"] - exact) <= 1
                told += 1
    assert told > (5 if lane == "nojit" else 100)
