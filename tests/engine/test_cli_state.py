"""`disruptor state`: what is printed of tables filled by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from disruptor.engine.cli import app
from disruptor.message import u32, u64
from disruptor.processor import plain_allocate
from disruptor.replay import state_at
from disruptor.state import State
from disruptor.table import Table

SLOTS = Table("shelf", {"hits": u64, "mark": u32}, key="shelf", capacity=4)


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    state = State([SLOTS], {}, plain_allocate)
    state.arrays["shelf"].rows[1] = (np.uint64(7), 3)
    asked: list[Any] = []

    def found(request: Any, table: Any, progress: Any) -> state_at.StateAt:
        asked.append(request)
        return state_at.StateAt(state, 41)

    monkeypatch.setattr(state_at, "state_at", found)

    def run(*words: str) -> Any:
        result = CliRunner().invoke(app, ["state", "a", *words])
        result.asked = asked
        return result

    return run


def test_numbers_of_rows_without_a_table(invoke: Any) -> None:
    result = invoke("--at", "41")
    assert result.exit_code == 0 and result.asked[0].to_seq == 41
    assert "after sequence 41" in result.stdout and "shelf: 1 rows" in result.stdout
    assert "rows" not in json.loads(invoke("--json").stdout)


def test_rows_of_a_table_as_text_json_and_file(invoke: Any, tmp_path: Any) -> None:
    assert invoke("--table", "shelf").stdout.splitlines()[1] == "shelf[1] id=1 hits=7 mark=3"
    row = {"table": "shelf", "key": "1", "id": 1, "hits": 7, "mark": 3}
    assert json.loads(invoke("--table", "shelf", "--json").stdout)["rows"] == [row]
    assert invoke("--table", "shelf", "--key", "2").stdout.splitlines()[1:] == ["no such row"]
    answer = json.loads(invoke("--out", str(tmp_path / "o.jsonl"), "--json").stdout)
    assert answer["lines"] == 1
    assert [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()] == [row]


@pytest.mark.parametrize("words", [("--key", "1"), ("--out", "nowhere/o.jsonl"), ("--at", "-1")])
def test_what_can_not_be_asked_is_one_line_and_exit_2(invoke: Any, words: Any) -> None:
    result = invoke(*words)
    assert result.exit_code == 2 and result.stdout == "" and len(result.stderr.splitlines()) <= 2
