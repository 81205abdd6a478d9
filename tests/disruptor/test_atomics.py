"""Atomics: what they compute, that twin and kernel agree, and that LLVM gets the order promised."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from disruptor import atomics
from disruptor.jit import JIT_DISABLED, jit


def steps(words, rows):
    """Every atomic once; what it returned."""
    atomics.store_release(words, 1, 5)
    atomics.store_relaxed(words, 2, 7)
    before = atomics.fetch_add(words, 3, -10)
    first = atomics.compare_and_swap(words, 3, -10, 11)
    second = atomics.compare_and_swap(words, 3, -10, 12)
    atomics.fence()
    atomics.pause()
    atomics.prefetch(rows, 1)
    atomics.prefetch(words, 1)
    early = atomics.cycle_counter()
    late = atomics.cycle_counter()
    return (
        atomics.load_acquire(words, 1),
        atomics.load_relaxed(words, 2),
        before,
        first,
        second,
        late >= early,
    )


kernel = jit(steps)
ROWS = np.zeros(2, np.dtype([("a", "<i8"), ("b", "<u1", (3,))]))


@pytest.mark.parametrize("run", [steps, kernel], ids=["twin", "kernel"])
def test_each_atomic_does_what_it_says(run):
    words = np.zeros(4, np.int64)
    assert tuple(int(v) for v in run(words, ROWS)) == (5, 7, 0, 1, 0, 1)
    assert words.tolist() == [0, 5, 7, 11]


@pytest.mark.skipif(JIT_DISABLED, reason="needs compiled code to look at")
def test_compiled_code_has_the_promised_memory_order():
    kernel(np.zeros(4, np.int64), ROWS)
    code = kernel.inspect_llvm(kernel.signatures[0])
    for instruction in ("load atomic i64", "store atomic i64", "atomicrmw add", "cmpxchg", "fence seq_cst"):
        assert instruction in code
    loads = [line for line in code.splitlines() if "load atomic" in line]
    stores = [line for line in code.splitlines() if "store atomic" in line]
    assert any(" acquire" in line for line in loads) and any(" monotonic" in line for line in loads)
    assert any(" release" in line for line in stores) and any(" monotonic" in line for line in stores)
    assert "llvm.prefetch" in code and "llvm.readcyclecounter" in code


@pytest.mark.skipif(JIT_DISABLED, reason="types are checked when compiling")
def test_words_must_be_int64():
    from numba.core.errors import TypingError

    @jit
    def load(words):
        return atomics.load_acquire(words, 0)

    with pytest.raises(TypingError, match="one-dimensional int64"):
        load(np.zeros(4, np.int32))


def test_fetch_add_of_threads_loses_nothing():
    words = np.zeros(1, np.int64)

    def add() -> None:
        for _ in range(500):
            atomics.fetch_add(words, 0, 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words[0] == 2000
