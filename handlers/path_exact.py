"""What a cycle really pays: the contracts' own integers, hop by hop.

The search proposes an amount; `settle` finds the best input near it. Contracts round against the trader at every
hop, so what comes back is a staircase below the smooth curve:

    smooth(in) - B < exact(in) <= smooth(in)      B = 1 + the value, in the first token, of one unit of each token on the way

Hence the profit at the proposed input is within B of the best there is, and an exact profit can't exceed the smooth
one: a cycle whose smooth profit is below one unit pays nothing at any input. Then the input is cut to the least that
gives the same output (each hop backward, by its exact output), and where units are coarse the neighbouring outputs are
tried as well, until none can be better. Every answer is the result of a forward pass through the exact swaps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.quoting import quote_exact_in, quote_exact_out
from disruptor.handlers.wide import add, is_zero, load, store, sub, to_f64, u256
from disruptor.jit import jit
from disruptor.status import OK

#: Outputs tried beside the first, where a unit is worth the while.
MAX_TRIES = 8
#: Relative error of the smooth profit's two parts, generously.
_TOLERANCE = 2.0**-40
_TWO_62 = 2.0**62
_TWO_MINUS_32 = 2.0**-32


@jit
def wide_of(amount: Any) -> Any:
    """A float64 from 0 up as a U256, rounded down; 2^255 at most."""
    shift = np.int64(0)
    while amount >= _TWO_62 and shift < 192:
        amount *= _TWO_MINUS_32
        shift += 32
    return u256(np.int64(min(amount, _TWO_62))) << shift


@jit
def run_forward(state: Any, path: Any, forward: Any, amount_in: Any) -> Any:
    """Swap exactly `amount_in` through the cycle: (paid in full, what comes back); outputs are in `hop_cells`."""
    amount = amount_in
    for k in range(np.int64(path["hops"])):
        pool, zero_for_one = hop_of(path, k, forward)
        status, out, partial = quote_exact_in(state, pool, zero_for_one, amount)
        if status != OK or partial or is_zero(out):
            return False, u256(np.uint64(0))
        store(row(state.hop_cells, k)["amount_out"], out)
        amount = out
    return True, amount


@jit
def run_backward(state: Any, path: Any, forward: Any, amount_out: Any) -> Any:
    """(possible, the input that the exact-output swaps ask for) for `amount_out` at the end of the cycle."""
    amount = amount_out
    hops = np.int64(path["hops"])
    for back in range(hops):
        pool, zero_for_one = hop_of(path, hops - 1 - back, forward)
        status, needed, partial = quote_exact_out(state, pool, zero_for_one, amount)
        if status != OK or partial or is_zero(needed):
            return False, u256(np.uint64(0))
        amount = needed
    return True, amount


@jit
def settle(state: Any, path: Any, forward: Any, guess: Any, gain: Any) -> Any:
    """The best exact swap near a proposed input.

    Parameters
    ----------
    path : row of `paths`
    forward : the direction
    guess, gain : float64, what `path_search.best_input` proposes and promises

    Returns
    -------
    (amount_in, amount_out) : U256; amount_out > amount_in if it pays, else both 0. The hops' outputs are in
        `hop_cells`, field `best_out`.
    """
    nothing = u256(np.uint64(0))
    best_in, best_out = nothing, nothing
    if gain + (guess + gain) * _TOLERANCE < 1.0:
        return best_in, best_out
    amount = wide_of(guess)
    if is_zero(amount):
        amount = u256(np.uint64(1))
    paid, out = run_forward(state, path, forward, amount)
    if paid and out > amount:
        best_in, best_out = amount, out
        _keep(state, path)
    target = out if paid else wide_of(guess + gain)
    ceiling = gain + (guess + gain) * _TOLERANCE
    for attempt in range(1 + MAX_TRIES):
        wanted = _neighbour(target, attempt)
        possible, amount = run_backward(state, path, forward, wanted)
        if possible:
            paid, out = run_forward(state, path, forward, amount)
            if paid and out > amount and sub(out, amount) > sub(best_out, best_in):
                best_in, best_out = amount, out
                _keep(state, path)
        if to_f64(sub(best_out, best_in)) + 1.0 > ceiling or ceiling > _COARSE:
            break
    return best_in, best_out


#: A best profit of more units than this is not looked for beyond the first neighbours: a unit is nothing then.
_COARSE = 2.0**40


@jit
def _neighbour(target: Any, attempt: Any) -> Any:
    """The attempt-th output around `target`: itself, one more, one less, two more, ..."""
    step = u256(np.int64((attempt + 1) // 2))
    if attempt % 2 == 1:
        return add(target, step)
    return sub(target, step) if target > step else u256(np.uint64(1))


@jit
def _keep(state: Any, path: Any) -> None:
    """Remember the outputs of the swap just made."""
    for k in range(np.int64(path["hops"])):
        cell = row(state.hop_cells, k)
        store(cell["best_out"], load(read(state.hop_cells, k)["amount_out"]))
