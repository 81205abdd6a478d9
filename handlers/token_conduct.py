"""Which tokens behave: what pools state against what their tokens' `Transfer`s say.

Double entry: a pool's side is an account that transfers of its token enter and leave, and the pool's own logs are
statements about it. The contracts fix what an honest token makes them agree on:

    V2 Sync           the balance, hence the last Sync's plus all transfers in, minus all out
    V2 Swap           amountIn is what came in since the last Sync; amountOut left as one transfer
    V3 Swap           a positive amount came in (at least), a negative one left as one transfer

A *window* is the account since its last settlement: a Sync (V2), a Swap, or another log for which a pool moves tokens.
V2 balances run across transactions, since a donation may wait for long; what leaves for a swap does so within the
transaction, and V3 pools are locked from the first transfer of a call to its log, so outs, and all of V3, are counted
by transaction. What else moves tokens without harm:

    skim              sends out exactly what came in unsynced: recognised, counts for nothing
    sync, donations   the statement equals the account, whenever it comes
    Mint, Burn, Collect, Flash, CollectProtocol     claim their window; only swaps count as evidence
    transfers of 0    ignored: anyone can send nothing out of anyone's account
    overpaying V3     proves nothing; nor do amounts beyond 128 bits

What is not honest: a swap's output that leaves as two transfers or as less than stated (a tax, logged or not); a
balance that the transfers don't explain; tokens that leave a V2 pool while nobody swaps, burns or skims. A Sync of a
swap comes just before its Swap, so what a Sync alone shows is provisional until then: right away for who asks, taken
back when the Swap explains it.

Evidence must exist to be missed. Without a transfer in the window a swap proves nothing (the stream may not have any),
and a Sync out of nowhere only counts if this pool's transfers are known to be in the stream. And events may be missing
without anybody having said so: a Swap tells the reserves before it (amounts and Sync together), so where these are not
the last Sync's there was a gap, and balances are not compared across it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.handler import handler
from disruptor.handlers.messages import (
    FLAG_AMOUNT_OVERFLOW,
    FLAG_BORN,
    KIND_UNISWAP_V2,
    KIND_UNISWAP_V3,
    KIND_UNKNOWN,
    NO_ID,
    Erc20Transfer,
    PoolIncomplete,
    PoolRegistered,
    UniswapV2Burn,
    UniswapV2Mint,
    UniswapV2Swap,
    UniswapV2Sync,
    UniswapV3Collect,
    UniswapV3CollectProtocol,
    UniswapV3Flash,
    UniswapV3Mint,
    UniswapV3Swap,
)
from disruptor.handlers.token_conduct_tables import (
    BASE,
    BORN,
    CAME_IN,
    CLAIMED,
    DRIFTED,
    FLAGGED,
    HISTORY,
    MATCHED_IN,
    MATCHED_OUT,
    OUTS,
    PROVISIONAL,
    REBASING,
    SEEN,
    SHORT,
    SYNCED,
    TAXED,
    UNSURE,
    account0,
    account1,
    token_conduct,
)
from disruptor.handlers.token_evidence import account_of, agree, disagree, retract, token_of
from disruptor.handlers.wide import add, is_negative, is_zero, load, negate, store, sub
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit

_OWN = [account0, account1, token_conduct]
_IN, _BETWEEN = 1, 3  # Erc20Transfer.direction
_MORE = 2  # the value of OUTS for more than one
_MOST = U256(2**128 - 1)
_NOTHING = U256(0)
_BLOCK_SHIFT = np.uint64(32)
_ALL = np.bool_(True)


# --- accounts -----------------------------------------------------------------------------------------------


@jit
def _moment(state: Any, event: Any) -> Any:
    """(transaction, sequence) of an event: a uint64 that tells transactions of 2^32 blocks apart, and an int64."""
    transaction = read(state.chain, 0)["block_number"] << _BLOCK_SHIFT | np.uint64(event["transaction_index"])
    return transaction, np.int64(event["sequence"])


@jit
def _begin(account: Any, flags: Any) -> None:
    """An empty window."""
    store(account["net"], _NOTHING)
    store(account["sent"], _NOTHING)
    account["flags"] = np.uint32(flags)


@jit
def _bring_forward(state: Any, pool: Any, side: Any, moment: Any) -> None:
    """End a window that a settlement, another transaction or missed events have ended."""
    account = account_of(state, pool, side)
    (transaction, sequence), epoch = moment, read(state.chain, 0)["epoch"]
    flags = np.int64(account["flags"])
    settled, unbroken = (flags & (SYNCED | CLAIMED)) != 0, account["epoch"] == epoch
    if not settled and unbroken and account["transaction"] == transaction:
        return
    if unbroken and (flags & BASE) != 0 and (flags & OUTS) != 0 and (flags & CLAIMED) == 0:
        disagree(state, pool, side, TAXED, sequence)
        flags = np.int64(account["flags"])
    if settled or not unbroken or read(state.pools, pool)["kind"] != KIND_UNISWAP_V2:
        _begin(account, flags & HISTORY | (BASE if unbroken and (flags & SYNCED) != 0 else 0))
    else:
        store(account["sent"], _NOTHING)
        account["flags"] = np.uint32(flags & ~OUTS)
    account["transaction"] = transaction
    account["epoch"] = epoch


@jit
def _enter(state: Any, pool: Any, token: Any, amount: Any, comes_in: Any, moment: Any) -> None:
    """Enter a transfer into the pool's account of the token, if it is one of the pool's two."""
    p = read(state.pools, pool)
    side = 0 if token == p["token0"] else 1
    if p["kind"] == KIND_UNKNOWN or (side == 1 and token != p["token1"]):
        return
    _bring_forward(state, pool, side, moment)
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"]) | SEEN
    net = load(account["net"])
    if amount > _MOST:
        flags = flags & ~BASE | UNSURE
    elif comes_in:
        net = add(net, amount)
        flags |= CAME_IN
    else:
        net = sub(net, amount) & _MOST
        if (flags & BASE) != 0 and is_zero(net):  # as `skim` does
            flags &= ~CAME_IN
        else:
            sent = add(load(account["sent"]), amount)
            store(account["sent"], sent)
            flags |= UNSURE if sent > _MOST else 0
            flags += 1 if (flags & OUTS) < _MORE else 0
    store(account["net"], net)
    account["flags"] = np.uint32(flags)


@jit
def _state_balance(state: Any, pool: Any, side: Any, stated: Any, moment: Any) -> None:
    """Hold a stated balance (U256) against the account, and let the next window begin with it."""
    _bring_forward(state, pool, side, moment)
    account = account_of(state, pool, side)
    flags, base, net = np.int64(account["flags"]), load(account["base"]), load(account["net"])
    moved = sub(stated, base) & _MOST
    drift = 0
    if (flags & BASE) != 0 and moved != net:
        drift = SHORT if (flags & CAME_IN) != 0 and stated < (add(base, net) & _MOST) else DRIFTED
        store(account["net"], moved)
    store(account["base"], stated)
    account["flags"] = np.uint32(flags | SYNCED | drift)
    if drift == 0 or (flags & FLAGGED) != 0:
        return
    in_stream = (flags & BORN) != 0 and token_of(state, pool, side)["matched_in"] != 0
    if (flags & SEEN) != 0 or in_stream:
        disagree(state, pool, side, TAXED if drift == SHORT else REBASING, moment[1])
        account["flags"] |= np.uint32(PROVISIONAL)


@jit
def _claim(state: Any, pool: Any) -> None:
    """Both windows of a pool are accounted for by a log other than a swap's."""
    if read(state.pools, pool)["kind"] != KIND_UNKNOWN:
        for side in range(2):
            retract(state, pool, side)
            account_of(state, pool, side)["flags"] |= np.uint32(CLAIMED)


