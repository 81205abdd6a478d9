"""Where a pool stands on its curve, and what one more unit would buy there: the float side of the search.

Within a *piece* every pool is a constant-product pool. With `kept` = 1 - fee and virtual reserves x, y

    out(in) = y * kept * in / (x + kept * in)

and a piece takes no more than its `room`. A V2 pair has one piece, its reserves; a V3 pool has one for each range of
its tick map; a pool of constant price has x and y beyond all amounts. What the pieces are is the venue's to say
(`disruptor.handlers.venues`).

DETERMINISM: these floats only propose an amount and bar what can't pay; every number that leaves the engine is
computed again in integers. They are the same on every machine all the same: +, -, *, / and sqrt, each correctly
rounded, never fused or reordered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.by_venue import has_price, piece_at, rates_at
from disruptor.handlers.pools import is_complete
from disruptor.jit import jit

_MILLION = 1_000_000


@jit
def is_tradable(state: Any, pool: Any) -> bool:
    """Whether a pool can take part: complete, a known fee, a price."""
    if read(state.pools, pool)["fee"] >= _MILLION or not is_complete(state, pool):
        return False
    return has_price(state, pool)


@jit
def refresh_rates(state: Any, pool: Any) -> None:
    """What one unit buys at the margin, net of the fee, both ways: no swap of any size pays better."""
    r = row(state.rates, pool)
    r["zero_for_one"] = 0.0
    r["one_for_zero"] = 0.0
    if is_tradable(state, pool):
        r["zero_for_one"], r["one_for_zero"] = rates_at(state, pool)


@jit
def start_hop(state: Any, k: Any, pool: Any, zero_for_one: Any) -> bool:
    """Put hop k at a pool's present state; False if nothing can be bought there."""
    cell = row(state.hop_cells, k)
    cell["pool"], cell["zero_for_one"] = pool, np.uint32(zero_for_one)
    cell["crossed"] = np.uint32(0)
    cell["lowest"] = cell["highest"] = read(state.pools, pool)["tick"]
    cell["piece"] = np.uint32(0)
    return piece_at(state, pool, k, zero_for_one, np.int64(0))


@jit
def next_piece(state: Any, k: Any) -> bool:
    """Cross the end of hop k's piece; False at the end of the curve."""
    cell = row(state.hop_cells, k)
    cell["piece"] += np.uint32(1)
    return piece_at(state, cell["pool"], k, cell["zero_for_one"] != 0, np.int64(cell["piece"]))
