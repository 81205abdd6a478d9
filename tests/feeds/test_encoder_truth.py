"""Every log of the recorded stream, decoded a second time in plain Python from the ABI, field by field."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.feeds.columns import LogBatch
from disruptor.feeds.encoder import Encoder
from disruptor.handlers import messages as m

DATA = os.environ.get("DISRUPTOR_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="DISRUPTOR_DATA is unset: the recorded streams are not here"),
]

_spec = importlib.util.spec_from_file_location(
    "encoder_truth_helpers", Path(__file__).with_name("test_encoder.py")
)
assert _spec is not None and _spec.loader is not None
helpers = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = helpers
_spec.loader.exec_module(helpers)

# Name -> (indexed parameters, data parameters) as in the contracts' sources; "-" has no field.
V2_ABI = {
    "1c411e9a": ("UniswapV2Sync", [], ["reserve0", "reserve1"]),
    "d78ad95f": ("UniswapV2Swap", ["-", "-"], ["amount0_in", "amount1_in", "amount0_out", "amount1_out"]),
    "4c209b5f": ("UniswapV2Mint", ["-"], ["amount0", "amount1"]),
    "dccd412f": ("UniswapV2Burn", ["-", "-"], ["amount0", "amount1"]),
}
TICKS = ["tick_lower", "tick_upper"]
V3_ABI = {
    "98636036": ("UniswapV3Initialize", [], ["sqrt_price_x96", "tick"]),
    "c42079f9": ("UniswapV3Swap", ["-", "-"], ["amount0", "amount1", "sqrt_price_x96", "liquidity", "tick"]),
    "7a53080b": ("UniswapV3Mint", ["-", *TICKS], ["-", "liquidity", "amount0", "amount1"]),
    "0c396cd9": ("UniswapV3Burn", ["-", *TICKS], ["liquidity", "amount0", "amount1"]),
    "70935338": ("UniswapV3Collect", ["owner", *TICKS], ["-", "amount0", "amount1"]),
    "bdbdb71d": ("UniswapV3Flash", ["-", "-"], ["amount0", "amount1", "paid0", "paid1"]),
    "973d8d92": (
        "UniswapV3SetFeeProtocol",
        [],
        ["fee_protocol0_old", "fee_protocol1_old", "fee_protocol0_new", "fee_protocol1_new"],
    ),
    "596b5739": ("UniswapV3CollectProtocol", ["-", "-"], ["amount0", "amount1"]),
    "ac49e518": ("UniswapV3IncreaseObservationCardinalityNext", [], ["cardinality_old", "cardinality_new"]),
}
ABI = V2_ABI | V3_ABI


def entry_of(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "block": int(line["blockNumber"], 16),
        "index": int(line["logIndex"], 16),
        "address": bytes.fromhex(line["address"][2:]),
        "topics": [bytes.fromhex(topic[2:]) for topic in line["topics"]],
        "data": bytes.fromhex(line["data"][2:]),
        "tx": int(line["transactionIndex"], 16),
        "hash": bytes.fromhex(line["blockHash"][2:]),
        "time": int(line["blockTimestamp"], 16),
        "removed": False,
    }


def expected_fields(line: dict[str, Any], name: str, indexed: list[str], words: list[str]) -> dict[str, Any]:
    data = line["data"][2:]
    raw = [topic[2:] for topic in line["topics"][1:]] + [data[k : k + 64] for k in range(0, len(data), 64)]
    fields: dict[str, Any] = {"type": name, "log_index": int(line["logIndex"], 16)}
    for field, text in zip(indexed + words, raw, strict=True):
        value: Any = int(text, 16)
        if field in ("tick", "tick_lower", "tick_upper") and value >= 2**255:
            value -= 2**256
        if field == "owner":
            value = bytes.fromhex(text[24:])
        if field != "-":
            fields[field] = value
    fields["transaction_index"] = int(line["transactionIndex"], 16)
    fields["tx_hash"] = bytes.fromhex(line["transactionHash"][2:])
    return fields


def test_every_field_of_every_pool_log_is_the_chains():
    lines = [json.loads(text) for text in (Path(DATA or "") / "evm" / "logs.jsonl").read_text().splitlines()]
    capacity = 1 << 14
    slots, encoder = helpers.ring(capacity), Encoder(chain_id=31337)
    batch: LogBatch = helpers.batch([entry_of(line) for line in lines])
    for row, line in zip(batch.rows, lines, strict=True):
        row["tx_hash"] = np.frombuffer(bytes.fromhex(line["transactionHash"][2:]), np.uint8)
    assert encoder.encode(batch, 0, slots, capacity - 1, capacity) == len(lines)
    assert encoder.finish(slots, capacity - 1, capacity) and not encoder.warnings
    read = [helpers.read_slot(slots[k]) for k in range(encoder.next_sequence)]
    pools = {slot["pool"]: slot["address"] for slot in read if slot["type"] == "PoolRegistered"}
    by_ordinal = {slot["source_sequence"]: slot for slot in read if slot["type"].startswith("Uniswap")}
    compared: Counter[str] = Counter()
    for ordinal, line in enumerate(lines):
        known = ABI.get(line["topics"][0][2:10]) if line["topics"] else None
        if known is None:
            assert ordinal not in by_ordinal
            continue
        slot, expected = by_ordinal.pop(ordinal), expected_fields(line, *known)
        assert {name: slot[name] for name in expected} == expected, ordinal
        assert pools[slot["pool"]] == bytes.fromhex(line["address"][2:])
        assert slot["event_time_ns"] == int(line["blockTimestamp"], 16) * 10**9 and slot["flags"] == 0
        compared[slot["type"]] += 1
    assert not by_ordinal and sum(compared.values()) > 3000
    check_counts(compared, read)


def check_counts(compared: Counter[str], read: list[dict[str, Any]]) -> None:
    """Against the counts that came with the stream: V3's exactly, V2's summed over both factories."""
    counted = json.loads((Path(DATA or "") / "evm" / "truth.json").read_text())["meta"]["event_counts"]
    truth: Counter[str] = Counter()
    for name, number in counted.items():
        venue, event = name.split(".")
        kind = "V3" if venue == "univ3" else "V2"
        truth[f"Uniswap{kind}{event}"] += number
    for name, number in compared.items():
        assert number == truth[name], name
    assert sum(slot["type"] == "PoolRegistered" for slot in read) == 22
    assert m.UniswapV3Swap.name in compared
