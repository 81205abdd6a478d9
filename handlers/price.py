"""Prices of pools as floats, for people to look at: token1 for one token0, raw units.

They fill the hot rows of `market` and are digested nowhere. What decides anything is computed in integers, by
`disruptor.handlers.path_spread` and the contracts' own swaps.

Reserves and sqrt prices come in as messages store them: little-endian limbs, low first.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from disruptor.jit import jit

U64: TypeAlias = np.uint64

_TWO_64 = 2.0**64
_TWO_128 = 2.0**128
_TWO_MINUS_192 = 2.0**-192


@jit
def float_price_v2(reserve0_lo: U64, reserve0_hi: U64, reserve1_lo: U64, reserve1_hi: U64) -> np.float64:
    """Approximate price of a V2 pool, relative error under 2^-50; 0 when a reserve is 0. Not for digests."""
    reserve0 = np.float64(reserve0_hi) * _TWO_64 + np.float64(reserve0_lo)
    reserve1 = np.float64(reserve1_hi) * _TWO_64 + np.float64(reserve1_lo)
    if reserve0 == 0.0:
        return np.float64(0.0)
    return reserve1 / reserve0


@jit
def float_price_v3(s0: U64, s1: U64, s2: U64) -> np.float64:
    """Approximate price of a V3 pool, relative error under 2^-50; 0 when the price is 0. Not for digests."""
    root = np.float64(s2) * _TWO_128 + np.float64(s1) * _TWO_64 + np.float64(s0)
    return root * root * _TWO_MINUS_192
