"""The recorded stream's arbitrage and swaps against an enumeration in rationals and the logs themselves."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from disruptor.handlers.messages import FLAG_GAS_PRICE_UNKNOWN, FLAG_NET, FLAG_OPENING, FLAG_SCREENED
from tests.harness import EXAMPLE, Outcome, replay
from tests.model import Found, created, decode, place, read_lines, search_logs

NO_SWAPS = "normalised_swaps=false"


@functools.cache
def stream() -> list[dict[str, Any]]:
    return read_lines(EXAMPLE)


def until(block: int) -> list[dict[str, Any]]:
    return [log for log in stream() if place(log)[0] <= block]


def compare(outcome: Outcome, found: Found, boundary: str) -> None:
    """Both sets alike: boundary, pools, opening and spread; each opportunity followed by its candidate."""
    rows = [row for row in outcome.sink.rows if row["type"] == "ArbitrageOpportunity"]
    candidates = [row for row in outcome.sink.rows if row["type"] == "ArbitrageCandidate"]
    seen: Found = {}
    for row, candidate in zip(rows, candidates, strict=True):
        at = (row["block"], row["tx"], row["log"])
        key = (at, row["venue_a"], row["venue_b"])
        assert key not in seen and (candidate["venue_a"], candidate["venue_b"]) == key[1:]
        assert row["price_diff"] == candidate["spread"] / 2**32
        assert row["flags"] & ~FLAG_OPENING == FLAG_SCREENED
        seen[key] = (candidate["spread"], bool(row["flags"] & FLAG_OPENING))
    if boundary == "log":  # what a log of another kind changed is told at the next one that is evaluated
        assert {key[1:] for key in seen} == {key[1:] for key in found}
    assert seen.keys() == found.keys()
    for key, (spread, opening) in found.items():
        assert abs(seen[key][0] - spread) <= 1 and seen[key][1] == opening, key
    assert outcome.result.opportunities == sum(opening for _, opening in found.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("boundary", "block", "least"), [("block", 744, 4000), ("transaction", 744, 4000), ("log", 744, 4000)]
)
def test_every_pair_that_pays_is_reported_at_its_boundary(
    boundary: str, block: int, least: int, lane: str
) -> None:
    if lane == "nojit":
        block, least = 90, 60
    sets = [f"arbitrage.evaluate={boundary}", *([] if boundary == "block" else [NO_SWAPS])]
    outcome = replay(EXAMPLE, *sets, to_block=block)
    _, found = search_logs(until(block), boundary)
    assert len(found) >= least
    compare(outcome, found, boundary)


@pytest.mark.slow
def test_min_bps_leaves_what_pays_at_least_that_much(lane: str) -> None:
    block = 90 if lane == "nojit" else 744
    outcome = replay(EXAMPLE, "arbitrage.min_bps=100", to_block=block)
    _, found = search_logs(until(block), "block", 100)
    _, everything = search_logs(until(block), "block")
    assert 0 < len(found) < len(everything)
    compare(outcome, found, "block")


@pytest.mark.slow
def test_depths_are_reserves_or_virtual_reserves(lane: str) -> None:
    block = 70 if lane == "nojit" else 300
    outcome = replay(EXAMPLE, to_block=block)
    ledger, _ = search_logs(until(block), "block")
    last = {
        (r["venue_a"], r["venue_b"]): r for r in outcome.sink.of("ArbitrageCandidate") if r["block"] == block
    }
    if not last:
        last = {(r["venue_a"], r["venue_b"]): r for r in outcome.sink.of("ArbitrageCandidate")[-1:]}
        ledger, _ = search_logs(until(next(iter(last.values()))["block"]), "block")
    for (a, b), row in last.items():
        for venue, pool in (("a", a), ("b", b)):
            depths = row[f"depth0_{venue}"], row[f"depth1_{venue}"]
            assert depths == ledger.pools[pool].depths


@pytest.mark.slow
def test_every_swap_is_told_once_in_its_normal_form(lane: str) -> None:
    block = 70 if lane == "nojit" else 744
    rows = replay(EXAMPLE, to_block=block).sink.of("DeFiSwapEvent")
    pools: dict[str, Any] = {}
    expected = []
    for log in until(block):
        pool = created(log)
        if pool is not None:
            pools[pool.address] = pool
        known = pools.get(log["address"])
        event = decode(log, known.kind if known else None)
        if known is None or event is None or event[0] != "Swap":
            continue
        fields = event[1]
        if known.kind == "uniswap_v2":
            gains = fields["in0"] - fields["out0"], fields["in1"] - fields["out1"]
            amounts = [fields[n] > 0 for n in ("in0", "in1", "out0", "out1")]
            net = sum(amounts) > 2 or (amounts[0] and amounts[2]) or (amounts[1] and amounts[3])
        else:
            gains, net = (fields["amount0"], fields["amount1"]), False
        forward = gains[0] > 0 or (gains[0] == 0 and gains[1] <= 0)
        tokens = (known.token0, known.token1) if forward else (known.token1, known.token0)
        paid, got = gains if forward else gains[::-1]
        flags = FLAG_GAS_PRICE_UNKNOWN | (FLAG_NET if net else 0)
        expected.append(
            (*place(log), log["transactionHash"], known.address, *tokens, paid, max(0, -got), flags)
        )
    names = ("block", "log", "tx", "pool_address", "token0", "token1", "amount0_in", "amount1_out", "flags")
    assert [tuple(row[n] for n in names) for row in rows] == expected
    assert lane == "nojit" or len(expected) == 2002
