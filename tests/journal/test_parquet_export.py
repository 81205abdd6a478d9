"""A journal as columns: what is in the files, and that nothing half-written stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from disruptor.errors import JournalError
from disruptor.journal import parquet_export
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import load_manifest
from disruptor.journal.parquet_export import Selection, to_columns


def test_each_type_is_a_file_that_any_reader_of_parquet_reads(chain: Path, tmp_path: Path) -> None:
    answer = to_columns(chain, tmp_path / "out")
    assert answer["whole"] and answer["slots"] == 40
    assert answer["files"] == {"BlockStart.parquet": 10, "Tick.parquet": 30}
    blocks, ticks = (pq.read_table(tmp_path / "out" / name).to_pydict() for name in sorted(answer["files"]))
    assert blocks["number"] == list(range(100, 110)) and blocks["sequence"] == list(range(0, 40, 4))
    assert ticks["pool"] == ticks["sequence"] == [n for n in range(40) if n % 4]
    segments = pq.read_table(tmp_path / "out" / "_journal.parquet").to_pylist()
    assert [segment["name"] for segment in segments] == [
        entry.name for entry in load_manifest(chain).segments
    ]


def test_slots_of_unknown_types_are_kept_as_bytes(tiny: Path, slots: Bytes, tmp_path: Path) -> None:
    assert to_columns(tiny, tmp_path / "out")["files"] == {"_unknown.parquet": 30}
    found = pq.read_table(tmp_path / "out" / "_unknown.parquet").to_pydict()
    assert found["payload"] == [slot[32:].tobytes() for slot in slots]
    assert found["type_id"] == slots[:, 24:26].copy().view("<u2")[:, 0].tolist()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(from_sequence=9, to_sequence=17), range(9, 18)),
        (Selection(types=("BlockStart",)), range(0, 40, 4)),
        (Selection(from_sequence=30, types=("Tick",)), [n for n in range(30, 40) if n % 4]),
    ],
)
def test_a_selection_has_its_slots_and_no_others(
    chain: Path, tmp_path: Path, selection: Selection, expected: range
) -> None:
    answer = to_columns(chain, tmp_path / "out", selection)
    found = [
        n for name in answer["files"] for n in pq.read_table(tmp_path / "out" / name)["sequence"].to_pylist()
    ]
    assert sorted(found) == list(expected) and not answer["whole"]


def test_little_is_kept_waiting(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_export, "GROUP_ROWS", 7)
    monkeypatch.setattr(parquet_export, "WAITING_BYTES", 300)
    to_columns(chain, tmp_path / "out")
    ticks = pq.ParquetFile(tmp_path / "out" / "Tick.parquet")
    assert ticks.num_row_groups > 5 and ticks.metadata.num_rows == 30


def test_progress_ends_at_the_end(chain: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    to_columns(chain, tmp_path / "out", progress=lambda *update: seen.append(update))
    assert seen[-1] == (40, 40) and [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_run_that_fails_leaves_nothing(chain: Path, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise OSError("no more")

    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="no more"):
        to_columns(chain, tmp_path / "out", progress=fail)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_there_is_not_overwritten(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    with pytest.raises(JournalError, match="exists already"):
        to_columns(chain, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("selection", "kind", "what"),
    [
        (
            Selection(types=("Trade",)),
            "parquet",
            "no message Trade in this journal; there are BlockStart, Tick",
        ),
        (Selection(from_sequence=41), "parquet", r"sequences 41 to 39 are not in this journal \(0 to 39\)"),
        (Selection(from_sequence=3, to_sequence=2), "parquet", "sequences 3 to 2 are not"),
        (Selection(to_sequence=40), "parquet", "sequences 0 to 40 are not"),
        (Selection(), "csv", "format csv: there are parquet and arrow"),
    ],
)
def test_what_is_not_there_is_refused(
    chain: Path, tmp_path: Path, selection: Selection, kind: str, what: str
) -> None:
    with pytest.raises(JournalError, match=what):
        to_columns(chain, tmp_path / "out", selection, kind=kind)
    assert not (tmp_path / "out").exists()


def test_a_damaged_journal_gives_no_archive(tiny: Path, tmp_path: Path) -> None:
    segment = sorted(tiny.glob("*.dsj"))[1]
    content = bytearray(segment.read_bytes())
    content[5000] ^= 1
    segment.write_bytes(content)
    with pytest.raises(JournalError, match="damaged, so no archive of it is made: "):
        to_columns(tiny, tmp_path / "out")
    assert to_columns(tiny, tmp_path / "part", Selection(to_sequence=11))["slots"] == 12


def test_a_message_may_not_take_a_file_name_of_ours(
    tmp_path: Path, write: Callable[..., None], some_slots: Callable[..., Bytes], options: dict[str, Any]
) -> None:
    kind = options["messages"][0]
    described_schema = {**kind.schema(), "name": "_journal"}

    class Foreign:
        name, type_id, size, dtype = "_journal", kind.type_id, kind.size, kind.dtype
        schema_hash, fields, counted = kind.schema_hash, kind.fields, kind.counted

        def schema(self) -> dict[str, Any]:
            return described_schema

    write(tmp_path / "journal", some_slots(3), messages=[Foreign()])
    with pytest.raises(JournalError, match="a message is named _journal"):
        to_columns(tmp_path / "journal", tmp_path / "out", Selection(to_sequence=1))
    with pytest.raises(JournalError, match="another version"):
        to_columns(tmp_path / "journal", tmp_path / "out")
