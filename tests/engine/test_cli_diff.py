"""`disruptor diff`: what reaches the comparison, what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from disruptor.engine import cli_diff
from disruptor.engine.cli import app
from disruptor.replay import diff as diff_module

STATE = {
    "sequence": 41,
    "table": "pools",
    "key": "0xaa",
    "field": "reserve0",
    "before": "5",
    "a": "6",
    "b": None,
    "event": {"sequence": 41, "type": "UniswapV2Sync", "pool": 3},
    "fields": [
        {"table": "pools", "key": "0xaa", "field": f"reserve{k}", "before": "5", "a": "6", "b": "7"}
        for k in range(2)
    ],
    "fields_differing": 9,
    "equal_again": 50,
}
REPORT: dict[str, Any] = {
    "same": False,
    "first_sequence": 0,
    "last_sequence": 99,
    "ends": {"a": 99, "b": 120},
    "state": STATE,
    "sequences_apart": 1234,
    "outputs": {"sequence": 42, "kind": "content", "a": [{"sequence": 42, "type": "Swap", "x": 1}], "b": []},
    "only_in_a": {"Swap": 1000},
    "only_in_b": {},
    "inputs": {"sequence": 3, "a": {"type": "X", "v": 1}, "b": {"type": "X", "v": 2}},
    "failures": {"a": "", "b": "handler x failed"},
    "not_compared": {"a": [], "b": ["extra"]},
}
SAME: dict[str, Any] = {
    **REPORT,
    **{
        "same": True,
        "ends": {"a": 99, "b": 99},
        "state": None,
        "outputs": None,
        "inputs": None,
        "failures": None,
    },
    **{"only_in_a": {}, "not_compared": {"a": [], "b": []}},
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the comparison was given; it answers `report`, and tells of one output."""
    found: dict[str, Any] = {"report": REPORT, "sides": []}

    def side(asked: Any, code: Any, option: str) -> str:
        found["sides"].append((asked, code, option))
        return option

    def compare(a: Any, b: Any, *, to_seq: Any, listener: Any = None, progress: Any) -> Any:
        progress(50)
        found["to_seq"] = to_seq
        if listener is not None:
            listener("a", {"sequence": 42, "type": "Swap"})
        return found["report"]

    monkeypatch.setattr(cli_diff, "_side", side)
    monkeypatch.setattr(diff_module, "diff", compare)
    return found


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["diff", *words])


def test_options_reach_the_side_that_they_are_for(told: dict[str, Any]) -> None:
    words = (
        "one two --profile scan --set a=1 --a-set b=2 --b-set c=3 --handlers h.py --a-handlers i.py "
        "--b-handlers k.py --a-code x --b-code y --pools p --to-seq 9"
    )
    assert run(*words.split()).exit_code == 1
    (a, a_code, _), (b, b_code, _) = told["sides"]
    assert (a["sources"], b["sources"], a_code, b_code, told["to_seq"]) == (["one"], ["two"], "x", "y", 9)
    assert (a["sets"], b["sets"]) == (["a=1", "b=2"], ["a=1", "c=3"])
    assert (a["handlers"], b["handlers"]) == (["h.py", "i.py"], ["h.py", "k.py"])
    assert a["profile"] == b["profile"] == "scan" and a["pools"] == b["pools"] == ["p"]


def test_one_journal_is_both_sides(told: dict[str, Any]) -> None:
    run("one")
    assert [side[0]["sources"] for side in told["sides"]] == [["one"], ["one"]]


def test_the_same_is_one_line_and_exit_0(told: dict[str, Any]) -> None:
    told["report"] = SAME
    result = run("one")
    assert (result.exit_code, result.stdout) == (0, "the same: sequences 0 to 99\n")
    assert json.loads(run("one", "--json").stdout) == SAME


def test_a_difference_is_told_in_plain_lines_and_exit_1(told: dict[str, Any]) -> None:
    result = run("one", "two")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "different: sequences 0 to 99 (A ends at 99, B at 120)",
        "inputs part at sequence 3: A X v=1; B X v=2",
        "state parts at sequence 41: pools[0xaa].reserve0: 6 in A, absent in B, 5 before",
        "  event: UniswapV2Sync pool=3",
        "  also pools[0xaa].reserve1: 6 in A, 7 in B",
        "  and 4 more fields by this event",
        "  states differ after 1,234 sequences, equal again after sequence 50",
        "outputs part at sequence 42:",
        "  only A: Swap x=1",
        "only in A: Swap 1,000",
        "only in B: none",
        "B stopped: handler x failed",
        "only B has, not compared: extra",
    ]


def test_outputs_of_one_side_go_to_a_file(told: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    result = run("one", "--all", str(target), "--json")
    assert json.loads(result.stdout)["lines"] == 1
    assert json.loads(target.read_text()) == {"only_in": "a", "sequence": 42, "type": "Swap"}
    assert run("one", "--all", str(tmp_path / "no" / "all.jsonl")).exit_code == 2


def test_rows_that_were_not_kept_are_said_to_be_unknown(told: dict[str, Any]) -> None:
    unknown = {**STATE, **dict.fromkeys(("table", "key", "field", "before", "a", "b")), "fields": []}
    told["report"] = {**REPORT, "state": {**unknown, "fields_differing": 0, "equal_again": None}}
    found = run("one").stdout
    assert "state parts at sequence 41: by rows that are not known" in found
    assert "and stay apart" in found
