"""Every recorded swap is checked against the arithmetic that opportunities rely on.

V3: the log says what moved and where the pool stood afterwards, not what was asked for. So the swap is made again
from the tracked state in each way that can have led there: exact input, exact output, and any amount up to a limit
that is the logged price. One of them must give the logged amounts, price, tick and liquidity. What matched is then
settled, which is how fee growth, protocol fees and observations come to be known: the log has none of them.

V2: the `Sync` before a `Swap` gives the balances, and these with the swap's amounts the reserves that there must have
been. With them the constant product must hold at the declared fee, whatever else is known; and they must be the ones
that are tracked. If they are not, an event was missed, or this is no pair: only where the stream has every block since
the pool's latest `Sync` it can't be the former.

That a fee is lower than declared shows at the first swap that needs it. One that is higher never contradicts anything:
who pays more than he must is free to. But a swap that a fee of one basis point more would have refused proves that the
fee is no higher; only such a swap confirms a pool (`AUDITED`). A V3 swap confirms its pool when its input is so large
that a basis point of it shows in the price.

The first mismatch marks the pool unverified, with the place of the log, and bars it from opportunities for good: its
fee is not what was declared, or changes; its tick map is not the chain's; or it is no such pool at all. A swap of a
pool whose state before it was not known, and which contradicts nothing, can't be checked, and is counted as such.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.messages import FLAG_AMOUNT_OVERFLOW, FLAG_PARENT_UNKNOWN
from disruptor.handlers.pools import AUDITED, FEES_KNOWN, PRICE_KNOWN, UNVERIFIED, is_complete
from disruptor.handlers.reverts import K_DECREASED
from disruptor.handlers.uniswap_v2 import amount_received, k_holds
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, rehearse, settle
from disruptor.handlers.wide import (
    add,
    bit_length,
    is_negative,
    is_zero,
    load,
    load_signed,
    negate,
    store,
    sub,
    u256,
)
from disruptor.jit import jit
from disruptor.message import u32, u64, u128
from disruptor.status import OK
from disruptor.table import Table

_MILLION = 1_000_000
_RESERVE_BITS = 112
_WAYS = 3  # exact input, exact output, up to a limit
_BASIS_POINT = 100  # millionths
#: Of an input of 2^17 units a basis point is 13 units: rounding can't hide it.
_TELLING_BITS = 17

audit_counters = Table(
    "audit_counters",
    {"audited": u64, "mismatched": u64, "not_checkable": u64, "unverified": u64},
    digest=False,
)

#: Where a pool's first mismatch is.
audit_failures = Table(
    "audit_failures",
    {"block_number": u64, "log_index": u32, "transaction_index": u32},
    key="pools",
    digest=False,
)

#: A V2 pool as it was before its latest `Sync`. `known`: its reserves; `unbroken`: no event since can be missing.
v2_before = Table(
    "v2_before",
    {
        "reserve0": u128,
        "reserve1": u128,
        "block_number": u64,  # of the latest Sync
        "log_index": u32,
        "known": u32,
        "unbroken": u32,
        "reserved": u32,
    },
    key="pools",
    digest=False,
)

#: The first block since which no number was left out without a header to vouch for it.
audit_stream = Table("audit_stream", {"unbroken_from": u64}, digest=False)


@jit
def note_block(state: Any, event: Any) -> None:
    """Notice a `BlockStart` that does not follow the block before; a block that has a header is no gap's end."""
    skips = event["number"] > read(state.chain, 0)["block_number"] + np.uint64(1)
    if skips and (event["flags"] & FLAG_PARENT_UNKNOWN) != 0:
        row(state.audit_stream, 0)["unbroken_from"] = event["number"]


@jit
def remember_reserves(state: Any, event: Any) -> None:
    """Keep a V2 pool's reserves before a `Sync` replaces them, for the `Swap` that may follow."""
    p, before = read(state.pools, event["pool"]), row(state.v2_before, event["pool"])
    store(before["reserve0"], load(p["reserve0"]))
    store(before["reserve1"], load(p["reserve1"]))
    before["known"] = np.uint32(is_complete(state, event["pool"]))
    before["unbroken"] = np.uint32(before["block_number"] >= read(state.audit_stream, 0)["unbroken_from"])
    before["log_index"] = event["log_index"]
    before["block_number"] = read(state.chain, 0)["block_number"]


@jit
def audit_v2_swap(state: Any, event: Any) -> None:
    """Check a V2 swap against the `Sync` right before it."""
    pool = event["pool"]
    p, before = read(state.pools, pool), read(state.v2_before, pool)
    # Pair.swap emits Sync and Swap one right after the other.
    follows = before["log_index"] + np.uint32(1) == event["log_index"]
    follows = follows and before["block_number"] == read(state.chain, 0)["block_number"]
    told = (event["flags"] & FLAG_AMOUNT_OVERFLOW) == 0
    if not (follows and told and p["fee"] < _MILLION):
        row(state.audit_counters, 0)["not_checkable"] += np.uint64(1)
        return
    fits = before["known"] != 0 and _fits(p, before, event)
    holds, confirms = _v2_holds(p, before, event, fits)
    if holds and not fits and (before["known"] == 0 or before["unbroken"] == 0):
        row(state.audit_counters, 0)["not_checkable"] += np.uint64(1)
    else:
        _note(state, event, holds and fits, confirms)


