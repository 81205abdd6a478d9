"""Any bytes in any file of an archive: the same journal comes back, or one line of error and nothing else.

A row group, an index or statistics that nobody asks for may hold anything; what cannot happen is another journal.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.parquet_export import to_columns
from disruptor.journal.parquet_import import from_columns

EXAMPLES = int(os.environ.get("DISRUPTOR_FUZZ", "20"))
CHANGE = st.tuples(st.integers(0, 1 << 20), st.one_of(st.integers(0, 7), st.binary(min_size=1, max_size=16)))


def changed(content: bytes, changes: list[Any], cut: int | None) -> bytes:
    """A file after some bits or bytes of it were changed, and perhaps its end was cut off."""
    made = bytearray(content)
    for at, what in changes:
        at %= len(made)
        if isinstance(what, int):
            made[at] ^= 1 << what
        else:
            made[at : at + len(what)] = what
    return bytes(made if cut is None else made[: cut % len(made)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.integers(0, 2),
    changes=st.lists(CHANGE, min_size=1, max_size=4),
    cut=st.one_of(st.none(), st.none(), st.integers(0, 1 << 20)),
)
def test_no_bytes_give_another_journal(
    chain: Path, tmp_path: Path, kind: str, target: int, changes: list[Any], cut: int | None
) -> None:
    archive, back = tmp_path / "archive", tmp_path / "back"
    shutil.rmtree(archive, ignore_errors=True)
    to_columns(chain, archive, kind=kind)
    path = sorted(archive.iterdir())[target]
    path.write_bytes(changed(path.read_bytes(), changes, cut))
    try:
        from_columns(archive, back)
    except JournalError as error:
        assert "\n" not in str(error) and not back.exists()
    else:
        assert {p.name: p.read_bytes() for p in back.iterdir()} == {
            p.name: p.read_bytes() for p in chain.iterdir()
        }
        shutil.rmtree(back)
    assert not list(tmp_path.glob(".*partial"))
