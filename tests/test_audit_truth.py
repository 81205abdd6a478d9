"""The audit over recorded chains: what it marks is what the chain contradicts, and nothing else."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Row, replay
from tests.support.streams import read_document, unpack
from tests.test_truth import NAMED, QUIET

MILLION = 10**6


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("headers", [False, True])
def test_adversarial_pools_are_marked_in_the_block_that_betrays_them(tmp_path: Path, headers: bool) -> None:
    folder = unpack("adversarial", tmp_path)
    truth = read_document("adversarial", "truth.json")
    blocks = {"blocks": (str(folder / "blocks.jsonl"),)} if headers else {}
    found = replay(folder / "logs.jsonl", *QUIET, keep=False, pools=(str(folder / "pools.jsonl"),), **blocks)
    marked = {
        pool: line["unverified_at"]["block"] for pool, line in found.pools.items() if not line["verified"]
    }
    names = {"fork25", "changing", "loose", "fork3"}
    forks = [p for p in truth["pools"] if p["name"].split(":")[0] in names]
    assert len(forks) == len(names)
    assert marked == {pool["address"]: pool["hazard"]["evidence"] for pool in forks}
    told = found.result.to_json()
    assert told["swaps_mismatched"] > told["warnings"]["pools_unverified"] == len(forks)
    assert told["swaps_audited"] > 500
    for line in found.pools.values():
        if line["kind"] == "uniswap_v3" and not line["verified"]:
            assert line["fee_growth_global0_x128"] is None


#: Mainnet pairs that are not what `pools.csv` takes them for, and the first log that says so.
FORK_OF_25 = "0x7515be43d16f871588adc135d58a9c30a71eb34f"  # DAI/WETH: takes 25 bp, and nobody declared it
STABLE = "0xe219a14e355c1cb3f43594655a63488da154e8eb"  # USDC/USDT: V2's events, but a curve for stable tokens
MARKED = {FORK_OF_25: (12972264, 50), STABLE: (18000001, 122)}


def whole_blocks(folder: Path, target: Path) -> list[Row]:
    """The rows of the blocks whose log indices are the block's, also written to `target`."""
    with (folder / "blocks.csv").open() as file:
        numbered = {
            r["block_number"] for r in csv.DictReader(file) if r["log_index_contiguous_from_0"] == "True"
        }
    head, *lines = (folder / "logs.csv").read_text().splitlines()
    lines = [line for line in lines if line.split(",", 1)[0] in numbered]
    target.write_text("\n".join([head, *lines]) + "\n")
    return list(csv.DictReader([head, *lines]))


def paired_swaps(rows: list[Row]) -> list[dict[str, Any]]:
    """Each V2 Swap right after its Sync: its place, amounts, balances, and the reserves that these imply."""
    found, before = [], None
    for row in rows:
        if before and row["topic0"] == NAMED["uniswap_v2", "Swap"] and row["address"] == before["address"]:
            after, moved = numbers(before), numbers(row)
            implied = [after[k] - moved[k] + moved[2 + k] for k in (0, 1)]
            place = (int(row["block_number"]), int(row["log_index"]))
            found.append(
                {"pool": row["address"], "place": place, "after": after, "in": moved[:2], "before": implied}
            )
        before = row if row["topic0"] == NAMED["uniswap_v2", "Sync"] else None
    return found


def numbers(row: Row) -> list[int]:
    body = row["data"][2:]
    return [int(body[k : k + 64], 16) for k in range(0, len(body), 64)]


def highest_fee(swap: dict[str, Any]) -> int:
    """The most that a pair can take, in millionths, if it accepted this; -1 if not even nothing."""
    for fee in range(3000, -1, -1):
        left = [MILLION * b - fee * i for b, i in zip(swap["after"], swap["in"], strict=True)]
        if left[0] * left[1] >= swap["before"][0] * swap["before"][1] * MILLION**2:
            return fee
    return -1


@pytest.mark.slow
@pytest.mark.compiled
def test_the_chain_explains_every_mismatch_of_whole_mainnet_blocks(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "mainnet" / "blocks"
    rows = whole_blocks(folder, tmp_path / "logs.csv")
    found = replay(tmp_path / "logs.csv", *QUIET, keep=False, pools=(str(folder / "pools.csv"),))
    marked = {
        p: tuple(line["unverified_at"].values()) for p, line in found.pools.items() if not line["verified"]
    }
    assert marked == MARKED
    fees = {
        swap["pool"]: highest_fee(swap) for swap in paired_swaps(rows) if swap["place"] in MARKED.values()
    }
    assert fees == {FORK_OF_25: 2500, STABLE: -1}
    result = found.result
    assert (result.swaps_audited, result.swaps_mismatched, result.swaps_not_checkable) == expected(
        rows, found.pools
    )


def expected(rows: list[Row], pools: dict[str, Row]) -> tuple[int, int, int]:
    """What a reader of the logs can say: between 14 blocks of which few follow one another, pools move unseen."""
    last: dict[str, tuple[int, list[int]]] = {}
    counts: Counter[str] = Counter()
    swaps = {swap["place"]: swap for swap in paired_swaps(rows)}
    synced: dict[str, tuple[int, list[int]] | None] = {}
    for row in rows:
        pool, kind = row["address"], pools.get(row["address"], {}).get("kind")
        if kind == "uniswap_v3" and row["topic0"] == NAMED["uniswap_v3", "Swap"]:
            counts["not checkable"] += 1  # nobody gave the ticks
        if kind != "uniswap_v2":
            continue
        place = (int(row["block_number"]), int(row["log_index"]))
        if row["topic0"] == NAMED["uniswap_v2", "Sync"]:
            synced[pool], last[pool] = last.get(pool), (place[0], numbers(row))
        elif row["topic0"] == NAMED["uniswap_v2", "Swap"]:
            known = synced.get(pool)
            if place not in swaps:
                counts["not checkable"] += 1
            elif highest_fee(swaps[place]) < 3000:
                counts["mismatched"] += 1
            elif known and known[1] == swaps[place]["before"]:
                counts["audited"] += 1
            else:
                assert known is None or place[0] - known[0] > 1  # between them blocks are missing
                counts["not checkable"] += 1
    assert counts["audited"] > 100
    return counts["audited"], counts["mismatched"], counts["not checkable"]
