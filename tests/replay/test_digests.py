"""One stream, one answer: however it is read, cut, stored and run, both digests are the same.

`tests/golden/digests.json` holds them for three cuts of the example stream; all lanes are held against it. It changes
only with what the engine computes: look at what changed, then write the file anew from the numbers that fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from disruptor.config.loader import load_settings
from disruptor.replay.importer import import_logs
from tests.harness import BLOCKS, EXAMPLE, ROOT, SMALL, Outcome, replay

GOLDEN: dict[str, dict[str, Any]] = json.loads((ROOT / "tests" / "golden" / "digests.json").read_text())
CUT = 90


def one(**options: Any) -> Outcome:
    return replay(EXAMPLE, keep=False, to_block=CUT, blocks=(str(BLOCKS),), **options)


def expected(cut: int = CUT) -> tuple[str, str, int]:
    golden = GOLDEN[str(cut)]
    return golden["state_digest"], golden["output_digest"], golden["events"]


def imported(folder: Path, *sets: str) -> dict[str, Any]:
    settings, _ = load_settings(None, [*SMALL, *sets])
    summary = import_logs(
        [str(EXAMPLE)],
        str(folder),
        pools=[],
        blocks=[str(BLOCKS)],
        sort=False,
        strict=False,
        settings=settings,
    )
    return summary


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digests") / "journal"
    imported(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("cut", [64, 90, 744])
def test_golden_digests_hold_in_every_lane(cut: int, lane: str) -> None:
    if lane == "nojit" and cut == CUT:
        pytest.skip("the other cuts are enough without a compiler")
    if lane == "nojit" and cut > CUT:
        cut = 70
    found = replay(EXAMPLE, keep=False, blocks=(str(BLOCKS),), to_block=cut)
    assert found.digests == expected(cut)
    assert sum(found.result.outputs.values()) == GOLDEN[str(cut)]["outputs"]


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(
    "sets",
    [
        ["max_batch=1"],
        ["max_batch=7", "ring_slots=64"],
        ["max_batch=4096", "output_slots=64"],
        ["ring_slots=256", "output_slots=1024", "max_batch=256"],
        ["huge_pages=prefer"],
        ["enable_simd=false"],
        ["capacity.pools=100", "capacity.ticks=999", "capacity.paths=1000", "capacity.pairs=30"],
        ["capacity.pools=5000", "capacity.ticks=70000", "capacity.paths=90000", "capacity.tokens=9000"],
        ["wait_strategy=busy_spin"],
        ["wait_strategy=blocking"],
    ],
    ids=" ".join,
)
def test_settings_that_are_not_semantic_change_nothing(sets: list[str]) -> None:
    found = replay(EXAMPLE, *sets, keep=False, to_block=CUT, blocks=(str(BLOCKS),))
    assert found.digests == expected()


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.own_loop
def test_bounds_checking_changes_nothing() -> None:
    found = replay(EXAMPLE, "enable_bounds_checking=true", keep=False, to_block=CUT, blocks=(str(BLOCKS),))
    assert found.digests == expected()


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.own_loop
def test_asking_for_rows_ahead_changes_nothing() -> None:
    found = replay(EXAMPLE, "cache_prefetch=false", keep=False, to_block=CUT, blocks=(str(BLOCKS),))
    assert found.digests == expected()


@pytest.mark.slow
@pytest.mark.compiled
def test_two_runs_and_a_sink_change_nothing() -> None:
    runs = [one(), one(), replay(EXAMPLE, to_block=CUT, blocks=(str(BLOCKS),))]
    assert {run.digests for run in runs} == {expected()}
    assert len({run.result.code_identity for run in runs}) == 1


@pytest.mark.slow
@pytest.mark.compiled
def test_two_imports_write_the_same_bytes_whatever_the_ring(journal: Path, tmp_path: Path) -> None:
    imported(tmp_path / "again", "ring_slots=64", "max_batch=3")
    files = sorted(path.relative_to(journal) for path in journal.rglob("*") if path.is_file())
    assert files and files == sorted(
        p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*")
    )
    for name in files:
        assert (journal / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.compiled
def test_a_journal_gives_what_its_logs_give(journal: Path) -> None:
    for cut in (CUT, 744):
        for sets in ([], ["max_batch=1"], ["output_slots=64"]):
            assert replay(journal, *sets, keep=False, to_block=cut).digests == expected(cut)
    rows = replay(journal, to_block=CUT).sink.rows
    assert rows == replay(EXAMPLE, to_block=CUT, blocks=(str(BLOCKS),)).sink.rows


@pytest.mark.slow
@pytest.mark.compiled
def test_a_journal_written_beside_a_replay_is_the_imported_one(journal: Path, tmp_path: Path) -> None:
    found = replay(EXAMPLE, keep=False, blocks=(str(BLOCKS),), write_journal=str(tmp_path / "beside"))
    assert found.digests == expected(744)
    assert replay(tmp_path / "beside", keep=False).digests == expected(744)


@pytest.mark.slow
@pytest.mark.compiled
def test_digests_do_see_a_difference(tmp_path: Path) -> None:
    other = replay(EXAMPLE, "arbitrage.min_bps=50", keep=False, to_block=CUT, blocks=(str(BLOCKS),))
    assert other.result.output_digest != expected()[1]
    earlier = replay(EXAMPLE, keep=False, to_block=CUT - 1, blocks=(str(BLOCKS),))
    assert earlier.result.state_digest != expected()[0]
