"""What a try can pay at most, in floats: most of the inputs near the best are dismissed without a swap.

`disruptor.handlers.path_exact` looks for the best input around an amount m on the way, the coarsest. Whether some m can
beat what has been found shows without exact swaps, from the same pieces of curves that the search went over:

    least, most     the smallest and the largest input that the exact search backward can find for m
    at_most         what the hops behind pay for m at most

    net <= at_most - least

Forward, amounts are rounded down: at each hop the curve's own output, and of a V3 pool's input what the fee leaves of
it (the curve's amounts of all steps come to no more than that integer). Backward they are rounded up, by less than
`_slack`. The input that is found brings m about, and not m + 1, if `most` brings about less than m + 1; else the bound
would be another amount's, and nothing is dismissed.

**Floats.** Each amount is widened by 2^-47 of itself before it goes on, upward or downward; what is computed of one hop
errs by less than 2^-48. (Twelve roundings; where an output is subtracted from the depth, a quarter of that is left at
least.) Only pieces that nothing has moved along are used, and inputs that end short of the piece's end by more than
2^-44 of the depth: what its room may be off.

INVARIANT: dismissing shows in no answer: `test_path_bound.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.path_search import hop_pool
from disruptor.handlers.wide import load, to_f64
from disruptor.jit import jit

_MORE, _LESS = 1.0 + 2.0**-47, 1.0 - 2.0**-47
_ROOM_ERROR = 2.0**-44
_TWO_MINUS_96 = 2.0**-96


@jit
def is_bounded(state: Any, path: Any) -> bool:
    """Whether all hops' curves are known exactly, and are those of the pools' present state: V2 and V3, first piece."""
    for k in range(np.int64(path["hops"])):
        kind = read(state.pools, hop_pool(path, k))["kind"]
        if kind != KIND_UNISWAP_V2 and kind != KIND_UNISWAP_V3:
            return False
        if read(state.hop_cells, k)["piece"] != 0:
            return False
    return True


@jit
def cannot_pay_more(state: Any, path: Any, position: Any, wanted: Any, best: Any) -> bool:
    """Whether the input that brings an amount about certainly leaves no more than `best`.

    Parameters
    ----------
    path : row of `paths` for which `is_bounded` holds; `hop_cells` are those of its search, and ready
    position : of the amount, 0 for the input itself, k for what hop k - 1 pays
    wanted : U256, the amount, not zero
    best : U256, net of funding

    Returns
    -------
    bool; False where it is not certain.
    """
    never_inlined()
    amount = to_f64(wanted)
    least, most = amount, amount
    for back in range(position):
        cell = read(state.hop_cells, position - 1 - back)
        if not _within_step(cell, most):
            return False
        least = np.ceil(_input_for(cell, least) * _LESS)
        most = (_input_for(cell, most) + _slack(cell)) * _MORE
        if not _is_inside(cell, most):
            return False
    if position > 0 and _paid_before(state, position, most) >= amount + 1.0:
        return False
    out = _paid_behind(state, np.int64(path["hops"]), position, amount)
    loan = np.float64(read(state.path_settings, 0)["loan_millionths"]) * 1e-6
    return bool(out * _MORE - least * (1.0 + loan) * _LESS <= to_f64(best))


@jit
def _paid_before(state: Any, position: Any, amount_in: Any) -> Any:
    """What the hops before a position pay at most."""
    amount = amount_in
    for k in range(position):
        cell = read(state.hop_cells, k)
        amount = _output_for(cell, amount * cell["kept"]) * _MORE
    return amount


@jit
def _paid_behind(state: Any, hops: Any, position: Any, amount_in: Any) -> Any:
    """What the hops from a position on pay at most for an amount; inf where a piece ends before."""
    amount = amount_in
    for k in range(position, hops):
        cell = read(state.hop_cells, k)
        if not _is_inside(cell, amount):
            return np.inf
        traded = amount * cell["kept"] * _MORE
        if cell["ready"] != 0:
            traded = np.floor(traded)
        amount = np.floor(_output_for(cell, traded) * _MORE)
    return amount


@jit
def _is_inside(cell: Any, amount_in: Any) -> bool:
    """Whether an input certainly ends within a hop's piece."""
    return bool(amount_in + cell["depth_in"] * _ROOM_ERROR <= cell["room"] and amount_in < np.inf)


@jit
def _within_step(cell: Any, amount_out: Any) -> bool:
    """Whether the exact search backward makes one step only for an output of a hop."""
    return bool(
        cell["room"] == np.inf or (cell["ready"] != 0 and amount_out < to_f64(load(cell["most_out"])))
    )


@jit
def _output_for(cell: Any, traded: Any) -> Any:
    """What a piece pays for an input without its fee."""
    return cell["depth_out"] * traded / (cell["depth_in"] + traded)


@jit
def _input_for(cell: Any, amount_out: Any) -> Any:
    """For what input, fee included, a piece pays an output; inf where it is most of what there is."""
    left = cell["depth_out"] - amount_out
    if left * 4.0 < cell["depth_out"]:
        return np.inf
    return cell["depth_in"] * amount_out / (left * cell["kept"])


@jit
def _slack(cell: Any) -> Any:
    """By how much less than this rounding raises the input of one step.

    V2: one unit. V3: a unit of the price, one of the amount, both before the fee; and one of the fee.
    """
    if cell["room"] == np.inf:
        return 1.0
    unit = cell["depth_in"] * _TWO_MINUS_96 / cell["sqrt_price"]
    return (unit + 1.0) / cell["kept"] + 1.0
