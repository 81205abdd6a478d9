"""The index: what is in it, and that no file in its place changes an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from disruptor.journal.blocks import BlockMark
from disruptor.journal.dump import Wanted, dump
from disruptor.journal.index import BlockIndex, encode_index, load_index
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import load_manifest
from disruptor.journal.storage import INDEX_NAME
from disruptor.journal.survey import survey
from disruptor.journal.verify import verify


def sequences(directory: Path, **wanted: Any) -> list[int]:
    return [row["sequence"] for row in dump(directory, Wanted(**wanted)).rows()]  # type: ignore[index]


def test_the_index_has_each_frames_first_block_and_is_kept(chain: Path) -> None:
    index = load_index(survey(chain))
    assert index.marks == tuple(BlockMark(4 * i, 100 + i, 1000 + 12 * i) for i in range(10))
    written = (chain / INDEX_NAME).read_bytes()
    assert written == encode_index(index, bytes.fromhex(load_manifest(chain).running_hash))
    assert load_index(survey(chain)) == index
    assert verify(chain).ok


def test_a_wrong_index_is_made_again_and_the_answer_is_the_same(chain: Path) -> None:
    expected = list(range(20, 28))
    assert sequences(chain, from_block=105, to_block=106) == expected
    right = (chain / INDEX_NAME).read_bytes()
    running_hash = bytes.fromhex(load_manifest(chain).running_hash)
    lies = [
        (BlockMark(24, 105, 1060),),
        (BlockMark(21, 105, 1060),),
        (BlockMark(0, 100, 1000), BlockMark(1 << 40, 105, 1060)),
        (BlockMark(-8, 105, 1060),),
    ]
    wrong = [encode_index(BlockIndex(marks), running_hash) for marks in lies]
    for content in (*wrong, b"", right[:-1], right + b"x", right.replace(b"IDX1", b"IDX2")):
        (chain / INDEX_NAME).write_bytes(content)
        assert sequences(chain, from_block=105, to_block=106) == expected
        assert (chain / INDEX_NAME).read_bytes() == right


def test_a_sparser_index_gives_the_same_answer(chain: Path) -> None:
    marks = (BlockMark(8, 102, 1024),)
    content = encode_index(BlockIndex(marks), bytes.fromhex(load_manifest(chain).running_hash))
    (chain / INDEX_NAME).write_bytes(content)
    assert sequences(chain, from_block=105, to_block=106) == list(range(20, 28))
    assert sequences(chain, to_block=101) == list(range(8))


def test_an_index_that_cannot_be_written_is_no_error(chain: Path) -> None:
    (chain / INDEX_NAME).mkdir()
    assert sequences(chain, from_block=109) == list(range(36, 40))


def test_blocks_that_do_not_ascend_are_all_looked_at(
    tmp_path: Path, write: Callable[..., None], chain_slots: Callable[..., Bytes], chain_messages: list[Any]
) -> None:
    slots = chain_slots()
    slots[16, 32], slots[36, 32] = 109, 104  # the numbers of the fifth and the last block change places
    write(tmp_path / "j", slots, messages=chain_messages)
    assert load_index(survey(tmp_path / "j")).marks == ()
    assert sequences(tmp_path / "j", from_block=104, to_block=105) == [*range(20, 24), *range(36, 40)]


def test_unknown_times_are_all_looked_at(
    tmp_path: Path, write: Callable[..., None], chain_slots: Callable[..., Bytes], chain_messages: list[Any]
) -> None:
    slots = chain_slots()
    slots[8, 40:48] = 0
    write(tmp_path / "j", slots, messages=chain_messages)
    index = load_index(survey(tmp_path / "j"))
    assert len(index.marks) == 10 and not index.times_known
    assert sequences(tmp_path / "j", from_time=1012, to_time=1036) == [*range(4, 8), *range(12, 16)]
