"""Evidence about tokens: what one pool's account shows, and when that counts for or against the token.

`agree` and `disagree` are told of the account at hand; the sums in `token_conduct` follow. They count pools, not swaps:
a hundred swaps of one pool are one witness, and a pool that has testified costs nothing more. A flag stays; only one
that rests on a Sync alone can be taken back (`retract`), when the Swap behind it explains what the Sync did not.

Ids, sides and sequences come as int64, never within an event: numba would compile all of this anew for each message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.token_conduct_tables import (
    BORN,
    CLEAN,
    FLAGGED,
    FLAGGED_REBASING,
    FLAGGED_TAXED,
    MATCHED,
    MATCHED_IN,
    MATCHED_OUT,
    PROVISIONAL,
    SEEN,
    TAXED,
    UNKNOWN,
    VOTED,
    conduct_of,
)
from disruptor.jit import jit


@jit
def account_of(state: Any, pool: Any, side: Any) -> Any:
    """The account of a pool's token0 (side 0) or token1 (side 1), for writing."""
    return row(state.account0, pool) if side == 0 else row(state.account1, pool)


@jit
def token_of(state: Any, pool: Any, side: Any) -> Any:
    """The sums of a pool's token0 or token1, for writing."""
    p = read(state.pools, pool)
    return row(state.token_conduct, p["token0"] if side == 0 else p["token1"])


@jit
def note_turn(state: Any) -> None:
    """A pool may be barred that was not, or the other way round, without a log of its own."""
    row(state.conduct_counters, 0)["turns"] += np.uint64(1)


@jit
def agree(state: Any, pool: Any, side: Any, matched: Any, sequence: Any) -> None:
    """A transfer has matched an amount of a swap; `matched` is MATCHED_IN or MATCHED_OUT.

    From the first match on the pool is a witness, also of what it noticed before. A flagged account agrees no more.
    """
    never_inlined()
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"])
    if (flags & (matched | FLAGGED)) != 0:
        return
    account["flags"] = np.uint32(flags | matched)
    row(state.conduct_counters, 0)["verdicts"] += np.uint64(1)
    p, t = read(state.pools, pool), token_of(state, pool, side)
    token = p["token0"] if side == 0 else p["token1"]
    before = conduct_of(state, token)
    t["in_full"] += np.uint32((flags & MATCHED) != 0)
    t["matched_in"] += np.uint32(matched == MATCHED_IN)
    t["matched_out"] += np.uint32(matched == MATCHED_OUT)
    if before != CLEAN and (before != UNKNOWN or t["unpaid"] != 0):
        note_turn(state)
    other = np.int64(account_of(state, pool, 1 - side)["flags"])
    if (other & FLAGGED) != 0 and (other & VOTED) == 0:
        _vote(state, pool, 1 - side, sequence)


@jit
def disagree(state: Any, pool: Any, side: Any, kind: Any, sequence: Any) -> None:
    """What a pool states and what a token's transfers say differ; `kind` is TAXED or REBASING.

    Flags the account, once; counts against the token if the pool is a witness.
    """
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"])
    if (flags & FLAGGED) != 0:
        return
    account["flags"] = np.uint32(flags | (FLAGGED_TAXED if kind == TAXED else FLAGGED_REBASING))
    row(state.conduct_counters, 0)["verdicts"] += np.uint64(1)
    note_turn(state)
    if (flags & MATCHED) == MATCHED:
        token_of(state, pool, side)["in_full"] -= np.uint32(1)
    if ((flags | np.int64(account_of(state, pool, 1 - side)["flags"])) & MATCHED) != 0:
        _vote(state, pool, side, sequence)


@jit
def retract(state: Any, pool: Any, side: Any, transaction: Any) -> None:
    """Take back a provisional flag of this transaction, unless the pool never owned anything in all its life."""
    account = account_of(state, pool, side)
    flags = np.int64(account["flags"])
    provisional = (flags & PROVISIONAL) != 0 and account["transaction"] == transaction
    if not provisional or (flags & (BORN | SEEN)) == BORN:
        return
    account["flags"] = np.uint32(flags & ~(FLAGGED | VOTED | PROVISIONAL))
    note_turn(state)
    t = token_of(state, pool, side)
    t["in_full"] += np.uint32((flags & MATCHED) == MATCHED)
    if (flags & VOTED) != 0:
        t["taxed"] -= np.uint32((flags & FLAGGED_TAXED) != 0)
        t["rebasing"] -= np.uint32((flags & FLAGGED_REBASING) != 0)
        if t["taxed"] == 0 and t["rebasing"] == 0:
            t["first_mismatch"] = np.uint64(0)


@jit
def _vote(state: Any, pool: Any, side: Any, sequence: Any) -> None:
    """Let a flagged account count against its token."""
    account, t = account_of(state, pool, side), token_of(state, pool, side)
    flags = np.int64(account["flags"])
    account["flags"] = np.uint32(flags | VOTED)
    row(state.conduct_counters, 0)["verdicts"] += np.uint64(1)
    note_turn(state)
    t["taxed"] += np.uint32((flags & FLAGGED_TAXED) != 0)
    t["rebasing"] += np.uint32((flags & FLAGGED_REBASING) != 0)
    if t["first_mismatch"] == 0:
        t["first_mismatch"] = np.uint64(sequence + 1)
