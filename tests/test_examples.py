"""The first user handler: what it reports is what a plain count over the recorded logs gives."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from typer.testing import CliRunner

from disruptor.engine.cli import app

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
HANDLER = EXAMPLES / "first_handler.py"
STREAM = EXAMPLES / "streams" / "uniswap_v2_v3.logs.jsonl.zst"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
EVERY = 50


def milestones() -> list[tuple[int, int, int]]:
    """(block, log index, syncs so far) of every fiftieth Sync of an emitter, counted log by log."""
    lines = zstandard.ZstdDecompressor().decompress(STREAM.read_bytes()).splitlines()
    seen: Counter[str] = Counter()
    found = []
    for log in map(json.loads, lines):
        if log["topics"] and log["topics"][0] == SYNC:
            seen[log["address"]] += 1
            if seen[log["address"]] % EVERY == 0:
                found.append((int(log["blockNumber"], 16), int(log["logIndex"], 16), seen[log["address"]]))
    return found


def replay(out: Path) -> dict[str, Any]:
    """The command of examples/README.md, without swaps and arbitrage, which would take time to compile."""
    words = [
        "replay",
        str(STREAM),
        "--handlers",
        str(HANDLER),
        "--out",
        str(out),
        "--types",
        "SyncMilestone",
        "--json",
    ]
    quiet = ["--set", "normalised_swaps=false", "--set", "arbitrage.enabled=false"]
    result = CliRunner().invoke(app, [*words, *quiet])
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.own_loop
def test_first_handler_reports_what_a_plain_count_gives(tmp_path: Path) -> None:
    expected = milestones()
    assert len(expected) > 10
    answer = replay(tmp_path / "milestones.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "milestones.jsonl").read_text().splitlines()]
    assert [(r["block"], r["log_index"], r["syncs"]) for r in rows] == expected
    assert answer["outputs"] == {"SyncMilestone": len(expected)}
    again = replay(tmp_path / "again.jsonl")
    assert [again[k] for k in ("state_digest", "output_digest")] == [
        answer[k] for k in ("state_digest", "output_digest")
    ]


def test_first_handler_has_at_most_fifteen_lines_of_code() -> None:
    text = HANDLER.read_text()
    docstring = ast.parse(text).body[0]
    assert isinstance(docstring, ast.Expr)
    code = text.splitlines()[docstring.end_lineno :]
    assert len([line for line in code if line.strip() and not line.strip().startswith("#")]) <= 15
