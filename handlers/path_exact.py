"""What a cycle really pays: the contracts' own integers, hop by hop.

The search proposes an amount; `settle` finds the best input near it. Contracts round against the trader at every step,
so what comes back is a staircase below the smooth curve:

    smooth(in) - B < exact(in) <= smooth(in)

Of the amounts on the way the *smallest number* is the coarsest: its unit is worth most. The best input is the start of
one of its steps, so the search goes by that amount m: which input is the least that brings m about (exact outputs,
backward), and what does it then pay (exact inputs, forward)? Every answer is the result of a forward pass.

- **m itself.** In units of m the smooth profit is concave, so its best whole m is one of the two around the optimum;
  they are among the first three (for m behind several hops: a few more) from what the smooth optimum's floor brings
  about. So of the worth of a unit of m nothing is lost to rounding.
- **A V3 pool's fee** is rounded in units of its input. Where that is m, the nearest m is tried of which the fee takes
  next to nothing by rounding (`disruptor.handlers.path_steps`).
- **Small numbers.** Below 2^20 more neighbours are tried, below 2^10 many; of large ones only those that can matter.

**B**, the bound, is the sum over all hops, and over the steps of a V3 hop, of what rounding can take there, each
counted at the rate at which the rest of the cycle turns it into the first token:

    V2    one unit of the output
    V3    one unit of the output; two of the input, for the amount and the fee; and one unit of the Q64.96 price, which
          is L / 2^96 of token1 or L 2^96 / P^2 of token0, where liquidity L lies at the price P

Profit at the stated input is exact, and the best profit there is exceeds it by less than

- of V2 pairs only: B with the unit of the coarsest amount left out. Of two pairs that is two units of the first token
  where the token between is the coarser, and one more unit for a loan. The smooth optimum is exact there
  (`disruptor.handlers.path_product`).
- of others: B + D 2^-90, where D is the largest depth (reserve, or L / sqrt price) on the way, in the first token: the
  second term is what 53-bit floats may miss of the smooth optimum, below one unit for pools of less than 10^27.

A smooth profit below one unit pays nothing at any input. Where some pool takes only a part of what it is offered (a V3
pool at the end of its liquidity, a pair that can't hold more), two inputs are tried: the largest that every pool takes
in full, and the least that fills that pool. The second is the better one where a unit of the token before is worth much
or is already more than the pool takes. What a V3 pool leaves is counted as lost, as in an exact quote; so the profit
in the first token is what the contracts pay, and some of the other token is left over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.path_bound import cannot_pay_more, is_bounded
from disruptor.handlers.path_costs import funding_cost
from disruptor.handlers.path_hops import pay_for, pay_in, prepare_hops
from disruptor.handlers.path_product import is_product, product_input
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.path_steps import least_lossy_input
from disruptor.handlers.wide import add, bit_length, is_zero, load, store, sub, to_f64, u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit

#: Neighbours tried on the way: of the coarsest amounts, and of others.
MAX_TRIES, _TRIES = 24, 8
#: Inputs tried until every pool takes all of its own.
MAX_RETREATS = 16
#: Bits of an amount up to which many neighbours are tried, and some.
_COARSE_BITS, _FINE_BITS = 10, 20
#: Two neighbours of an amount m in the middle differ by less than a unit of the input where m^2 > 2^5 times the input.
_SQUARE_BITS = 5
#: Relative error of the smooth profit's two parts: generously, where it drops; closely, where it ends the trying.
_TOLERANCE, _NOISE = 2.0**-40, 2.0**-48
_TWO_62 = 2.0**62
_TWO_MINUS_32 = 2.0**-32
_NOTHING, _ONE = U256(0), U256(1)
#: Of `run_forward`; plain constants would make two functions of it.
_IN_FULL, _LOSSY = np.bool_(False), np.bool_(True)


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
    Writes only `hop_cells`, rows 0 to hops - 1. At most 2 * (MAX_RETREATS + MAX_TRIES + 2) passes.
    """
    best_in, best_out, best = _NOTHING, _NOTHING, _NOTHING
    if gain + (guess + gain) * _TOLERANCE < 1.0:
        return best_in, best_out
    hops, certain = np.int64(path["hops"]), is_product(state, path)
    limit = load(read(state.path_settings, 0)["max_amount_in"])
    prepare_hops(state, path, forward)
    amount = wide_of(guess)
    if certain:
        amount = product_input(state, path, forward, amount)
    amount, reached, out, narrow, room = _retreat(state, path, forward, _allowed(amount, limit))
    if reached == hops:
        best = _net(state, amount, out)
        if not is_zero(best):
            best_in, best_out = amount, out
            _keep(state, path)
    position, anchor = _where_to_look(state, path, amount, reached)
    first = amount if reached == hops else _NOTHING
    wanted = _NOTHING
    bounded = is_bounded(state, path)
    enough = np.inf if certain else gain - 1.0 - (guess + gain) * _NOISE
    for attempt in range(_tries(position, anchor, amount, certain) + 1):
        if to_f64(best) >= enough:
            break
        wanted, before = _candidate(state, path, forward, position, anchor, attempt), wanted
        if wanted == before or (bounded and cannot_pay_more(state, path, position, wanted, best)):
            continue
        amount = run_backward(state, path, forward, position, wanted)
        if is_zero(amount) or amount == first or (amount > limit and not is_zero(limit)):
            continue
        reached, out = run_forward(state, path, forward, amount, _LOSSY)
        net = _net(state, amount, out) if reached == hops else _NOTHING
        if net > best:
            best_in, best_out, best = amount, out, net
            _keep(state, path)
    if narrow > 0:
        amount, out = _overfill(state, path, forward, narrow, room)
        if _net(state, amount, out) > best:
            best_in, best_out = amount, out
            _keep(state, path)
    return best_in, best_out


