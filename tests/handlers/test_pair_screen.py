"""Pairs that may pay, against a plain comparison; refused input; what became of the loop in machine code."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import numpy as np
import pytest

from disruptor.handlers.pair_screen import BLOCK, COLUMNS, compare, screen_pairs
from disruptor.handlers.vector_width import widest
from disruptor.jit import jit_uncounted

POOLS = 50
REGISTERS = {512: "zmm", 256: "ymm"}
EDGES = (0.0, 1.0, math.inf, math.nan, 5e-324, 1e308, 1.0 + 2**-52, 1.0 - 2**-53)


def plain(bid: list[float], ask: list[float], pairs: list[tuple[int, int]], ratio: float) -> list[int]:
    return [k for k, (a, b) in enumerate(pairs) if bid[a] > ask[b] * ratio or bid[b] > ask[a] * ratio]


@pytest.mark.parametrize("count", [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("ratio", [1.0, 1.001])
def test_pairs_are_those_of_a_plain_comparison(count: int, ratio: float, seed: int) -> None:
    source = random.Random(seed + count)
    bid = [source.uniform(0.98, 1.0) for _ in range(POOLS)]
    ask = [b * source.uniform(1.0, 1.02) for b in bid]
    for k, value in enumerate(EDGES):
        bid[k], ask[-1 - k] = value, value
    pairs = [(source.randrange(POOLS), source.randrange(POOLS)) for _ in range(count)]
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = screen_pairs(bid, ask, first, second, least_ratio=ratio)
    assert found.tolist() == plain(bid, ask, pairs, ratio)
    assert found.dtype == np.int64 and (count < BLOCK or 0 < len(found) < count)


@pytest.mark.parametrize("pair", [(0, 3), (3, 0), (-1, 0), (0, -1)])
def test_a_pair_of_no_pool_is_refused(pair: tuple[int, int]) -> None:
    first, second = [0] * 300 + [pair[0]], [1] * 300 + [pair[1]]
    with pytest.raises(ValueError, match=rf"pair 300 names pools {pair[0]} and {pair[1]}, there are 3"):
        screen_pairs([1.0] * 3, [1.0] * 3, first, second)


def test_arrays_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="of one length"):
        screen_pairs([1.0, 2.0], [1.0], [0], [0])
    with pytest.raises(ValueError, match="of one length"):
        screen_pairs([1.0], [1.0], [0, 0], [0])
    with pytest.raises(ValueError, match="one dimension"):
        screen_pairs([[1.0]], [[1.0]], [0], [0])


@pytest.mark.compiled
def test_the_kernel_compares_in_the_widest_vectors(lane: str) -> None:
    if lane == "bounds":
        pytest.skip("a loop that checks each index is no vector loop")
    if widest() not in REGISTERS:
        pytest.skip(f"this processor's vectors have {widest()} bits")

    @jit_uncounted
    def run(rows: Any, count: int, ratio: float) -> None:
        compare(rows[0], count, ratio)

    run(np.zeros(1, COLUMNS), BLOCK, 1.0)
    (assembly,) = run.inspect_asm().values()
    register = REGISTERS[widest()]
    assert re.search(rf"\bvmulpd\b.*%{register}", assembly)
    assert re.search(rf"\bvcmp\w*pd\b.*%{register}", assembly)
