"""Sequences and the minimum over gates."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor.layout import CURSOR_WORD, gating_word
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer
from disruptor.sequence import INITIAL, NOT_GATING, Sequence, minimum_gate


def test_sequence_starts_before_the_first_event_and_only_grows():
    sequence = Sequence(np.full(16, INITIAL), 0)
    assert sequence.value == -1
    sequence.advance(3)
    sequence.advance(3)
    with pytest.raises(AssertionError, match="never goes back"):
        sequence.advance(2)
    assert sequence.value == 3


def test_minimum_gate_is_the_slowest_consumer_or_the_cursor():
    block = RingBuffer.private(8, 64, policy=PagePolicy("off")).block
    block[CURSOR_WORD] = 40
    assert minimum_gate(block) == 40
    block[gating_word(15)] = 30
    block[gating_word(0)] = 35
    assert minimum_gate(block) == 30
    block[gating_word(15)] = NOT_GATING
    assert minimum_gate(block) == 35
