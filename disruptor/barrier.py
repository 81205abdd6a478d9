"""SequenceBarrier: answers "how far may I read".

    producer ──cursor──► A ──its sequence──► B          B depends on A: it reads only what A has finished
                    └──► C                              C depends on nobody: it reads what is published

A barrier is a control block and a mask of consumers. Bit i set means: not beyond the sequence of consumer i.
That is all a kernel in any process needs, so a topology has no objects, only numbers.
"""

from __future__ import annotations

from typing import Any

from disruptor.atomics import load_acquire, pause
from disruptor.compile_cache import entry
from disruptor.jit import jit
from disruptor.layout import CELL_WORDS, CONTROL_WORD, CURSOR_WORD, GATING_WORD, MAX_CONSUMERS
from disruptor.sequence import Words
from disruptor.wait_strategy import WaitStrategy


@jit
def available(block: Any, dependencies: Any) -> Any:
    """The highest sequence that may be read.

    Parameters
    ----------
    block : (512,) int64 control block. Read only.
    dependencies : int64 mask of consumers that must have finished; 0 for none

    Returns
    -------
    int64 sequence, -1 if nothing was ever published. May be behind what the caller has read already.

    MEMORY ORDER: acquire loads of the cursor and of every dependency; the slots up to the result are visible,
    with what the dependencies wrote into them. A consumer that has left no longer holds anybody back.
    """
    lowest = load_acquire(block, CURSOR_WORD)
    remaining = dependencies
    for consumer in range(MAX_CONSUMERS):
        if remaining == 0:
            break
        if remaining & 1:
            sequence = load_acquire(block, GATING_WORD + consumer * CELL_WORDS)
            if sequence < lowest:
                lowest = sequence
        remaining >>= 1
    return lowest


@jit
def poll(block: Any, dependencies: Any, sequence: Any, spins: Any, pauses: Any) -> Any:
    """`available`, asked up to `spins` times until it reaches `sequence` or the control word is set.

    MEMORY ORDER: as `available`; the control word is loaded with acquire.
    """
    highest = available(block, dependencies)
    for _ in range(spins):
        if highest >= sequence or load_acquire(block, CONTROL_WORD) != 0:
            break
        for _ in range(pauses):
            pause()
        highest = available(block, dependencies)
    return highest


@entry
def _poll(block: Any, dependencies: Any, sequence: Any, spins: Any, pauses: Any) -> Any:
    return poll(block, dependencies, sequence, spins, pauses)


class SequenceBarrier:
    """A barrier as Python sees it; `block` and `dependencies` are what kernels take."""

    def __init__(self, block: Words, dependencies: int, strategy: WaitStrategy) -> None:
        assert 0 <= dependencies < 1 << MAX_CONSUMERS
        self.block, self.dependencies, self.strategy = block, dependencies, strategy

    def available(self) -> int:
        """Highest readable sequence, without waiting. MEMORY ORDER: acquire."""
        return int(_poll(self.block, self.dependencies, 0, 0, 0))

    def stopped(self) -> bool:
        """Whether the control word asks to return. MEMORY ORDER: acquire."""
        return bool(load_acquire(self.block, CONTROL_WORD) != 0)

    def wait_for(self, sequence: int, timeout: float | None = None) -> int:
        """Wait until `sequence` may be read, and return the highest that may: often more, take all of it.

        Less than `sequence` means that the time ran out or the control word was set.

        MEMORY ORDER: acquire, as `available`.
        """
        highest = -1

        def ready() -> bool:
            nonlocal highest
            highest = int(
                _poll(self.block, self.dependencies, sequence, self.strategy.spins, self.strategy.pauses)
            )
            return highest >= sequence or self.stopped()

        self.strategy.wait_until(ready, timeout)
        return highest