@jit
def _overfill(state: Any, path: Any, forward: Any, narrow: Any, room: Any) -> Any:
    """(amount in, amount out) of the least input that fills hop `narrow`, which takes `room` at most; 0, 0 for none."""
    limit = load(read(state.path_settings, 0)["max_amount_in"])
    amount = run_backward(state, path, forward, narrow, room)
    if is_zero(amount) or (amount > limit and not is_zero(limit)):
        return _NOTHING, _NOTHING
    reached, out = run_forward(state, path, forward, amount, _LOSSY)
    return (amount, out) if reached == np.int64(path["hops"]) else (_NOTHING, _NOTHING)


@jit
def _allowed(amount: Any, limit: Any) -> Any:
    """An amount within the limit (0 is none), at least 1."""
    if is_zero(amount):
        return _ONE
    return limit if amount > limit and not is_zero(limit) else amount


@jit
def _retreat(state: Any, path: Any, forward: Any, amount: Any) -> Any:
    """(amount, reached, out, narrow, room): the largest input that every pool takes in full, and how its swap ends.

    At most `amount`. Hop `narrow` was the first that took only a part, `room`; -1 if all took theirs.

    A pool that takes only a part says how much it takes; the largest input that leads to no more is one less than the
    least that leads to more. Exact outputs of V3 may be a little more than the least, so it goes on in growing steps.
    """
    step, reached, out, narrow, room = _ONE, np.int64(0), _NOTHING, np.int64(-1), _NOTHING
    for _ in range(MAX_RETREATS):
        reached, out = run_forward(state, path, forward, amount, _IN_FULL)
        if reached == np.int64(path["hops"]) or is_zero(out):
            break
        if narrow < 0:
            narrow, room = reached, out
        below = sub(amount, step) if amount > step else _NOTHING
        beyond = run_backward(state, path, forward, reached, add(out, _ONE))
        amount = below if is_zero(beyond) or beyond > below else sub(beyond, _ONE)
        out = _NOTHING
        if is_zero(amount):
            break
        step = step << 2
    return amount, reached, out, narrow, room


@jit
def _tries(position: Any, anchor: Any, amount_in: Any, certain: Any) -> Any:
    """The last attempt worth making."""
    bits = bit_length(anchor)
    if bits <= _COARSE_BITS:
        return np.int64(MAX_TRIES)
    if bits <= _FINE_BITS:
        return np.int64(_TRIES)
    if certain and 2 * bits <= bit_length(amount_in) + _SQUARE_BITS:
        return 2 * np.int64(position) + 1
    return np.int64(0)


@jit
def _candidate(state: Any, path: Any, forward: Any, position: Any, anchor: Any, attempt: Any) -> Any:
    """The attempt-th amount to try at a position; 0 for none.

    First the least lossy input of the hop there, the anchor itself where nothing is to be gained; then the anchor, and
    what is more and less by one, two...: a step ahead upward, since the anchor was rounded down.
    """
    if attempt == 0:
        found = anchor
        if position < np.int64(path["hops"]):
            pool, zero_for_one = hop_of(path, position, forward)
            found = least_lossy_input(state, position, pool, zero_for_one, anchor)
        return _NOTHING if position == 0 and found == anchor else found  # the first pass was that
    if attempt <= 3 or attempt % 2 == 1:
        return add(anchor, u256(attempt - 1 if attempt <= 3 else attempt // 2 + 1))
    step = u256(attempt // 2 - 1)
    return sub(anchor, step) if anchor > step else _NOTHING


@jit
def _where_to_look(state: Any, path: Any, amount_in: Any, reached: Any) -> Any:
    """(position, amount) around which to look on, after a forward pass: where it is coarsest, or where it ended.

    It ends where a hop pays less than one unit: so look at the inputs for one, two...
    """
    if reached == np.int64(path["hops"]):
        return _coarsest(state, path, amount_in)
    return reached + 1, _ONE


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
def run_forward(state: Any, path: Any, forward: Any, amount_in: Any, lossy: Any) -> Any:
    """Swap exactly `amount_in` through the cycle; outputs are in `hop_cells`.

    If `lossy`, a pool may take only a part: the rest is lost.

    Returns
    -------
    (hops, what comes back), or of the first hop that does not take all it is offered: (its number, what it takes), or
        of the first that pays nothing for it: (its number, 0).
    """
    never_inlined()
    amount = amount_in
    hops = np.int64(path["hops"])
    for k in range(hops):
        pool, zero_for_one = hop_of(path, k, forward)
        taken, out = pay_in(state, np.int64(k), pool, zero_for_one, amount)
        if is_zero(out) or (taken != amount and not lossy):
            return np.int64(k), taken if taken != amount else _NOTHING
        store(row(state.hop_cells, k)["amount_out"], out)
        amount = out
    return hops, amount


@jit
def run_backward(state: Any, path: Any, forward: Any, position: Any, wanted: Any) -> Any:
    """The input for which the hops before `position` pay at least `wanted`; 0 if none does."""
    never_inlined()
    amount = wanted
    for back in range(position):
        if is_zero(amount):
            break
        k = position - 1 - back
        pool, zero_for_one = hop_of(path, k, forward)
        amount = pay_for(state, np.int64(k), pool, zero_for_one, amount)
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
