"""A side in another process: what the worker answers, and what is said of a checkout that can't serve."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.engine import diff_worker
from disruptor.engine.diff_remote import RemoteSide
from disruptor.errors import HandlerError, InputError
from disruptor.replay.diff_side import Step

ASKED = {"sources": ["j"], "profile": "replay", "sets": [], "handlers": [], "pools": []}
STEP = Step(0, 2, "5" * 32, "a" * 32, "b" * 32, "")
SLOTS = np.arange(2 * 64, dtype=np.uint8).reshape(2, 64)


class Canned:
    """A side with one step; what it is asked is what it says."""

    def fields(self) -> Any:
        return {"pools": {"fee": "u32"}}

    def open(self, covered: Any) -> int:
        if "none" in covered:
            raise HandlerError("table none: too small")
        return 7

    def advance(self) -> Step:
        return STEP

    def sums(self) -> Any:
        return np.array([[1, 2], [3, 2**64 - 1]], np.uint64)

    def changes(self, sequence: int) -> Any:
        return [{"table": "t", "key": str(sequence), "before": None, "after": {"x": 1}}]

    def outputs(self) -> Any:
        return SLOTS, ["A", "B"]

    def show_outputs(self, which: Any) -> Any:
        return [{"k": k} for k in which]

    def show_input(self, sequence: int) -> Any:
        return {"sequence": sequence}


def asked_of_worker(monkeypatch: pytest.MonkeyPatch, *requests: dict[str, Any]) -> io.BytesIO:
    monkeypatch.setattr(diff_worker, "_start", lambda asked: Canned())
    lines = [{"do": "start", **ASKED}, *requests]
    answers = io.BytesIO()
    diff_worker.serve(io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode()), answers)
    answers.seek(0)
    assert json.loads(answers.readline())["value"] == diff_worker.PROTOCOL
    return answers


def test_the_worker_answers_with_lines_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = asked_of_worker(
        monkeypatch, {"do": "advance"}, {"do": "sums"}, {"do": "outputs"}, {"do": "changes", "sequence": 5}
    )
    assert Step(**json.loads(answers.readline())["value"]) == STEP
    size = json.loads(answers.readline())["bytes"]
    assert np.frombuffer(answers.read(size), np.uint64).tolist() == [1, 2, 3, 2**64 - 1]
    reply = json.loads(answers.readline())
    assert reply["value"] == {"slot_size": 64, "names": ["A", "B"]}
    assert answers.read(reply["bytes"]) == SLOTS.tobytes()
    assert json.loads(answers.readline())["value"][0]["key"] == "5"


def test_an_error_of_the_engine_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = asked_of_worker(monkeypatch, {"do": "open", "covered": {"none": []}}, {"do": "fields"})
    assert json.loads(answers.readline())["error"] == "table none: too small"
    assert "pools" in json.loads(answers.readline())["value"]


def checkout(folder: Path, worker: str) -> str:
    (folder / "disruptor" / "engine").mkdir(parents=True)
    (folder / "disruptor" / "__init__.py").write_text("")
    (folder / "disruptor" / "engine" / "__init__.py").write_text("")
    (folder / "disruptor" / "engine" / "diff_worker.py").write_text(worker)
    return str(folder)


ECHO = """
import json, os, sys
answers = os.fdopen(os.dup(1), "wb")
for line in sys.stdin.buffer:
    request = json.loads(line)
    name, raw = request["do"], b""
    value = {
        "start": VERSION,
        "open": len(request.get("covered", ())),
        "advance": ["first", "end", "state", "outputs", "inputs", "failure"],
        "fields": {"asked": {}},
        "changes": [{"sequence": request.get("sequence")}],
        "show_outputs": request.get("which"),
        "show_input": {"sequence": request.get("sequence")},
        "outputs": {"slot_size": 2, "names": ["A", "B"]},
        "sums": None,
    }[name]
    if name == "advance":
        value = {k: 1 if k in ("first", "end") else k for k in value}
    if name == "sums":
        raw = bytes(32)
    if name == "outputs":
        raw = b"abcd"
    answers.write(json.dumps({"value": value, "bytes": len(raw)}).encode() + b"\\n" + raw)
    answers.flush()
"""


def test_a_remote_side_asks_its_worker(tmp_path: Path) -> None:
    code = checkout(tmp_path, ECHO.replace("VERSION", str(diff_worker.PROTOCOL)))
    side = RemoteSide(code, "--b-code", ASKED)
    assert side.open({"pools": ["fee"]}) == 1
    assert side.advance() == Step(1, 1, "state", "outputs", "inputs", "failure")
    assert side.sums().tolist() == [[0, 0], [0, 0]]
    assert side.changes(4) == [{"sequence": 4}] and side.show_input(3) == {"sequence": 3}
    slots, names = side.outputs()
    assert (slots.tobytes(), slots.shape, names) == (b"abcd", (2, 2), ["A", "B"])
    assert side.show_outputs([np.int64(1)]) == [1]
    assert list(side.fields()) == ["asked"]
    side.close()
    side.close()


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        (ECHO.replace("VERSION", "0"), "this version compares otherwise"),
        ("raise SystemExit(3)", "its process ended"),
        ("print('not json', flush=True); input()", "its process ended"),
        ('print(\'{"error": "bad setting", "bytes": 0}\', flush=True); input()', "--b-code .*: bad setting"),
    ],
    ids=["other protocol", "ends", "talks nonsense", "refuses"],
)
def test_a_checkout_that_can_not_serve_is_one_line(tmp_path: Path, worker: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        RemoteSide(checkout(tmp_path, worker), "--b-code", ASKED)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a checkout"):
        RemoteSide(str(tmp_path), "--a-code", ASKED)
    (tmp_path / "disruptor").mkdir()
    (tmp_path / "disruptor" / "__init__.py").write_text("")
    with pytest.raises(InputError, match="this version can't compare"):
        RemoteSide(str(tmp_path), "--a-code", ASKED)
