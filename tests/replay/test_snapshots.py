"""Snapshots of a journal: going on from any of them gives the digests of the run from the start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.handlers.messages import BUILT_IN
from disruptor.journal.purge import Retention, purge
from disruptor.journal.reader import JournalReader
from disruptor.journal.writer import JournalWriter
from disruptor.replay.importer import import_logs
from disruptor.replay.request import RunRequest
from disruptor.replay.snapshots import take_snapshots
from tests.harness import BLOCKS, EXAMPLE, SMALL
from tests.journal.conftest import TINY


def asked(journal: Path | str, *sets: str, **options: Any) -> RunRequest:
    settings, _ = load_settings(None, [*SMALL, *sets])
    return RunRequest(sources=(str(journal),), settings=settings, **options)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshots") / "journal"
    request = asked(EXAMPLE)
    import_logs(
        [str(EXAMPLE)],
        str(folder),
        pools=[],
        blocks=[str(BLOCKS)],
        sort=False,
        strict=False,
        settings=request.settings,
        frame_slots=512,
    )
    return folder


@pytest.fixture
def journal(imported: Path, tmp_path: Path) -> Path:
    shutil.copytree(imported, tmp_path / "journal")
    return tmp_path / "journal"


@pytest.fixture(scope="module")
def digest(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the state after event 4000, from the start."""
    copy = tmp_path_factory.mktemp("whole") / "journal"
    shutil.copytree(imported, copy)
    return str(take_snapshots(asked(copy), at=4000)["state_digest"])


@pytest.mark.compiled
@pytest.mark.parametrize("cut", [0, 511, 1700, 4000])
def test_a_state_from_a_snapshot_on_is_the_state_from_the_start(journal: Path, digest: str, cut: int) -> None:
    first = take_snapshots(asked(journal), at=cut)
    second = take_snapshots(asked(journal, "capacity.pools=700", "max_batch=7"), at=4000)
    assert (first["started_from"], first["slots"]) == (None, cut + 1)
    assert (second["started_from"], second["slots"]) == (cut, 4000 - cut)
    assert second["state_digest"] == digest
    assert len(second["snapshots"]) == (cut < 4000), "one that is there is not written again"


@pytest.mark.compiled
def test_snapshots_at_intervals_count_from_the_first_event(journal: Path, digest: str) -> None:
    found = take_snapshots(asked(journal), at=4000, every=1500)
    assert [s["sequence"] for s in found["snapshots"]] == [1499, 2999, 4000]
    assert found["state_digest"] == digest
    assert all(Path(s["path"]).stat().st_size == s["bytes"] for s in found["snapshots"])
    again = take_snapshots(asked(journal), at=4000, every=1500)
    assert (again["started_from"], again["snapshots"], again["state_digest"]) == (4000, [], digest)


@pytest.mark.compiled
def test_the_end_of_the_journal_is_the_default_and_its_running_hash_is_kept(journal: Path) -> None:
    from disruptor.journal.snapshot_store import SnapshotStore

    take_snapshots(asked(journal), at=100)
    found = take_snapshots(asked(journal))
    reader = JournalReader(journal)
    newest, older = (s.facts for s in SnapshotStore(journal).candidates().snapshots)
    assert found["snapshots"][0]["sequence"] == reader.last_sequence == newest.sequence
    assert (newest.running_hash, older.running_hash) == (reader.running_hash, None)
    assert found["snapshots"][0]["block"] == newest.block == reader.summary["last_block"]


@pytest.mark.compiled
def test_a_purged_journal_is_gone_on_with_from_a_snapshot_or_not_at_all(
    journal: Path, tmp_path: Path, digest: str
) -> None:
    reader = JournalReader(journal)
    short = tmp_path / "short"
    with JournalWriter(
        short,
        messages=BUILT_IN,
        identity=reader.identity,
        settings=reader.settings,
        frame_slots=512,
        segment_bytes=1 << 18,
    ) as writer:
        for frame in reader.frames():
            writer.append(frame.slots, frame.first_sequence)
        writer.finish(reader.summary)
    take_snapshots(asked(short), at=3000)
    purge(short, Retention(to_snapshot=True))
    first = JournalReader(short).first_sequence
    assert 0 < first <= 3000
    found = take_snapshots(asked(short), at=4000, every=1500)
    assert (found["started_from"], found["state_digest"]) == (3000, digest)
    with pytest.raises(InputError, match=r"were purged.*no snapshot to begin with that fits"):
        take_snapshots(asked(short), at=first)
    with pytest.raises(
        InputError, match=r"were purged.*no snapshot to begin with: .*min_bps: 0.0 when recorded"
    ):
        take_snapshots(asked(short, "arbitrage.min_bps=2"))


def test_what_is_no_journal_or_outside_of_one_is_refused(journal: Path, tmp_path: Path) -> None:
    last = JournalReader(journal).last_sequence
    for options, message in (
        ({"at": last + 1}, f"the journal holds the sequences 0 to {last}"),
        ({"at": -1}, "the journal holds"),
        ({"every": 10}, "expected at least 1000 events"),
    ):
        with pytest.raises(InputError, match=message):
            take_snapshots(asked(journal), **options)
    with pytest.raises(InputError, match="expected a journal"):
        take_snapshots(asked(EXAMPLE))
    empty = {**TINY, "slot_size": 192, "segment_bytes": 1 << 20, "messages": []}
    with JournalWriter(tmp_path / "empty", **empty) as writer:
        writer.finish({})
    with pytest.raises(InputError, match="the journal is empty"):
        take_snapshots(asked(tmp_path / "empty"))
    assert not (journal / "snapshots").exists()
