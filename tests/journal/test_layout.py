"""The layout: tables in the docs and in the code, and what the pure functions promise."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal import layout

DOCS = Path(__file__).resolve().parents[2] / "docs" / "format.md"
DTYPES = (layout.SEGMENT_HEADER_DTYPE, layout.FRAME_HEADER_DTYPE, layout.TOTALS_DTYPE)


def table(dtype: np.dtype) -> list[tuple[str, str, str]]:
    """(offset, size, field) rows; a number that keeps two reserved fields apart is dropped."""
    assert dtype.fields is not None
    return [
        (str(offset), str(kind.itemsize), name.rstrip("01") if name.startswith("reserved") else name)
        for name, (kind, offset) in ((n, dtype.fields[n][:2]) for n in dtype.names or ())
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=["segment", "frame", "totals"])
def test_tables_in_docs_and_module_match_the_dtypes(dtype: np.dtype) -> None:
    in_docs = re.findall(r"^\| (\d+) +\| (\d+) +\| `(\w+)`", DOCS.read_text(), re.M)
    in_module = re.findall(r"^ +(\d+) +(\d+) +(\w+)", layout.__doc__ or "", re.M)
    rows = table(dtype)
    for found in (in_docs, in_module):
        start = found.index(rows[0])
        while found[start : start + len(rows)] != rows:
            start = found.index(rows[0], start + 1)


def test_sizes() -> None:
    assert [d.itemsize for d in DTYPES] == [128, 64, 64]


def test_crc32c_is_the_castagnoli_one() -> None:
    assert layout.crc32c(np.frombuffer(b"123456789", np.uint8)) == 0xE3069283


def test_running_hash_covers_what_the_format_says() -> None:
    buffer = np.arange(8192, dtype=np.uint32).astype(np.uint8)
    running = layout.seal_frame(buffer, b"p" * 32, kind=1, count=2, size=128, first_sequence=5)
    content = buffer.tobytes()
    assert running == hashlib.sha256(b"p" * 32 + content[8:32] + content[64:192]).digest() == content[32:64]
    assert not any(content[192:4096]) and any(content[4096:])


@pytest.mark.parametrize("geometry", [(0, 4), (96, 4), (-64, 4), (64, 0), (64, 1 << 30)])
def test_impossible_geometry_is_refused(geometry: tuple[int, int]) -> None:
    with pytest.raises(JournalError, match="journal: "):
        layout.check_geometry(*geometry)


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": object()}, {"a": b"x"}])
def test_what_is_not_json_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(JournalError, match="plain JSON"):
        layout.canonical_json(value)
