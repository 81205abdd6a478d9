"""The sequencer: one order, fair turns, and exactly once across kills."""

from __future__ import annotations

import random

import numpy as np
import pytest

from disruptor.errors import RegionError
from disruptor.lane import Lane
from disruptor.layout import gating_word
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer
from disruptor.sequencer import Sequencer, words_at

OFF = PagePolicy("off")


def lane_of(source, capacity=8, base=0):
    return Lane.create(RingBuffer.private(capacity, 64, policy=OFF), source, base)


def send(lane, count):
    lane.publish(lane.ring.claim(count) + count - 1)


def merged(ring, first, last):
    """(sequence, source_id, source_sequence) of slots of the input ring."""
    words = ring.slots.view(np.int64)
    rows = [words[ring.index(s)] for s in range(first, last + 1)]
    return [(int(r[0]), int(r[3] >> 32) & 0xFFFFFFFF, int(r[1])) for r in rows]


def test_lanes_take_turns_of_at_most_a_batch():
    lanes = [lane_of(1), lane_of(2**32 - 1, 16, base=100)]
    ring = RingBuffer.private(32, 64, policy=OFF)
    sequencer = Sequencer(ring, lanes, batch=3)
    send(lanes[0], 5)
    send(lanes[1], 7)
    assert [sequencer.merge() for _ in range(4)] == [6, 5, 1, 0]
    order = (
        [(1, 0), (1, 1), (1, 2)]
        + [(2**32 - 1, 100 + i) for i in range(6)]
        + [(1, 3), (1, 4), (2**32 - 1, 106)]
    )
    assert merged(ring, 0, 11) == [(i, *source) for i, source in enumerate(order)]


def test_payload_travels_unchanged_and_a_full_input_ring_holds_the_lane_back():
    lane = lane_of(5)
    ring = RingBuffer.private(4, 64, policy=OFF)
    reader = ring.join()
    sequencer = Sequencer(ring, [lane])
    first = lane.ring.claim(6)
    for k in range(6):
        lane.ring.slots[lane.ring.index(first + k)][32:] = 40 + k
    lane.publish(first + 5)
    assert sequencer.merge() == 4 and sequencer.merge() == 0
    assert [ring.slots[s, 63] for s in range(4)] == [40, 41, 42, 43]
    reader.commit(3)
    assert sequencer.merge() == 2 and ring.slots[1, 32] == 45


def test_a_silent_lane_delays_nobody():
    silent, busy = lane_of(1), lane_of(2)
    sequencer = Sequencer(RingBuffer.private(8, 64, policy=OFF), [silent, busy])
    silent.ring.claim(4)  # its producer died here
    send(busy, 3)
    assert sequencer.merge() == 3


@pytest.mark.parametrize("seed", range(4))
def test_every_event_is_merged_once_whatever_the_kills(seed):
    """A kill either forgets the last note of a position, or happens between claim and publication."""
    random.seed(seed)
    lanes = [lane_of(source, 16, base=10 * source) for source in (1, 2, 3)]
    ring = RingBuffer.private(16, 64, policy=OFF)
    reader = ring.join()
    sequencer = Sequencer(ring, lanes, batch=4)
    sent = {lane.source_id: [] for lane in lanes}
    got = {lane.source_id: [] for lane in lanes}
    for _ in range(60):
        lane = random.choice(lanes)
        count = random.randint(1, 5)
        if lane.ring.room() >= count:
            start = lane.base + len(sent[lane.source_id])
            sent[lane.source_id] += range(start, start + count)
            send(lane, count)
        noted = [int(other.ring.block[gating_word(0)]) for other in lanes]
        before = ring.cursor
        sequencer.merge()
        for _, source, source_sequence in merged(ring, before + 1, ring.cursor):
            got[source].append(source_sequence)
        if random.random() < 0.3:
            killed = random.randrange(3)
            lanes[killed].ring.block[gating_word(0)] = noted[killed]  # published, position never stored
            if ring.room():
                ring.claim(1)  # claimed, never published
            sequencer = Sequencer(ring, lanes, batch=4)
            sequencer.recover()
        reader.commit(ring.cursor)
    while sequencer.merge():
        for _, source, source_sequence in merged(ring, reader.sequence + 1, ring.cursor):
            got[source].append(source_sequence)
        reader.commit(ring.cursor)
    assert got == sent


def test_recovery_from_the_journal_merges_again_what_was_lost_with_the_input_ring():
    lane = lane_of(1, 16, base=100)
    send(lane, 8)
    Sequencer(RingBuffer.private(16, 64, policy=OFF), [lane]).merge()
    ring = RingBuffer.private(16, 64, policy=OFF)
    sequencer = Sequencer(ring, [lane])
    assert sequencer.recover({1: 104}) == {1: -3}
    assert sequencer.merge() == 3
    assert [row[2] for row in merged(ring, 0, 2)] == [105, 106, 107]


def test_two_lanes_of_one_source_or_of_other_slots_are_refused():
    ring = RingBuffer.private(8, 64, policy=OFF)
    with pytest.raises(RegionError, match="one source id"):
        Sequencer(ring, [lane_of(1), lane_of(1)])
    with pytest.raises(RegionError, match="128 bytes"):
        Sequencer(ring, [Lane.create(RingBuffer.private(8, 128, policy=OFF), 1)])


def test_words_at_is_a_window_on_the_same_memory():
    words = np.arange(8)
    window = words_at(words.ctypes.data + 16, 3)
    words[3] = -9
    assert window.tolist() == [2, -9, 4]
