"""Which of many pairs of pools may pay, for prices of users' own: two arrays of prices, two of pool numbers.

Buying at one pool's ask and selling at the other's bid pays if the bid is above the ask. Both ways are looked at for
each pair. As in `batch_screen`, prices are gathered into columns and compared as vectors, a block at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.vector_width import widest_vectors
from disruptor.jit import jit

#: Pairs compared at one go.
BLOCK = 256
#: A cache line more, so that columns do not compete for the same lines of the cache.
_COLUMN = ("<f8", (BLOCK + 8,))
COLUMNS = np.dtype([(name, *_COLUMN) for name in ("bid_a", "ask_a", "bid_b", "ask_b", "pays")], align=True)


@jit
def compare(columns: Any, count: Any, least_ratio: Any) -> None:
    """1 in `pays` for each of the first `count` pairs that pays one way or the other, 0 for the rest."""
    never_inlined()
    widest_vectors()
    bid_a, ask_a, bid_b, ask_b = columns["bid_a"], columns["ask_a"], columns["bid_b"], columns["ask_b"]
    for k in range(count):
        buys_at_b = bid_a[k] > ask_b[k] * least_ratio
        buys_at_a = bid_b[k] > ask_a[k] * least_ratio
        columns["pays"][k] = 1.0 if buys_at_b | buys_at_a else 0.0


@entry_uncounted
def _screen(prices: Any, pairs: Any, scratch: Any, least_ratio: Any, found: Any) -> Any:
    """Indices of pairs that pay, ascending, into `found`; how many, or -1 - k if pair k names no pool."""
    bid, ask = prices
    first, second = pairs
    columns, size, count = scratch[0], np.int64(len(first)), np.int64(0)
    for start in range(0, size, BLOCK):
        block = size - start if size - start < BLOCK else BLOCK
        for k in range(block):
            a, b = first[start + k], second[start + k]
            if a < 0 or b < 0 or a >= len(bid) or b >= len(bid):
                return -1 - (start + k)
            columns["bid_a"][k], columns["ask_a"][k] = bid[a], ask[a]
            columns["bid_b"][k], columns["ask_b"][k] = bid[b], ask[b]
        compare(columns, block, least_ratio)
        for k in range(block):
            found[count] = start + k
            count += np.int64(columns["pays"][k] > 0.0)
    return count


def screen_pairs(
    bid: npt.ArrayLike,
    ask: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    least_ratio: float = 1.0,
) -> npt.NDArray[np.int64]:
    """Indices of the pairs of pools that may pay: one pool's bid is above the other's ask.

    Parameters
    ----------
    bid, ask : (pools,) float64, price at which a pool buys and sells one unit, net of its fee, in one unit of account
        for both pools of a pair. Where nothing is bought the bid is 0, where nothing is sold the ask is inf.
    first, second : (pairs,) integers, the two pools of each pair
    least_ratio : a pair counts if bid > ask * least_ratio, each side rounded once; above 1 asks for a profit

    Returns
    -------
    (found,) int64, ascending. A price that is no number pays nothing.

    Raises
    ------
    ValueError : arrays of different lengths, or a pair that names no pool.

    Examples
    --------
    >>> screen_pairs([99.0, 101.0, 99.5], [99.6, 101.7, 100.0], [0, 0, 1], [1, 2, 2]).tolist()
    [0, 2]
    """
    prices = np.ascontiguousarray(bid, np.float64), np.ascontiguousarray(ask, np.float64)
    pairs = np.ascontiguousarray(first, np.int64), np.ascontiguousarray(second, np.int64)
    if any(a.ndim != 1 or a.shape != b.shape for a, b in (prices, pairs)):
        raise ValueError(
            f"screen_pairs: bid {prices[0].shape} and ask {prices[1].shape}, first {pairs[0].shape} and "
            f"second {pairs[1].shape} must be arrays of one dimension, each two of one length"
        )
    found = np.empty(len(pairs[0]) + 1, np.int64)
    count = int(_screen(prices, pairs, np.zeros(1, COLUMNS), np.float64(least_ratio), found))
    if count < 0:
        at = -1 - count
        raise ValueError(
            f"screen_pairs: pair {at} names pools {pairs[0][at]} and {pairs[1][at]}, there are {len(prices[0])}"
        )
    return found[:count]
