"""What an opportunity costs: gas at the next block's price, and the use of the money.

Gas is a model, not a measurement: a transaction that starts, checks and ends a cycle, and each swap as its venue has
it, with the initialized ticks that it crosses. Its price is the next block's base fee, which EIP-1559 fixes from this
block's header, plus `arbitrage.priority_fee`. Costs are wanted in the token of the profit: the wrapped native token is
the price itself, any other is sold for it in the pool that `arbitrage.native_pools` names, by an exact swap. Where the
header or such a pool is missing, or the pool's state is not certain, the cost is unknown: the opportunity is reported
gross, and marked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.by_venue import gas_at, quote_exact_out
from disruptor.handlers.fixed_point import div_rounding_up, divide
from disruptor.handlers.path_curve import is_tradable
from disruptor.handlers.path_search import hop_of
from disruptor.handlers.pools import UNVERIFIED
from disruptor.handlers.wide import add, bit_length, low64, mul, u256
from disruptor.jit import jit
from disruptor.status import OK

#: UNITS: gas. A transaction with its transfers and checks.
GAS_BASE = 60_000
_MILLION = 1_000_000
#: EIP-1559: the target is half the limit, and the fee moves by at most an eighth.
_ELASTICITY, _STEP = 2, 8
_MAX_WEI = 1 << 60


@jit
def gas_units(state: Any, path: Any, forward: Any) -> Any:
    """Gas of a cycle whose search has just been made (it counted the ticks crossed)."""
    gas = np.int64(GAS_BASE)
    for k in range(np.int64(path["hops"])):
        pool, _ = hop_of(path, k, forward)
        gas += gas_at(state, pool, read(state.hop_cells, k)["crossed"])
    return gas


@jit
def next_base_fee(state: Any) -> Any:
    """Base fee of the next block in wei, after EIP-1559, or -1 where the header does not tell."""
    c = read(state.chain, 0)
    fee, used, limit = np.int64(c["base_fee"]), np.int64(c["gas_used"]), np.int64(c["gas_limit"])
    target = limit // _ELASTICITY
    if fee <= 0 or target <= 0 or fee > _MAX_WEI or used > limit:
        return np.int64(-1)
    if used == target:
        return fee
    by_target, _ = divide(mul(u256(fee), u256(abs(used - target))), u256(target))
    change = np.int64(low64(by_target)) // _STEP
    return fee + max(change, np.int64(1)) if used > target else fee - change


@jit
def gas_cost_wei(state: Any, gas: Any) -> Any:
    """Price of `gas` units in the next block, in wei; -1 where it is not known, or from 2^63 on."""
    fee = next_base_fee(state)
    if fee < 0:
        return np.int64(-1)
    price = add(u256(fee), u256(read(state.path_settings, 0)["priority_fee"]))
    cost = mul(price, u256(gas))
    return np.int64(low64(cost)) if bit_length(cost) <= 63 else np.int64(-1)


@jit
def gas_in_token(state: Any, token: Any, wei: Any) -> Any:
    """(known, U256 amount of `token` that pays for `wei` of gas)."""
    quote = read(state.native_quotes, token)
    if wei < 0:
        return False, u256(np.int64(0))
    if quote["is_native"] != 0:
        return True, u256(wei)
    if quote["pool"] == 0:
        return False, u256(np.int64(0))
    pool = np.uint32(quote["pool"] - np.uint32(1))  # numba makes 64 bits of it, and all functions anew
    if not is_tradable(state, pool) or (read(state.pools, pool)["flags"] & np.uint32(UNVERIFIED)) != 0:
        return False, u256(np.int64(0))
    sells_token0 = read(state.pools, pool)["token0"] == token
    status, amount, partial = quote_exact_out(state, pool, sells_token0, u256(wei))
    return status == OK and not partial, amount


@jit
def funding_cost(state: Any, amount_in: Any) -> Any:
    """What a loan of `amount_in` costs, rounded up; 0 for flash swaps and one's own money."""
    share = u256(read(state.path_settings, 0)["loan_millionths"])
    _, cost = div_rounding_up(mul(amount_in, share), u256(np.int64(_MILLION)))
    return cost


@jit
def note_native(state: Any, event: Any) -> None:
    """Note, when a pool is registered, whether it trades the native token and whether settings name it."""
    settings = read(state.path_settings, 0)
    if settings["native_pools"] == 0:
        return
    native = read(state.native_pools, 0)["address"]
    first, second = event["token0"], event["token1"]
    if _same(event["token0_address"], native):
        row(state.native_quotes, first)["is_native"] = np.uint32(1)
        other = second
    elif _same(event["token1_address"], native):
        row(state.native_quotes, second)["is_native"] = np.uint32(1)
        other = first
    else:
        return
    row(state.path_cursor, 0)["priced"] = np.uint32(1)
    for k in range(1, settings["native_pools"]):
        if _same(read(state.native_pools, k)["address"], event["address"]):
            row(state.native_quotes, other)["pool"] = event["pool"] + np.uint32(1)


@jit
def _same(one: Any, other: Any) -> bool:
    same = True
    for k in range(20):
        same = same and one[k] == other[k]
    return same
