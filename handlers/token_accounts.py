"""The accounts that transfers enter and leave: windows, what ends them, and what a stated balance shows.

See `disruptor.handlers.token_conduct` for what the accounts are for, `token_conduct_tables` for their fields.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNKNOWN
from disruptor.handlers.token_conduct_tables import (
    BASE,
    BORN,
    CAME_IN,
    CLAIMED,
    DRIFTED,
    FLAGGED,
    HISTORY,
    NOW,
    OUTS,
    PROVISIONAL,
    REBASING,
    SEEN,
    SHORT,
    SYNCED,
    TAXED,
    UNPAID,
    UNSURE,
)
from disruptor.handlers.token_evidence import account_of, disagree, note_turn, retract, token_of
from disruptor.handlers.wide import add, is_zero, load, store, sub
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit

#: Accounts count modulo 2^128.
MOST = U256(2**128 - 1)
_NOTHING = U256(0)
_MORE = 2  # the value of OUTS for more than one
_BLOCK_SHIFT = np.uint64(32)
_NO_SEQUENCE = np.int64(-1)


@jit
def moment_of(state: Any, transaction_index: Any, sequence: Any) -> Any:
    """(transaction, sequence) of an event: a uint64 that tells transactions of 2^32 blocks apart, and an int64."""
    transaction = read(state.chain, 0)["block_number"] << _BLOCK_SHIFT | np.uint64(transaction_index)
    return transaction, np.int64(sequence)


@jit
def begin_window(account: Any, flags: Any) -> None:
    """Empty an account's window and set its flags."""
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
        begin_window(account, flags & HISTORY | (BASE if unbroken and (flags & SYNCED) != 0 else 0))
    else:
        store(account["sent"], _NOTHING)
        account["flags"] = np.uint32(flags & ~(OUTS | NOW))
    account["transaction"] = transaction
    account["epoch"] = epoch


@jit
def enter_transfer(state: Any, pool: Any, token: Any, amount: Any, comes_in: Any, moment: Any) -> None:
    """Enter a transfer into the pool's account of the token, if it is one of the pool's two."""
    p = read(state.pools, pool)
    side = 0 if token == p["token0"] else 1
    if p["kind"] == KIND_UNKNOWN or (side == 1 and token != p["token1"]):
        return
    _bring_forward(state, pool, side, moment)
    account = account_of(state, pool, side)
    if (np.int64(account["flags"]) & (UNPAID | SEEN)) == UNPAID:
        note_turn(state)
    flags = np.int64(account["flags"]) | SEEN | NOW
    net = load(account["net"])
    if amount > MOST:
        flags = flags & ~BASE | UNSURE
    elif comes_in:
        net = add(net, amount)
        flags |= CAME_IN
    else:
        net = sub(net, amount) & MOST
        is_skim = (flags & BASE) != 0 and is_zero(net)
        if not is_skim:
            sent = add(load(account["sent"]), amount)
            store(account["sent"], sent)
            flags |= UNSURE if sent > MOST else 0
            flags += 1 if (flags & OUTS) < _MORE else 0
    store(account["net"], net)
    account["flags"] = np.uint32(flags)


@jit
def state_balance(state: Any, pool: Any, side: Any, stated: Any, moment: Any) -> None:
    """Hold a stated balance (U256) against the account, and let the next window begin with it."""
    _bring_forward(state, pool, side, moment)
    account = account_of(state, pool, side)
    flags, base, net = np.int64(account["flags"]), load(account["base"]), load(account["net"])
    moved = sub(stated, base) & MOST
    drift = 0
    if (flags & BASE) != 0 and moved != net:
        drift = SHORT if (flags & CAME_IN) != 0 and stated < (add(base, net) & MOST) else DRIFTED
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
def claim(state: Any, pool: Any, transaction_index: Any) -> None:
    """Both windows of a pool are accounted for by a log other than a swap's."""
    transaction, _ = moment_of(state, transaction_index, _NO_SEQUENCE)
    if read(state.pools, pool)["kind"] != KIND_UNKNOWN:
        for side in range(2):
            retract(state, pool, side, transaction)
            account_of(state, pool, side)["flags"] |= np.uint32(CLAIMED)
