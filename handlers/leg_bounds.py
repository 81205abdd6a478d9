"""Which legs may be part of a cycle that pays: one comparison a leg instead of a product for each of its cycles.

**Proof.** A cycle's product, what one unit brings back at the margin, is u(l) * d(m) going one way and d(l) * u(m) the
other, where l and m are its legs and u, d their values up and down. Both are of one junction, whose bounds U >= u(k)
and D >= d(k) hold for every leg k of it. So a cycle through leg l may pay only if

    u(l) * D > 1   or   d(l) * U > 1

and only cycles through a changed pool can have begun to, which are those of the legs that hold the pool: a cycle's two
legs hold all of its pools.

The bounds stay bounds: a value that rises lifts its bound with it; one that falls leaves it where it is, which is too
high at most. Where one lets a leg pass it is first made tight: the greatest value of all legs. So no
sequence of prices makes it drop a cycle that the plain screen would take: `test_leg_bounds.py` tries.

**Rounding.** A leg's value and a cycle's product are rounded, and in another order than the plain screen's: at most
seven roundings apart, 2^-50. `LOWEST` leaves ten times that. Prices in contracts lie between 2^-128 and 2^128, and a
fee keeps at least 2^-20, so no product of four comes near the ends of a float's range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.messages import NO_ID
from disruptor.handlers.path_visit import MARGIN
from disruptor.jit import jit

#: A product that the plain screen takes is above this, in whatever order it was computed.
LOWEST = MARGIN - 1e-14
_ONE, _TWO = np.uint32(1), np.uint32(2)


@jit
def directed(rates: Any, falling: Any) -> Any:
    """(going up, going down) through a pool whose token0 is sold going up, or is not."""
    down, up = rates["zero_for_one"], rates["one_for_zero"]
    return (down if falling != 0 else up), (up if falling != 0 else down)


@jit
def revalue(state: Any, at: Any, turn: Any) -> None:
    """Compute a leg's values from its pools' rates, once for the boundary `turn`, and lift its junction's bounds."""
    leg = row(state.path_legs, at)
    if leg["valued"] == turn:
        return
    leg["valued"] = turn
    up, down = directed(read(state.rates, leg["pool0"]), leg["ways"] & _ONE)
    if leg["pool1"] != NO_ID:
        more_up, more_down = directed(read(state.rates, leg["pool1"]), leg["ways"] & _TWO)
        up, down = up * more_up, down * more_down
    leg["up"], leg["down"] = up, down
    group = row(state.junctions, leg["junction"])
    if up > group["most_up"]:
        group["most_up"] = up
    if down > group["most_down"]:
        group["most_down"] = down


@jit
def may_pay(state: Any, at: Any, turn: Any) -> bool:
    """Whether some cycle of a leg may pay, once all values are those of the boundary `turn`."""
    leg = read(state.path_legs, at)
    if not _passes(state, leg):
        return False
    if read(state.junctions, leg["junction"])["tightened"] == turn:
        return True
    _tighten(state, leg["junction"], turn)
    return _passes(state, leg)


@jit
def _passes(state: Any, leg: Any) -> bool:
    group = read(state.junctions, leg["junction"])
    return leg["up"] * group["most_down"] > LOWEST or leg["down"] * group["most_up"] > LOWEST


@jit
def _tighten(state: Any, junction: Any, turn: Any) -> None:
    """Make a junction's bounds the greatest values of its legs."""
    group = row(state.junctions, junction)
    most_up, most_down = 0.0, 0.0
    at = group["first_leg"]
    while at != 0:
        leg = read(state.path_legs, at - _ONE)
        most_up, most_down = max(most_up, leg["up"]), max(most_down, leg["down"])
        at = leg["next_in_junction"]
    group["most_up"], group["most_down"], group["tightened"] = most_up, most_down, turn
