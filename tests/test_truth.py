"""Against the chain's own answers: what a replay tracks is what the contracts held, to the unit."""

from __future__ import annotations

import ast
import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.harness import EXAMPLE, Row, log, replay, write_lines
from tests.model import CREATED, TOPICS, read_lines

CUTS = (64, 65, 224, 491, 744)
NAMED = {(kind, name): topic for (kind, topic), (name, _, _) in TOPICS.items()}
QUIET = ("arbitrage.enabled=false", "normalised_swaps=false")


def cuts(lane: str) -> tuple[int, ...]:
    return (64, 70) if lane == "nojit" else CUTS


def differences(pools: dict[str, Row], expected: dict[str, Row], names: tuple[str, ...]) -> list[str]:
    """Fields of pools that differ, told apart one by one."""
    return [
        f"{pool}.{name}: {pools[pool].get(name)} and not {line[name]}"
        for pool, line in expected.items()
        for name in names
        if name in line and str(pools[pool].get(name)) != str(line[name])
    ]


STATE = ("reserve0", "reserve1", "sqrt_price_x96", "tick", "liquidity", "token0", "token1", "fee", "kind")


@pytest.mark.slow
def test_example_stream_gives_the_chains_states_at_every_cut(truth: list[Row], lane: str) -> None:
    compared = mapped = 0
    for cut in cuts(lane):
        expected = {line["pool"]: line for line in truth if line["block"] <= cut}
        found = replay(EXAMPLE, *(() if lane != "nojit" else QUIET), keep=False, to_block=cut)
        assert not differences(found.pools, expected, STATE), cut
        assert all(line["complete"] and line["block"] <= cut for line in found.pools.values())
        compared += len(expected)
        for pool, line in expected.items():
            if "ticks" in line and line["block"] == cut:  # a mint out of range writes no later line
                assert found.pools[pool]["ticks"] == line["ticks"], (cut, pool)
                mapped += 1
    assert compared >= 19 * len(cuts(lane))
    assert mapped >= (5 if lane == "nojit" else 20)


def test_the_comparison_sees_one_unit(truth: list[Row]) -> None:
    line = truth[0]
    wrong = {**line, "reserve0": str(int(line["reserve0"]) + 1)}
    assert len(differences({line["pool"]: wrong}, {line["pool"]: line}, STATE)) == 1


