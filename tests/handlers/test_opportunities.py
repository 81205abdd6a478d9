"""What is said of cycles, block by block: opened, left alone, changed, closed, barred, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from disruptor.handlers import messages as m
from disruptor.handlers.opportunities import opportunity_handlers
from disruptor.handlers.path_costs import GAS_BASE
from disruptor.handlers.uniswap_venues import GAS_V2
from tests.support.markets import (
    DAI,
    ETHER,
    FEE,
    USDC,
    WETH,
    Market,
    hex_of,
    pool_address,
    sync,
    token_address,
    tx_hash,
    types,
    v2_cycle,
    v2_price,
)

MakeEngine = Callable[..., Any]
PAIR = (WETH, USDC)
GROSS = "arbitrage.gas=off"
NATIVE = f'arbitrage.native_token="{hex_of(token_address(WETH))}"'
#: WETH and USDC in two pools; the second pays more for WETH, or less.
LEVEL = sync(0, 1000 * ETHER, 2_000_000 * 10**6)
DEAR, DEARER = (sync(1, 500 * ETHER, usdc * 10**6) for usdc in (1_050_000, 1_100_000))
CHEAP, FAIR = (sync(1, 500 * ETHER, usdc * 10**6) for usdc in (950_000, 1_000_000))


def reserves(event: Any) -> tuple[int, int]:
    return event[1]["reserve0"], event[1]["reserve1"]


def opened(engine: MakeEngine, *sets: str) -> Market:
    """Two pools between which it pays to sell WETH to the second."""
    market = Market(engine(*(sets or (GROSS,))), PAIR, PAIR)
    assert types(market.block(LEVEL, DEAR)) == ["open", "path"]
    return market


def test_a_cycle_opens_with_what_the_contracts_would_pay(engine: MakeEngine) -> None:
    market = Market(engine(GROSS), PAIR, PAIR)
    report, path = market.block(LEVEL, DEAR)
    assert (path["pool0"], path["pool1"], path["pool2"], path["hops"]) == (1, 0, m.NO_ID, 2)
    assert path["zero_for_one"] == 0b01
    outs = v2_cycle(path["amount_in"], reserves(DEAR), reserves(LEVEL)[::-1])
    assert [path["amount_out0"], path["amount_in"] + path["profit"]] == outs
    for other in (path["amount_in"] * k // 1000 for k in (500, 900, 990, 999, 1001, 1010, 1500)):
        assert v2_cycle(other, reserves(DEAR), reserves(LEVEL)[::-1])[-1] - other < path["profit"]
    assert report["max_profit"] == path["profit"] > 10**17
    assert report["flags"] == m.FLAG_OPENING | m.FLAG_TOKEN_UNKNOWN
    assert (report["venue_a"], report["venue_b"]) == (1, 0)
    assert report["token_pair"] == hex_of(token_address(WETH) + token_address(USDC))
    assert report["price_diff"] == pytest.approx(10_000 * (1.05 * 0.997**2 - 1))
    assert report["expires_at"] == (1_000_000 + market.number + 12) * 10**9
    assert report["confidence"] == 0.5
    assert (path["opened_block"], path["block_number"], path["boundary"]) == (11, 11, m.BOUNDARY_BLOCK)


def test_while_nothing_changes_nothing_is_said_and_nothing_solved(engine: MakeEngine) -> None:
    market = opened(engine)
    before = market.cursor()
    assert market.block() == []
    assert market.cursor()["screened"] == before["screened"]
    assert market.block(LEVEL, DEAR) == []
    assert market.cursor()["solved"] == before["solved"] + 1


def test_what_changes_is_told_again_and_stays_one_opening(engine: MakeEngine) -> None:
    market = opened(engine)
    report, path = market.block(DEARER)
    assert not report["flags"] & m.FLAG_OPENING
    assert (path["opened_block"], path["block_number"]) == (11, 12)
    assert market.cursor()["openings"] == 1


def test_what_closes_names_the_transaction_that_closed_it(engine: MakeEngine) -> None:
    market = opened(engine)
    _, path = market.block(DEARER)
    other = {**FAIR[1], "transaction_index": 5}
    (closed,) = market.block(sync(0, *reserves(LEVEL), tx=2), (m.UniswapV2Sync, other))
    assert closed["reason"] == m.CLOSED_MOVED
    assert (closed["transaction_index"], closed["tx_hash"]) == (5, hex_of(tx_hash(13, 5)))
    assert (closed["amount_in"], closed["profit"]) == (path["amount_in"], path["profit"])
    assert (closed["opened_block"], closed["block_number"], closed["path"]) == (11, 13, path["path"])
    assert [closed[f"pool{k}"] for k in range(2)] == [1, 0] and closed["zero_for_one"] == 0b01
    assert market.block() == [] and market.cursor()["first_open"] == 0


def test_a_cycle_that_turns_round_closes_and_opens(engine: MakeEngine) -> None:
    market = opened(engine)
    rows = market.block(CHEAP)
    assert types(rows) == ["closed", "open", "path"]
    closed, report, path = rows
    assert closed["reason"] == m.CLOSED_MOVED and report["flags"] & m.FLAG_OPENING
    assert (path["pool0"], path["pool1"], path["zero_for_one"], path["opened_block"]) == (0, 1, 0b01, 12)
    outs = v2_cycle(path["amount_in"], reserves(LEVEL), reserves(CHEAP)[::-1])
    assert outs[-1] - path["amount_in"] == path["profit"]


def test_an_incomplete_pool_closes_and_its_next_sync_opens_again(engine: MakeEngine) -> None:
    market = opened(engine)
    (closed,) = market.block((m.PoolIncomplete, {"pool": 1}))
    assert closed["reason"] == m.CLOSED_BARRED
    assert types(market.block(DEARER)) == ["open", "path"]


def test_when_all_pools_are_lost_each_has_to_be_heard_of_again(engine: MakeEngine) -> None:
    market = opened(engine)
    (closed,) = market.block((m.PoolIncomplete, {"pool": m.NO_ID}))
    assert closed["reason"] == m.CLOSED_BARRED
    assert market.block(DEARER) == []
    assert types(market.block(LEVEL)) == ["open", "path"]


def test_a_pool_that_was_known_before_its_first_cycle_is_not_waited_for(engine: MakeEngine) -> None:
    market = Market(engine(GROSS), PAIR)
    assert market.block(LEVEL) == []
    market.engine.feed([(m.PoolRegistered, {**_registered(1), "flags": 0})])
    assert types(market.block(DEAR)) == ["open", "path"]


def _registered(pool: int) -> dict[str, Any]:
    fields = {"pool": pool, "kind": m.KIND_UNISWAP_V2, "fee": FEE, "address": pool_address(pool)}
    addresses = {"token0_address": token_address(WETH), "token1_address": token_address(USDC)}
    return {**fields, **addresses, "token0": WETH, "token1": USDC}


def test_a_pool_that_fails_its_audit_closes_what_goes_through_it_for_good(engine: MakeEngine) -> None:
    market = Market(engine(GROSS), PAIR, PAIR, PAIR)
    third = sync(2, 500 * ETHER, 1_050_000 * 10**6)
    assert types(market.block(LEVEL, DEAR, third)) == ["open", "path"] * 2
    paid = {"amount0_in": 10**15, "amount1_out": 10 * 10**6}
    cheated = sync(1, 500 * ETHER + 10**15, 1_050_000 * 10**6 - 10 * 10**6)
    rows = market.block(cheated, (m.UniswapV2Swap, {"pool": 1, **paid}))
    assert {row["reason"] for row in rows} == {m.CLOSED_BARRED}
    assert all(1 in (row["pool0"], row["pool1"]) for row in rows)
    assert market.block(DEARER) == []


def test_a_token_found_to_be_taxed_closes_what_is_open_although_no_pool_moved(engine: MakeEngine) -> None:
    market = opened(engine)
    transfer = {"pool": 1, "other_pool": m.NO_ID, "token": USDC, "direction": 2, "amount": 90}
    swap = (m.UniswapV2Swap, {"pool": 1, "amount0_in": 1, "amount1_out": 100})
    (closed,) = market.block((m.Erc20Transfer, transfer), swap)
    assert closed["reason"] == m.CLOSED_BARRED
    assert market.block(DEARER) == []


# --- costs

#: (base fee, gas used, gas limit, the next base fee): mainnet's block 12965000, and go-ethereum's TestCalcBaseFee.
HEADERS = [
    (1_000_000_000, 30_025_257, 30_029_122, 1_124_967_822),
    (1_000_000_000, 10_000_000, 20_000_000, 1_000_000_000),
    (1_000_000_000, 9_000_000, 20_000_000, 987_500_000),
    (1_000_000_000, 11_000_000, 20_000_000, 1_012_500_000),
    (7, 20_000_000, 20_000_000, 8),
]


def header(base_fee: int, gas_used: int, gas_limit: int) -> dict[str, int]:
    return {"base_fee": base_fee, "gas_used": gas_used, "gas_limit": gas_limit}


def test_gas_is_counted_at_the_next_blocks_base_fee(engine: MakeEngine) -> None:
    market = Market(engine(NATIVE, "arbitrage.priority_fee=3"), PAIR, PAIR)
    market.block(LEVEL)
    for turn, (*given, following) in enumerate(HEADERS):
        report, path = market.block(DEARER if turn % 2 else DEAR, **header(*given))
        assert report["gas_estimate"] == GAS_BASE + 2 * GAS_V2
        assert path["gas_cost_wei"] == report["gas_estimate"] * (following + 3) == path["cost"]
        assert not report["flags"] & m.FLAG_GROSS


def test_what_does_not_cover_its_gas_is_not_open(engine: MakeEngine) -> None:
    market = Market(engine(NATIVE), PAIR, PAIR)
    assert market.block(LEVEL, DEAR, **header(10**13, 1, 2)) == []
    assert types(market.block(DEAR, **header(10**9, 1, 2))) == ["open", "path"]


def test_gas_is_sold_for_the_profits_token_in_the_pool_that_settings_name(engine: MakeEngine) -> None:
    sets = (NATIVE, f'arbitrage.base_tokens=["{hex_of(token_address(USDC))}"]')
    named = f'arbitrage.native_pools=["{hex_of(pool_address(2))}"]'
    market = Market(engine(*sets, named), PAIR, PAIR, PAIR)
    quoting = sync(2, 7 * ETHER, 14_350 * 10**6)
    rows = market.block(LEVEL, DEAR, quoting, **header(10**9, 1, 2))
    assert types(rows) == ["open", "path"] * 3
    for report, path in zip(rows[::2], rows[1::2], strict=True):
        assert path["zero_for_one"] == 0b10 and not report["flags"] & m.FLAG_GROSS
        assert path["cost"] == v2_price(path["gas_cost_wei"], 14_350 * 10**6, 7 * ETHER)
    rows = market.block((m.PoolIncomplete, {"pool": 2}), DEARER, **header(10**9, 1, 2))
    told = {row["flags"] & m.FLAG_GROSS for row in rows if row["type"] == "ArbitrageOpportunity"}
    assert told == {m.FLAG_GROSS}


@pytest.mark.parametrize("known", [{"base_fee": 10**9, "gas_used": 1, "gas_limit": 2}, {}])
def test_gas_that_cannot_be_converted_or_priced_leaves_the_profit_gross(
    engine: MakeEngine, known: dict[str, int]
) -> None:
    sets = (NATIVE, f'arbitrage.base_tokens=["{hex_of(token_address(USDC))}"]') if known else (NATIVE,)
    report, path = Market(engine(*sets), PAIR, PAIR).block(LEVEL, DEAR, **known)
    assert report["flags"] & m.FLAG_GROSS and path["cost"] == 0
    assert path["gas_cost_wei"] == (report["gas_estimate"] * 10**9 if known else 0)


def test_a_loan_is_paid_for(engine: MakeEngine) -> None:
    market = Market(engine(GROSS, "arbitrage.funding=loan_bps", "arbitrage.loan_bps=9"), PAIR, PAIR)
    _, path = market.block(LEVEL, DEAR)
    assert path["cost"] == -(-path["amount_in"] * 900 // 10**6)
    _, free = Market(engine(GROSS), PAIR, PAIR).block(LEVEL, DEAR)
    assert path["profit"] - path["cost"] > free["profit"] - -(-free["amount_in"] * 900 // 10**6)
    assert path["amount_in"] < free["amount_in"]


def test_no_more_is_put_in_than_there_is(engine: MakeEngine) -> None:
    sets = (GROSS, "arbitrage.funding=own", "arbitrage.max_amount_in=1234567890123456")
    _, path = Market(engine(*sets), PAIR, PAIR).block(LEVEL, DEAR)
    assert path["amount_in"] <= 1234567890123456 < path["amount_in"] + 10**9


def test_a_spread_below_the_setting_is_not_open(engine: MakeEngine) -> None:
    spread = 10_000 * (1.05 * 0.997**2 - 1)
    for off, expected in ((-0.01, ["open", "path"]), (0.01, [])):
        market = Market(engine(GROSS, f"arbitrage.min_bps={spread + off}"), PAIR, PAIR)
        assert types(market.block(LEVEL, DEAR)) == expected


def test_amounts_beyond_128_bits_are_withheld_and_counted(engine: MakeEngine) -> None:
    sets = (GROSS, f'arbitrage.base_tokens=["{hex_of(token_address(USDC))}"]')
    market = Market(engine(*sets), PAIR, PAIR, kind=m.KIND_UNISWAP_V3)
    price = 2**96 << 43
    mint = {"tick_lower": -887220, "tick_upper": 887220, "liquidity": 2**120}
    logs = []
    for pool, root in enumerate((price, price * 11 // 10)):
        tick = 596155 + (1906 if pool else 0)
        logs.append((m.UniswapV3Initialize, {"pool": pool, "sqrt_price_x96": root, "tick": tick}))
        logs.append((m.UniswapV3Mint, {"pool": pool, **mint}))
    assert market.block(*logs) == []
    assert market.cursor()["withheld"] == 1 and market.cursor()["first_open"] == 0


# --- three hops, and finer boundaries


def test_a_cycle_over_three_pools(engine: MakeEngine) -> None:
    market = Market(engine(GROSS), (WETH, USDC), (USDC, DAI), (WETH, DAI))
    logs = (
        sync(0, 1000 * ETHER, 2_000_000 * 10**6),
        sync(1, 10**12, 10**6 * ETHER),
        sync(2, 900 * ETHER, 1_900_000 * ETHER),
    )
    _, path = market.block(*logs)
    assert [path[f"pool{k}"] for k in range(4)] == [2, 1, 0, m.NO_ID] and path["zero_for_one"] == 0b001
    hops = (reserves(logs[2]), reserves(logs[1])[::-1], reserves(logs[0])[::-1])
    outs = v2_cycle(path["amount_in"], *hops)
    assert outs == [path["amount_out0"], path["amount_out1"], path["amount_in"] + path["profit"]]


@pytest.mark.slow
def test_at_transaction_level_what_opens_and_closes_within_a_block_is_told(engine: MakeEngine) -> None:
    market = Market(engine(GROSS, "arbitrage.evaluate=transaction"), PAIR, PAIR)
    ends = [(m.TransactionEnd, {"transaction_index": k, "log_count": 1}) for k in range(3)]
    later = [
        (m.UniswapV2Sync, {**event[1], "transaction_index": k + 1}) for k, event in enumerate((DEAR, FAIR))
    ]
    rows = market.block(LEVEL, ends[0], later[0], ends[1], later[1], ends[2])
    assert types(rows) == ["open", "path", "closed"]
    assert rows[1]["boundary"] == m.BOUNDARY_TRANSACTION and rows[1]["transaction_index"] == 1
    assert rows[2]["tx_hash"] == hex_of(tx_hash(11, 2))
    assert types(market.block(DEAR)) == ["open", "path"]


@pytest.mark.slow
def test_at_log_level_it_is_told_after_each_log(engine: MakeEngine) -> None:
    market = Market(engine(GROSS, "arbitrage.evaluate=log"), PAIR, PAIR)
    rows = market.block(LEVEL, DEAR, FAIR, CHEAP)
    assert types(rows) == ["open", "path", "closed", "open", "path"]
    assert rows[0]["confidence"] == 0.0 and rows[1]["boundary"] == m.BOUNDARY_LOG


def test_every_level_evaluates_what_is_left_at_the_end_of_a_block() -> None:
    for level, count in (("block", 1), ("transaction", 2), ("log", 5)):
        handlers = [h for h in opportunity_handlers(level) if h.name.startswith("evaluate")]
        assert len(handlers) == count and handlers[-1].message is m.BlockEnd
