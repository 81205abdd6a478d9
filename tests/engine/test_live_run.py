"""`disruptor run` over the example: an import's journal, a replay's outputs, however often it was interrupted."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import Any

import pytest

from disruptor.config.loader import load_settings
from disruptor.engine.live_ring import region_name
from disruptor.engine.live_run import LiveRequest, run_live
from disruptor.engine.output_log import OutputLog
from disruptor.errors import InputError, JournalError
from disruptor.journal.compact import compact, plan_compact
from disruptor.journal.journaler import Durability, Mode
from disruptor.journal.purge import Retention, purge
from disruptor.region_file import TMPFS, paths
from disruptor.replay.importer import import_logs
from disruptor.replay.request import ReplayRequest
from disruptor.replay.run import run
from tests.harness import BLOCKS, EXAMPLE, SMALL

SOURCES: dict[str, Any] = {"sources": (str(EXAMPLE),), "blocks": (str(BLOCKS),)}


def settings() -> Any:
    return load_settings("replay", list(SMALL))[0]


def request(folder: Path, mode: Mode = "group", **options: Any) -> LiveRequest:
    return LiveRequest(
        settings=settings(),
        journal=str(folder / "journal"),
        out=str(folder / "out.jsonl"),
        durability=Durability(mode),
        **{**SOURCES, **options},
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run without an interruption: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, run_live(request(folder, finish=True, record=str(folder / "record.json")))


@pytest.mark.slow
@pytest.mark.compiled
def test_it_records_what_an_import_writes_and_says_what_a_replay_says(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, said = undisturbed
    replayed = run(ReplayRequest(settings=settings(), **SOURCES))
    assert (said["state_digest"], said["output_digest"]) == (replayed.state_digest, replayed.output_digest)
    assert (said["outputs"], said["code_identity"]) == (replayed.outputs, replayed.code_identity)
    assert (
        said["released"]
        == sum(replayed.outputs.values())
        == len((folder / "out.jsonl").read_bytes().splitlines())
    )
    assert said["status"] == "complete" and said["in_doubt"] == said["suppressed"] == 0
    check = str(folder / "record.json")
    again = ReplayRequest(sources=(str(folder / "journal"),), settings=settings(), check=check)
    assert run(again).checked == {"against": [f"--check {check}"], "differences": {}}
    lists = {name: list(value) for name, value in SOURCES.items()}
    import_logs(
        journal=str(tmp_path / "imported"), pools=[], sort=False, strict=False, settings=settings(), **lists
    )
    names = {path.name for path in (tmp_path / "imported").iterdir()}
    assert {path.name for path in (folder / "journal").iterdir()} == names | {"incarnations.json"}
    same, *_ = filecmp.cmpfiles(folder / "journal", tmp_path / "imported", names, shallow=False)
    assert set(same) == names


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("mode", ["process", "strict"])
def test_it_goes_on_where_it_was_and_releases_nothing_twice(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """The file of outputs fails four times, in the middle of a line; each time the same command goes on.

    In `strict` the ring is lost each time, and once it fails with a new ring before anything else has happened.
    """
    whole, left = OutputLog.receive, [9_000]

    def failing(self: OutputLog, outputs: Any, incarnation: int) -> None:
        left[0] -= len(outputs)
        if left[0] < 0:
            with self.path.open("ab") as file:
                file.write(b'{"incarnation":1,"sequ')
            raise InputError(f"{self.path}: no space")
        whole(self, outputs, incarnation)

    monkeypatch.setattr(OutputLog, "receive", failing)
    for room in (9_000, 0, 9_000, 9_000):
        left[0] = room
        with pytest.raises(InputError, match="no space"):
            run_live(request(tmp_path, mode, snapshot_every=2_000))
        if mode == "strict":
            for path in paths(region_name(tmp_path / "journal"), TMPFS):
                path.unlink(missing_ok=True)
    monkeypatch.undo()
    said = run_live(request(tmp_path, mode, finish=True))
    assert said["incarnation"] == 5 and said["in_doubt"] == 0
    assert said["restored_from"] is not None
    assert said["state_digest"] == undisturbed[1]["state_digest"]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    incarnations = [line.pop("incarnation") for line in lines]
    assert incarnations == sorted(incarnations) and set(incarnations) == {1, 3, 4, 5}
    expected = [json.loads(line) for line in (undisturbed[0] / "out.jsonl").read_bytes().splitlines()]
    for line in expected:
        del line["incarnation"]
    assert lines == expected


@pytest.mark.slow
@pytest.mark.compiled
def test_it_goes_on_with_a_journal_that_was_compressed_and_purged(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = OutputLog.receive, [40_000]

    def failing(self: OutputLog, outputs: Any, incarnation: int) -> None:
        left[0] -= len(outputs)
        if left[0] < 0:
            raise InputError("no space")
        whole(self, outputs, incarnation)

    monkeypatch.setattr(OutputLog, "receive", failing)
    one_frame = 201 * 4096
    with pytest.raises(InputError, match="no space"):
        run_live(request(tmp_path, snapshot_every=2_000, snapshot_keep=1, segment_bytes=one_frame))
    monkeypatch.undo()
    journal = tmp_path / "journal"
    assert compact(plan_compact(journal))["segments"] >= 1
    assert purge(journal, Retention(to_snapshot=True))["first_sequence"] > 0
    said = run_live(request(tmp_path, segment_bytes=one_frame, finish=True))
    assert said["restored_from"] is not None
    assert said["state_digest"] == undisturbed[1]["state_digest"]
    lines, expected = (
        [{**json.loads(line), "incarnation": 0} for line in (folder / "out.jsonl").read_bytes().splitlines()]
        for folder in (tmp_path, undisturbed[0])
    )
    assert lines == expected


@pytest.mark.slow
@pytest.mark.compiled
def test_an_end_in_the_middle_of_recovery_takes_nothing_for_released(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new ring's consumers stand at its end: seen when an engine was killed before it had handed on the past."""
    run_live(request(tmp_path))
    (tmp_path / "out.jsonl").unlink()

    def failing(self: OutputLog, outputs: Any, incarnation: int) -> None:
        raise InputError("no space")

    monkeypatch.setattr(OutputLog, "receive", failing)
    with pytest.raises(InputError, match="no space"):
        run_live(request(tmp_path))
    monkeypatch.undo()
    assert run_live(request(tmp_path))["released"] == undisturbed[1]["released"]


