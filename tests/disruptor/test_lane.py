"""Lanes: numbering, the sequencer's place, and going on after a kill."""

from __future__ import annotations

import pytest

from disruptor.errors import RegionError
from disruptor.lane import SEQUENCER, Lane
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer


def ring_of(capacity=8):
    return RingBuffer.private(capacity, 64, policy=PagePolicy("off"))


def send(lane, count):
    return lane.publish(lane.ring.claim(count) + count - 1)


def test_slots_carry_source_and_consecutive_numbers_and_keep_type_and_flags():
    lane = Lane.create(ring_of(4), source_id=2**32 - 1, first_source_sequence=100)
    first = lane.ring.claim(3)
    words = lane.words.reshape(4, 8)
    words[:, 3] = 0x0007_0014
    assert lane.publish(first + 2) == 102
    assert words[:3, 1].tolist() == [100, 101, 102]
    raw = lane.ring.slots[1].tobytes()
    assert raw[24:32] == b"\x14\x00\x07\x00\xff\xff\xff\xff"


def test_a_producer_without_sequencer_is_held_back_and_not_lapped():
    lane = Lane.create(ring_of(4), 1)
    send(lane, 4)
    assert lane.ring.try_claim() is None


def test_the_other_end_opens_the_same_lane():
    made = Lane.create(ring_of(), 7, 50)
    opened = Lane(made.ring)
    assert (opened.source_id, opened.base) == (7, 50)
    assert opened.sequencer().number == SEQUENCER


def test_a_dead_producers_unpublished_claim_is_never_seen():
    lane = Lane.create(ring_of(), 1)
    send(lane, 2)
    lane.ring.claim(3)
    assert lane.sequencer().available() == 1


@pytest.mark.parametrize(
    ("stored", "merged", "moved"),
    [(2, 4, 2), (4, 4, 0), (4, 2, -2)],
    ids=["merged but not noted", "in step", "noted but lost with the input ring"],
)
def test_resume_goes_to_what_was_really_merged(stored, merged, moved):
    lane = Lane.create(ring_of(), 1, first_source_sequence=1000)
    send(lane, 6)
    lane.sequencer().commit(stored)
    assert lane.resume(1000 + merged) == moved
    assert lane.sequencer().sequence == merged


@pytest.mark.parametrize("last", [1000 + 2, 1000 + 12, 998])
def test_resume_refuses_what_the_lane_does_not_hold(last):
    lane = Lane.create(ring_of(8), 1, first_source_sequence=1000)
    send(lane, 8)
    lane.sequencer().commit(7)
    send(lane, 4)
    with pytest.raises(RegionError, match="the ring holds 4 to 11"):
        lane.resume(last)


def test_only_a_fresh_ring_without_consumers_becomes_a_lane():
    ring = ring_of()
    with pytest.raises(RegionError, match="no lane"):
        Lane(ring)
    ring.join()
    with pytest.raises(RegionError, match="already has consumers"):
        Lane.create(ring, 1)
    used = ring_of()
    used.claim()
    with pytest.raises(RegionError, match="before its first event"):
        Lane.create(used, 1)
