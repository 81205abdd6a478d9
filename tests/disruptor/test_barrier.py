"""Barriers: B reads only what A has finished. Topologies are stepped in one thread against a model."""

from __future__ import annotations

import random

import pytest

from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer

#: name -> consumer -> the consumers it depends on
TOPOLOGIES = {
    "pipeline": {"a": [], "b": ["a"], "c": ["b"]},
    "diamond": {"a": [], "b": [], "c": ["a", "b"]},
    "multicast": {"a": [], "b": [], "c": []},
}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_consumer_reads_what_its_dependencies_finished_and_no_more(topology):
    random.seed(topology)
    ring = RingBuffer.private(8, 64, policy=PagePolicy("off"))
    consumers = {}
    for name, after in TOPOLOGIES[topology].items():
        consumers[name] = ring.join(*(consumers[other] for other in after))
    done = dict.fromkeys(consumers, -1)
    published = -1
    for _ in range(200):
        who = random.choice(["producer", *consumers])
        if who == "producer":
            first = ring.try_claim()
            assert (first is None) == (published - min(done.values()) == 8), "full exactly one lap ahead"
            if first is not None:
                published = first
                ring.publish(first)
            continue
        limit = min([published] + [done[other] for other in TOPOLOGIES[topology][who]])
        assert consumers[who].available() == limit
        if limit > done[who]:
            done[who] = random.randint(done[who] + 1, limit)
            consumers[who].commit(done[who])
    assert published > 16, "the ring went round"


def test_commit_beyond_the_barrier_is_refused():
    ring = RingBuffer.private(8, 64, policy=PagePolicy("off"))
    first = ring.join()
    second = ring.join(first)
    ring.publish(ring.claim(3) + 2)
    with pytest.raises(AssertionError, match="was not available"):
        second.commit(0)
    first.commit(1)
    second.commit(1)


def test_a_dependency_that_leaves_holds_nobody_back():
    ring = RingBuffer.private(8, 64, policy=PagePolicy("off"))
    first = ring.join()
    second = ring.join(first)
    ring.publish(ring.claim(3) + 2)
    assert second.available() == -1
    first.close()
    assert second.available() == 2


def test_wait_returns_all_that_is_there_and_gives_up_on_timeout_or_stop():
    ring = RingBuffer.private(8, 64, policy=PagePolicy("off"))
    reader = ring.join()
    assert reader.wait(timeout=0) == -1
    ring.publish(ring.claim(3) + 2)
    assert reader.wait(timeout=0) == 2
    reader.commit(2)
    ring.stop()
    assert reader.wait() == 2, "without a timeout, the control word ends the wait"
