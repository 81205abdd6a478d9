"""Uniswap V3's price oracle, as far as a pool's slot0 shows it: which observation is the latest, how many there are.

An observation is written when a swap changes the tick, or a mint or burn the liquidity in range: at most one for each
timestamp, the first. The array is a ring; when somebody has paid for a longer one, it grows at its next wrap.

Whether a write happens depends on the block's timestamp alone. Without block headers it is not known, and then neither
is the ring's state, from there on: cardinality 0 says so.

Source: Uniswap v3-core 1.0.0, libraries/Oracle.sol: initialize, write, grow. Timestamps are compared as uint32 there;
here as whole seconds, which differ in nothing before two writes lie 136 years apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import row
from disruptor.jit import jit


@jit
def start_observations(state: Any, pool: Any, timestamp: Any) -> None:
    """The first observation, of `Initialize`.

    Parameters
    ----------
    pool : u32 id
    timestamp : u64, seconds; 0 unknown
    """
    fees = row(state.v3_fees, pool)
    known = np.uint32(1) if timestamp != 0 else np.uint32(0)
    fees["observation_index"] = np.uint32(0)
    fees["observation_cardinality"] = known
    fees["observation_cardinality_next"] = np.uint32(1)
    fees["observation_timestamp"] = timestamp


@jit
def observe(state: Any, pool: Any, timestamp: Any) -> None:
    """Write an observation, unless this timestamp has one. Arguments as `start_observations`."""
    fees = row(state.v3_fees, pool)
    cardinality = fees["observation_cardinality"]
    if cardinality == 0 or (timestamp != 0 and timestamp == fees["observation_timestamp"]):
        return
    if timestamp == 0:
        fees["observation_cardinality"] = np.uint32(0)
        fees["observation_index"] = np.uint32(0)
        fees["observation_timestamp"] = np.uint64(0)
        return
    following = fees["observation_index"] + np.uint32(1)
    if following == cardinality and fees["observation_cardinality_next"] > cardinality:
        cardinality = fees["observation_cardinality_next"]
        fees["observation_cardinality"] = cardinality
    fees["observation_index"] = following if following < cardinality else np.uint32(0)
    fees["observation_timestamp"] = timestamp


@jit
def grow_observations(state: Any, pool: Any, cardinality_next: Any) -> None:
    """Make room for more observations, from the ring's next wrap on (u16, as the log says)."""
    row(state.v3_fees, pool)["observation_cardinality_next"] = np.uint32(cardinality_next)
