"""The preference for wide vectors, as LLVM sees it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

from disruptor.handlers.vector_width import widest, widest_vectors
from disruptor.jit import jit


def test_the_widest_vectors_are_those_of_the_processors_features() -> None:
    features = get_host_cpu_features()
    assert widest() == (512 if features.get("avx512f") else 256 if features.get("avx") else 128)


@pytest.mark.compiled
def test_a_kernel_that_says_so_carries_the_preference() -> None:
    @jit
    def doubled(values):  # type: ignore[no-untyped-def]
        widest_vectors()
        for k in range(len(values)):
            values[k] *= 2.0

    values = np.arange(5.0)
    doubled(values)
    assert values.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    (text,) = doubled.inspect_llvm().values()
    assert re.search(rf'"prefer-vector-width"="{widest()}"', text)


def test_it_gives_nothing_in_plain_python() -> None:
    assert widest_vectors() is None  # type: ignore[func-returns-value]
