"""Sequencer: merges lanes into the input ring and gives every event its place in the one order.

    lane 0 ──┐
    lane 1 ──┼──► merge: round-robin, at most `batch` events a turn ──► input ring (sequence assigned)
    lane 2 ──┘

An event is *sequenced* when the input ring's cursor passes it. Slots are copied whole; only `sequence` is
written, so source_sequence and source_id still say where an event came from. A batch is published in the
input ring before the lane's position is stored: a kill between the two leaves events that are in the ring and
not noted in the lane, and `recover` finds them there. A kill before leaves claimed slots nobody ever saw.

DETERMINISM: which lane is ahead depends on timing, so the merged order is an input like any other: it is
decided here once, journaled, and replayed from there.

Lanes are separate mappings, as many as there are producers. A kernel gets them as a table of addresses,
because a tuple of arrays would be compiled anew for every number of lanes. The class keeps the lanes alive as
long as the table.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core.errors import TypingError
from numba.extending import overload

from disruptor.atomics import intrinsic, load_acquire, load_relaxed, store_release
from disruptor.compile_cache import entry
from disruptor.errors import RegionError
from disruptor.jit import jit
from disruptor.lane import SEQUENCE_FIELD, SEQUENCER, SOURCE_SEQUENCE_FIELD, TYPE_FIELD, Lane
from disruptor.layout import CAPACITY_WORD, CELL_WORDS, CONTROL_WORDS, CURSOR_WORD, GATING_WORD
from disruptor.ring_buffer import RingBuffer, claim, publish, room
from disruptor.wait_strategy import wake

LANE_DTYPE = np.dtype([("block", "<i8"), ("words", "<i8"), ("word_count", "<i8")])
DEFAULT_BATCH = 256
#: What `last_merged` returns when the ring holds nothing of a source.
NONE_MERGED = -1
_SEQUENCER_WORD = GATING_WORD + SEQUENCER * CELL_WORDS


# --- memory by address --------------------------------------------------------------------------------------


def words_at(address: int, count: int) -> npt.NDArray[np.int64]:
    """The `count` int64 words at an address. The caller keeps the memory alive."""
    return np.ctypeslib.as_array((ctypes.c_int64 * int(count)).from_address(int(address)))


@intrinsic
def _as_pointer(typing_context: Any, address: Any) -> Any:
    if not isinstance(address, types.Integer):
        raise TypingError("an address is an integer")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@overload(words_at, strict=False)
def _overload_words_at(address: Any, count: Any) -> Any:
    return lambda address, count: carray(_as_pointer(address), (count,), np.int64)


# --- kernels ------------------------------------------------------------------------------------------------


@jit
def merge_lane(block: Any, words: Any, lane_block: Any, lane_words: Any, batch: Any) -> Any:
    """Move at most `batch` events from one lane into the input ring; returns how many.

    block, words : control block and slots (as int64 words) of the input ring, whose producer the caller is.
    Mutated. lane_block, lane_words : the same of a lane with the same slot size. Its sequencer cell is
    mutated.

    MEMORY ORDER: acquire of the lane's cursor before its slots are read; release of the input cursor after
    the copies; then release of the lane's position, which lets the producer overwrite what was copied.
    """
    position = load_relaxed(lane_block, _SEQUENCER_WORD)
    count = min(batch, load_acquire(lane_block, CURSOR_WORD) - position)
    if count > 0:
        count = min(count, room(block))
    if count <= 0:
        return 0
    first = claim(block, count)
    mask, lane_mask = load_relaxed(block, CAPACITY_WORD) - 1, load_relaxed(lane_block, CAPACITY_WORD) - 1
    slot_words = words.shape[0] // (mask + 1)
    for k in range(count):
        source = ((position + 1 + k) & lane_mask) * slot_words
        target = ((first + k) & mask) * slot_words
        for word in range(slot_words):
            words[target + word] = lane_words[source + word]
        words[target + SEQUENCE_FIELD] = first + k
    publish(block, first + count - 1)
    store_release(lane_block, _SEQUENCER_WORD, position + count)
    return count


@jit
def merge(block: Any, words: Any, lanes: Any, start: Any, batch: Any) -> Any:
    """One round over all lanes, beginning at number `start`; returns how many events were sequenced.

    lanes : (n,) LANE_DTYPE. At most n * batch events are moved; a full input ring ends the round early for
    the rest.

    MEMORY ORDER: as `merge_lane`. Blocked waiters of the rings are not woken.
    """
    total = 0
    count = lanes.shape[0]
    for turn in range(count):
        lane = lanes[(start + turn) % count]
        lane_block = words_at(lane["block"], CONTROL_WORDS)
        lane_words = words_at(lane["words"], lane["word_count"])
        total += merge_lane(block, words, lane_block, lane_words, batch)
    return total


@jit
def last_merged(block: Any, words: Any, source_id: Any) -> Any:
    """The newest source_sequence of a source that the input ring still holds, or `NONE_MERGED` (-1).

    MEMORY ORDER: acquire of the cursor; only for the ring's producer, between two merges.
    """
    capacity, cursor = load_relaxed(block, CAPACITY_WORD), load_acquire(block, CURSOR_WORD)
    slot_words = words.shape[0] // capacity
    for back in range(min(capacity, cursor + 1)):
        slot = ((cursor - back) & (capacity - 1)) * slot_words
        if (words[slot + TYPE_FIELD] >> 32) & 0xFFFFFFFF == source_id:
            return words[slot + SOURCE_SEQUENCE_FIELD]
    return NONE_MERGED


@entry
def _merge(block: Any, words: Any, lanes: Any, start: Any, batch: Any) -> Any:
    return merge(block, words, lanes, start, batch)


@entry
def _last_merged(block: Any, words: Any, source_id: Any) -> Any:
    return last_merged(block, words, source_id)


# --- Python -------------------------------------------------------------------------------------------------


class Sequencer:
    """The producer of an input ring that is fed by lanes.

    Parameters
    ----------
    ring : the input ring
    lanes : with distinct source ids and the ring's slot size
    batch : events a lane may have merged before it is the next lane's turn

    Raises
    ------
    RegionError : two lanes of one source, or another slot size.
    """

    def __init__(self, ring: RingBuffer, lanes: list[Lane], batch: int = DEFAULT_BATCH) -> None:
        assert lanes and batch >= 1
        sources = [lane.source_id for lane in lanes]
        if len(set(sources)) != len(sources):
            raise RegionError(f"two lanes have one source id: {sorted(sources)}")
        for lane in lanes:
            if lane.ring.slot_size != ring.slot_size:
                raise RegionError(
                    f"lane {lane.source_id} has slots of {lane.ring.slot_size} bytes, "
                    f"the input ring of {ring.slot_size}: make them alike"
                )
        self.ring, self.lanes, self.batch = ring, lanes, batch
        self.words: npt.NDArray[np.int64] = ring.slots.reshape(-1).view(np.int64)
        self.table: npt.NDArray[Any] = np.zeros(len(lanes), LANE_DTYPE)
        for row, lane in zip(self.table, lanes, strict=True):
            lane.sequencer()
            row["block"], row["words"] = lane.ring.block.ctypes.data, lane.words.ctypes.data
            row["word_count"] = lane.words.size
        self._start = 0

    def merge(self) -> int:
        """One round over all lanes; returns how many events were sequenced, and wakes who waits for them."""
        before = self.ring.cursor
        total = int(_merge(self.ring.block, self.words, self.table, self._start, self.batch))
        assert self.ring.cursor == before + total
        self._start = (self._start + 1) % len(self.lanes)
        if total:
            for ring in (self.ring, *(lane.ring for lane in self.lanes)):
                wake(ring.block)
        return total

    def recover(self, journaled: dict[int, int] | None = None) -> dict[int, int]:
        """Continue after a kill: set every lane's position by what was really merged.

        The truth is the newest source_sequence of a lane in the input ring, or in the journal where that is
        newer. A lane with neither keeps its position: its last batch was noted long before the ring went
        round.

        Parameters
        ----------
        journaled : source id -> last source_sequence in the journal

        Returns
        -------
        source id -> how far the position moved (see `Lane.resume`).

        Raises
        ------
        RegionError : a lane no longer holds its next event.
        """
        self.ring.resume_producer()
        moved = {}
        for lane in self.lanes:
            last = int(_last_merged(self.ring.block, self.words, lane.source_id))
            last = max(last, (journaled or {}).get(lane.source_id, NONE_MERGED))
            moved[lane.source_id] = lane.resume(last) if last >= lane.base else 0
        return moved
