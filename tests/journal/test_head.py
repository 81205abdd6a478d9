"""The file that says what was purged: it says so, or nothing is believed of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from disruptor.errors import JournalError
from disruptor.journal.head import HEAD_NAME, Head, encode_head, load_head
from disruptor.journal.layout import segment_name
from disruptor.journal.manifest import SegmentEntry


def entry(first: int, count: int, digit: str = "a") -> SegmentEntry:
    return SegmentEntry(
        name=segment_name(max(0, first)),
        first_sequence=first,
        slot_count=count,
        size=20480,
        running_hash=digit * 64,
    )


HEAD = Head(segments=[entry(5, 12), entry(17, 7, "b")])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert load_head(tmp_path) is None and load_head(tmp_path / "nowhere") is None
    (tmp_path / HEAD_NAME).write_bytes(encode_head(HEAD))
    assert load_head(tmp_path) == HEAD
    assert (HEAD.journal_first_sequence, HEAD.first_sequence, HEAD.segment_number) == (5, 24, 2)
    assert HEAD.chain == bytes.fromhex("bb" * 32)
    assert "sequences 5 to 23 were purged" in HEAD.why(tmp_path)


def test_no_changed_byte_is_believed(tmp_path: Path) -> None:
    path, content = tmp_path / HEAD_NAME, encode_head(HEAD)
    changed = [
        content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
        for at in range(0, len(content), 3)
    ]
    for wrong in [*changed, *(content[:size] for size in range(0, len(content), 50))]:
        path.write_bytes(wrong)
        with pytest.raises(
            JournalError, match=r"journal.head: says which segments were purged, and is damaged"
        ):
            load_head(tmp_path)


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [entry(0, 0)],
        [entry(-1, 5)],
        [entry(0, 12), entry(13, 12)],
        [entry(0, 12, "A")],
        [msgspec.structs.replace(entry(0, 12), name="x.dsj")],
    ],
)
def test_what_makes_no_sense_is_not_believed(tmp_path: Path, segments: list[SegmentEntry]) -> None:
    (tmp_path / HEAD_NAME).write_bytes(encode_head(Head(segments=segments)) if segments else b"{}")
    with pytest.raises(JournalError, match="is damaged"):
        load_head(tmp_path)


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / HEAD_NAME).mkdir()
    with pytest.raises(JournalError, match="directory"):
        load_head(tmp_path)
