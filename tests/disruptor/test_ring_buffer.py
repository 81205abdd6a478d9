"""The ring against a list, at its edges, and between two processes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from disruptor.consumer import evict_dead
from disruptor.errors import RegionError, RingFullError
from disruptor.layout import CONSUMER_START_TIME, gating_word, plan_region
from disruptor.memory import Region
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer, publish
from disruptor.status import OK, SEQUENCE_REGRESSED

OFF = PagePolicy("off")


def ring_of(capacity=8):
    return RingBuffer.private(capacity, 64, policy=OFF)


def stamp(ring, first, count):
    for sequence in range(first, first + count):
        ring.slots[ring.index(sequence)] = sequence % 251


class RingAgainstList(RuleBasedStateMachine):
    """Two consumers come, read, and go; a list remembers everything that was published."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = ring_of(4)
        self.published: list[int] = []
        self.claimed = 0
        self.readers: dict[int, int] = {}  # place -> events read
        self.objects = {}

    def free(self) -> int:
        return 4 - (self.claimed - min([*self.readers.values(), len(self.published)]))

    @rule(count=st.integers(1, 4))
    def claim(self, count):
        first = self.ring.try_claim(count)
        assert (first is None) == (count > self.free())
        if first is not None:
            assert first == self.claimed
            stamp(self.ring, first, count)
            self.claimed += count

    @precondition(lambda self: self.claimed > len(self.published))
    @rule(share=st.floats(0, 1))
    def publish(self, share):
        count = max(1, round(share * (self.claimed - len(self.published))))
        self.published += [s % 251 for s in range(len(self.published), len(self.published) + count)]
        self.ring.publish(len(self.published) - 1)

    @precondition(lambda self: len(self.readers) < 2)
    @rule()
    def join(self):
        consumer = self.ring.join()
        self.objects[consumer.number] = consumer
        self.readers[consumer.number] = len(self.published)

    @precondition(lambda self: self.readers)
    @rule(which=st.integers(0, 1), share=st.floats(0, 1))
    def read(self, which, share):
        place = sorted(self.readers)[which % len(self.readers)]
        consumer, start = self.objects[place], self.readers[place]
        assert consumer.sequence == start - 1
        assert consumer.available() == len(self.published) - 1
        count = round(share * (len(self.published) - start))
        got = [int(self.ring.slots[self.ring.index(s)][63]) for s in range(start, start + count)]
        assert got == self.published[start : start + count], "nothing unread is ever overwritten"
        consumer.commit(start + count - 1)
        self.readers[place] += count

    @precondition(lambda self: self.readers)
    @rule(which=st.integers(0, 1))
    def leave(self, which):
        place = sorted(self.readers)[which % len(self.readers)]
        self.objects.pop(place).close()
        del self.readers[place]

    @rule()
    def room(self):
        assert self.ring.room() == self.free()


TestRingAgainstList = RingAgainstList.TestCase
TestRingAgainstList.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_claim_reports_ring_full_when_gating_is_one_lap_behind():
    ring = ring_of(4)
    reader = ring.join()
    ring.publish(ring.claim(4) + 3)
    assert ring.try_claim() is None
    with pytest.raises(RingFullError, match="no consumer made room"):
        ring.claim(timeout=0)
    reader.commit(0)
    assert ring.claim() == 4 and ring.try_claim() is None


def test_try_publish_says_full_and_publish_rows_waits_then_gives_up():
    ring = ring_of(4)
    reader = ring.join()
    rows = np.arange(6 * 64, dtype=np.uint8).reshape(6, 64)
    assert ring.try_publish(rows[:3]) and not ring.try_publish(rows[3:5])
    assert ring.cursor == 2, "a refused batch leaves nothing behind"
    reader.commit(2)
    assert ring.try_publish(rows[3:6])
    assert [ring.slots[ring.index(s)].tolist() for s in (3, 4, 5)] == rows[3:6].tolist()
    with pytest.raises(RingFullError):
        ring.publish_rows(rows, timeout=0)


def test_spans_split_a_batch_where_the_ring_wraps():
    ring = ring_of(8)
    assert ring.spans(6, 2) == [slice(6, 8)]
    assert ring.spans(14, 5) == [slice(6, 8), slice(0, 3)]


