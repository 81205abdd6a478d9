"""A whole replay on streams made by hand: where rows come from, and what disorder, removals and strangers do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.replay.importer import import_logs
from tests.harness import EXAMPLE, SMALL, Outcome, Row, log, replay, write_lines
from tests.model import CREATED, TOPICS, place, read_lines

TOPIC = {(kind, name): topic for (kind, topic), (name, _, _) in TOPICS.items()}
PAIR_CREATED = next(t for t, k in CREATED.items() if k == "uniswap_v2")
FACTORY, A, B = "0x" + "fa" * 20, "0x" + "0a" * 20, "0x" + "0b" * 20
POOLS = ["0x" + f"{k}" * 40 for k in (1, 2, 3)]


def create(block: int, index: int, pool: str, **more: Any) -> Row:
    return log(block, index, FACTORY, [PAIR_CREATED, A, B], [pool, 1], **more)


def sync(block: int, index: int, pool: str, reserve0: int, reserve1: int, **more: Any) -> Row:
    return log(block, index, pool, [TOPIC["uniswap_v2", "Sync"]], [reserve0, reserve1], **more)


def swap(block: int, index: int, pool: str, *amounts: int, **more: Any) -> Row:
    return log(block, index, pool, [TOPIC["uniswap_v2", "Swap"], A, B], list(amounts), **more)


def stream() -> list[Row]:
    """Two pools, an arbitrage that opens in block 3 and closes in block 5."""
    return [
        create(1, 0, POOLS[0]),
        create(1, 1, POOLS[1]),
        sync(2, 0, POOLS[0], 10**6, 10**6),
        sync(2, 3, POOLS[1], 10**6, 10**6),
        sync(3, 1, POOLS[1], 10**6 - 5, 11 * 10**5, tx=0),
        swap(3, 2, POOLS[1], 0, 10**5, 5, 0, tx=0),
        swap(4, 7, POOLS[0], 3, 0, 0, 2, tx=2),
        sync(5, 0, POOLS[1], 10**6, 10**6),
    ]


def run(tmp_path: Path, logs: list[Row], *sets: str, **options: Any) -> Outcome:
    return replay(write_lines(tmp_path / "logs.jsonl", logs), *sets, **options)


def reserves(outcome: Outcome) -> dict[str, tuple[str, str, bool]]:
    return {p: (line["reserve0"], line["reserve1"], line["complete"]) for p, line in outcome.pools.items()}


def test_rows_name_the_block_transaction_and_log_that_caused_them(tmp_path: Path) -> None:
    logs = stream()
    found = run(tmp_path, logs)
    swaps = [(r["block"], r["tx"], r["log"]) for r in found.sink.of("DeFiSwapEvent")]
    assert swaps == [(*place(o)[:1], o["transactionHash"], place(o)[1]) for o in (logs[5], logs[6])]
    opportunities = [(r["block"], r["tx"], r["log"]) for r in found.sink.of("ArbitrageOpportunity")]
    assert opportunities == [(3, None, None)]
    assert found.result.events == 8


@pytest.mark.slow
@pytest.mark.compiled
def test_every_swap_of_the_recorded_stream_names_its_log(lane: str) -> None:
    last = 70 if lane == "nojit" else 744
    topics = {topic for (_, topic), (name, _, _) in TOPICS.items() if name == "Swap"}
    expected = [
        (*place(o), o["transactionHash"], o["address"])
        for o in read_lines(EXAMPLE)
        if o["topics"] and o["topics"][0] in topics and place(o)[0] <= last
    ]
    rows = replay(EXAMPLE, to_block=last).sink.of("DeFiSwapEvent")
    assert [(r["block"], r["log"], r["tx"], r["pool_address"]) for r in rows] == expected


def test_a_removed_log_cancels_the_one_it_names(tmp_path: Path) -> None:
    logs = stream()
    found = run(tmp_path, [*logs, {**logs[4], "removed": True}])
    plain = run(tmp_path, [*logs[:4], *logs[5:]])
    assert reserves(found) == reserves(plain)
    names = ("type", "block", "tx", "log")
    assert [[r[n] for n in names] for r in found.sink.rows] == [
        [r[n] for n in names] for r in plain.sink.rows
    ]


@pytest.mark.slow
def test_a_removal_found_after_outputs_have_left_starts_over_without_telling_twice(
    tmp_path: Path, lane: str
) -> None:
    last = 66 if lane == "nojit" else 120
    logs = [o for o in read_lines(EXAMPLE) if place(o)[0] <= last]
    gone = max(k for k, o in enumerate(logs) if o["topics"][0] == TOPIC["uniswap_v2", "Sync"])
    small = ("ring_slots=64", "max_batch=64")
    found = run(tmp_path, [*logs, {**logs[gone], "removed": True}], *small)
    plain = run(tmp_path, [*logs[:gone], *logs[gone + 1 :]], *small)
    assert found.pools == plain.pools and plain.sink.rows
    names = ("type", "block", "tx", "log")
    assert [[r[n] for n in names] for r in found.sink.rows] == [
        [r[n] for n in names] for r in plain.sink.rows
    ]


def test_a_removal_of_an_unknown_log_is_counted_and_makes_the_pool_incomplete(tmp_path: Path) -> None:
    logs = stream()[:4]
    found = run(tmp_path, [*logs, sync(3, 9, POOLS[0], 5, 5, removed=True)])
    assert reserves(found)[POOLS[0]][2] is False and reserves(found)[POOLS[1]][2] is True
    assert sum(found.result.warnings.values()) >= 1


def test_disorder_is_refused_and_sorted_when_asked(tmp_path: Path) -> None:
    logs = stream()
    shuffled = [logs[k] for k in (0, 1, 2, 6, 3, 7, 5, 4)]
    with pytest.raises(InputError, match="--sort"):
        run(tmp_path, shuffled)
    found, plain = run(tmp_path, shuffled, sort=True), run(tmp_path, logs)
    assert found.digests == plain.digests and found.sink.rows == plain.sink.rows


def test_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    logs = stream()
    found = run(tmp_path, [o for o in logs for _ in range(2)])
    assert found.digests == run(tmp_path, logs).digests
    assert sum(found.result.warnings.values()) == len(logs)


def test_an_undecodable_log_makes_its_pool_incomplete_until_the_next_sync(tmp_path: Path) -> None:
    logs = stream()
    broken = {**sync(4, 8, POOLS[1], 1, 1), "data": "0x1234"}
    upto = run(tmp_path, [*logs[:7], broken])
    assert reserves(upto)[POOLS[1]][2] is False and reserves(upto)[POOLS[0]][2] is True
    after = run(tmp_path, [*logs[:7], broken, logs[7]])
    assert reserves(after) == reserves(run(tmp_path, logs))


def test_events_of_pools_that_nobody_knows_are_kept_in_a_journal(tmp_path: Path) -> None:
    logs = stream()
    source = write_lines(tmp_path / "logs.jsonl", logs[1:])  # the first pool's creation is missing
    settings, _ = load_settings(None, list(SMALL))
    journal = tmp_path / "journal"
    import_logs([str(source)], str(journal), pools=[], blocks=[], sort=False, strict=False, settings=settings)
    unknown = replay(journal)
    assert list(unknown.pools) == [POOLS[1]] and unknown.sink.of("ArbitrageOpportunity") == []
    record = {"address": POOLS[0], "kind": "uniswap_v2", "token0": A, "token1": B, "fee": 3000}
    pools = write_lines(tmp_path / "pools.jsonl", [record])
    known = replay(journal, pools=(str(pools),))
    direct = replay(source, pools=(str(pools),))
    assert reserves(known) == reserves(direct) == reserves(run(tmp_path, logs))
    assert known.digests[:2] == direct.digests[:2]
    assert len(known.sink.of("ArbitrageOpportunity")) == 1


HANDLER = '''
from disruptor.access import read, row
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.handlers.messages import UniswapV2Sync
from disruptor.message import message, u32, u64
from disruptor.table import Table

Seen = message("Seen", 1001, {"pool": u32, "reserve0": u64})


@handler(UniswapV2Sync, max_outputs=1)
def tell(state, event, out):
    """Reports what tracking has stored for the same event: it ran before."""
    seen = emit(out, Seen)
    seen["pool"] = event["pool"]
    seen["reserve0"] = read(state.pools, event["pool"])["reserve0"][0]
'''


@pytest.mark.slow
def test_a_users_handlers_run_behind_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HANDLER)
    logs = [create(1, 0, POOLS[0]), *(sync(2, k, POOLS[0], 100 + k, 5) for k in range(5))]
    quiet = ("arbitrage.enabled=false", "normalised_swaps=false")
    found = run(tmp_path, logs, *quiet, handlers=(str(tmp_path / "mine.py"),))
    assert [row["reserve0"] for row in found.sink.of("Seen")] == [100, 101, 102, 103, 104]
    assert [row["log"] for row in found.sink.of("Seen")] == [0, 1, 2, 3, 4]
    assert found.result.state_digest == run(tmp_path, logs, *quiet).result.state_digest


def test_types_choose_what_reaches_the_sink_and_not_what_is_counted(tmp_path: Path) -> None:
    found = run(tmp_path, stream(), types=("DeFiSwapEvent",))
    assert {row["type"] for row in found.sink.rows} == {"DeFiSwapEvent"}
    assert found.digests == run(tmp_path, stream()).digests
    assert json.loads(json.dumps(found.result.to_json()))["outputs"]["ArbitrageOpportunity"] == 1
