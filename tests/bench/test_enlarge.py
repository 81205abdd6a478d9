"""Enlarged streams: the clones' truth is the chain's, and what is written carries it."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
STATE = ("reserve0", "reserve1", "sqrt_price_x96", "tick", "liquidity", "ticks")


def load(path: Path) -> ModuleType:
    """The script as a module: `bench` is no installed package."""
    spec = importlib.util.spec_from_file_location("enlarge_under_test", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


enlarge = load(ROOT / "bench" / "enlarge.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clone at first, and more logs than were recorded: a successor takes over after 9,298."""
    folder: Path = tmp_path_factory.mktemp("enlarged")
    enlarge.main(
        ["--logs", "12000", "--pools", "19", "--out", str(folder), "--seed", "7", "--logs-per-block", "100"]
    )
    return folder


@pytest.fixture(scope="module")
def logs(made: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (made / "logs.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def states(made: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (made / "truth.jsonl").read_text().splitlines()]


def track(logs: list[dict[str, Any]]) -> dict[str, Any]:
    """Pools by address, after all logs, by the plain rules."""
    pools: dict[str, Any] = {}
    for log in logs:
        if log["address"] in pools:
            pools[log["address"]].apply(log)
        elif found := enlarge.created(log):
            pools[found[0]] = found[1]
    return pools


def test_plain_rules_agree_with_the_chain_at_every_listed_block(truth: list[dict[str, Any]]) -> None:
    pools: dict[str, Any] = {}
    rows = iter(truth)
    row = next(rows)
    checked = 0
    for log in [
        *enlarge.read_logs(enlarge.STREAM),
        {"blockNumber": "0xffff", "address": "", "topics": [], "data": "0x"},
    ]:
        while row and row["block"] < int(log["blockNumber"], 16):
            pool = row["pool"]
            mine = pools[pool].row(pool, dict.fromkeys((pool, row["token0"], row["token1"]), "renamed"))
            assert {k: mine[k] for k in STATE if k in row} == {k: row[k] for k in STATE if k in row}
            checked += 1
            row = next(rows, {})
        if log["address"] in pools:
            pools[log["address"]].apply(log)
        elif found := enlarge.created(log):
            pools[found[0]] = found[1]
    assert checked == len(truth) > 2000


def test_written_logs_lead_to_the_written_truth(
    logs: list[dict[str, Any]], states: list[dict[str, Any]]
) -> None:
    pools = track(logs)
    same = {name: name for pool, truth in pools.items() for name in (pool, truth.token0, truth.token1)}
    assert {row["pool"]: row for row in states} == {
        pool: truth.row(pool, same) for pool, truth in pools.items()
    }
    assert len(states) > 22, "a second clone began"


def test_clones_share_no_pool_and_no_token(states: list[dict[str, Any]]) -> None:
    recorded = enlarge.Recording(enlarge.read_logs(enlarge.STREAM))
    assert not {row["pool"] for row in states} & set(recorded.pools)
    tokens = {row[side] for row in states for side in ("token0", "token1")}
    assert len(tokens) == 12
    assert all(row["token0"] < row["token1"] for row in states)


def test_blocks_are_filled_and_numbered_without_gaps(made: Path, logs: list[dict[str, Any]]) -> None:
    headers = [json.loads(line) for line in (made / "blocks.jsonl").read_text().splitlines()]
    assert [h["number"] for h in headers] == list(range(18_000_000, 18_000_000 + len(headers)))
    assert all(later["parentHash"] == earlier["hash"] for earlier, later in itertools.pairwise(headers))
    keys = [(int(g["blockNumber"], 16), int(g["logIndex"], 16)) for g in logs]
    assert keys == sorted(set(keys))
    assert {g["blockHash"] for g in logs} == {h["hash"] for h in headers}
    sizes = Counter(block for block, _ in keys)
    assert all(85 <= size <= 115 for size in list(sizes.values())[:-1])


def test_a_transaction_stays_together(logs: list[dict[str, Any]]) -> None:
    runs = [
        g["transactionHash"]
        for i, g in enumerate(logs)
        if i == 0 or g["transactionHash"] != logs[i - 1]["transactionHash"]
    ]
    assert len(runs) == len(set(runs))
    assert all(
        a["blockNumber"] == b["blockNumber"]
        for a, b in itertools.pairwise(logs)
        if a["transactionHash"] == b["transactionHash"]
    )


@pytest.mark.slow
def test_parquet_holds_the_same_logs(made: Path, logs: list[dict[str, Any]]) -> None:
    files = sorted((made / "parquet").iterdir())
    last = int(logs[-1]["blockNumber"], 16)
    assert [f.name for f in files] == [f"ethereum__logs__18000000_to_{last}.parquet"]
    rows = pq.read_table(files[0]).to_pylist()
    assert len(rows) == len(logs) >= 12_000
    for row, log in zip(rows, logs, strict=True):
        topics = [row[f"topic{t}"] for t in range(4) if row[f"topic{t}"] is not None]
        assert ["0x" + t.hex() for t in topics] == log["topics"]
        assert ("0x" + row["address"].hex(), "0x" + row["data"].hex()) == (log["address"], log["data"])
        assert "0x" + row["transaction_hash"].hex() == log["transactionHash"]
        numbers = (row["block_number"], row["transaction_index"], row["log_index"])
        assert numbers == tuple(int(log[k], 16) for k in ("blockNumber", "transactionIndex", "logIndex"))


def test_draws_follow_the_zipf_law() -> None:
    clones = sys.modules["bench.clones"]
    drawn = clones.zipf_draws(np.random.default_rng(1), 200_000, 50, 1.1)
    share = np.sort(np.bincount(drawn, minlength=50) / len(drawn))[::-1]
    law = np.arange(1, 51) ** -1.1
    assert np.abs(share - law / law.sum()).max() < 0.005


def test_too_few_logs_for_the_pools_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="raise --logs or lower --pools"):
        enlarge.main(["--logs", "1000", "--pools", "1000", "--out", str(tmp_path)])