@pytest.mark.slow
@pytest.mark.compiled
def test_other_sources_do_not_go_on(tmp_path: Path) -> None:
    run_live(request(tmp_path))
    with pytest.raises(InputError, match=r"other events from sequence \d+ on than those recorded"):
        run_live(request(tmp_path, blocks=()))
    short = tmp_path / "short.jsonl"
    short.write_text("")
    with pytest.raises(InputError):
        run_live(request(tmp_path, sources=(str(short),)))
    run_live(request(tmp_path, finish=True))
    with pytest.raises(JournalError, match="complete journal"):
        run_live(request(tmp_path))


def test_a_file_that_is_no_file_of_outputs_is_left_alone(tmp_path: Path) -> None:
    for content in (b"notes", b"notes\nmore", b'{"a":1}\n{"b'):
        path = tmp_path / "mine.txt"
        path.write_bytes(content)
        with pytest.raises(InputError, match="choose another"):
            OutputLog(path, []).last()
        assert path.read_bytes() == content


def test_durability_is_checked() -> None:
    for wrong in ({"mode": "maybe"}, {"sync_us": -1}, {"sync_bytes": 0}):
        with pytest.raises(Exception, match="durability"):
            Durability(**wrong)  # type: ignore[arg-type]
    assert Durability("strict").limits == (0.0, 1)
