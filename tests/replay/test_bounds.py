"""Bounds limit outputs and counts, both ends included, and never the state."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from disruptor.config.schema import Settings
from disruptor.errors import InputError
from disruptor.handlers.messages import BlockStart, UniswapV2Sync
from disruptor.replay.bounds import Bounds
from disruptor.replay.events import Run
from disruptor.replay.request import ReplayRequest
from tests.harness import EXAMPLE, Outcome, replay
from tests.model import created, place, read_lines

#: Block 8 is without a time: it goes with the one before.
TIMES = {8: 0}


def slots(numbers: list[int], first: int = 0) -> Run:
    """A BlockStart and two events for each number."""
    found = np.zeros((3 * len(numbers), 192), np.uint8)
    for k, number in enumerate(numbers):
        for j, message in enumerate((BlockStart, UniswapV2Sync, UniswapV2Sync)):
            record = found[3 * k + j].view(message.slot_dtype())[0]
            record["sequence"], record["type_id"] = first + 3 * k + j, message.type_id
            if j == 0:
                record["number"], record["timestamp"] = number, TIMES.get(number, 100 * number)
    return Run(found, first)


def cut(numbers: list[int], pieces: int, **bounds: int) -> tuple[list[int], list[int], bool]:
    """Sequences that ran uncounted and counted when the stream comes in so many runs, and whether it ended."""
    request = ReplayRequest(sources=("x",), settings=Settings(), **bounds)
    whole, limits = slots(numbers), Bounds(request)
    muted: list[int] = []
    counted: list[int] = []
    for part in np.array_split(np.arange(len(whole.slots)), pieces):
        if limits.ended or not len(part):
            break
        run = Run(whole.slots[part[0] : part[-1] + 1], int(part[0]))
        for piece in limits.parts(run):
            assert (
                piece.run.slots.tobytes() == whole.slots[piece.run.first :][: len(piece.run.slots)].tobytes()
            )
            (counted if piece.counted else muted).extend(
                range(piece.run.first, piece.run.first + len(piece.run.slots))
            )
    return muted, counted, limits.ended


@pytest.mark.parametrize("pieces", [1, 2, 5, 12])
@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({}, 0, 12),
        ({"from_block": 4}, 0, 12),
        ({"from_block": 6}, 3, 12),
        ({"from_block": 7}, 6, 12),
        ({"to_block": 5}, 0, 3),
        ({"to_block": 7}, 0, 6),
        ({"to_block": 9}, 0, 12),
        ({"to_block": 4}, 0, 0),
        ({"from_block": 6, "to_block": 8}, 3, 9),
        ({"from_block": 7, "to_block": 7}, 6, 6),
        ({"from_block": 10}, 12, 12),
        ({"from_seq": 0}, 0, 12),
        ({"from_seq": 4}, 4, 12),
        ({"to_seq": 0}, 0, 1),
        ({"to_seq": 4}, 0, 5),
        ({"from_seq": 4, "to_seq": 4}, 4, 5),
        ({"from_seq": 99}, 12, 12),
        ({"from_block": 6, "from_seq": 1}, 3, 12),
        ({"from_block": 6, "from_seq": 5}, 5, 12),
        ({"to_block": 6, "to_seq": 3}, 0, 4),
        ({"to_block": 5, "to_seq": 7}, 0, 3),
        ({"from_block": 8, "to_seq": 3}, 4, 4),
        ({"from_time": 0}, 0, 12),
        ({"from_time": 500}, 0, 12),
        ({"from_time": 501}, 3, 12),
        ({"from_time": 601}, 9, 12),
        ({"to_time": 599}, 0, 3),
        ({"to_time": 600}, 0, 9),
        ({"to_time": 899}, 0, 9),
        ({"from_time": 501, "to_time": 700}, 3, 9),
        ({"from_time": 501, "from_block": 8}, 9, 12),
        ({"to_time": 600, "to_block": 7}, 0, 6),
        ({"from_time": 901}, 12, 12),
    ],
)
def test_cuts_are_where_the_bounds_say_however_the_stream_is_split(bounds, low, high, pieces):
    muted, counted, ended = cut([5, 6, 8, 9], pieces, **bounds)
    assert counted == list(range(low, high))
    assert muted == list(range(0, min(low, high)))
    assert ended or max([-1, *muted, *counted]) == 11


def test_bounds_in_time_of_a_stream_without_times_are_refused() -> None:
    with pytest.raises(InputError, match=r"does not say when block 8 was.*--blocks"):
        cut([8, 9], 1, to_time=5)


LAST = 90


@functools.cache
def example(**bounds: int) -> Outcome:
    return replay(EXAMPLE, **{"to_block": LAST, **bounds})


def counted_events(first: int, last: int) -> int:
    """Events of the stream's blocks first to last, from the logs alone: pools' own logs and their creation."""
    pools: dict[str, str] = {}
    total = 0
    for log in read_lines(EXAMPLE):
        pool = created(log)
        if pool is not None:
            pools[pool.address] = pool.kind
        inside = first <= place(log)[0] <= last
        is_event = pool is not None or (log["address"] in pools and log["topics"][0] in EVENT_TOPICS)
        total += inside and is_event
    return total


EVENT_TOPICS = {
    "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",
    "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",
    "0x4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f",
    "0xdccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496",
    "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",
    "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
    "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",
    "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",
    "0x70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0",
    "0xbdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633",
    "0x973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133",
    "0x596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151",
    "0xac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a",
}


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), [(70, 90), (80, 85), (65, 65), (1, 90)])
@pytest.mark.compiled
def test_outputs_within_bounds_are_the_slice_of_all(first, last):
    whole, part = example(), example(from_block=first, to_block=last)
    expected = [row for row in whole.sink.rows if first <= row["block"] <= last]
    assert part.sink.rows == expected and (len(expected) > 5 or (first, last) == (65, 65))
    assert part.result.state_digest == example(to_block=last).result.state_digest
    assert sum(part.result.outputs.values()) == len(expected)
    assert part.result.events == counted_events(first, last)


@pytest.mark.slow
@pytest.mark.compiled
def test_bounds_in_sequences_are_inclusive():
    whole = example()
    sequences = sorted({row["sequence"] for row in whole.sink.rows})
    first, last = sequences[len(sequences) // 3], sequences[2 * len(sequences) // 3]
    part = replay(EXAMPLE, from_seq=first, to_seq=last)
    assert part.sink.rows == [row for row in whole.sink.rows if first <= row["sequence"] <= last]
    assert (part.result.first_sequence, part.result.last_sequence) == (first, last)
    assert part.result.state_digest == replay(EXAMPLE, keep=False, to_seq=last).result.state_digest


@pytest.mark.slow
@pytest.mark.compiled
def test_a_lower_bound_behind_the_end_counts_nothing_and_keeps_the_state():
    part = example(from_block=LAST, to_block=LAST)
    whole = example()
    assert part.result.state_digest == whole.result.state_digest
    beyond = replay(EXAMPLE, from_seq=10**9, to_block=LAST)
    assert (beyond.result.events, beyond.sink.rows, beyond.result.outputs) == (0, [], {})
    assert beyond.result.state_digest == whole.result.state_digest
