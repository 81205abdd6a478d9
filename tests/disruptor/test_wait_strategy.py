"""Wait strategies: each ends a wait, the idle ones leave the core alone, and no wake-up is lost."""

from __future__ import annotations

import threading
import time

import pytest

from disruptor.errors import SettingError
from disruptor.layout import WAITERS_WORD, WAKE_WORD
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer
from disruptor.wait_strategy import (
    DEFAULT_WAIT_STRATEGY,
    WAIT_STRATEGIES,
    BlockingWait,
    make_wait_strategy,
    wake,
)


def ring_of(name):
    return RingBuffer.private(4, 64, policy=PagePolicy("off"), wait_strategy=name)


@pytest.mark.parametrize("name", WAIT_STRATEGIES)
def test_producer_and_consumer_hand_over_through_a_tiny_ring(name):
    ring = ring_of(name)
    reader = ring.join()
    count, seen = 40, []

    def consume() -> None:
        while len(seen) < count:
            high = reader.wait(timeout=20)
            for sequence in range(reader.sequence + 1, high + 1):
                seen.append(int(ring.slots[ring.index(sequence)][0]))
            reader.commit(high)

    thread = threading.Thread(target=consume)
    thread.start()
    for value in range(count):
        sequence = ring.claim(timeout=20)
        ring.slots[ring.index(sequence)][0] = value
        ring.publish(sequence)
    thread.join(timeout=30)
    assert seen == list(range(count))
    assert ring.block[WAITERS_WORD] == 0, "nobody is left counted as waiting"


@pytest.mark.parametrize("name", ["sleeping", "blocking"])
def test_idle_wait_leaves_the_core_alone(name):
    reader = ring_of(name).join()
    reader.wait(timeout=0)  # compile
    start, cpu = time.monotonic(), time.thread_time()
    assert reader.wait(timeout=0.15) == -1
    assert time.monotonic() - start >= 0.15
    assert time.thread_time() - cpu < 0.075


def test_a_publication_between_the_look_and_the_sleep_is_not_slept_through():
    """The race that a futex exists for, forced: the publisher acts after the waiter's last look."""
    ring = ring_of("blocking")
    strategy = ring.strategy
    assert isinstance(strategy, BlockingWait)
    looks = 0

    def ready() -> bool:
        nonlocal looks
        looks += 1
        wake(ring.block)  # somebody publishes right after this look answered False
        return False

    start = time.monotonic()
    strategy.idle(0, ready, longest=5.0)
    assert looks == 1 and time.monotonic() - start < 2.5, "the sleep was refused, because the count moved"
    assert ring.block[WAKE_WORD] == 1


def test_publishing_without_waiters_makes_no_system_call(monkeypatch):
    ring = ring_of("blocking")
    calls = []
    monkeypatch.setattr("disruptor.wait_strategy._futex", lambda *a: calls.append(a))
    ring.publish(ring.claim())
    assert calls == []
    ring.block[WAITERS_WORD] = 1
    ring.publish(ring.claim())
    assert len(calls) == 1


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(SettingError, match="busy_spin, pausing, yielding, sleeping, blocking"):
        make_wait_strategy("spin", ring_of("sleeping").block)
    assert DEFAULT_WAIT_STRATEGY == "sleeping"
