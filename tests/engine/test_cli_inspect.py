"""`journal describe`, `stats` and `dump`: lines, JSON and exit codes over a small journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from disruptor.engine.cli import app
from disruptor.journal.writer import JournalWriter
from disruptor.message import byte_string, message, u64, u128

BLOCK = message("BlockStart", 1001, {"number": u64, "timestamp": u64, "hash": byte_string(32)})
PAY = message("Pay", 1002, {"amount": u128, "to": byte_string(20)})


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Blocks 5 and 6 with two payments each."""
    slots = np.zeros((6, 128), np.uint8)
    blocks, pays = (slots.reshape(-1).view(kind.slot_dtype(128)) for kind in (BLOCK, PAY))
    blocks["sequence"], blocks["type_id"] = range(6), [1001, 1002, 1002] * 2
    blocks["number"][[0, 3]], blocks["timestamp"][[0, 3]] = (5, 6), (100, 112)
    for at in (1, 2, 4, 5):
        pays["amount"][at], pays["to"][at] = (at, 1), 0xAB
    path = tmp_path / "journal"
    options: dict[str, Any] = {"messages": [BLOCK, PAY], "identity": {}, "settings": {}, "slot_size": 128}
    with JournalWriter(path, **options, frame_slots=2, segment_bytes=4 * 4096) as writer:
        writer.append(slots, 0)
        writer.finish({})
    return str(path)


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["journal", *words])


def lines(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in invoke(*words, "--json").stdout.splitlines()]


def test_dump_gives_a_line_a_slot(journal: str) -> None:
    rows = lines("dump", journal, "--from-block", "6", "--types", "Pay")
    assert [row["sequence"] for row in rows] == [4, 5]
    assert rows[0]["amount"] == str((1 << 64) + 4) and rows[0]["to"] == "0x" + "ab" * 20
    result = invoke("dump", journal, "--from-seq", "3", "--to-seq", "3")
    assert result.exit_code == 0
    assert result.stdout == f"3 BlockStart number=6 timestamp=112 hash=0x{'00' * 32}\n"
    assert len(lines("dump", journal, "--to-time", "100")) == 3


def test_damage_is_told_and_exits_1(journal: str) -> None:
    path = sorted(Path(journal).glob("*.dsj"))[0]
    content = bytearray(path.read_bytes())
    content[4096 + 64] ^= 1
    path.write_bytes(content)
    place = {"segment": path.name, "offset": 4096, "frame": 0, "sequence": 0, "last_sequence": 1}
    problem = {"what": "payload: the CRC32C differs", **place}
    assert lines("dump", journal)[0] == {"problem": problem}
    for command in ("describe", "stats"):
        result = invoke(command, journal, "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["problems"] == [problem]
        words = f"{path.name}, offset 4096, frame 0, sequences 0 to 1: payload: the CRC32C differs"
        shown = invoke(command, journal)
        assert shown.exit_code == 1 and words in shown.stdout
    assert invoke("dump", journal).stdout.startswith(f"damaged: {words}\n2 Pay")
    assert invoke("dump", journal).exit_code == 1


def test_a_whole_journal_exits_0_and_none_exits_2(journal: str, tmp_path: Path) -> None:
    for command in ("describe", "stats", "dump"):
        assert invoke(command, journal).exit_code == 0
        assert invoke(command, str(tmp_path)).exit_code == 2
    shown = invoke("describe", journal).stdout
    assert "Pay (1002, 48 bytes): amount u128, to bytes20" in shown and "problems: none" in shown
    assert "Pay: 4 slots, sequences 1 to 5" in invoke("stats", journal).stdout


def test_a_proof_is_made_and_checked(journal: str, tmp_path: Path) -> None:
    out = str(tmp_path / "proof.json")
    made = json.loads(invoke("prove", journal, "--out", out, "--json").stdout)
    assert (made["slot_count"], made["signed_by"]) == (6, None)
    result = invoke("check", out, journal, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["ok"] is True
    path = sorted(Path(journal).glob("*.dsj"))[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = invoke("check", out, journal)
    assert result.exit_code == 1 and f"{path.name}, offset" in result.stdout
    assert invoke("prove", journal, "--out", out).exit_code == 1
    assert invoke("check", str(path), journal).exit_code == 2