# --- swaps --------------------------------------------------------------------------------------------------


@jit
def _continues(accounts: Any, pool: Any, moved: Any) -> Any:
    """Whether a V2 pool's reserve before this swap was that of the last Sync seen, as far as this side can tell.

    The contract computes amountIn as the balance minus what the reserve less amountOut would be.
    """
    account, (paid, taken) = read(accounts, pool), moved
    flags = np.int64(account["flags"])
    begun = (flags & BASE) != 0 and (flags & SYNCED) != 0
    return begun and (is_zero(paid) or load(account["net"]) == sub(paid, taken) & _MOST)


@jit
def _judge(state: Any, pool: Any, side: Any, moved: Any, whole: Any, moment: Any) -> None:
    """Hold a swap's amounts against one account.

    moved : what the pool was paid and what was taken from it, of this token (two U256 of 128 bits)
    whole : whether the window is known to hold all that changed the balance since the last settlement
    """
    (paid, taken), (transaction, sequence) = moved, moment
    retract(state, pool, side)
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"])
    account["flags"] = np.uint32(flags | CLAIMED)
    if account["transaction"] != transaction or (flags & (CLAIMED | UNSURE | FLAGGED)) != 0:
        return
    drift, outs, came_in = flags & (SHORT | DRIFTED), flags & OUTS, (flags & CAME_IN) != 0
    net, sent, gained = load(account["net"]), load(account["sent"]), sub(paid, taken) & _MOST
    gave = outs != 0 and not is_zero(taken)
    in_full = gave and outs == 1 and sent == taken
    if gave and not in_full and (outs == 1 or sent == taken or whole):
        disagree(state, pool, side, TAXED, sequence)
    if whole and drift != 0 and (came_in or outs != 0):
        disagree(state, pool, side, TAXED if drift == SHORT else REBASING, sequence)
    if in_full:
        agree(state, pool, side, MATCHED_OUT, sequence)
    if came_in and not is_zero(paid):
        if net == gained and drift == 0:
            agree(state, pool, side, MATCHED_IN, sequence)
        elif net < gained and whole:
            disagree(state, pool, side, REBASING, sequence)