@pytest.mark.slow
@pytest.mark.compiled
def test_recorded_chain_equals_its_contracts(data_dir: Path) -> None:
    rows = read_lines(data_dir / "evm" / "truth_blocks.jsonl")
    truth = json.loads((data_dir / "evm" / "truth.json").read_text())
    snapshots = {s["block"]: s["pools"] for s in truth["snapshots"]}
    kinds = {p["address"]: p["kind"] for p in truth["pools"]}
    for part in (1, 2, 3, 4):
        state: dict[str, list[Any]] = {}
        for row in rows[: len(rows) * part // 4]:
            state.update(row["pools"])
            last = row["block"]
        found = replay(data_dir / "evm" / "logs.jsonl", keep=False, to_block=last).pools
        for pool, want in state.items():
            names = STATE[:2] if kinds[pool] == "v2" else ("sqrt_price_x96", "tick", "liquidity")
            assert [str(found[pool][n]) for n in names] == [str(v) for v in want[: len(names)]], (last, pool)
        assert len(state) >= 19
    for block in sorted(snapshots)[:: len(snapshots) // 4]:
        found = replay(data_dir / "evm" / "logs.jsonl", keep=False, to_block=block).pools
        for pool, want in snapshots[block].items():
            if "ticks" in want:
                ticks = {
                    str(t): [str(v["liquidityGross"]), str(v["liquidityNet"])]
                    for t, v in _items(want["ticks"])
                    if int(v["liquidityGross"])
                }
                assert found[pool]["ticks"] == ticks, (block, pool)


def _items(ticks: Any) -> list[tuple[str, Any]]:
    return [(t["tick"], t) for t in ticks] if isinstance(ticks, list) else list(ticks.items())


def day_logs(raw: Path, pool: str) -> list[Row]:
    """The raw rows of a pool's day as `eth_getLogs` objects."""
    found = []
    with raw.open() as file:
        for row in csv.DictReader(file):
            prefix = "pool_" if "pool_topics" in row else ""
            index = row[f"{prefix}tx_index"] if prefix else row["transaction_index"]
            found.append(
                {
                    "address": pool,
                    "topics": ast.literal_eval(row[f"{prefix}topics"]),
                    "data": row[f"{prefix}data"],
                    "blockNumber": hex(int(row["block_number"])),
                    "transactionHash": row["transaction_hash"],
                    "transactionIndex": hex(int(float(index))),
                    "logIndex": hex(int(float(row[f"{prefix}log_index"]))),
                }
            )
    return found


def decoded_day(raw: Path) -> list[Row]:
    """What somebody else decoded of the same day."""
    name = raw.name.removesuffix(".raw.csv")
    path = next(
        raw.with_name(f"{name}{end}")
        for end in (".pool.tick.csv", ".tick.csv")
        if raw.with_name(f"{name}{end}").exists()
    )
    with path.open() as file:
        return list(csv.DictReader(file))


DAYS = (
    "ethereum-0x82c427adfdf2d245ec51d8046b41c4ee87f0d29c-2024-01-05a",
    "ethereum-0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640-2024-01-05a",
    "ethereum-0x8ad599c3a0ff1de082011efddc58f1908eb6e6d8-2024-01-05a",
    "polygon-0x45dda9cb7c25131df268515131f647d726f50608-2021-12-22",
    "polygon-0x45dda9cb7c25131df268515131f647d726f50608-2022-01-05",
)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("day", DAYS)
def test_days_of_pools_known_from_mid_life_are_exact_after_each_swap(
    data_dir: Path, tmp_path: Path, day: str
) -> None:
    raw = data_dir / "mainnet" / "v3_streams" / f"{day}.raw.csv"
    pool = day.split("-")[1]
    logs = sorted(day_logs(raw, pool), key=lambda r: (int(r["blockNumber"], 16), int(r["logIndex"], 16)))
    source = write_lines(tmp_path / "logs.jsonl", logs)
    record = {
        "address": pool,
        "kind": "uniswap_v3",
        "token0": "0x" + "11" * 20,
        "token1": "0x" + "22" * 20,
        "fee": 500,
    }
    pools = write_lines(tmp_path / "pools.jsonl", [{**record, "tick_spacing": 1}])
    swaps = [r for r in decoded_day(raw) if r["tx_type"] == "SWAP"]
    everything = replay(source, pools=(str(pools),))
    assert len(everything.sink.of("DeFiSwapEvent")) == len(swaps)
    # Without the tick map nobody can make a swap again: nothing is claimed of any.
    assert everything.result.swaps_not_checkable == len(swaps)
    assert everything.result.swaps_audited == everything.result.swaps_mismatched == 0
    for row, swap in zip(everything.sink.of("DeFiSwapEvent"), swaps, strict=True):
        amounts = sorted((int(swap["amount0"]), int(swap["amount1"])))
        assert (row["amount1_out"], row["amount0_in"]) == (-amounts[0], amounts[1])
        assert row["tx"] == swap["transaction_hash"]
    last = max(int(r["block_number"]) for r in swaps)
    blocks = sorted({int(r["block_number"]) for r in swaps})
    for block in {blocks[0], blocks[len(blocks) // 2], last}:
        swap = [r for r in swaps if int(r["block_number"]) == block][-1]
        state = replay(source, *QUIET, keep=False, pools=(str(pools),), to_block=block).pools[pool]
        assert state["sqrt_price_x96"] == swap["sqrtPriceX96"]
        assert state["tick"] == int(float(swap["current_tick"]))
        assert not state["complete"] and "ticks" not in state
        index = "pool_log_index" if "pool_log_index" in swap else "log_index"
        later = [
            r
            for r in logs
            if int(r["blockNumber"], 16) == block and int(r["logIndex"], 16) > int(float(swap[index]))
        ]
        if not later:
            assert state["liquidity"] == swap["total_liquidity"]


def _topic(name: str) -> str:
    return NAMED["uniswap_v3", name]


def swap_log(block: int, index: int, pool: str, row: dict[str, Any]) -> Row:
    data = [int(row[n]) for n in ("amount0", "amount1", "sqrt_price_x96", "liquidity", "tick")]
    return log(block, index, pool, [_topic("Swap"), 1, 2], data)


def range_log(block: int, index: int, pool: str, name: str, row: dict[str, Any]) -> Row:
    ends = [int(row["tick_lower"]), int(row["tick_upper"])]
    amounts = [int(row["liquidity"]), int(row["amount0"]), int(row["amount1"])]
    return log(block, index, pool, [_topic(name), 1, *ends], [1, *amounts] if name == "Mint" else amounts)


@pytest.mark.slow
@pytest.mark.compiled
def test_given_state_and_its_events_lead_to_the_state_afterwards(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "mainnet" / "v3_full_state"
    before, after = (
        json.loads((folder / f"wbtc_weth_3000_pool_{name}.json").read_text())
        for name in ("before_16944668", "after_16951788")
    )
    pool, logs = before["poolAddress"], []
    for index, event in enumerate(
        json.loads((folder / "wbtc_weth_3000_events_16944669_16951788.json").read_text())["data"]
    ):
        snake = {**event, "liquidity": event.get("liquidity", event.get("amount"))}
        snake["sqrt_price_x96"] = event.get("sqrtPriceX96")
        snake["tick_lower"], snake["tick_upper"] = event.get("tickLower"), event.get("tickUpper")
        if event["method"] == "SWAP":
            logs.append(swap_log(event["blockNo"], index, pool, snake))
        elif event["method"] in ("MINT", "BURN"):
            logs.append(range_log(event["blockNo"], index, pool, event["method"].capitalize(), snake))
    given = tmp_path / "pools.json"
    given.write_text(json.dumps([_given(before)]))
    outcome = replay(write_lines(tmp_path / "logs.jsonl", logs), *QUIET, keep=False, pools=(str(given),))
    assert (outcome.result.swaps_audited, outcome.result.swaps_mismatched) == (329, 0)
    found = outcome.pools[pool]
    assert found["verified"] and found["fee_growth_global0_x128"] is None  # it was not given
    want = after["data"]
    assert (found["sqrt_price_x96"], found["tick"]) == (
        str(want["slot0"]["sqrtPriceX96"]),
        want["slot0"]["tick"],
    )
    assert found["liquidity"] == str(want["liquidity"]) and found["complete"]
    old, new = _window(before), _window(after)
    common = range(max(min(old), min(new)), min(max(old), max(new)) + 1)
    ticks = {int(tick): list(map(int, ends)) for tick, ends in found["ticks"].items() if int(tick) in common}
    assert ticks == {tick: ends for tick, ends in new.items() if tick in common}
    assert ticks != {tick: ends for tick, ends in old.items() if tick in common} and len(ticks) > 300


def _window(recorded: Row) -> dict[int, list[int]]:
    """The initialized ticks that were recorded: those around the price."""
    ticks = recorded["data"]["ticks"].items()
    return {int(t): [v["liquidityGross"], v["liquidityNet"]] for t, v in ticks if v["liquidityGross"]}


def _given(recorded: Row) -> Row:
    """A recorded pool as a record of a pools file. The ticks beyond the window are put together at both ends."""
    body, ticks = recorded["data"], _window(recorded)
    below = body["liquidity"] - sum(net for t, (_, net) in ticks.items() if t <= body["slot0"]["tick"])
    above = -below - sum(net for _, net in ticks.values())
    ends = {-887220: [abs(below), below], 887220: [abs(above), above]}
    return {
        "pool": recorded["poolAddress"],
        "kind": "uniswap_v3",
        "token0": body["token0"].lower(),
        "token1": body["token1"].lower(),
        "fee": body["fee"],
        "tick_spacing": body["tickSpacing"],
        "block": recorded["block"],
        "sqrt_price_x96": str(body["slot0"]["sqrtPriceX96"]),
        "tick": body["slot0"]["tick"],
        "liquidity": str(body["liquidity"]),
        "ticks": {str(t): list(map(str, both)) for t, both in (ticks | ends).items()},
    }


@pytest.mark.slow
@pytest.mark.compiled
def test_a_life_from_initialize_is_complete_and_exact(data_dir: Path, tmp_path: Path) -> None:
    folder, stem = data_dir / "mainnet" / "v3_full_state", "ens_weth_3000_from_initialize"

    def rows(name: str) -> list[Row]:
        with (folder / f"{stem}.{name}.csv").open() as file:
            return list(csv.DictReader(file))

    config, pool = rows("pool_config")[0], "0x" + "92" * 20
    born = int(config["initialization_event_block_number"])
    root = int(config["initial_sqrt_price_X96"])
    token0, token1 = config["token0"].lower(), config["token1"].lower()
    created = next(topic for topic, kind in CREATED.items() if kind == "uniswap_v3")
    entries = [
        (born, -2, log(born, 0, "0x" + "f0" * 20, [created, token0, token1, 3000], [60, pool])),
        (born, -1, log(born, 1, pool, [_topic("Initialize")], [root, _tick_of(root)])),
    ]
    for row in rows("liquidity_events"):
        block, index = int(row["block_number"]), int(row["log_index"])
        name = "Mint" if row["type"] == "1" else "Burn"
        entries.append((block, index, range_log(block, index, pool, name, row)))
    for row in rows("swap_events"):
        block, index = int(row["block_number"]), int(row["log_index"])
        entries.append((block, index, swap_log(block, index, pool, row)))
    logs = [entry[2] for entry in sorted(entries, key=lambda e: e[:2])]
    outcome = replay(write_lines(tmp_path / "logs.jsonl", logs), *QUIET, keep=False)
    assert (outcome.result.swaps_audited, outcome.result.swaps_mismatched) == (63, 0)
    found, last = outcome.pools[pool], rows("swap_events")[-1]
    assert found["verified"] and int(found["fee_growth_global0_x128"]) > 0
    assert found["complete"] and found["sqrt_price_x96"] == last["sqrt_price_x96"]
    assert (found["tick"], found["liquidity"]) == (int(last["tick"]), last["liquidity"])
    # The map is whole: the net liquidity up to the current tick is what the pool itself says is active.
    active = sum(int(net) for tick, (_, net) in found["ticks"].items() if int(tick) <= found["tick"])
    assert active == int(last["liquidity"])


def _tick_of(root: int) -> int:
    """The tick of a price far from a boundary."""
    return math.floor(2 * (math.log(root) - 96 * math.log(2)) / math.log(1.0001))


@pytest.mark.slow
@pytest.mark.compiled
def test_whole_mainnet_blocks_leave_the_reserves_of_the_last_sync(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "mainnet" / "blocks"
    sync = NAMED["uniswap_v2", "Sync"]
    with (folder / "blocks.csv").open() as file:  # of two blocks the log indices are those of receipts
        numbered = {
            r["block_number"] for r in csv.DictReader(file) if r["log_index_contiguous_from_0"] == "True"
        }
    with (folder / "pools.csv").open() as file:
        rows = list(csv.DictReader(file))
        pairs = {r["address"] for r in rows if r["kind"] == "v2" and r["token0"] and r["token1"]}
    expected: dict[str, tuple[str, str]] = {}
    with (folder / "logs.csv").open() as file, (tmp_path / "logs.csv").open("w") as kept:
        head, *lines = file.read().splitlines()
        lines = [line for line in lines if line.split(",", 1)[0] in numbered]
        kept.write("\n".join([head, *lines]) + "\n")
    for row in csv.DictReader([head, *lines]):
        if row["topic0"] == sync and row["address"] in pairs:
            body = row["data"][2:]
            expected[row["address"]] = (str(int(body[:64], 16)), str(int(body[64:128], 16)))
    found = replay(tmp_path / "logs.csv", keep=False, pools=(str(folder / "pools.csv"),))
    assert len(expected) > 100 and len(numbered) == 14
    for pool, reserves in expected.items():
        assert (found.pools[pool]["reserve0"], found.pools[pool]["reserve1"]) == reserves
        assert found.pools[pool]["complete"]
    silent = [found.pools[p] for p in pairs if p not in expected]
    assert all(line["reserve0"] == "0" and not line["complete"] for line in silent)
