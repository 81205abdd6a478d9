"""Sequences: counts of events that one thread writes and others read.

A sequence starts at -1 (nothing happened yet), only grows, never wraps and is never reused: at a billion
events a second an int64 lasts 292 years. Each one is a word of the control block, alone on a pair of cache
lines. A word is named by (block, index), so that kernels in any process can share it without pointers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.atomics import fence, load_acquire, store_release
from disruptor.jit import jit
from disruptor.layout import CELL_WORDS, CURSOR_WORD, GATING_WORD, MAX_CONSUMERS

Words = npt.NDArray[np.int64]

#: No event yet.
INITIAL = -1
#: A gating cell without a consumer: larger than every sequence, so a minimum ignores it.
NOT_GATING = 2**63 - 1


@jit
def minimum_gate(block: Any) -> Any:
    """The lowest sequence that the producer must not lap: the slowest consumer's, or the cursor if there is
    none.

    block : (512,) int64 control block. Read only.

    MEMORY ORDER: a full fence, then acquire loads. The fence orders the producer's last cursor store before
    the reads of the gates; a consumer that joins stores its gate, fences, and reads the cursor. So one of the
    two sees the other, and a joining consumer is never lapped. The acquire loads order the consumer's reads
    of a slot before the producer's next write of it.
    """
    fence()
    lowest = load_acquire(block, CURSOR_WORD)
    for consumer in range(MAX_CONSUMERS):
        sequence = load_acquire(block, GATING_WORD + consumer * CELL_WORDS)
        if sequence < lowest:
            lowest = sequence
    return lowest


class Sequence:
    """One shared sequence, as Python sees it.

    >>> words = np.full(16, INITIAL)
    >>> Sequence(words, 0).advance(4)
    >>> Sequence(words, 0).value
    4
    """

    __slots__ = ("index", "words")

    def __init__(self, words: Words, index: int) -> None:
        assert 0 <= index < len(words)
        self.words, self.index = words, index

    @property
    def value(self) -> int:
        """MEMORY ORDER: acquire; what its writer did before is visible."""
        return int(load_acquire(self.words, self.index))

    def advance(self, sequence: int) -> None:
        """Move to a higher sequence. MEMORY ORDER: release; only the one writer may call it."""
        assert sequence >= self.value, f"a sequence never goes back: {sequence} < {self.value}"
        store_release(self.words, self.index, sequence)

    def __repr__(self) -> str:
        return f"<sequence {self.value}>"