def test_view_lays_records_over_the_same_slots():
    ring = ring_of(4)
    dtype = np.dtype(
        {"names": ["sequence", "x"], "formats": ["<i8", "<u4"], "offsets": [0, 32], "itemsize": 64}
    )
    ring.view(dtype)[2]["x"] = 0x01020304
    assert ring.slots[2, 32:36].tolist() == [4, 3, 2, 1]
    with pytest.raises(AssertionError):
        ring.view(np.dtype("<i8"))


def test_publishing_twice_or_unclaimed_is_refused():
    ring = ring_of()
    first = ring.claim()
    assert publish(ring.block, first) == OK
    assert publish(ring.block, first) == SEQUENCE_REGRESSED
    with pytest.raises(AssertionError, match="claimed only up to"):
        ring.publish(first + 1)


def test_stop_ends_a_claim_that_would_wait_for_ever():
    ring = ring_of(2)
    ring.join()
    ring.publish(ring.claim(2) + 1)
    ring.stop()
    with pytest.raises(RingFullError, match="told to stop"):
        ring.claim()


def test_a_waiting_claim_claims_once_however_often_it_is_asked(monkeypatch):
    """A blocking wait looks once more before it sleeps; what that look claimed was once lost: a gap."""
    ring = ring_of(4)
    reader = ring.join()
    ring.publish(ring.claim(4) + 3)

    def idle(rounds, ready, longest):
        reader.commit(3)
        assert ready() and ready()

    monkeypatch.setattr(ring.strategy, "idle", idle)
    assert ring.claim(2, timeout=30) == 4
    assert ring.claimed == 5


def test_sixteen_consumers_fit_and_the_next_is_refused():
    ring = ring_of()
    consumers = [ring.join() for _ in range(16)]
    with pytest.raises(RegionError, match="16 consumers"):
        ring.join()
    consumers[7].close()
    assert ring.join().number == 7


def test_a_dead_consumer_is_evicted_and_a_living_one_is_not():
    ring = ring_of(2)
    dead, living = ring.join(), ring.join()
    ring.publish(ring.claim(2) + 1)
    living.commit(1)
    assert evict_dead(ring.block) == [] and ring.try_claim() is None
    ring.block[gating_word(dead.number) + CONSUMER_START_TIME] += 1  # its pid now names another process
    assert evict_dead(ring.block) == [dead.number]
    assert living.joined and ring.try_claim() == 2


def test_successor_of_a_dead_producer_forgets_its_unpublished_claims():
    ring = ring_of(4)
    reader = ring.join()
    ring.publish(ring.claim(2) + 1)
    ring.claim(2)
    assert ring.resume_producer() == 1
    assert ring.claim() == 2 and reader.available() == 1


PRODUCER = """
import sys, pathlib, numpy as np
from disruptor.memory import Region
from disruptor.ring_buffer import RingBuffer
ring = RingBuffer(Region.attach("two", schema_hash=11, directory=pathlib.Path(sys.argv[1])), "blocking")
total, sent = int(sys.argv[2]), 0
words = ring.slots.view(np.int64)
while sent < total:
    count = min(1 + sent % 300, total - sent)
    first = ring.claim(count, timeout=30)
    values, done = np.arange(first, first + count), 0
    for span in ring.spans(first, count):
        part = values[done : done + span.stop - span.start]
        words[span, 0], words[span, 7] = part, part * 3
        done += len(part)
    ring.publish(first + count - 1)
    sent += count
"""


@pytest.mark.slow
def test_two_processes_exchange_slots_by_name_without_loss(tmp_path):
    total = 100_000
    layout = plan_region(1024, 64, type_capacity=0, counter_capacity=0)
    with Region.create("two", layout, schema_hash=11, policy=OFF, directory=tmp_path) as region:
        ring = RingBuffer(region, "blocking")
        reader = ring.join()
        words = ring.slots.view(np.int64)
        child = subprocess.Popen([sys.executable, "-c", PRODUCER, str(tmp_path), str(total)])
        try:
            following = 0
            while following < total:
                high = reader.wait(timeout=30)
                assert high >= following, "the producer stalled"
                for span in ring.spans(following, high + 1 - following):
                    expected = np.arange(following, following + span.stop - span.start)
                    assert np.array_equal(words[span, 0], expected)
                    assert np.array_equal(words[span, 7], expected * 3)
                    following += len(expected)
                reader.commit(high)
            assert child.wait(timeout=30) == 0
        finally:
            child.kill()
            child.wait()
        assert ring.cursor == total - 1
