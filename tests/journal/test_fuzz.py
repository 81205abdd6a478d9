"""Any bytes in any file of a journal: no command crashes, hangs, or reports an event that is not there.

A small journal is changed in a few places (bits, bytes, lengths, blocks and files exchanged), with or without its
checksums made right again, and everything that reads journals is run over it. What they give is held against
the slots that were written. `make fuzz` looks at many more examples (DISRUPTOR_FUZZ says how many).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.describe import describe, stats
from disruptor.journal.dump import Wanted, dump
from disruptor.journal.layout import (
    FRAME_HEADER_DTYPE,
    FRAME_MAGIC,
    SEGMENT_HEADER_DTYPE,
    SEGMENT_MAGIC,
    crc32c,
)
from disruptor.journal.problem import Problem
from disruptor.journal.proof import check, encode_proof, load_proof, prove
from disruptor.journal.reader import JournalReader
from disruptor.journal.rows import line, text
from disruptor.journal.storage import INDEX_NAME
from disruptor.journal.verify import verify
from tests.support.changes import CHANGES, EXAMPLES, FILES, SHARED, Change, changed


def sealed(content: bytes) -> bytes:
    """A segment with right checksums over whatever it says; running hashes stay as they are."""
    made = np.frombuffer(content[: len(content) // 4096 * 4096], np.uint8).copy()
    for start in range(0, len(made), 4096):
        frame = made[start : start + 4096]
        header = frame[:64].view(FRAME_HEADER_DTYPE)
        if header["magic"][0] == FRAME_MAGIC:
            size = min(int(header["payload_size"][0]), 4032)
            header["payload_crc"] = crc32c(frame[64 : 64 + size])
            header["header_crc"] = crc32c(frame[8:64])
    if len(made) >= 4096:
        segment = made[:128].view(SEGMENT_HEADER_DTYPE)
        if segment["magic"][0] == SEGMENT_MAGIC:
            segment["header_crc"] = crc32c(made[12:4096])
    return made.tobytes() + content[len(made) :]


class Fuzzed:
    """The journal before the changes, its rows and its proof; and a directory for what comes of it."""

    def __init__(self, journal: Path, folder: Path) -> None:
        list(dump(journal, Wanted(from_block=0)).rows())  # makes the index
        self.files = {path.name: path.read_bytes() for path in journal.iterdir()}
        self.rows = {int(row["sequence"]): line(row) for row in dump(journal).rows() if isinstance(row, dict)}
        self.proof, self.directory = prove(journal), folder

    def lay_out(self, files: dict[str, bytes]) -> bool:
        """Put files in place; whether they are the journal's own (the index is no part of it)."""
        for path in self.directory.iterdir():
            path.unlink()
        for name, content in files.items():
            (self.directory / name).write_bytes(content)
        names = (files.keys() | self.files.keys()) - {INDEX_NAME, "journal.lock"}
        lock = files.get("journal.lock", b"")
        return not lock and all(files.get(name) == self.files.get(name) for name in names)


@pytest.fixture
def fuzzed(chain: Path, tmp_path: Path) -> Fuzzed:
    (tmp_path / "fuzzed").mkdir()
    return Fuzzed(chain, tmp_path / "fuzzed")


def look(fuzzed: Fuzzed, same: bool, wanted: Wanted, *, forged: bool) -> None:
    """Run everything that reads over the directory."""
    directory = fuzzed.directory
    try:
        found = dump(directory, wanted)
        given = list(found.rows())
    except JournalError:
        assert not same
        return
    for row in given:
        assert text(row) if isinstance(row, dict) else str(row)
        if isinstance(row, dict) and row["type"] is not None and (found.survey.confirmed or not forged):
            assert line(row) == fuzzed.rows[row["sequence"]]
    sequences = [row["sequence"] for row in given if isinstance(row, dict)]
    assert sequences == sorted(set(sequences))
    if wanted == Wanted():
        assert found.survey.ok <= (sequences == sorted(fuzzed.rows))
    for report in (describe(directory), stats(directory)):
        assert report["ok"] == same and report["ok"] == (
            not report["problems"] and report["state"] == "complete"
        )
        assert all(str(Problem(**problem)) for problem in report["problems"])


def judge(fuzzed: Fuzzed, same: bool) -> None:
    """Those that say whether a journal is right: they say so of the journal itself, and of nothing else."""
    try:
        assert verify(fuzzed.directory).ok == same
        assert (not check(fuzzed.proof, fuzzed.directory)) == same
    except JournalError:
        assert not same
    try:
        slots = [slot.tobytes() for frame in JournalReader(fuzzed.directory).frames() for slot in frame.slots]
        assert not same or len(slots) == len(fuzzed.rows)
    except JournalError:
        assert not same


def run(fuzzed: Fuzzed, changes: list[Change], forged: bool, wanted: Wanted) -> None:
    files = changed(fuzzed.files, changes)
    if forged:
        files = {name: sealed(part) if name.endswith(".dsj") else part for name, part in files.items()}
    same = fuzzed.lay_out(files)
    judge(fuzzed, same)
    look(fuzzed, same, wanted, forged=forged)


BOUNDS = st.one_of(st.none(), st.integers(0, 50))
WANTED = st.one_of(
    st.just(Wanted()),
    st.builds(lambda a, b: Wanted(from_sequence=a, to_sequence=b), BOUNDS, BOUNDS),
    st.builds(
        lambda a, b: Wanted(from_block=100 + a, to_block=100 + b), st.integers(0, 9), st.integers(0, 9)
    ),
    st.builds(
        lambda a, b: Wanted(from_time=1000 + a, to_time=1000 + b), st.integers(0, 99), st.integers(0, 99)
    ),
)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(changes=CHANGES, forged=st.booleans(), wanted=WANTED)
@example(changes=[("flip", 0, 128, 0)], forged=True, wanted=Wanted())  # a schema that is no JSON
@example(changes=[("zero", 0, 42, 512)], forged=True, wanted=Wanted())  # nor text
@example(changes=[("put", 6, 0, b"x")], forged=False, wanted=Wanted())  # a lock file that is not empty
@example(changes=[("remove", 1)], forged=False, wanted=Wanted())
@example(changes=[("cut", 3, 0)], forged=False, wanted=Wanted())
@example(changes=[("exchange", 3, 4)], forged=True, wanted=Wanted())
def test_nothing_that_reads_is_misled(
    fuzzed: Fuzzed, changes: list[Change], forged: bool, wanted: Wanted
) -> None:
    run(fuzzed, changes, forged, wanted)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(target=FILES, content=st.binary(max_size=5000), at=st.sampled_from([0, 1, 4096, 8192]))
def test_any_bytes_for_a_file_are_no_journal(fuzzed: Fuzzed, target: int, content: bytes, at: int) -> None:
    name = sorted(fuzzed.files)[target % len(fuzzed.files)]
    same = fuzzed.lay_out({**fuzzed.files, name: fuzzed.files[name][:at] + content})
    judge(fuzzed, same)
    look(fuzzed, same, Wanted(), forged=False)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(at=st.integers(0, 5000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_changed_proof_is_no_proof(fuzzed: Fuzzed, at: int, bit: int, cut: bool) -> None:
    content = bytearray(encode_proof(fuzzed.proof))
    at %= len(content)
    content[at] ^= 1 << bit
    path = fuzzed.directory / "proof"
    path.write_bytes(content[:at] if cut else content)
    with pytest.raises(JournalError):
        load_proof(path)
