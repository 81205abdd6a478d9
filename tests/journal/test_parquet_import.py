"""Archives back into journals: the same bytes, or an error that says what was changed; never another journal."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal import parquet_import
from disruptor.journal.layout import Bytes
from disruptor.journal.parquet_export import Selection, to_columns
from disruptor.journal.parquet_import import from_columns
from disruptor.journal.verify import verify


def same_files(one: Path, other: Path) -> bool:
    """Whether two directories hold the same files, byte for byte."""
    names = sorted(path.name for path in one.iterdir())
    match, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    return sorted(match) == names == sorted(path.name for path in other.iterdir())


@pytest.fixture
def archive(chain: Path, tmp_path: Path) -> Path:
    to_columns(chain, tmp_path / "archive")
    return tmp_path / "archive"


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], facts: dict[str, Any] | None = None) -> None:
    """What somebody does who reads a file, changes it, and writes it back with its metadata."""
    table = pq.read_table(path)
    kept = table.schema
    if facts is not None:
        stored = json.loads(kept.metadata[b"disruptor"])
        kept = kept.with_metadata({b"disruptor": json.dumps({**stored, **facts}).encode()})
    pq.write_table(change(table).cast(kept), path)


def refused(archive: Path, tmp_path: Path, error: type[JournalError], what: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=what):
        from_columns(archive, tmp_path / "back")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("journal", ["chain", "tiny"])
def test_the_journal_comes_back_byte_for_byte(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_import, "WINDOW_SLOTS", 7)
    directory = request.getfixturevalue(journal)
    to_columns(directory, tmp_path / "archive", kind=kind)
    answer = from_columns(tmp_path / "archive", tmp_path / "back")
    assert same_files(directory, tmp_path / "back") and verify(tmp_path / "back").ok
    assert answer["slots"] == verify(directory).slots


@pytest.mark.parametrize(("count", "first"), [(0, 0), (1, 0), (5, 1000)])
def test_small_journals_and_late_beginnings_come_back(
    tmp_path: Path, write: Callable[..., None], some_slots: Callable[..., Bytes], count: int, first: int
) -> None:
    write(tmp_path / "journal", some_slots(count), first_sequence=first)
    to_columns(tmp_path / "journal", tmp_path / "archive")
    from_columns(tmp_path / "archive", tmp_path / "back")
    assert same_files(tmp_path / "journal", tmp_path / "back")


def test_an_export_is_no_archive(chain: Path, tmp_path: Path) -> None:
    to_columns(chain, tmp_path / "archive", Selection(from_sequence=0, types=("Tick",)))
    refused(
        tmp_path / "archive", tmp_path, JournalError, r"an export of some slots only \(from_sequence 0, types"
    )


def test_a_changed_value_is_noticed(archive: Path, tmp_path: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        prices = table["price"].to_pylist()
        prices[20] += 1
        return table.set_column(table.schema.get_field_index("price"), "price", pa.array(prices, pa.uint64()))

    rewrite(archive / "Tick.parquet", change)
    refused(
        archive, tmp_path, CorruptFrameError, "a value of sequences 24 to 35 was changed: the running hash"
    )


def test_changed_metadata_is_noticed(archive: Path, tmp_path: Path) -> None:
    stored = json.loads(pq.read_schema(archive / "_journal.parquet").metadata[b"disruptor"])
    rewrite(
        archive / "_journal.parquet", lambda t: t, {"manifest": stored["manifest"].replace("test", "best")}
    )
    refused(archive, tmp_path, JournalError, "the manifest is damaged")
    rewrite(archive / "_journal.parquet", lambda t: t, {"manifest": stored["manifest"], "messages": []})
    refused(archive, tmp_path, JournalError, "the journal has no such message")


def test_a_missing_row_is_noticed_even_if_the_count_was_changed(archive: Path, tmp_path: Path) -> None:
    rewrite(archive / "Tick.parquet", lambda table: pa.concat_tables([table[:4], table[5:]]))
    refused(archive, tmp_path, CorruptFrameError, "Tick.parquet: holds 29 rows; expected 30")
    rewrite(
        archive / "_journal.parquet", lambda t: t, {"files": {"BlockStart.parquet": 11, "Tick.parquet": 29}}
    )
    rewrite(archive / "BlockStart.parquet", lambda table: pa.concat_tables([table, table[-1:]]))
    refused(archive, tmp_path, CorruptFrameError, "sequence 36 follows 36: rows were added or moved")


def test_rows_of_one_sequence_in_two_files_are_noticed(archive: Path, tmp_path: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        moved = pc.if_else(pc.equal(table["sequence"], 5), pa.scalar(4, pa.int64()), table["sequence"])
        return table.set_column(0, "sequence", moved)

    rewrite(archive / "Tick.parquet", change)
    refused(archive, tmp_path, CorruptFrameError, "sequence 4: 2 files have it")


def test_a_sequence_that_is_none_is_noticed(archive: Path, tmp_path: Path) -> None:
    first = pa.chunked_array([[-3, *(n for n in range(2, 40) if n % 4)]], pa.int64())
    rewrite(archive / "Tick.parquet", lambda table: table.set_column(0, "sequence", first))
    refused(archive, tmp_path, CorruptFrameError, "sequence -3 follows -1")


def test_a_missing_file_is_noticed(archive: Path, tmp_path: Path) -> None:
    (archive / "BlockStart.parquet").unlink()
    refused(archive, tmp_path, JournalError, r"this file of the archive is missing \(10 slots\)")
    (archive / "_journal.parquet").unlink()
    refused(archive, tmp_path, JournalError, r"no archive here \(_journal.parquet is missing\)")


def test_a_file_of_another_archive_is_noticed(
    archive: Path,
    tmp_path: Path,
    write: Callable[..., None],
    chain_slots: Callable[..., Bytes],
    chain_messages: list[Any],
) -> None:
    slots = chain_slots()
    slots[5, 60] ^= 1
    write(tmp_path / "other", slots, messages=chain_messages)
    to_columns(tmp_path / "other", tmp_path / "others")
    (tmp_path / "others" / "Tick.parquet").replace(archive / "Tick.parquet")
    refused(archive, tmp_path, JournalError, "Tick.parquet: belongs to another archive")


def test_other_columns_are_noticed(archive: Path, tmp_path: Path) -> None:
    table = pq.read_table(archive / "Tick.parquet")
    pq.write_table(table.drop_columns(["pool"]), archive / "Tick.parquet")
    refused(archive, tmp_path, JournalError, "its columns are not those that to-parquet writes")


def test_what_is_no_parquet_is_one_line(archive: Path, tmp_path: Path) -> None:
    (archive / "Tick.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(JournalError, match=r"Tick.parquet: can't be read: ") as caught:
        from_columns(archive, tmp_path / "back")
    assert "\n" not in str(caught.value)


def test_an_existing_journal_is_not_overwritten(archive: Path, chain: Path) -> None:
    with pytest.raises(JournalError, match="exists already"):
        from_columns(archive, chain)
    assert verify(chain).ok
