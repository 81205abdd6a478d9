"""The best input of a cycle through constant-product pools only, in integers.

A V2 pair with reserves x, y that counts `kept` of `whole` parts of an input pays y kept in / (x whole + kept in). Pairs
in a row are together one such curve,

    out(in) = a in / (b + c in)        a' = a y kept,   b' = b x whole,   c' = c x whole + a kept

so its slope falls to s, the price of one unit in, where

    in = (sqrt(a b / s) - b) / c

Two pairs with fees of whole thousandths have a and b of at most 244 bits: then nothing is cut, a b fits 512 bits, and
since floor((floor(r) - b) / c) = floor((r - b) / c), the result is the floor of the optimum to the last unit. Longer
chains and finer fees are cut to their leading 255 bits, all three by the same shift, which is at most one in 2^254 of
the largest at each hop. Where a / b, which is what one unit brings back at the margin, is below 2^100, the optimum
(an input below 2^112) moves by less than 2^-30 units: the result is its floor or, next to an integer, its neighbour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.handlers.fixed_point import divide, mul_div, sqrt512
from disruptor.handlers.inlining import never_inlined, seldom
from disruptor.handlers.messages import KIND_UNISWAP_V2
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.uniswap_v2 import parts
from disruptor.handlers.wide import U256, add, bit_length, load, mul, mul_wide, narrow, sub, u256
from disruptor.jit import jit

_MILLION = 1_000_000
_NOTHING, _ONE = U256(0), U256(1)
#: One less than 256, so that sums of two fit.
_BITS = 255


@jit
def is_product(state: Any, path: Any) -> bool:
    """Whether all pools of a path are V2 pairs."""
    for k in range(np.int64(path["hops"])):
        pool, _ = hop_of(path, k, True)
        if read(state.pools, pool)["kind"] != KIND_UNISWAP_V2:
            return False
    return True


@jit
def product_input(state: Any, path: Any, forward: Any, guess: Any) -> Any:
    """The input of a cycle of V2 pairs that pays most before its amounts are rounded, rounded down.

    Parameters
    ----------
    path : row of `paths` for which `is_product` holds; all reserves are positive, all fees below a million
    forward : the direction
    guess : U256, near the answer, which it does not change: the nearer, the sooner it is found

    Returns
    -------
    U256, 0 if nothing pays. The loan of the settings is paid for; `max_amount_in` is not looked at.

    Invariants
    ----------
    Integers only; changes nothing.
    """
    never_inlined()
    a, b, c = _curve(state, path, forward)
    loan = np.int64(read(state.path_settings, 0)["loan_millionths"])
    if loan != 0:
        _, a = mul_div(a, u256(_MILLION), u256(_MILLION + loan))
    if a <= b:
        return _NOTHING
    product = mul_wide(a, b)
    amount = _improved(a, b, c, guess)
    for _ in range(2):
        reached = add(b, mul(c, amount))
        if mul_wide(reached, reached) <= product:
            return amount
        amount = sub(amount, _ONE)
    seldom()
    amount, _rest = divide(sub(sqrt512(product), b), c)
    return amount


@jit
def _curve(state: Any, path: Any, forward: Any) -> Any:
    """(a, b, c) of all pairs of a path."""
    a, b, c = _ONE, _ONE, _NOTHING
    for k in range(np.int64(path["hops"])):
        pool, zero_for_one = hop_of(path, k, forward)
        p = read(state.pools, pool)
        into, out = load(p["reserve0"]), load(p["reserve1"])
        if not zero_for_one:
            into, out = out, into
        kept, whole = parts(np.int64(p["fee"]))
        up, down = mul(out, u256(kept)), mul(into, u256(whole))
        if k == 0:
            a, b, c = up, down, u256(kept)
        else:
            a, b, c = _fold(a, b, c, up, down, u256(kept))
    return a, b, c


@jit
def _fold(a: Any, b: Any, c: Any, up: Any, down: Any, kept: Any) -> Any:
    """The curve (a, b, c) with one more pair behind it, which pays up / (down + kept in) for each unit in."""
    c_next = add(mul_wide(c, down), mul_wide(a, kept))
    a_next, b_next = mul_wide(a, up), mul_wide(b, down)
    excess = np.int64(bit_length(a_next | b_next | c_next)) - _BITS
    if excess > 0:
        seldom()
        return _cut(a_next, excess), _cut(b_next, excess), _cut(c_next, excess)
    return narrow(a_next), narrow(b_next), narrow(c_next)


@jit
def _cut(value: Any, bits: Any) -> Any:
    """A U512 without its lowest bits, as a U256: one function, for shifts of 512 bits are long in machine code."""
    never_inlined()
    return narrow(value >> bits)


@jit
def _improved(a: Any, b: Any, c: Any, guess: Any) -> Any:
    """Newton's next input after `guess`: not below the floor of the best, and far nearer to it.

    As a root: t -> (t + a b / t) / 2 is at or above sqrt(a b), whatever t was, and squares its relative error.
    """
    root = b
    if bit_length(guess) + bit_length(c) < _BITS:
        root = add(b, mul(c, guess))
    _, other = mul_div(a, b, root)
    root = add(root, other) >> 1
    amount, _ = divide(sub(root, b), c)
    return amount
