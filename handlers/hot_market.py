"""The hot row of a pool: one cache line of approximate prices, rewritten at each change.

Rounded, so no digest holds it and no decision about money reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.price import float_price_v2, float_price_v3
from disruptor.jit import jit

_MILLION = 1_000_000


@jit
def _publish(state: Any, pool: Any, price: Any, sequence: Any, time_ns: Any) -> None:
    """Rewrite a pool's hot row from an approximate price; fee unknown or 100 % leaves no quotes."""
    p = read(state.pools, pool)
    line = row(state.market, pool)
    kept = np.float64(_MILLION - np.int64(p["fee"])) / np.float64(_MILLION)
    quoted = kept > 0.0
    line["last_price"] = price
    line["bid"] = price * kept if quoted else 0.0
    line["ask"] = price / kept if quoted else 0.0
    line["timestamp"] = np.uint64(time_ns)
    line["sequence"] = np.uint64(sequence)
    line["venue_id"] = np.uint32(pool)
    line["instrument_id"] = p["pair"]


@jit
def publish_v2(state: Any, pool: Any, sequence: Any, time_ns: Any) -> None:
    """Rewrite the hot row of a V2 pool after an event."""
    p = read(state.pools, pool)
    price = float_price_v2(p["reserve0"][0], p["reserve0"][1], p["reserve1"][0], p["reserve1"][1])
    _publish(state, pool, price, sequence, time_ns)


@jit
def publish_v3(state: Any, pool: Any, sequence: Any, time_ns: Any) -> None:
    """Rewrite the hot row of a V3 pool after an event."""
    p = read(state.pools, pool)
    price = float_price_v3(p["sqrt_price_x96"][0], p["sqrt_price_x96"][1], p["sqrt_price_x96"][2])
    _publish(state, pool, price, sequence, time_ns)