# --- handlers -----------------------------------------------------------------------------------------------


@handler(PoolRegistered, tables=_OWN)
def on_pool_registered(state: Any, event: Any, out: Any) -> Any:
    """A V2 pool born in the stream owns nothing to begin with."""
    if (event["flags"] & FLAG_BORN) != 0 and event["kind"] == KIND_UNISWAP_V2:
        for side in range(2):
            account = account_of(state, event["pool"], side)
            if account["flags"] == 0:
                account["flags"] = np.uint32(BORN | BASE)
                account["epoch"] = read(state.chain, 0)["epoch"]


@handler(PoolIncomplete, tables=_OWN)
def on_pool_incomplete(state: Any, event: Any, out: Any) -> Any:
    """An event of the pool was missed, so its windows prove nothing; losing all shows in the epoch."""
    if event["pool"] != NO_ID:
        for side in range(2):
            account = account_of(state, event["pool"], side)
            _begin(account, np.int64(account["flags"]) & HISTORY)


@handler(Erc20Transfer, tables=_OWN)
def on_transfer(state: Any, event: Any, out: Any) -> Any:
    """Enter a transfer into the account of each pool that is a party."""
    amount, direction = load(event["amount"]), event["direction"]
    if is_zero(amount):
        return
    token, moment = event["token"], _moment(state, event)
    _enter(state, np.int64(event["pool"]), token, amount, direction == _IN, moment)
    if direction == _BETWEEN:
        _enter(state, np.int64(event["other_pool"]), token, amount, direction == _BETWEEN, moment)


@handler(UniswapV2Sync, tables=_OWN)
def on_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """The pair states both balances."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] == KIND_UNISWAP_V2:
        moment = _moment(state, event)
        for side in range(2):
            _state_balance(
                state, pool, side, load(event["reserve0"] if side == 0 else event["reserve1"]), moment
            )


@handler(UniswapV2Swap, tables=_OWN)
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """The pair states what it took and gave since the Sync before its own."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] != KIND_UNISWAP_V2:
        return
    if (event["flags"] & FLAG_AMOUNT_OVERFLOW) != 0:
        _claim(state, pool)
        return
    moved0 = load(event["amount0_in"]), load(event["amount0_out"])
    moved1 = load(event["amount1_in"]), load(event["amount1_out"])
    whole = _continues(state.account0, pool, moved0) and _continues(state.account1, pool, moved1)
    moment = _moment(state, event)
    for side in range(2):
        _judge(state, pool, side, moved0 if side == 0 else moved1, whole, moment)


@handler(UniswapV3Swap, tables=_OWN)
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """The pool states what it took (positive) and gave (negative) in this call."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] == KIND_UNISWAP_V3:
        moment = _moment(state, event)
        for side in range(2):
            amount = load(event["amount0"] if side == 0 else event["amount1"])
            _judge(state, pool, side, _paid_and_taken(amount), _ALL, moment)


@jit
def _paid_and_taken(amount: Any) -> Any:
    """A V3 swap's signed amount as a V2 swap tells it; one beyond 128 bits counts as nothing."""
    gives = is_negative(amount)
    size = negate(amount) if gives else amount
    if size > _MOST:
        size = _NOTHING
    return (_NOTHING, size) if gives else (size, _NOTHING)


@handler(UniswapV2Mint, tables=_OWN)
def on_v2_mint(state: Any, event: Any, out: Any) -> Any:
    """What came in was for liquidity."""
    _claim(state, np.int64(event["pool"]))


@handler(UniswapV2Burn, tables=_OWN)
def on_v2_burn(state: Any, event: Any, out: Any) -> Any:
    """What left was liquidity."""
    _claim(state, np.int64(event["pool"]))


@handler(UniswapV3Mint, tables=_OWN)
def on_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """What came in was for liquidity. (A V3 `Burn` moves no tokens; `Collect` does.)"""
    _claim(state, np.int64(event["pool"]))


@handler(UniswapV3Collect, tables=_OWN)
def on_v3_collect(state: Any, event: Any, out: Any) -> Any:
    """What left was owed to a position."""
    _claim(state, np.int64(event["pool"]))


@handler(UniswapV3Flash, tables=_OWN)
def on_v3_flash(state: Any, event: Any, out: Any) -> Any:
    """What left was lent, and came back with a fee."""
    _claim(state, np.int64(event["pool"]))


@handler(UniswapV3CollectProtocol, tables=_OWN)
def on_v3_collect_protocol(state: Any, event: Any, out: Any) -> Any:
    """What left was the protocol's share."""
    _claim(state, np.int64(event["pool"]))


#: In the order in which they run; tracking comes before them.
TOKEN_CONDUCT = (
    on_pool_registered,
    on_pool_incomplete,
    on_transfer,
    on_v2_sync,
    on_v2_swap,
    on_v2_mint,
    on_v2_burn,
    on_v3_swap,
    on_v3_mint,
    on_v3_collect,
    on_v3_flash,
    on_v3_collect_protocol,
)
