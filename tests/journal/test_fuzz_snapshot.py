"""Any bytes in a snapshot: an error, or a state; never a crash, a hang, or a row out of its table.

Bytes are changed with or without the checksums made right again. Where they are not, every change is noticed; where
they are, what is loaded must be a state that handlers can go on with: keys are found, removed rows are used again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disruptor.access import PlainView, find, insert
from disruptor.errors import CapacityError, SnapshotError
from disruptor.journal.layout import crc32c
from disruptor.journal.snapshot_file import SnapshotFiles, load, read_header, write_snapshot
from disruptor.journal.snapshot_layout import (
    SNAPSHOT_HEADER_DTYPE,
    TABLE_ENTRY_DTYPE,
    aligned,
    open_header,
    part_offsets,
)
from disruptor.processor import plain_allocate
from disruptor.state import State
from disruptor.state_image import view_rows
from disruptor.table import LIVE
from tests.disruptor.test_restore import ROOM, TABLES, filled
from tests.journal.test_snapshot_layout import FACTS

EXAMPLES = int(os.environ.get("DISRUPTOR_FUZZ", "60"))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 4700), st.integers(0, 7)),
        st.tuples(st.just("put"), st.integers(0, 4700), st.binary(min_size=1, max_size=9)),
        st.tuples(st.just("entry"), st.integers(0, 39), st.sampled_from([-3, -1, 0, 1, 2, 4, 2**40, 2**62])),
        st.tuples(
            st.just("text"), st.sampled_from(["u32", "4", "ticks", "16", "}", "[", "pool"]), st.integers(0, 5)
        ),
        st.tuples(st.just("cut"), st.integers(0, 4700), st.just(0)),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("fuzz")
    return write_snapshot(SnapshotFiles(folder), view_rows(filled()), FACTS).read_bytes()


def changed(content: bytes, changes: list[tuple]) -> bytearray:
    found = bytearray(content)
    header = np.frombuffer(content[:128], SNAPSHOT_HEADER_DTYPE)[0]
    entries = aligned(128 + int(header["facts_size"]))
    for what, where, value in changes:
        if what == "flip" and where < len(found):
            found[where] ^= 1 << value
        elif what == "put":
            found[where : where + len(value)] = value
        elif what == "entry" and len(found) > 4096:
            at = entries + where // 8 * TABLE_ENTRY_DTYPE.itemsize + where % 4 * 8
            found[at : at + 8] = value.to_bytes(8, "little", signed=True)
        elif what == "text":
            new = ["i64", "9", "pools", "-7", "null", "1e999"][value].encode()
            found[128:4096] = found[128:4096].replace(where.encode(), new, 1)[:3968].ljust(3968, b"\0")
        elif what == "cut":
            del found[where:]
    return found


def sealed(found: bytearray, whole: bytes) -> bytes:
    """With checksums right again: of the header, of all parts that lie where they did, and of the file."""
    octets = np.frombuffer(bytes(found), np.uint8).copy()
    if len(octets) == len(whole):
        header = open_header(np.frombuffer(whole[:4096], np.uint8), "whole")
        at = aligned(128 + int(octets[20:24].view("<u4")[0]))
        for table, (rows, links) in zip(header.tables, part_offsets(header), strict=True):
            entry = octets[at : at + 48]
            if len(entry) == 48:
                entry[36:40].view("<u4")[0] = crc32c(octets[rows : rows + table.sizes[0]])
                entry[40:44].view("<u4")[0] = crc32c(octets[links : links + table.sizes[1]])
            at += 48
    if len(octets) > 4200:
        octets[:128].view(SNAPSHOT_HEADER_DTYPE)["file_size"] = len(octets)
        octets[8:12] = np.frombuffer(np.uint32(crc32c(octets[12:4096])).tobytes(), np.uint8)
        octets[-32:] = np.frombuffer(hashlib.sha256(octets[:-32].tobytes()).digest(), np.uint8)
    return octets.tobytes()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, seal=st.booleans())
def test_whatever_is_in_a_snapshot_it_is_refused_or_a_state(
    content: bytes, tmp_path: Path, changes: list[tuple], seal: bool
) -> None:
    found = changed(content, changes)
    path, state = tmp_path / "00000000000000000041.dss", State(TABLES, ROOM, plain_allocate)
    path.write_bytes(sealed(found, content) if seal else found)
    fresh = state.memory.tobytes()
    try:
        load(read_header(path), state)
    except (SnapshotError, CapacityError):
        assert state.memory.tobytes() == fresh
        return
    assert seal or bytes(found) == content
    state.digest()
    rows, live = state.arrays["ticks"].rows, state.arrays["ticks"].links == LIVE
    ticks = PlainView(*state.arrays["ticks"], np.zeros(8, np.int64))
    with np.errstate(over="ignore"):
        for at in np.flatnonzero(live):
            assert find(ticks, rows[at]["pool"], rows[at]["tick"]) == at
        for k in range(ROOM["ticks"] - int(live.sum())):
            ticks.meta[0]["inserts_left"] = 1
            assert 0 <= insert(ticks, 1000 + k, 0) < ROOM["ticks"]
    assert not ticks.fault[0]
