"""The input at which a cycle pays most: found in closed form, piece by piece.

Pools in a row, each on one piece of its curve, are together one curve of the same kind: with depths x, y and kept
share of each hop folded in from the first to the last,

    out(in) = a * in / (1 + c * in)        a' = kept * y * a / x,   c' = c + kept * a / x

whose slope falls from a to nothing. So the input at which one more unit in brings no more than one unit back is
(sqrt(a) - 1) / c, if no hop runs out of its piece before: else the walk goes on from the nearest such end, with all
hops moved there. The slope falls from piece to piece too, so the first piece that holds its own optimum holds the
best of all, and no piece up to it is left out.

Floats have 53 bits, so the input found is right to about 2^-45 of the depths on the way. Near the optimum profit is
flat: an error of that size costs 2^-90 of the depths. Rounding is another matter: see `disruptor.handlers.path_exact`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.path_curve import next_piece, start_hop
from disruptor.jit import jit

#: Pieces of all hops that one search walks through; a full-range swap over a map of spacing 1 has fewer.
MAX_PIECES = 65_536
#: Where a pool's curve ends before the optimum, what is proposed is certainly beyond: the end itself is a matter of
#: roundings, of floats and of the contract's steps, and found exactly by `disruptor.handlers.path_exact`.
_BEYOND, _UNITS_BEYOND = 1.0 + 2.0**-20, 1024.0


@jit
def hop_pool(path: Any, k: Any) -> Any:
    """Pool of hop k of a path's row."""
    if k == 0:
        return path["pool0"]
    if k == 1:
        return path["pool1"]
    return path["pool2"] if k == 2 else path["pool3"]


@jit
def hop_of(path: Any, k: Any, forward: Any) -> Any:
    """(pool, zero_for_one) of the k-th step of a path, walked forward or backward."""
    at = np.int64(k) if forward else np.int64(path["hops"]) - 1 - np.int64(k)
    zero_for_one = (path["zero_for_one"] >> np.uint32(at)) & np.uint32(1) != 0
    return hop_pool(path, at), zero_for_one if forward else not zero_for_one


@jit
def best_input(state: Any, path: Any, forward: Any, slope: Any, most: Any) -> Any:
    """The input of a cycle that pays most, in the units of its first token.

    Parameters
    ----------
    path : row of `paths`
    forward : the direction
    slope : float64, what one more unit must bring back: 1, or more where the input is borrowed
    most : float64, the largest input wanted; inf for any

    Returns
    -------
    (amount, gain, walked) : float64 amount, 0 if nothing pays; the profit it promises, before rounding and gas;
        False if `MAX_PIECES` ended the walk: then the amount is where it ended.

    Invariants
    ----------
    Writes only `hop_cells`, rows 0 to hops - 1.
    """
    hops = np.int64(path["hops"])
    for k in range(hops):
        pool, zero_for_one = hop_of(path, k, forward)
        if not start_hop(state, k, pool, zero_for_one):
            return 0.0, 0.0, True
    total, received = 0.0, 0.0
    for _ in range(MAX_PIECES):
        a, c, end, short = _compose(state, hops)
        if a <= slope:
            return total, received - slope * total, True
        wanted = (math.sqrt(a / slope) - 1.0) / c
        step = min(wanted, end)
        if total + step >= most:
            step = most - total
            return most, received + a * step / (1.0 + c * step) - slope * most, True
        total += step
        received += a * step / (1.0 + c * step)
        if wanted <= end:
            return total, received - slope * total, True
        _move(state, hops, step)
        if not next_piece(state, short):
            return total * _BEYOND + _UNITS_BEYOND, received - slope * total, True
    return total, received - slope * total, False


@jit
def _compose(state: Any, hops: Any) -> Any:
    """(a, c, end, short): the curve of all hops, and the input at which hop `short` is the first at its piece's end."""
    a, c = 1.0, 0.0
    end, short = np.inf, np.int64(-1)
    for k in range(hops):
        cell = read(state.hop_cells, k)
        reach = a - c * cell["room"] if cell["room"] < np.inf else -1.0
        if reach > 0.0 and cell["room"] / reach < end:
            end, short = cell["room"] / reach, np.int64(k)
        share = cell["kept"] * a / cell["depth_in"]
        a, c = share * cell["depth_out"], c + share
    return a, c, end, short


@jit
def _move(state: Any, hops: Any, amount: Any) -> None:
    """Let `amount` flow through all hops, each within its piece."""
    for k in range(hops):
        cell = row(state.hop_cells, k)
        kept = cell["kept"] * amount
        out = cell["depth_out"] * kept / (cell["depth_in"] + kept)
        cell["depth_in"] += kept
        cell["depth_out"] -= out
        cell["room"] = max(cell["room"] - amount, 0.0)
        amount = out
