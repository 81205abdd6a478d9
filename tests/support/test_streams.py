"""The recorded streams hold together: logs and truth tell the same story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.streams import read_document, read_lines, unpack

SWAP_V3 = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"


def signed(word: str) -> int:
    value = int(word, 16)
    return value - 2**256 if value >> 255 else value


def logged(entry: dict[str, Any]) -> list[int]:
    """amount0, amount1, price, liquidity and tick of a V3 Swap log."""
    return [signed(entry["data"][k : k + 64]) for k in range(2, 322, 64)]


def test_every_v3_swap_log_has_a_call_that_tells_the_same() -> None:
    swaps = {
        (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)): (entry["address"], *logged(entry))
        for entry in read_lines("v3_swaps", "logs.jsonl")
        if entry["topics"][0] == SWAP_V3
    }
    calls = {
        (line["block"], line["log"]): (
            line["pool"],
            *map(int, line["answer"]),
            *(int(line["state"][k]) for k in (0, 2, 1)),
        )
        for line in read_lines("v3_swaps", "truth_actions.jsonl")
        if line["call"] == "swap" and "answer" in line
    }
    assert len(swaps) > 3000 and calls == swaps


def test_calls_that_revert_leave_no_log_and_no_trace() -> None:
    states: dict[str, Any] = {}
    reverted = 0
    for line in read_lines("v3_swaps", "truth_actions.jsonl"):
        if "error" in line:
            reverted += 1
            assert line["log"] is None and line["state"] == states.get(line["pool"], line["state"])
        states[line["pool"]] = line["state"]
    assert reverted > 50


def test_honest_cycles_pay_what_they_promise_and_traps_mostly_do_not() -> None:
    cycles = read_document("adversarial", "quotes.json")["cycles"]
    honest = [c for c in cycles if "hazards" not in c and c["profit"]]
    traps = [c for c in cycles if "hazards" in c]
    assert len(honest) > 1000 and all(c["profit"] == c["expected"] for c in honest)
    assert sum(c["profit"] != c["expected"] for c in traps) > len(traps) / 3


@pytest.mark.parametrize("name", ["v3_swaps", "adversarial"])
def test_a_stream_unpacks_into_the_folder_that_was_recorded(name: str, tmp_path: Path) -> None:
    files = {path.name for path in unpack(name, tmp_path).iterdir()}
    assert {"logs.jsonl", "blocks.jsonl", "truth_blocks.jsonl", "truth.json", "quotes.json"} <= files