@jit
def _fits(p: Any, before: Any, event: Any) -> bool:
    """Whether the amounts that came in are what the pair finds between the reserves tracked and its balances."""
    in0 = amount_received(load(before["reserve0"]), load(event["amount0_out"]), load(p["reserve0"]))
    in1 = amount_received(load(before["reserve1"]), load(event["amount1_out"]), load(p["reserve1"]))
    return in0 == load(event["amount0_in"]) and in1 == load(event["amount1_in"])


@jit
def _v2_holds(p: Any, before: Any, event: Any, fits: Any) -> tuple[bool, bool]:
    """Whether a pair with the declared fee accepts the swap, and whether one that takes more would not.

    If the reserves tracked do not fit, those that balances and amounts tell of take their place. They are never above
    the pair's own (which are higher where a balance fell by itself), so what they refuse, the pair refuses.
    """
    balance0, balance1 = load(p["reserve0"]), load(p["reserve1"])
    out0, out1 = load(event["amount0_out"]), load(event["amount1_out"])
    in0, in1 = load(event["amount0_in"]), load(event["amount1_in"])
    if in0 > balance0 or in1 > balance1:
        return False, False
    reserve0, reserve1 = add(sub(balance0, in0), out0), add(sub(balance1, in1), out1)
    if fits:
        reserve0, reserve1 = load(before["reserve0"]), load(before["reserve1"])
    if bit_length(reserve0 | reserve1) > _RESERVE_BITS:
        return False, False
    holds = confirms = False
    for more in range(2):
        fee = min(np.int64(p["fee"]) + more * _BASIS_POINT, _MILLION)
        status = k_holds(reserve0, reserve1, out0, out1, balance0, balance1, fee)
        if more == 0:
            holds = status == OK
            if not holds or (p["flags"] & np.uint32(AUDITED)) != 0:
                break
        else:
            confirms = status == K_DECREASED
    return holds, confirms


@jit
def audit_v3_swap(state: Any, event: Any) -> bool:
    """Check a V3 swap and settle it; False if the pool's fees are not known after it."""
    pool = event["pool"]
    p = row(state.pools, pool)
    if not is_complete(state, pool) or (p["flags"] & np.uint32(PRICE_KNOWN)) == 0 or p["fee"] >= _MILLION:
        row(state.audit_counters, 0)["not_checkable"] += np.uint64(1)
        return False
    amount0, amount1 = load_signed(event["amount0"]), load_signed(event["amount1"])
    price = load(event["sqrt_price_x96"])
    zero_for_one = _direction(amount0, amount1, price, load(p["sqrt_price_x96"]))
    paid, bought = (amount0, negate(amount1)) if zero_for_one else (amount1, negate(amount0))
    open_limit = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
    matched = False
    for way in range(_WAYS):
        exact_in = way != 1
        amount = paid if way == 0 else (bought if way == 1 else u256(1) << 254)
        limit = price if way == 2 else open_limit
        if is_zero(amount) or is_negative(amount):
            continue
        outcome = rehearse(state, pool, zero_for_one, exact_in, amount, limit)
        if outcome.status == OK and _is_logged(event, outcome, amount0, amount1, price):
            settle(state, pool, zero_for_one, exact_in, amount, limit, outcome, _now(state))
            matched = True
            break
    _note(state, event, matched, bit_length(paid) > _TELLING_BITS)
    return matched and (p["flags"] & np.uint32(FEES_KNOWN)) != 0


@jit
def _now(state: Any) -> Any:
    return read(state.chain, 0)["timestamp"]


@jit
def _direction(amount0: Any, amount1: Any, after: Any, before: Any) -> bool:
    """Whether token0 came in. Where the pool got nothing the price tells: there was no liquidity on the way."""
    if not is_zero(amount0) and not is_negative(amount0):
        return True
    if not is_zero(amount1) and not is_negative(amount1):
        return False
    return after < before


@jit
def _is_logged(event: Any, outcome: Any, amount0: Any, amount1: Any, price: Any) -> bool:
    if outcome.amount0 != amount0 or outcome.amount1 != amount1 or outcome.sqrt_price != price:
        return False
    return outcome.tick == event["tick"] and outcome.liquidity == load(event["liquidity"])


@jit
def _note(state: Any, event: Any, holds: Any, confirms: Any) -> None:
    """Count a checked swap; mark a pool that it confirms, or that it is the first to refute, with the place."""
    counters, p = row(state.audit_counters, 0), row(state.pools, event["pool"])
    if holds:
        counters["audited"] += np.uint64(1)
        if confirms:
            p["flags"] |= np.uint32(AUDITED)
        return
    counters["mismatched"] += np.uint64(1)
    if (p["flags"] & np.uint32(UNVERIFIED)) == 0:
        p["flags"] |= np.uint32(UNVERIFIED)
        counters["unverified"] += np.uint64(1)
        failure = row(state.audit_failures, event["pool"])
        failure["block_number"] = read(state.chain, 0)["block_number"]
        failure["log_index"] = event["log_index"]
        failure["transaction_index"] = event["transaction_index"]
