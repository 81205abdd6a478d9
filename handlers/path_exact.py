"""What a cycle really pays: the contracts' own integers, hop by hop.

The search proposes an amount; `settle` finds the best input near it. Contracts round against the trader at every step,
so what comes back is a staircase below the smooth curve:

    smooth(in) - B < exact(in) <= smooth(in)

**B**, the bound, is the sum over all hops, and over the steps of a V3 hop, of what rounding can take there, each
counted at the rate at which the rest of the cycle turns it into the first token:

    V2    one unit of the output
    V3    one unit of the output; two of the input, for the amount and the fee; and one unit of the Q64.96 price, which
          is L / 2^96 of token1 or L 2^96 / P^2 of token0, where liquidity L lies at the price P

Profit at the stated input is exact, and the best profit there is exceeds it by less than B + D 2^-90, where D is the
largest depth (reserve, or L / sqrt price) on the way, in the first token: the second term is what 53-bit floats may
miss of the smooth optimum, below one unit for pools of less than 10^27. A smooth profit below one unit pays nothing at
any input. Where the optimum lies at the end of a pool's liquidity, or of what a pair can hold, the bound is larger by a
thousandth of the profit, for the last unit of a pool can't always be hit.

How the best near it is found: of all amounts on the way the *smallest number* is the coarsest, the one whose unit is
worth most. Its neighbours are tried, each with the least input that brings it about (exact outputs, backward) and what
that input then pays (exact inputs, forward). Where even that number is large a neighbour changes nothing, and where the
first answer is already the smooth one, nothing is tried at all. Every answer is the result of a forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.by_venue import most_in, quote_exact_out, trade
from disruptor.handlers.path_costs import funding_cost
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.wide import add, bit_length, is_zero, load, store, sub, to_f64, u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit
from disruptor.status import OK

#: Neighbours tried on the way: of the coarsest amounts, and of others.
MAX_TRIES, _TRIES = 24, 8
#: Bits of an amount up to which many neighbours are tried, and beyond which none is worth it.
_COARSE_BITS, _FINE_BITS = 10, 20
#: Relative error of the smooth profit's two parts: generously, where it drops; closely, where it ends the trying.
_TOLERANCE, _NOISE = 2.0**-40, 2.0**-48
_TWO_62 = 2.0**62
_TWO_MINUS_32 = 2.0**-32
_NOTHING = U256(0)
_NO_LIMIT = U256(0)


@jit
def wide_of(amount: Any) -> Any:
    """A float64 from 0 up as a U256, rounded down; 2^255 at most."""
    shift = np.int64(0)
    while amount >= _TWO_62 and shift < 192:
        amount *= _TWO_MINUS_32
        shift += 32
    return u256(np.int64(min(amount, _TWO_62))) << shift


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
    (amount_in, amount_out) : U256; amount_out pays for amount_in and for its funding, else both are 0. The hops'
        outputs are in `hop_cells`, field `best_out`.

    Invariants
    ----------
    Writes only `hop_cells`, rows 0 to hops - 1. At most 2 * (MAX_TRIES + 1) + 1 passes.
    """
    best_in, best_out, best = _NOTHING, _NOTHING, _NOTHING
    if gain + (guess + gain) * _TOLERANCE < 1.0:
        return best_in, best_out
    hops = np.int64(path["hops"])
    limit = load(read(state.path_settings, 0)["max_amount_in"])
    position, anchor, blocked, last = np.int64(0), _first_amount(guess, limit), False, np.int64(0)
    for attempt in range(-1, MAX_TRIES + 1):
        if attempt > last:
            break
        wanted = anchor if attempt < 0 else _neighbour(anchor, attempt, blocked)
        amount = run_backward(state, path, forward, position, wanted)
        if is_zero(amount) or (amount > limit and not is_zero(limit)):
            continue
        reached, out = run_forward(state, path, forward, amount)
        if reached == hops:
            net = _net(state, amount, out)
            if net > best:
                best_in, best_out, best = amount, out, net
                _keep(state, path)
        if attempt < 0:
            blocked = reached < hops and not is_zero(out)
            position, anchor = _where_to_look(state, path, amount, reached, out)
            last = _tries(position, anchor, blocked)
        if to_f64(best) + 1.0 + (guess + gain) * _NOISE >= gain:
            break
    return best_in, best_out


