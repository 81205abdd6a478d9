"""Every recorded swap is checked against the arithmetic that opportunities rely on.

V3: the log says what moved and where the pool stood afterwards, not what was asked for. So the swap is made again
from the tracked state in each way that can have led there: exact input, exact output, and any amount up to a limit
that is the logged price. One of them must give the logged amounts, price, tick and liquidity. What matched is then
settled, which is how fee growth, protocol fees and observations come to be known: the log has none of them.

V2: the `Sync` before a `Swap` gives the balances. Reserves before, amounts and balances must fit together as the pair's
own rules have it, and the constant product must hold at the declared fee.

The first mismatch marks the pool unverified, with the place of the log, and bars it from opportunities for good: its
fee is not what was declared, or changes; its tick map is not the chain's; or it is no such pool at all. A swap of a
pool whose state was not known before can't be checked, and is counted as such.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.messages import FLAG_AMOUNT_OVERFLOW
from disruptor.handlers.pools import AUDITED, FEES_KNOWN, PRICE_KNOWN, UNVERIFIED, is_complete
from disruptor.handlers.uniswap_v2 import amount_received, k_holds
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, quote, settle
from disruptor.handlers.wide import is_negative, is_zero, load, load_signed, negate, store, u256
from disruptor.jit import jit
from disruptor.message import u32, u64, u128
from disruptor.status import OK
from disruptor.table import Table

_MILLION = 1_000_000
_WAYS = 3  # exact input, exact output, up to a limit

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

#: A V2 pool as it was before its latest `Sync`.
v2_before = Table(
    "v2_before",
    {"reserve0": u128, "reserve1": u128, "block_number": u64, "known": u32, "log_index": u32},
    key="pools",
    digest=False,
)


@jit
def remember_reserves(state: Any, event: Any) -> None:
    """Keep a V2 pool's reserves before a `Sync` replaces them, for the `Swap` that may follow."""
    p, before = read(state.pools, event["pool"]), row(state.v2_before, event["pool"])
    store(before["reserve0"], load(p["reserve0"]))
    store(before["reserve1"], load(p["reserve1"]))
    before["known"] = np.uint32(is_complete(state, event["pool"]))
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
    if not (follows and told and before["known"] != 0 and p["fee"] < _MILLION):
        row(state.audit_counters, 0)["not_checkable"] += np.uint64(1)
        return
    _note(state, event, _v2_holds(state, event))


@jit
def _v2_holds(state: Any, event: Any) -> bool:
    p, before = read(state.pools, event["pool"]), read(state.v2_before, event["pool"])
    reserve0, reserve1 = load(before["reserve0"]), load(before["reserve1"])
    balance0, balance1 = load(p["reserve0"]), load(p["reserve1"])
    out0, out1 = load(event["amount0_out"]), load(event["amount1_out"])
    if k_holds(reserve0, reserve1, out0, out1, balance0, balance1, np.int64(p["fee"])) != OK:
        return False
    if amount_received(reserve0, out0, balance0) != load(event["amount0_in"]):
        return False
    return amount_received(reserve1, out1, balance1) == load(event["amount1_in"])


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
        outcome = quote(state, pool, zero_for_one, exact_in, amount, limit)
        if outcome.status == OK and _is_logged(event, outcome, amount0, amount1, price):
            settle(state, pool, zero_for_one, exact_in, amount, limit, outcome, _now(state))
            matched = True
            break
    _note(state, event, matched)
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
def _note(state: Any, event: Any, holds: Any) -> None:
    """Count a checked swap; at a pool's first mismatch mark it and remember where."""
    counters, p = row(state.audit_counters, 0), row(state.pools, event["pool"])
    if holds:
        counters["audited"] += np.uint64(1)
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
