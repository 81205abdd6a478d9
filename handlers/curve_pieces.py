"""Pieces of a curve, as a venue's `piece` puts them into `hop_cells`: within each a pool trades in one simple way.

A product piece pays y * kept * in / (x + kept * in). A line pays at one price: the same formula with x and y so large
that no amount shows in them. A curve of another kind is cut into pieces that each start with the curve's own slope and
pay no more than it does; what the search loses is what they pay less near the best input.
"""

from __future__ import annotations

from typing import Any

from disruptor.access import row
from disruptor.jit import jit

#: Reserves of a line. No amount of 128 bits, nor what it comes to in another token, moves them by a bit of their 53.
_FAR = 2.0**512


@jit
def product_piece(state: Any, k: Any, depths: Any, kept: Any, room: Any) -> bool:
    """Let hop k trade against virtual reserves, for inputs up to `room`.

    Parameters
    ----------
    depths : (float64 x, float64 y), of the token that comes in and of the one that goes out
    kept : float64, the share of an input that trades: 1 - fee
    room : float64, the most input, its fee included; inf for any

    Returns
    -------
    True, so that a venue's `piece` may end with it.
    """
    cell = row(state.hop_cells, k)
    cell["depth_in"], cell["depth_out"] = depths
    cell["kept"] = kept
    cell["room"] = room
    return True


@jit
def line_piece(state: Any, k: Any, price: Any, kept: Any, room: Any) -> bool:
    """Let hop k pay `price` (float64, units out for one in) times what is kept of its input, up to `room`."""
    return product_piece(state, k, (_FAR, price * _FAR), kept, room)
