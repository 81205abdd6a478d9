"""Any bytes in any file of a journal that was compressed and purged: nothing that reads is misled.

As `test_fuzz`, over compressed segments, `journal.head`, and what is left behind it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.compact import compact, plan_compact
from disruptor.journal.describe import describe, stats
from disruptor.journal.dump import dump
from disruptor.journal.purge import Retention, plan_purge, purge
from disruptor.journal.reader import JournalReader
from disruptor.journal.rows import line
from disruptor.journal.verify import verify
from tests.journal.test_fuzz import CHANGES, EXAMPLES, SHARED, Change, changed


class Kept:
    """A journal of which the first segment was purged and all others compressed, and its rows."""

    def __init__(self, journal: Path, folder: Path) -> None:
        compact(plan_compact(journal))
        purge(journal, Retention(before=12, without_snapshot=True))
        self.files = {path.name: path.read_bytes() for path in journal.iterdir()}
        self.rows = {int(row["sequence"]): line(row) for row in dump(journal).rows() if isinstance(row, dict)}
        self.slots = self.read(journal)
        self.directory = folder
        folder.mkdir()

    def lay_out(self, files: dict[str, bytes]) -> bool:
        """Put files in place; whether they are the journal's own."""
        for path in self.directory.iterdir():
            path.unlink()
        for name, content in files.items():
            (self.directory / name).write_bytes(content)
        names = (files.keys() | self.files.keys()) - {"journal.lock"}
        lock = files.get("journal.lock", b"")
        return not lock and all(files.get(name) == self.files.get(name) for name in names)

    @staticmethod
    def read(directory: Path) -> list[bytes]:
        """Every slot that is left."""
        reader = JournalReader(directory)
        return [slot.tobytes() for frame in reader.frames(reader.first_sequence) for slot in frame.slots]


@pytest.fixture
def kept(chain: Path, tmp_path: Path) -> Kept:
    return Kept(chain, tmp_path / "fuzzed")


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(changes=CHANGES)
@example(changes=[("remove", 3)])  # the head: what was purged is missing
@example(changes=[("cut", 3, 0)])
@example(changes=[("exchange", 0, 1)])  # one compressed segment in another's place
@example(changes=[("flip", 0, 4, 4)])  # a bit of a zstd frame that zstd itself does not mind
def test_nothing_that_reads_is_misled(kept: Kept, changes: list[Change]) -> None:
    same = kept.lay_out(changed(kept.files, changes))
    directory = kept.directory
    try:
        assert verify(directory).ok == same
        assert kept.read(directory) == kept.slots or not same
    except JournalError as error:
        assert not same and "\n" not in str(error)
    try:
        given_rows = [row for row in dump(directory).rows() if isinstance(row, dict)]
        assert all(line(row) == kept.rows[row["sequence"]] for row in given_rows if row["type"] is not None)
        for report in (describe(directory), stats(directory)):
            assert report["ok"] == same
    except JournalError:
        assert not same


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(changes=CHANGES, before=st.integers(0, 50))
def test_nothing_is_made_worse_by_what_changes_files(kept: Kept, changes: list[Change], before: int) -> None:
    """Compressing and purging a journal with any bytes: a plain error, or the same bytes, or fewer files of them."""
    files = changed(kept.files, changes)
    same = kept.lay_out(files)
    try:
        plan = plan_compact(kept.directory)
        compact(plan)
        planned = plan_purge(kept.directory, Retention(before=before, without_snapshot=True))
        purge(kept.directory, Retention(before=before, without_snapshot=True))
    except JournalError as error:
        assert not same and "\n" not in str(error)
        return
    gone = {entry.name for entry in planned.entries}
    assert same <= verify(kept.directory).ok
    for name in files.keys() - {"journal.head", "journal.index"}:
        if name.removesuffix(".zst") not in gone and name not in planned.leftovers:
            assert (kept.directory / name).read_bytes() == files[name]
