"""`disruptor snapshot`: what it prints and exits with; what it does is tested in `tests/replay/test_snapshots.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from disruptor.engine.cli import app
from disruptor.replay import snapshots

ANSWER: dict[str, Any] = {
    "journal": "j",
    "started_from": None,
    "slots": 1234,
    "snapshots": [{"path": "j/snapshots/9.dss", "sequence": 9, "block": 7, "bytes": 4096, "seconds": 0.25}],
    "state_digest": "5" * 32,
    "changed": [],
    "problems": [],
    "code_identity": "c0de",
    "seconds": 1.5,
}
RETENTION: dict[str, Any] = {
    "removed": [{"path": "j/snapshots/3.dss", "sequence": 3, "why": "1 newer stays"}],
    "done": False,
    "kept": [9],
    "problems": [],
}


class Told:
    """Stands for the replay, and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer, self.retention = dict(ANSWER), dict(RETENTION)
        self.asked: dict[str, Any] = {}
        monkeypatch.setattr(snapshots, "take_snapshots", self.take)
        monkeypatch.setattr(snapshots, "prune_snapshots", self.prune)

    def take(self, request: Any, **options: Any) -> dict[str, Any]:
        self.asked |= {"sources": request.sources, **options}
        return self.answer

    def prune(self, *options: Any, yes: bool) -> dict[str, Any]:
        self.asked["prune"] = (*options, yes)
        return {**self.retention, "done": yes}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["snapshot", *arguments])
    return found.exit_code, found.output


def test_one_line_for_each_snapshot_and_none_is_removed_unasked(told: Told) -> None:
    code, text = run("j", "--at", "9", "--every", "5")
    assert code == 0
    assert "1,234 slots replayed from the start, 1.50 s in all" in text
    assert "snapshot at 9, block 7: 4,096 bytes in 0.25 s: j/snapshots/9.dss" in text
    assert (told.asked["sources"], told.asked["at"], told.asked["every"]) == (("j",), 9, 5)
    assert "prune" not in told.asked and "remove" not in text


def test_what_would_be_removed_is_named_and_removed_with_yes(told: Told) -> None:
    code, text = run("j", "--keep", "1", "--max-age", "2h")
    assert "would be removed (add --yes): j/snapshots/3.dss: 1 newer stays" in text and code == 0
    assert told.asked["prune"] == ("j", 1, 7200.0, "c0de", False)
    assert "\nremoved: j/snapshots/3.dss" in run("j", "--keep", "1", "--yes")[1]


def test_json_is_one_object(told: Told) -> None:
    code, text = run("j", "--json")
    assert code == 0 and json.loads(text) == {**ANSWER, "retention": None}


def test_a_snapshot_that_was_passed_over_is_told_and_exits_1(told: Told) -> None:
    told.answer["problems"] = [{"what": "cut", "segment": "snapshots/8.dss", "sequence": 8}]
    told.answer |= {"snapshots": [], "started_from": 5, "changed": ["function f is another"]}
    code, text = run("j")
    assert code == 1
    assert "passed over: snapshots/8.dss: cut" in text
    assert "behind the snapshot at 5" in text and "nothing to write" in text
    assert "code change allowed: function f is another" in text


def test_one_that_is_damaged_among_those_to_stay_exits_1(told: Told) -> None:
    told.retention |= {
        "removed": [],
        "problems": [{"what": "cut", "segment": "snapshots/9.dss", "sequence": 9}],
    }
    code, text = run("j", "--keep", "2", "--yes")
    assert code == 1 and "passed over: snapshots/9.dss: cut" in text and "nothing to remove" in text


def test_an_age_without_unit_is_refused(told: Told) -> None:
    code, text = run("j", "--max-age", "3")
    assert code == 2 and "expected an age such as 90m, 12h or 30d" in text and not told.asked


def test_what_is_no_journal_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    code, text = run(str(tmp_path / "nothing"))
    assert code == 2 and text.count("\n") == 1 and "error: " in text
