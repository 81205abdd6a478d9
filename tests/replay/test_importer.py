"""What an import does beside writing the journal, which the tests of digests hold."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from disruptor.config.loader import load_settings
from disruptor.errors import InputError, UnfinishedJournalError
from disruptor.journal.verify import verify
from disruptor.replay.importer import import_logs
from disruptor.replay.request import ProgressUpdate
from tests.harness import EXAMPLE, write_lines
from tests.support.killing import killed

#: Many small segments: 12 frames of 64 slots each.
SMALL_SEGMENTS: dict[str, int] = {"segment_bytes": 192 << 10, "frame_slots": 64}


def test_an_import_is_pinned_as_the_settings_say(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    settings, _ = load_settings(None, [f"cpu_cores=[{core}]"])
    try:
        with pytest.raises(InputError):
            import_logs(
                [str(tmp_path / "absent")],
                str(tmp_path / "journal"),
                pools=[],
                blocks=[],
                sort=False,
                strict=False,
                settings=settings,
            )
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, before)


def import_small(source: Path, journal: Path, **options: Any) -> dict[str, Any]:
    settings, _ = load_settings("replay", ["huge_pages=off", "ring_slots=1024", "max_batch=512"])
    rest = {"pools": [], "blocks": [], "sort": False, "strict": False, "settings": settings}
    return import_logs([str(source)], str(journal), **{**rest, **SMALL_SEGMENTS, **options})


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """A recorded stream; with `removed`, one in whose middle a log is taken back."""
    lines = [json.loads(line) for line in zstandard.decompress(EXAMPLE.read_bytes()).splitlines()]
    folder = tmp_path_factory.mktemp("streams")
    write_lines(folder / "removed.jsonl", [*lines[:3000], {**lines[2999], "removed": True}, *lines[3000:]])
    return lambda removed: folder / "removed.jsonl" if removed else EXAMPLE


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("removed", [False, True])
def test_an_import_killed_again_and_again_gives_the_same_journal(
    tmp_path: Path, stream: Callable[[bool], Path], seed: int, removed: bool
) -> None:
    chance = random.Random(seed + removed)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    answer = import_small(stream(removed), whole)
    assert answer["slots_kept"] == 0 and len(list(whole.glob("*.dsj"))) > 10
    assert bool(answer["warnings"].get("removed_logs")) == removed

    def run(report: Callable[[], int]) -> None:
        from disruptor.replay.events import LogEvents

        runs = LogEvents.runs

        def reported(self: LogEvents) -> Any:
            for one in runs(self):
                report()
                yield one

        LogEvents.runs = reported  # type: ignore[method-assign]
        import_small(stream(removed), broken)

    kills = sum(killed(run, chance.randrange(1, 24)) for _ in range(4))
    assert kills > 0
    if contents(broken) != contents(whole):
        again = import_small(stream(removed), broken)
        assert {**again, **_changing(answer)} == answer
    assert contents(broken) == contents(whole) and verify(broken).ok


def _changing(answer: dict[str, Any]) -> dict[str, Any]:
    """What two runs of one import may say differently."""
    names = ("journal", "seconds", "compile_seconds", "logs_per_second", "slots_kept")
    return {name: answer[name] for name in names}


@pytest.mark.compiled
def test_an_import_goes_on_for_the_same_command_only(tmp_path: Path, stream: Callable[[bool], Path]) -> None:
    journal = tmp_path / "journal"

    def stop(update: ProgressUpdate) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_small(EXAMPLE, journal, progress=stop)
    with pytest.raises(UnfinishedJournalError, match="strict: was False, is True"):
        import_small(EXAMPLE, journal, strict=True)
    with pytest.raises(UnfinishedJournalError, match="sources: was"):
        import_small(stream(True), journal)
    import_small(EXAMPLE, journal)
    assert verify(journal).ok
