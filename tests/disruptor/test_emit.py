"""`emit`: what an output's slot holds, and that a failing event's outputs never leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from disruptor.emit import emit
from disruptor.errors import HandlerError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.message import byte_string, header_dtype, message, u32, u64
from disruptor.processor import Processor
from disruptor.references import OUT_CELL_DTYPE, Output, OutputLayout
from disruptor.status import TOO_MANY_OUTPUTS

Burst = message("Burst", 1401, {"left": u32, "right": u32})
Left = message("Left", 1402, {"number": u32, "never_set": byte_string(20)})
Right = message("Right", 1403, {"sequence": u64, "number": u32})


@handler(Burst, max_outputs=3)
def left(state, event, out):
    for k in range(event["left"]):
        output = emit(out, Left)
        output["number"] = np.uint32(k)
        if k == 1:
            output["flags"] = 512


@handler(Burst, max_outputs=2)
def right(state, event, out):
    for k in range(event["right"]):
        output = emit(out, Right)
        output["number"] = np.uint32(k)
        output["sequence"] = np.uint64(77)


def slots_of(bursts: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    slots = np.zeros((len(bursts), 192), np.uint8)
    view = slots.reshape(-1).view(Burst.slot_dtype())
    for k, (lefts, rights) in enumerate(bursts):
        view[k]["sequence"], view[k]["type_id"], view[k]["event_time_ns"] = k, Burst.type_id, 10**18 + k
        view[k]["source_id"], view[k]["flags"] = 9, 3
        view[k]["left"], view[k]["right"] = lefts, rights
    return slots


def run(bursts: list[tuple[int, int]], ring: int = 8) -> list[bytes]:
    """Output slots; of a run that failed those that left before."""
    processor = Processor(HandlerSet([left, right]), capacities={}, output_slots=ring)
    found: list[bytes] = []
    try:
        processor.process(
            slots_of(bursts), 0, len(bursts), lambda slots: found.extend(s.tobytes() for s in slots)
        )
    except HandlerError as error:
        assert error.facts["status"] == TOO_MANY_OUTPUTS
        found.append(f"{error.facts['handler']} at {error.facts['sequence']}".encode())
    return found


def expected(bursts: list[tuple[int, int]]) -> list[bytes]:
    found = []
    for sequence, (lefts, rights) in enumerate(bursts):
        for number, (declared, count) in enumerate([(Left, lefts), (Right, rights)]):
            for k in range(count):
                slot = np.zeros(1, declared.slot_dtype())
                own = "header_sequence" if declared is Right else "sequence"
                slot[own], slot["source_sequence"], slot["event_time_ns"] = sequence, k, 10**18 + sequence
                slot["type_id"], slot["source_id"] = declared.type_id, number
                slot["number"] = k
                if declared is Right:
                    slot["sequence"] = 77
                elif k == 1:
                    slot["flags"] = 512
                found.append(slot.tobytes())
    return found


BURSTS = [(2, 1), (0, 0), (3, 2), (0, 2), (1, 0), (3, 0), (2, 2)]


def test_slot_holds_identity_header_and_nothing_that_was_not_set() -> None:
    """The ring is lapped, so whatever an earlier output left in a slot would show."""
    assert run(BURSTS) == expected(BURSTS)


@pytest.mark.parametrize(
    ("burst", "failing"),
    [((4, 0), b"left at 3"), ((9, 1), b"left at 3"), ((1, 3), b"right at 3"), ((3, 9), b"right at 3")],
)
def test_one_output_too_many_fails_the_event_and_none_of_it_leaves(
    burst: tuple[int, int], failing: bytes
) -> None:
    bursts = [*BURSTS[:3], burst, (1, 1)]
    assert run(bursts) == [*expected(BURSTS[:3]), failing]
    assert run(bursts, ring=64) == [*expected(BURSTS[:3]), failing]


def test_python_body_counts_the_surplus_without_writing_into_the_ring() -> None:
    """What a handler's own unit test gets: `emit` over plain arrays."""
    slots = np.full((5, 192), 255, np.uint8)
    lefts, headers = slots.reshape(-1).view(Left.slot_dtype()), slots.reshape(-1).view(header_dtype(192))
    cell, fault = np.zeros(1, OUT_CELL_DTYPE), np.zeros(8, np.int64)
    for name, value in {
        "next": 6,
        "limit": 7,
        "mask": 3,
        "sequence": 41,
        "event_time_ns": 5,
        "ordinal": 1,
    }.items():
        cell[0][name] = value
    out: Any = Output(OutputLayout(192), slots, cell, fault)
    emit(out, Left)["number"] = 8
    assert fault[0] == 0 and lefts[2]["number"] == 8
    assert headers[2].tolist() == (41, 1, 5, Left.type_id, 0, 0)
    emit(out, Left)["number"] = 9
    assert fault[0] == TOO_MANY_OUTPUTS and lefts[4]["number"] == 9, "the surplus lies in the scratch slot"
    assert cell[0]["next"] == 7 and (slots[[0, 1, 3]] == 255).all()
