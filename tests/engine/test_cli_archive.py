"""`journal follow`, `to-parquet`, `from-parquet`, `compact` and `purge`: lines, JSON and exit codes."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from disruptor.engine.cli import app
from disruptor.journal.writer import JournalWriter
from disruptor.message import message, u32, u64

TICK = message("Tick", 1001, {"pool": u32, "price": u64})


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Thirty ticks in segments of twelve."""
    slots = np.zeros((30, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"], rows["price"] = range(30), TICK.type_id, range(30)
    options: dict[str, Any] = {"messages": [TICK], "identity": {}, "settings": {}, "slot_size": 64}
    with JournalWriter(tmp_path / "journal", **options, frame_slots=4, segment_bytes=5 * 4096) as writer:
        writer.append(slots, 0)
        writer.finish({})
    return str(tmp_path / "journal")


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["journal", *words])


def answer(*words: str) -> dict[str, Any]:
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.output
    given: dict[str, Any] = json.loads(result.stdout)
    return given


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_there_and_back(journal: str, tmp_path: Path, kind: str) -> None:
    archive, back = str(tmp_path / "archive"), str(tmp_path / "back")
    there = answer("to-parquet", journal, archive, "--format", kind)
    assert (there["whole"], there["slots"], there["files"]) == (True, 30, {f"Tick.{kind}": 30})
    assert answer("from-parquet", archive, back)["running_hash"] == there["running_hash"]
    names = sorted(path.name for path in Path(journal).iterdir())
    assert filecmp.cmpfiles(journal, back, names, shallow=False) == (names, [], [])
    assert invoke("from-parquet", archive, back).exit_code == 2


def test_an_export_says_that_it_is_one(journal: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert (
        answer("to-parquet", journal, out, "--from-seq", "3", "--to-seq", "9", "--types", "Tick")["slots"]
        == 7
    )
    result = invoke("from-parquet", out, str(tmp_path / "back"))
    assert result.exit_code == 2 and "an export of some slots only" in result.output


def test_follow_ends_with_the_journal(journal: str) -> None:
    result = invoke("follow", journal, "--last", "2")
    assert (result.exit_code, result.stdout) == (0, "28 Tick pool=0 price=28\n29 Tick pool=0 price=29\n")
    rows = invoke("follow", journal, "--from-seq", "27", "--types", "Tick", "--json").stdout.splitlines()
    assert [json.loads(row)["sequence"] for row in rows] == [27, 28, 29]
    assert invoke("follow", journal, "--types", "Trade").exit_code == 2


def test_compact_says_first_what_it_would_do(journal: str) -> None:
    result = invoke("compact", journal)
    assert result.exit_code == 0 and "nothing was changed: add --yes to do it" in result.stdout
    assert answer("compact", journal)["segments"] == 3 and not list(Path(journal).glob("*.zst"))
    assert answer("compact", journal, "--older-than", "1d")["too_young"] == 3
    done = answer("compact", journal, "--level", "9", "--yes")
    assert done["done"] and len(list(Path(journal).glob("*.zst"))) == 3
    assert answer("compact", journal)["compressed_before"] == 3
    assert answer("verify", journal)["ok"]


def test_damage_is_left_and_exits_1(journal: str) -> None:
    path = sorted(Path(journal).glob("*.dsj"))[0]
    content = bytearray(path.read_bytes())
    content[4096 + 64] ^= 1
    path.write_bytes(content)
    result = invoke("compact", journal, "--yes")
    assert result.exit_code == 1 and "left as it is" in result.stdout and path.exists()


def test_purge_says_first_what_it_would_do_and_why_not(journal: str) -> None:
    kept = answer("purge", journal, "--before", "24")
    assert kept["segments"] == 0 and "no sound snapshot is kept" in kept["kept_for"][0]
    words = ("purge", journal, "--before", "24", "--without-snapshot")
    assert answer(*words)["last_purged"] == 23 and len(list(Path(journal).glob("*.dsj"))) == 3
    assert answer(*words, "--yes")["first_sequence"] == 24 and len(list(Path(journal).glob("*.dsj"))) == 1
    assert answer("verify", journal)["purged_before"] == 24
    result = CliRunner().invoke(app, ["replay", journal])
    assert result.exit_code == 2 and "sequences 0 to 23 were purged" in result.output


@pytest.mark.parametrize(
    "words",
    [(), ("--before", "1", "--to-snapshot"), ("--keep-bytes", "x"), ("--older-than", "3")],
)
def test_a_rule_is_one_and_makes_sense(journal: str, words: tuple[str, ...]) -> None:
    assert invoke("purge", journal, *words).exit_code == 2
