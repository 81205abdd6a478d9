"""Slots as rows: which of them a range means, and how damage shows among them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import JournalError
from disruptor.journal.dump import Wanted, dump
from disruptor.journal.problem import Problem
from disruptor.journal.rows import text


def given(directory: Path, **wanted: Any) -> list[Any]:
    """Sequences of the rows, and the problems among them."""
    rows = dump(directory, Wanted(**wanted)).rows()
    return [row if isinstance(row, Problem) else row["sequence"] for row in rows]


def test_a_row_has_the_slots_fields_by_name(chain: Path) -> None:
    rows = list(dump(chain, Wanted(to_sequence=1)).rows())
    header = {"source_sequence": 0, "event_time_ns": 0, "flags": 0, "source_id": 0}
    assert rows == [
        {"sequence": 0, "type": "BlockStart", **header, "number": 100, "timestamp": 1000},
        {"sequence": 1, "type": "Tick", **header, "pool": 1, "price": 7},
    ]
    assert not isinstance(rows[1], Problem) and text(rows[1]) == "1 Tick pool=1 price=7"


def test_ranges_are_those_of_a_plain_filter(chain: Path) -> None:
    bounds = (None, 0, 11, 12, 14, 39, 60)
    for first, last in itertools.product(bounds, bounds):
        expected = [s for s in range(40) if (first or 0) <= s <= (39 if last is None else last)]
        assert given(chain, from_sequence=first, to_sequence=last) == expected
    blocks = (None, 3, 100, 104, 109, 200)
    for first, last, sequence in itertools.product(blocks, blocks, (None, 17)):
        expected = [
            s
            for s in range(sequence or 0, 40)
            if (first or 0) <= 100 + s // 4 <= (1000 if last is None else last)
        ]
        assert given(chain, from_block=first, to_block=last, from_sequence=sequence) == expected
        times = {
            name: None if block is None else 1000 + 12 * (block - 100)
            for name, block in (("from_time", first), ("to_time", last))
        }
        if all(time is None or time >= 0 for time in times.values()):
            assert given(chain, **times, from_sequence=sequence) == expected


def test_types_are_chosen_by_name(chain: Path) -> None:
    assert given(chain, types=("BlockStart",), from_sequence=5) == [8, 12, 16, 20, 24, 28, 32, 36]
    with pytest.raises(JournalError, match="no message Tock in this journal; there are BlockStart, Tick"):
        given(chain, types=("Tock",))


def test_a_journal_without_blocks_says_so(tiny: Path) -> None:
    with pytest.raises(JournalError, match="has no blocks"):
        given(tiny, from_block=1)


def test_slots_of_an_unknown_type_are_given_in_hex(tiny: Path) -> None:
    row = next(iter(dump(tiny).rows()))
    assert not isinstance(row, Problem)
    assert row["type"] is None and row["type_id"] > 0 and len(row["payload"]) == 2 + 2 * 32
    assert row["sequence"] == 0 and row["header_sequence"] != 0


def test_damage_stands_in_its_place(chain: Path) -> None:
    path = chain / f"{12:020d}.dsj"
    content = bytearray(path.read_bytes())
    content[8192 + 64] ^= 1
    path.write_bytes(content)
    found = given(chain)
    assert [s for s in found if not isinstance(s, Problem)] == [*range(16), *range(20, 40)]
    assert isinstance(found[16], Problem) and (found[16].sequence, found[16].last_sequence) == (16, 19)
    # The block of the lost frame began in it: what is asked of the blocks around it is all there.
    assert given(chain, from_block=103, to_block=105)[:4] == [12, 13, 14, 15]
    assert given(chain, from_block=103, to_block=105)[5:] == [20, 21, 22, 23]
    assert given(chain, to_sequence=11) == list(range(12))


def test_an_unfinished_journal_is_given_as_far_as_it_goes(chain: Path) -> None:
    os.truncate(chain / f"{36:020d}.dsj", 0)
    (chain / "journal.json").unlink()
    found = dump(chain, Wanted(from_block=108))
    rows = [row for row in found.rows() if not isinstance(row, Problem)]
    assert [row["sequence"] for row in rows] == [32, 33, 34, 35] and not found.survey.ok
