"""What a pool's row says of its completeness, event by event."""

from __future__ import annotations

import pytest

from disruptor.handlers import messages as m
from disruptor.handlers.pools import NO_FEE

TOKENS = {"token0": 0, "token1": 1, "token0_address": bytes([1]) * 20, "token1_address": bytes([2]) * 20}
ALL = m.NO_ID


def registered(pool, kind, *, born=False, fee=3000):
    flags = m.FLAG_BORN if born else 0
    fields = {"pool": pool, "kind": kind, "fee": fee, "tick_spacing": 60, "address": bytes([9 + pool]) * 20}
    return m.PoolRegistered, {**fields, **TOKENS, "flags": flags}


def lost(pool):
    return m.PoolIncomplete, {"pool": pool, "reason": m.REASON_REMOVED}


SYNC = (m.UniswapV2Sync, {"pool": 0, "reserve0": 5, "reserve1": 2**112 - 1})
GIVEN_V2 = (m.UniswapV2State, {"pool": 0, "reserve0": 5, "reserve1": 6})
START = (m.UniswapV3Initialize, {"pool": 0, "tick": -7, "sqrt_price_x96": 2**95})
SWAP = (m.UniswapV3Swap, {"pool": 0, "tick": 3, "sqrt_price_x96": 2**97, "liquidity": 8})
GIVEN_V3 = (m.UniswapV3State, {"pool": 0, "tick": 3, "sqrt_price_x96": 2**97, "ticks_complete": 1})
PARTLY = (m.UniswapV3State, {"pool": 0, "tick": 3, "sqrt_price_x96": 2**97, "ticks_complete": 0})
V2, V3 = m.KIND_UNISWAP_V2, m.KIND_UNISWAP_V3


@pytest.mark.parametrize(
    ("kind", "born", "events", "complete"),
    [
        (V2, False, [], False),
        (V2, True, [], True),
        (V2, False, [SYNC], True),
        (V2, False, [GIVEN_V2], True),
        (V2, True, [lost(0)], False),
        (V2, True, [lost(ALL)], False),
        (V2, True, [lost(0), SYNC], True),
        (V2, True, [lost(ALL), SYNC], True),
        (V2, True, [SYNC, lost(ALL), lost(ALL)], False),
        (V3, True, [], True),
        (V3, False, [], False),
        (V3, False, [START], True),
        (V3, False, [SWAP], False),
        (V3, False, [GIVEN_V3], True),
        (V3, False, [PARTLY], False),
        (V3, True, [START, SWAP], True),
        (V3, True, [START, lost(0), SWAP], False),
        (V3, True, [START, lost(ALL), SWAP], False),
        (V3, True, [START, lost(ALL), GIVEN_V3], True),
        (V3, False, [SWAP, START], False),
        (V3, False, [SYNC], False),
        (V2, False, [START, SWAP], False),
    ],
)
def test_completeness(engine, kind, born, events, complete):
    one = engine()
    one.feed([registered(0, kind, born=born), *events])
    assert [line["complete"] for line in one.pools()] == [complete]


def test_a_loss_of_one_pool_leaves_the_others(engine):
    one = engine()
    one.feed([registered(0, V2, born=True), registered(1, V2, born=True), lost(0)])
    assert [line["complete"] for line in one.pools()] == [False, True]


def test_an_address_that_was_only_seen_is_no_pool(engine):
    one = engine()
    seen = {"pool": 0, "address": bytes([9]) * 20}
    one.feed([(m.PoolSeen, seen), SYNC, SWAP, (m.UniswapV3Mint, {"pool": 0, "liquidity": 5})])
    assert one.pools() == []
    one.feed([registered(0, V2), SYNC])
    assert [(p["reserve0"], p["complete"]) for p in one.pools()] == [("5", True)]


def test_registering_twice_enters_a_pool_once(engine):
    one = engine()
    one.feed([registered(0, V2), registered(1, V2), registered(0, V2, fee=1), registered(0, V3)])
    lines = one.pools()
    assert [(line["fee"], line["kind"]) for line in lines] == [(3000, "uniswap_v2")] * 2
    pairs = one.processor.state.live("pairs")
    assert [int(p["pool_count"]) for p in pairs] == [2]


def test_birth_told_later_makes_a_known_pool_complete(engine):
    one = engine()
    one.feed([registered(0, V2), registered(0, V2, born=True)])
    assert one.pools()[0]["complete"]


def test_an_unknown_fee_is_told_as_none(engine):
    one = engine()
    one.feed([registered(0, V3, fee=NO_FEE)])
    assert one.pools()[0]["fee"] is None
