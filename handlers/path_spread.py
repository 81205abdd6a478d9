"""What a cycle brings back for one unit at the margin, net of all fees, as an exact number of basis points.

The ratio is a product of rationals: reserves for V2, squared sqrt prices for V3, 1 - fee for both. Numerator and
denominator are kept to 128 significant bits each, cut after every factor; sixteen cuts make a relative error under
2^-123, which moves the result by less than one unit of 2^-32 basis points. Whether a cycle pays is never decided here:
that is for the exact swap.

DETERMINISM: integers only; `spread_to_bps` is one correctly rounded operation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.handlers.by_venue import price_at
from disruptor.handlers.fixed_point import divide
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.wide import bit_length, is_zero, low64, mul, u256
from disruptor.jit import jit

#: UNITS: a spread of 1 is 2^-32 basis points; `SPREAD_ONE` is a ratio of 1, or 10,000 basis points.
SPREAD_ONE = 10_000 << 32
MAX_SPREAD = 2**63 - 1
MIN_SPREAD = -SPREAD_ONE
_MILLION = 1_000_000
_TWO_MINUS_32 = 2.0**-32
#: Ratios from 2^18 up saturate: 2^18 * SPREAD_ONE > 2^63.
_SATURATING = 18


@jit
def cycle_spread(state: Any, path: Any, forward: Any) -> Any:
    """(ratio - 1) * 10,000 * 2^32, rounded down, within `MIN_SPREAD` .. `MAX_SPREAD`.

    Parameters
    ----------
    path : row of `paths`; every pool has a price and a fee below a million
    forward : the direction

    Returns
    -------
    int64, at most one unit from the exact floor.
    """
    n, d, exponent = u256(np.uint64(1)), u256(np.uint64(1)), np.int64(0)
    for k in range(np.int64(path["hops"])):
        pool, zero_for_one = hop_of(path, k, forward)
        up, down, more, fee = price_at(state, pool, zero_for_one)
        up, cut_up = _cut(up)
        down, cut_down = _cut(down)
        more += cut_up - cut_down
        if not zero_for_one:
            up, down, more = down, up, -more
        n, shift_n = _times(n, up)
        d, shift_d = _times(d, down)
        exponent += shift_n - shift_d + more
        n, shift_n = _times(n, u256(np.int64(_MILLION) - fee))
        d, shift_d = _times(d, u256(np.int64(_MILLION)))
        exponent += shift_n - shift_d
    return _fixed(n, d, exponent)


@jit
def spread_to_bps(spread: Any) -> Any:
    """A spread in basis points: the float64 nearest to spread / 2^32, ties to even (one rounding)."""
    return np.float64(spread) * _TWO_MINUS_32


@jit
def _cut(value: Any) -> Any:
    """(the top 128 bits, how many bits were dropped)."""
    dropped = max(np.int64(bit_length(value)) - 128, np.int64(0))
    return value >> dropped, dropped


@jit
def _times(value: Any, factor: Any) -> Any:
    """The product of two numbers within 128 bits, cut to 128, and the shift."""
    return _cut(mul(value, factor))


@jit
def _fixed(n: Any, d: Any, exponent: Any) -> Any:
    """floor(n / d * 2^exponent * SPREAD_ONE) - SPREAD_ONE, saturating."""
    if is_zero(n) or is_zero(d):
        return np.int64(MIN_SPREAD)
    magnitude = np.int64(bit_length(n)) - np.int64(bit_length(d)) + exponent
    if magnitude > _SATURATING:
        return np.int64(MAX_SPREAD)
    if magnitude < -64:
        return np.int64(MIN_SPREAD)
    room = 128 - np.int64(bit_length(n))
    scaled = mul(n << room, u256(np.int64(SPREAD_ONE)))  # under 2^174
    shift = exponent - room
    if shift >= 0:
        quotient, _ = divide(scaled << shift, d)
    elif np.int64(bit_length(d)) - shift > 174:  # more than the numerator can be
        return np.int64(MIN_SPREAD)
    else:
        quotient, _ = divide(scaled, d << -shift)
    if bit_length(quotient) > 63:
        return np.int64(MAX_SPREAD)
    return np.int64(low64(quotient)) - np.int64(SPREAD_ONE)
