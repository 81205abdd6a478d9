"""Normalised swaps against plain integers: net per token, both directions, whatever the signs."""

from __future__ import annotations

import random

import pytest

from disruptor.handlers import messages as m

TOKEN0, TOKEN1, POOL2, POOL3 = (bytes([k]) * 20 for k in (1, 2, 7, 8))
HASH = bytes(range(32))
MOST = 2**128 - 1


def setting():
    for pool, kind, address in ((0, m.KIND_UNISWAP_V2, POOL2), (1, m.KIND_UNISWAP_V3, POOL3)):
        fields = {"pool": pool, "kind": kind, "address": address, "token1": 1, "fee": 500}
        yield m.PoolRegistered, {**fields, "token0_address": TOKEN0, "token1_address": TOKEN1}
    yield m.BlockStart, {"number": 77, "timestamp": 5}


def v2(in0, in1, out0, out1, **more):
    amounts = {"amount0_in": in0, "amount1_in": in1, "amount0_out": out0, "amount1_out": out1}
    return m.UniswapV2Swap, {"pool": 0, **amounts, "tx_hash": HASH, "event_time_ns": 5 * 10**9, **more}


def v3(amount0, amount1, **more):
    return m.UniswapV3Swap, {"pool": 1, "amount0": amount0, "amount1": amount1, **more}


def expected_v2(in0, in1, out0, out1):
    """(token in, amount in, token out, amount out, netted)."""
    net = sum(x > 0 for x in (in0, in1)) + sum(x > 0 for x in (out0, out1)) > 2
    net = net or bool(in0 and out0) or bool(in1 and out1)
    forward = in0 > out0 if net else in0 > 0
    gains = (in0 - out0, in1 - out1) if forward else (in1 - out1, in0 - out0)
    tokens = (TOKEN0, TOKEN1) if forward else (TOKEN1, TOKEN0)
    return (*tokens, max(gains[0], 0), max(-gains[1], 0), net)


def told(row):
    tokens = (bytes.fromhex(row["token0"][2:]), bytes.fromhex(row["token1"][2:]))
    return (*tokens, row["amount0_in"], row["amount1_out"], bool(row["flags"] & m.FLAG_NET))


@pytest.mark.parametrize(
    "amounts",
    [
        (10, 0, 0, 20),
        (0, 10, 20, 0),
        (2**127, 0, 0, MOST),
        (10, 3, 0, 20),
        (3, 10, 20, 0),
        (10, 0, 4, 20),
        (10, 30, 4, 20),
        (4, 30, 10, 20),
        (2**64, 5, 2**64 - 1, 6),
        (MOST, 0, 1, MOST),
    ],
)
def test_a_v2_swap_is_net_per_token(engine, amounts):
    one = engine()
    (row,) = one.feed([*setting(), v2(*amounts)])
    assert told(row) == expected_v2(*amounts)


def test_random_v2_swaps(engine, seed):
    draw = random.Random(seed)
    swaps = []
    while len(swaps) < 60:
        amounts = [draw.choice([0, 0, draw.randrange(2 ** draw.choice([8, 64, 65, 128]))]) for _ in range(4)]
        if (amounts[0] or amounts[1]) and (amounts[2] or amounts[3]):
            swaps.append(amounts)
    rows = engine().feed([*setting(), *(v2(*s) for s in swaps)])
    assert [told(r) for r in rows] == [expected_v2(*s) for s in swaps]


@pytest.mark.parametrize(
    ("amount0", "amount1", "forward", "paid", "got", "net"),
    [
        (10, -20, True, 10, 20, False),
        (-20, 10, False, 10, 20, False),
        (MOST, -MOST, True, MOST, MOST, False),
        (-MOST, MOST, False, MOST, MOST, False),
        (2**64, -(2**64), True, 2**64, 2**64, False),
        (10, 0, True, 10, 0, False),
        (0, 10, False, 10, 0, False),
        (0, 0, True, 0, 0, False),
        (3, 4, True, 3, 0, True),
    ],
)
def test_a_v3_swap_by_its_signs(engine, amount0, amount1, forward, paid, got, net):
    (row,) = engine().feed([*setting(), v3(amount0, amount1)])
    tokens = (TOKEN0, TOKEN1) if forward else (TOKEN1, TOKEN0)
    assert told(row) == (*tokens, paid, got, net)


@pytest.mark.parametrize("amount", [2**128, -(2**128), 2**255 - 1, -(2**255)])
@pytest.mark.parametrize("place", [0, 1])
def test_amounts_beyond_u128_are_withheld_and_counted(engine, amount, place):
    amounts = [amount, -5 if amount > 0 else 5]
    one = engine()
    assert one.feed([*setting(), v3(*(amounts if place == 0 else amounts[::-1]), liquidity=9)]) == []
    assert one.counters() == {"withheld": 1, "emitted": 0, "unknown_pool": 0}
    assert one.pools()[1]["liquidity"] == "9"


def test_a_v2_swap_whose_amounts_were_cut_is_withheld(engine):
    one = engine()
    assert one.feed([*setting(), v2(MOST, 0, 0, 5, flags=m.FLAG_AMOUNT_OVERFLOW)]) == []
    assert one.counters()["withheld"] == 1


def test_what_is_told_beside_the_amounts(engine):
    (row,) = engine().feed([*setting(), v2(1, 0, 0, 2)])
    assert (row["block_number"], row["timestamp"], row["tx_hash"]) == (77, 5 * 10**9, "0x" + HASH.hex())
    assert (row["protocol_id"], row["pool_address"]) == (m.KIND_UNISWAP_V2, "0x" + POOL2.hex())
    assert row["gas_price"] == 0 and row["flags"] == m.FLAG_GAS_PRICE_UNKNOWN


def test_an_unknown_time_is_flagged(engine):
    event = v2(1, 0, 0, 2, flags=m.FLAG_TIME_UNKNOWN, event_time_ns=0)
    (row,) = engine().feed([*setting(), event])
    assert row["timestamp"] == 0 and row["flags"] & m.FLAG_TIME_UNKNOWN


def test_swaps_of_pools_that_nobody_registered_are_only_counted(engine):
    one = engine()
    strangers = [
        (m.UniswapV2Swap, {"pool": 5, "amount0_in": 1}),
        (m.UniswapV3Swap, {"pool": 0, "amount0": 1}),
    ]
    assert one.feed([*setting(), *strangers]) == []
    assert one.counters() == {"withheld": 0, "emitted": 0, "unknown_pool": 2}
