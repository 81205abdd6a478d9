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
balance that the transfers don't explain; tokens that leave a V2 pool while nobody swaps, burns or skims; a V3 pool born
in the stream whose mints nobody paid, though others' transfers of the token are there: a fake. A Sync of a
swap comes just before its Swap, so what a Sync alone shows is provisional until then: right away for who asks, taken
back when the Swap explains it.

Evidence must exist to be missed. Without a transfer in its transaction a swap proves nothing (the stream may not have
any), and a Sync out of nowhere only counts if this pool's transfers are known to be in the stream. And events may be
missing without anybody having said so: a Swap tells the reserves before it (amounts and Sync together), so where these
are not the last Sync's there was a gap, and balances are not compared across it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import prefetch, read
from disruptor.handler import handler
from disruptor.handlers.messages import (
    FLAG_AMOUNT_OVERFLOW,
    FLAG_BORN,
    KIND_UNISWAP_V2,
    KIND_UNISWAP_V3,
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
from disruptor.handlers.token_accounts import (
    MOST,
    begin_window,
    claim,
    enter_transfer,
    moment_of,
    state_balance,
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
    NOW,
    OUTS,
    REBASING,
    SEEN,
    SHORT,
    SYNCED,
    TAXED,
    UNPAID,
    UNSURE,
    account0,
    account1,
    conduct_counters,
    token_conduct,
)
from disruptor.handlers.token_evidence import account_of, agree, disagree, retract, token_of
from disruptor.handlers.wide import is_negative, is_zero, load, negate, sub
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit

_OWN = [account0, account1, token_conduct, conduct_counters]
_IN, _BETWEEN = 1, 3  # Erc20Transfer.direction
_NOTHING = U256(0)
_HALF = U256(2**127)  # accounts from here on are negative
_ALL = np.bool_(True)


# --- swaps --------------------------------------------------------------------------------------------------


@jit
def _continues(accounts: Any, pool: Any, moved: Any) -> Any:
    """Whether a V2 pool's reserve before this swap was that of the last Sync seen, as far as this side can tell.

    The contract computes amountIn as the balance minus what the reserve less amountOut would be, or 0 if that is
    negative. So the balance moved by amountIn - amountOut, and without an amountIn by no more than that.
    """
    account, (paid, taken) = read(accounts, pool), moved
    flags = np.int64(account["flags"])
    if (flags & BASE) == 0 or (flags & SYNCED) == 0:
        return False
    lost = sub(sub(paid, taken), load(account["net"])) & MOST
    return is_zero(lost) or (is_zero(paid) and lost < _HALF)


@jit
def _judge(state: Any, pool: Any, side: Any, moved: Any, whole: Any, moment: Any) -> None:
    """Hold a swap's amounts against one account.

    moved : what the pool was paid and what was taken from it, of this token (two U256 of 128 bits)
    whole : whether the window is known to hold all that changed the balance since the last settlement
    """
    (paid, taken), (transaction, sequence) = moved, moment
    retract(state, pool, side, transaction)
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"])
    account["flags"] = np.uint32(flags | CLAIMED)
    if account["transaction"] != transaction or (flags & (CLAIMED | UNSURE | FLAGGED)) != 0:
        return
    drift, outs, came_in = flags & (SHORT | DRIFTED), flags & OUTS, (flags & CAME_IN) != 0
    net, sent, gained = load(account["net"]), load(account["sent"]), sub(paid, taken) & MOST
    gave = outs != 0 and not is_zero(taken)
    in_full = gave and outs == 1 and sent == taken
    if gave and not in_full and (outs == 1 or sent == taken or whole):
        disagree(state, pool, side, TAXED, sequence)
    if whole and drift != 0 and (flags & NOW) != 0:
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
    """A pool born in the stream owns nothing to begin with; a V2 pool will state what it owns."""
    if (event["flags"] & FLAG_BORN) != 0:
        for side in range(2):
            account = account_of(state, np.int64(event["pool"]), side)
            if account["flags"] == 0:
                account["flags"] = np.uint32(BORN | BASE if event["kind"] == KIND_UNISWAP_V2 else BORN)
                account["epoch"] = read(state.chain, 0)["epoch"]


@handler(PoolIncomplete, tables=_OWN)
def on_pool_incomplete(state: Any, event: Any, out: Any) -> Any:
    """An event of the pool was missed, so its windows prove nothing; losing all shows in the epoch."""
    if event["pool"] != NO_ID:
        for side in range(2):
            account = account_of(state, np.int64(event["pool"]), side)
            begin_window(account, np.int64(account["flags"]) & HISTORY)


@jit
def _accounts(state: Any, event: Any) -> None:
    """A pool's accounts, before its event needs them."""
    prefetch(state.account0, event["pool"])
    prefetch(state.account1, event["pool"])


@handler(Erc20Transfer, tables=_OWN, ahead=[_accounts])
def on_transfer(state: Any, event: Any, out: Any) -> Any:
    """Enter a transfer into the account of each pool that is a party."""
    amount, direction = load(event["amount"]), event["direction"]
    if is_zero(amount):
        return
    token, moment = event["token"], moment_of(state, event["transaction_index"], event["sequence"])
    enter_transfer(state, np.int64(event["pool"]), token, amount, direction == _IN, moment)
    if direction == _BETWEEN:
        enter_transfer(state, np.int64(event["other_pool"]), token, amount, direction == _BETWEEN, moment)


@handler(UniswapV2Sync, tables=_OWN, ahead=[_accounts])
def on_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """The pair states both balances."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] == KIND_UNISWAP_V2:
        moment = moment_of(state, event["transaction_index"], event["sequence"])
        for side in range(2):
            stated = load(event["reserve0"] if side == 0 else event["reserve1"])
            state_balance(state, pool, side, stated, moment)


@handler(UniswapV2Swap, tables=_OWN)
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """The pair states what it took and gave since the Sync before its own."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] != KIND_UNISWAP_V2:
        return
    moment = moment_of(state, event["transaction_index"], event["sequence"])
    if (event["flags"] & FLAG_AMOUNT_OVERFLOW) != 0:
        claim(state, pool, event["transaction_index"])
        return
    moved0 = load(event["amount0_in"]), load(event["amount0_out"])
    moved1 = load(event["amount1_in"]), load(event["amount1_out"])
    whole = _continues(state.account0, pool, moved0) and _continues(state.account1, pool, moved1)
    for side in range(2):
        _judge(state, pool, side, moved0 if side == 0 else moved1, whole, moment)


@handler(UniswapV3Swap, tables=_OWN, ahead=[_accounts])
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """The pool states what it took (positive) and gave (negative) in this call."""
    pool = np.int64(event["pool"])
    if read(state.pools, pool)["kind"] == KIND_UNISWAP_V3:
        moment = moment_of(state, event["transaction_index"], event["sequence"])
        for side in range(2):
            amount = load(event["amount0"] if side == 0 else event["amount1"])
            _judge(state, pool, side, _paid_and_taken(amount), _ALL, moment)


@jit
def _paid_and_taken(amount: Any) -> Any:
    """A V3 swap's signed amount as a V2 swap tells it; one beyond 128 bits counts as nothing."""
    gives = is_negative(amount)
    size = negate(amount) if gives else amount
    if size > MOST:
        size = _NOTHING
    return (_NOTHING, size) if gives else (size, _NOTHING)


@handler(UniswapV2Mint, tables=_OWN)
def on_v2_mint(state: Any, event: Any, out: Any) -> Any:
    """What came in was for liquidity."""
    claim(state, np.int64(event["pool"]), event["transaction_index"])


@handler(UniswapV2Burn, tables=_OWN)
def on_v2_burn(state: Any, event: Any, out: Any) -> Any:
    """What left was liquidity."""
    claim(state, np.int64(event["pool"]), event["transaction_index"])


@handler(UniswapV3Mint, tables=_OWN)
def on_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """What came in was for liquidity; nothing came into a fake. (A V3 `Burn` moves no tokens; `Collect` does.)"""
    for side in range(2):
        account = account_of(state, np.int64(event["pool"]), side)
        amount = load(event["amount0"] if side == 0 else event["amount1"])
        if not is_zero(amount) and (np.int64(account["flags"]) & (BORN | SEEN)) == BORN:
            token_of(state, np.int64(event["pool"]), side)["unpaid"] += np.uint32(1)
            account["flags"] |= np.uint32(UNPAID)
    claim(state, np.int64(event["pool"]), event["transaction_index"])


@handler(UniswapV3Collect, tables=_OWN)
def on_v3_collect(state: Any, event: Any, out: Any) -> Any:
    """What left was owed to a position."""
    claim(state, np.int64(event["pool"]), event["transaction_index"])


@handler(UniswapV3Flash, tables=_OWN)
def on_v3_flash(state: Any, event: Any, out: Any) -> Any:
    """What left was lent, and came back with a fee."""
    claim(state, np.int64(event["pool"]), event["transaction_index"])


@handler(UniswapV3CollectProtocol, tables=_OWN)
def on_v3_collect_protocol(state: Any, event: Any, out: Any) -> Any:
    """What left was the protocol's share."""
    claim(state, np.int64(event["pool"]), event["transaction_index"])


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