@jit
def _first_amount(guess: Any, limit: Any) -> Any:
    amount = wide_of(guess)
    if is_zero(amount):
        amount = u256(1)
    return limit if amount > limit and not is_zero(limit) else amount


@jit
def _tries(position: Any, anchor: Any, blocked: Any) -> Any:
    """The last attempt worth making; -1 for none."""
    if not blocked and bit_length(anchor) <= _COARSE_BITS:
        return np.int64(MAX_TRIES)
    if blocked or bit_length(anchor) <= _FINE_BITS:
        return np.int64(_TRIES)
    return np.int64(0) if position > 0 else np.int64(-1)


@jit
def _neighbour(anchor: Any, attempt: Any, blocked: Any) -> Any:
    """The attempt-th amount around the anchor: itself, one more, one less, two more...; below what is blocked."""
    if blocked:
        step = sub(u256(1) << (4 * attempt), u256(1))
        return sub(anchor, step) if anchor > step else _NOTHING
    step = u256((attempt + 1) // 2)
    if attempt % 2 == 1:
        return add(anchor, step)
    return sub(anchor, step) if anchor > step else _NOTHING


@jit
def _where_to_look(state: Any, path: Any, amount_in: Any, reached: Any, out: Any) -> Any:
    """(position, amount) around which to look on, after a forward pass: where it ended, or where it is coarsest."""
    if reached == np.int64(path["hops"]):
        return _coarsest(state, path, amount_in)
    if is_zero(out):  # the hop pays less than one unit: so look at the inputs for one, two...
        return reached + 1, u256(1)
    return reached, out


@jit
def _coarsest(state: Any, path: Any, amount_in: Any) -> Any:
    """(position, amount): the smallest number on the way that was just made; position k is the input of hop k."""
    position, amount = np.int64(0), amount_in
    for k in range(np.int64(path["hops"])):
        out = load(read(state.hop_cells, k)["amount_out"])
        if out < amount:
            position, amount = np.int64(k + 1), out
    return position, amount


@jit
def run_forward(state: Any, path: Any, forward: Any, amount_in: Any) -> Any:
    """Swap exactly `amount_in` through the cycle; outputs are in `hop_cells`.

    Returns
    -------
    (hops, what comes back), or of the first hop that does not take all it is offered: (its number, what it takes), or
        of the first that pays nothing for it: (its number, 0).
    """
    amount = amount_in
    hops = np.int64(path["hops"])
    for k in range(hops):
        pool, zero_for_one = hop_of(path, k, forward)
        taken, out = _swap(state, pool, zero_for_one, amount)
        if taken != amount or is_zero(out):
            return np.int64(k), taken if taken != amount else _NOTHING
        store(row(state.hop_cells, k)["amount_out"], out)
        amount = out
    return hops, amount


@jit
def _swap(state: Any, pool: Any, zero_for_one: Any, amount: Any) -> Any:
    """(what a pool takes of an input, what it pays); one that would hold more than it can reverts."""
    most = most_in(state, pool, zero_for_one)
    if amount > most:
        return most, _NOTHING
    t = trade(state, pool, zero_for_one, True, amount, _NO_LIMIT)
    return (t.amount_in, t.amount_out) if t.status == OK else (_NOTHING, _NOTHING)


@jit
def run_backward(state: Any, path: Any, forward: Any, position: Any, wanted: Any) -> Any:
    """The input for which the hops before `position` pay at least `wanted`; 0 if none does."""
    amount = wanted
    for back in range(position):
        if is_zero(amount):
            break
        pool, zero_for_one = hop_of(path, position - 1 - back, forward)
        status, needed, partial = quote_exact_out(state, pool, zero_for_one, amount)
        amount = needed if status == OK and not partial else _NOTHING
    return amount


@jit
def _net(state: Any, amount_in: Any, amount_out: Any) -> Any:
    """What is left of an output when the input and its funding are paid; 0 if nothing."""
    owed = amount_in
    if read(state.path_settings, 0)["loan_millionths"] != 0:
        owed = add(amount_in, funding_cost(state, amount_in))
    return sub(amount_out, owed) if amount_out > owed else _NOTHING


@jit
def _keep(state: Any, path: Any) -> None:
    """Remember the outputs of the swap just made."""
    for k in range(np.int64(path["hops"])):
        cell = row(state.hop_cells, k)
        store(cell["best_out"], load(cell["amount_out"]))
