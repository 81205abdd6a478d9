"""The bytes of a snapshot: tables in the docs and in the code, and where parts lie."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from disruptor.errors import CorruptSnapshotError, SnapshotError
from disruptor.journal import snapshot_layout as layout
from disruptor.journal.layout import crc32c
from disruptor.state_image import view_rows
from tests.disruptor.test_restore import filled

DOCS = Path(__file__).resolve().parents[2] / "docs" / "format-snapshot.md"
DTYPES = (layout.SNAPSHOT_HEADER_DTYPE, layout.TABLE_ENTRY_DTYPE)
FACTS = layout.SnapshotFacts(
    sequence=41,
    code_identity="c0de",
    identity={"table pools": "1"},
    environment={"numba": "1"},
    event_time_ns=5,
    block=7,
    last_event="11" * 32,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=["header", "entry"])
def test_tables_in_docs_and_module_match_the_dtypes(dtype: np.dtype) -> None:
    assert dtype.fields is not None
    rows = [
        (str(offset), str(kind.itemsize), name.rstrip("01") if name.startswith("reserved") else name)
        for name, (kind, offset) in ((n, dtype.fields[n][:2]) for n in dtype.names or ())
    ]
    in_docs = re.findall(r"^\| (\d+) +\| (\d+) +\| `(\w+)`", DOCS.read_text(), re.M)
    in_module = re.findall(r"^ +(\d+) +(\d+) +(\w+)", layout.__doc__ or "", re.M)
    for found in (in_docs, in_module):
        start = found.index(rows[0])
        while found[start : start + len(rows)] != rows:
            start = found.index(rows[0], start + 1)


def test_sizes() -> None:
    assert [d.itemsize for d in DTYPES] == [128, 48]


def test_a_header_says_what_was_put_in() -> None:
    image = view_rows(filled())
    content = layout.seal_header(FACTS, "d1", image)
    header = layout.open_header(content, "here")
    assert (header.facts, header.state_digest, header.header_size) == (FACTS, "d1", len(content))
    assert [t.schema for t in header.tables] == [p.schema for p in image.parts]
    assert [t.numbers for t in header.tables] == [p.numbers for p in image.parts]
    assert [t.rows_crc for t in header.tables] == [crc32c(p.rows.reshape(-1)) for p in image.parts]


def test_parts_lie_one_behind_the_other_on_multiples_of_64() -> None:
    header = layout.open_header(layout.seal_header(FACTS, "d1", view_rows(filled())), "here")
    at = header.header_size
    for table, (rows, links) in zip(header.tables, layout.part_offsets(header), strict=True):
        assert rows % 64 == 0 and 0 <= rows - at < 64
        at = rows + table.sizes[0]
        if table.schema.hashed:
            assert links % 64 == 0 and 0 <= links - at < 64
            at = links + table.sizes[1]
    assert header.file_size == layout.aligned(at) + 32


def forged(change: dict[str, int]) -> np.ndarray:
    content = layout.seal_header(FACTS, "d1", view_rows(filled()))
    header = content[:128].view(layout.SNAPSHOT_HEADER_DTYPE)
    for name, value in change.items():
        header[name] = value
    header["header_crc"] = crc32c(content[12:])
    return content


@pytest.mark.parametrize(
    "change",
    [{"facts_size": 3}, {"table_count": 9}, {"table_count": 4}, {"file_size": 1}, {"sequence": -1}],
    ids=str,
)
def test_a_header_that_contradicts_itself_is_damaged_whatever_its_checksum(change: dict[str, int]) -> None:
    with pytest.raises(CorruptSnapshotError, match="here: the header contradicts itself"):
        layout.open_header(forged(change), "here")


def test_another_version_is_not_read() -> None:
    with pytest.raises(SnapshotError, match="here: version 2; this program reads 1"):
        layout.open_header(forged({"version": 2}), "here")
