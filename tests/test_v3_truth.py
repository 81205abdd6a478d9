"""V3 pools after each call that changed them: what a replay of the logs tracks is what the contracts held.

The stream's truth has a line for each call of a pool, traced on the node: the logs alone must lead to the same eleven
numbers, though no log has fee growth, protocol fees or observations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import write_lines
from tests.model import place
from tests.support.stepped import Stepped
from tests.support.streams import read_document, read_lines, stream_path
from tests.support.wide_records import number

QUIET = ("arbitrage.enabled=false", "normalised_swaps=false")
#: The calls that the lane without a compiler has time for.
SOME_CALLS = 80
NAMES = (
    "sqrt_price_x96",
    "tick",
    "liquidity",
    "fee_growth_global0_x128",
    "fee_growth_global1_x128",
    "protocol_fees0",
    "protocol_fees1",
    "observation_index",
    "observation_cardinality",
    "observation_cardinality_next",
    "fee_protocol",
)
TICK_NAMES = ("liquidity_gross", "liquidity_net", "fee_growth_outside0_x128", "fee_growth_outside1_x128")
TICK_TOLD = ("liquidityGross", "liquidityNet", "feeGrowthOutside0X128", "feeGrowthOutside1X128")


def eleven(stepped: Stepped, pool: int) -> list[int]:
    """A pool's state as the truth lists it."""
    p, fees = (stepped.state.arrays[name].rows[pool] for name in ("pools", "v3_fees"))
    return [number(p[n] if n in p.dtype.names else fees[n]) for n in NAMES]


def differences(found: list[int], told: list[Any]) -> list[str]:
    return [f"{name}: {a} and not {b}" for name, a, b in zip(NAMES, found, told, strict=True) if a != int(b)]


def replayed(logs: Path, blocks: Path, *sets: str) -> Stepped:
    return Stepped([logs], *QUIET, *sets, blocks=[blocks])


def compare(
    stepped: Stepped, actions: list[dict[str, Any]], snapshots: list[dict[str, Any]]
) -> dict[str, int]:
    """Hold the pools against the truth after every call, and everything at the snapshots; how often."""
    counts = {"calls": 0, "swaps": 0, "ticks": 0, "words": 0}
    waiting = list(snapshots)
    ids: dict[str, int] = {}
    for action in actions:
        while waiting and waiting[0]["block"] < action["block"]:
            _compare_maps(stepped, waiting.pop(0), counts)
        if action["log"] is not None:
            stepped.run_to(stepped.at[action["block"], action["log"]] + 1)
        ids = ids if action["pool"] in ids else stepped.pool_ids()
        wrong = differences(eleven(stepped, ids[action["pool"]]), action["state"])
        assert not wrong, (action["block"], action["log"], action["call"], wrong)
        counts["calls"] += 1
        counts["swaps"] += action["call"] == "swap" and action["log"] is not None
    for snapshot in waiting:
        _compare_maps(stepped, snapshot, counts)
    return counts


def _compare_maps(stepped: Stepped, snapshot: dict[str, Any], counts: dict[str, int]) -> None:
    """Every initialized tick with the growths outside of it, and every word of the bitmap, at a block's end."""
    stepped.run_to(stepped.end_of[snapshot["block"]])
    ids = stepped.pool_ids()
    ticks: dict[int, dict[int, list[int]]] = {k: {} for k in ids.values()}
    for t in stepped.state.live("ticks"):
        told = [number(t[name], signed=name == "liquidity_net") for name in TICK_NAMES]
        ticks[int(t["pool"])][int(t["tick"])] = told
    words: dict[int, dict[int, int]] = {k: {} for k in ids.values()}
    for w in stepped.state.live("tick_bitmap"):
        words[int(w["pool"])][int(w["word"])] = number(w["bits"])
    for address, told in snapshot["pools"].items():
        pool = ids[address]
        expected = {int(t): [int(at[n]) for n in TICK_TOLD] for t, at in told["ticks"].items()}
        assert ticks[pool] == expected, (snapshot["block"], address)
        assert words[pool] == {int(w): int(bits) for w, bits in told["tickBitmap"].items()}
        counts["ticks"] += len(expected)
        counts["words"] += len(told["tickBitmap"])


@pytest.mark.slow
def test_a_replay_of_logs_has_the_contracts_state_after_every_call(tmp_path: Path, lane: str) -> None:
    truth = read_document("v3_swaps", "truth.json")
    actions = list(read_lines("v3_swaps", "truth_actions.jsonl"))
    snapshots, logs = truth["snapshots"], stream_path("v3_swaps", "logs.jsonl")
    if lane == "nojit":
        actions, snapshots = actions[:SOME_CALLS], []
        kept = (e for e in read_lines("v3_swaps", "logs.jsonl") if place(e)[0] <= actions[-1]["block"])
        logs = write_lines(tmp_path / "logs.jsonl", kept)
    stepped = replayed(logs, stream_path("v3_swaps", "blocks.jsonl"))
    counts = compare(stepped, actions, snapshots)
    audit = stepped.counters("audit_counters")
    assert audit == {"audited": counts["swaps"], "mismatched": 0, "not_checkable": 0, "unverified": 0}
    assert counts["calls"] == len(actions) and counts["swaps"] > 10
    if lane != "nojit":
        assert counts["swaps"] == truth["meta"]["calls"]["swap"] > 3000
        assert counts["ticks"] > 100 and counts["words"] > 20
