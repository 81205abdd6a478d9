"""The byte table: docs, code and dtypes say the same, and hot words stand alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from disruptor import layout as lay
from disruptor.errors import RegionError

DOCUMENT = Path(__file__).parents[2] / "docs" / "format-region.md"
DTYPES = {
    "Control block": lay.CONTROL_DTYPE,
    "Identity": lay.IDENTITY_DTYPE,
    "Owner": lay.OWNER_DTYPE,
    "Type table row": lay.TYPE_DTYPE,
    "Counter": lay.COUNTER_DTYPE,
}


def documented(title: str) -> list[tuple[int, int, str]]:
    """(offset, size, field) rows of one table of the document."""
    section = DOCUMENT.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", section, re.M)
    return [(int(offset), int(size), name) for offset, size, name in rows]


@pytest.mark.parametrize("title", DTYPES)
def test_document_and_dtype_hold_the_same_table(title):
    dtype = DTYPES[title]
    actual = [(dtype.fields[n][1], dtype.fields[n][0].itemsize, n) for n in dtype.names]
    assert documented(title) == actual
    assert sum(size for _, size, _ in actual) == dtype.itemsize, "no hidden padding"


def test_diagram_in_the_module_is_the_control_block():
    rows = re.findall(r"^ {4}(\d+) +(\d+) ", lay.__doc__, re.M)
    fields = [(f[1], f[0].itemsize) for f in lay.CONTROL_DTYPE.fields.values()]
    assert [(int(a), int(b)) for a, b in rows] == fields


def test_words_of_different_writers_are_a_pair_of_lines_apart():
    words = [lay.CONTROL_WORD, lay.WAKE_WORD, lay.CURSOR_WORD, lay.CLAIMED_WORD]
    words += [lay.gating_word(n) for n in range(lay.MAX_CONSUMERS)]
    starts = sorted(word * 8 for word in words)
    assert all(start % 128 == 0 for start in starts)
    assert np.diff(starts).min() == 128
    assert starts[-1] + 128 <= lay.CONTROL_SIZE == lay.CONTROL_DTYPE.itemsize


@pytest.mark.parametrize("capacity", [1, 2, 1024])
@pytest.mark.parametrize("slot_size", [64, 192])
@pytest.mark.parametrize("state_size", [0, 1, 5000])
def test_parts_follow_one_another_without_overlap(capacity, slot_size, state_size):
    plan = lay.plan_region(capacity, slot_size, type_capacity=3, counter_capacity=5, state_size=state_size)
    starts = [plan.ring_offset, plan.types_offset, plan.counters_offset, plan.state_offset]
    sizes = [capacity * slot_size, 3 * 64, 5 * 128, state_size]
    ends = [*starts[1:], plan.size]
    assert starts[0] == 4096
    for start, size, end in zip(starts, sizes, ends, strict=True):
        assert start % 4096 == 0 and start + size <= end < start + size + 4096


@pytest.mark.parametrize(
    ("capacity", "slot_size", "hint"),
    [(3, 64, "use 4"), (0, 64, "use 1"), (8, 100, "use 128"), (8, 0, "use 64")],
)
def test_impossible_geometry_names_the_nearest_possible(capacity, slot_size, hint):
    with pytest.raises(RegionError, match=hint):
        lay.plan_region(capacity, slot_size)
