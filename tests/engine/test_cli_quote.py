"""`disruptor quote` as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from disruptor.engine.cli import app
from tests.harness import SMALL, log, write_lines
from tests.model import CREATED, TOPICS

PAIR, A, B = "0x" + "11" * 20, "0x" + "0a" * 20, "0x" + "0b" * 20
QUERY: dict[str, Any] = {"block": 2, "pool": PAIR, "zero_for_one": True, "exact": "in", "amount": "1000"}


@pytest.fixture
def logs(tmp_path: Path) -> str:
    created = next(t for t, k in CREATED.items() if k == "uniswap_v2")
    sync = next(t for (k, t), (name, _, _) in TOPICS.items() if name == "Sync" and k == "uniswap_v2")
    events = [
        log(1, 0, "0x" + "fa" * 20, [created, A, B], [PAIR, 1]),
        log(2, 0, PAIR, [sync], [10**6, 10**6]),
    ]
    return str(write_lines(tmp_path / "logs.jsonl", events))


def run(logs: str, queries: Path, *more: str) -> Any:
    sets = [word for setting in SMALL for word in ("--set", setting)]
    return CliRunner().invoke(app, ["quote", logs, "--queries", str(queries), *sets, *more])


def test_answers_come_line_by_line_in_the_order_of_the_queries(logs: str, tmp_path: Path) -> None:
    trip = {"block": 2, "amount_in": 1000, "path": [{"pool": PAIR, "zero_for_one": True}]}
    asked = [{**QUERY, "block": 9}, QUERY, {**QUERY, "amount": 2**256}, {**QUERY, "block": 1}, trip]
    result = run(logs, write_lines(tmp_path / "q.jsonl", asked))
    assert result.exit_code == 0 and result.stderr == ""
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"error": "block after the end of the stream"},
        {"amount": "996", "partial": False},
        {"error": "amount beyond uint256"},
        {"error": "UniswapV2Library: INSUFFICIENT_LIQUIDITY"},
        {"outs": ["996"], "profit": "-4", "partial": False},
    ]


def test_no_queries_are_no_answers(logs: str, tmp_path: Path) -> None:
    result = run(logs, write_lines(tmp_path / "q.jsonl", []))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_a_line_that_is_no_query_ends_the_command_before_it_answers(logs: str, tmp_path: Path) -> None:
    queries = write_lines(tmp_path / "q.jsonl", [QUERY, {**QUERY, "amount": "much"}])
    result = run(logs, queries)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f'error: {queries}:2: amount: expected an integer from 0 up, or its digits, found "much"\n'
    )


def test_what_is_not_there_is_named(logs: str, tmp_path: Path) -> None:
    queries = write_lines(tmp_path / "q.jsonl", [QUERY])
    for result, said in (
        (run(logs, tmp_path / "none.jsonl"), "none.jsonl: can't be read"),
        (run(str(tmp_path / "none"), queries), "none"),
        (run(logs, queries, "--pools", str(tmp_path / "none")), "--pools"),
        (CliRunner().invoke(app, ["quote", logs]), "--queries"),
    ):
        assert (result.exit_code, result.stdout) == (2, "") and said in result.stderr


def test_settings_and_profiles_are_taken(logs: str, tmp_path: Path) -> None:
    queries = write_lines(tmp_path / "q.jsonl", [QUERY])
    result = run(logs, queries, "--set", "default_v2_fee=10000")
    assert json.loads(result.stdout)["amount"] == str(1000 * 990 * 10**6 // (10**6 * 1000 + 1000 * 990))
