"""What is known of how tokens move: an account for each pool and token, the verdict on each token, and how to ask.

Whether a swap pays what the pool's arithmetic says depends on the tokens: one may keep a share of every transfer
(*taxed*), another may change balances without one (*rebasing*). `disruptor.handlers.token_conduct` compares what pools
state with the `Transfer`s of their tokens; here is where it keeps the score.

**A pool is a witness, not a judge.** Where a pool's statement and a token's transfers differ, either may be to blame:
anyone can deploy a contract that announces itself as a pair of WETH and then states what it likes, and there are forks
whose reserves are not their balances. So a difference first bars that pool: its flag stays on its own account, and
`conduct_in` of the pool tells. It counts against the token when the pool has been seen to tell the truth at least once
(some transfer has matched some swap), and it stands unless more than `OUTVOTED` times as many pools have seen the token
come and go in full. One strange pool can't bar a token that many others trade, and a bad token is barred everywhere by
the first or second pool that notices.

A token is CLEAN when transfers have matched swap amounts both ways. What leaves no trace in a pool's logs stays unseen:
a tax that only sellers pay beside a full transfer, and one that nobody has paid yet.

None of these tables is part of the state digest: a journal lacks the transfers of pools that its import did not know,
so that replaying it with more pools leaves less evidence than replaying the logs (docs/adr/0007).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import read
from disruptor.jit import jit
from disruptor.message import u32, u64, u128
from disruptor.table import Table

# (A constant that is handed to a kernel is an int64: numba compiles anew for each plain one.)
#: How a token behaves, from best to worst: the conduct of several is the largest.
CLEAN, UNKNOWN, TAXED, REBASING = np.int64(0), np.int64(1), np.int64(2), np.int64(3)

# Flags of an account. The window is what happened since the last settlement.
OUTS = 3  # transfers out in this window and transaction: none, one, more
BASE = 1 << 2  # `base` is what the pool owned when the window began
SYNCED = 1 << 3  # a Sync ended the window; a Swap, Mint or Burn may still say why
CLAIMED = 1 << 4  # a log of the pool said what the window was for
CAME_IN = 1 << 5  # the window has a transfer in
NOW = 1 << 6  # the window has a transfer of this transaction
UNSURE = 1 << 7  # the window has an amount that does not fit 128 bits
SHORT = 1 << 8  # the Sync stated less than came in
DRIFTED = 1 << 9  # the Sync stated another balance than transfers explain
PROVISIONAL = 1 << 10  # the flag below rests on a Sync alone so far
# Its history outlives windows.
MATCHED_IN = np.int64(1 << 11)  # a transfer in was a swap's input
MATCHED_OUT = np.int64(1 << 12)
FLAGGED_TAXED = 1 << 13
FLAGGED_REBASING = 1 << 14
VOTED = 1 << 15  # the flag counts against the token
SEEN = 1 << 16  # a transfer between this pool and anybody is in the stream
BORN = 1 << 17  # the pool's whole life is in the stream
UNPAID = 1 << 18  # V3: a mint of this token, and no transfer of anything before it

MATCHED = MATCHED_IN | MATCHED_OUT
FLAGGED = FLAGGED_TAXED | FLAGGED_REBASING
HISTORY = MATCHED | FLAGGED | VOTED | SEEN | BORN | UNPAID

#: So many pools that see a token move in full outweigh one that does not.
OUTVOTED = 4

#: One cache line, which is all that a transfer writes. Amounts are mod 2^128; pools' own are below 2^128.
_ACCOUNT = {
    "base": u128,  # V2: the reserve as of the last Sync
    "net": u128,  # in minus out, of the window
    "sent": u128,  # out, of the window in this transaction
    "transaction": u64,  # block number and transaction index of the last change
    "epoch": u32,  # of `chain`: events missed since make base and net worthless
    "flags": u32,
}
#: A pool's accounts of its token0 and of its token1. Two tables of one row type, so that the same code serves both.
account0 = Table("account0", _ACCOUNT, key="pools", digest=False)
account1 = Table("account1", _ACCOUNT, key="pools", digest=False)

token_conduct = Table(
    "token_conduct",
    {
        "matched_in": u32,  # pools in which a transfer in has matched a swap
        "matched_out": u32,
        "in_full": u32,  # unflagged pools in which both have
        "taxed": u32,  # pools that count against it, by kind
        "rebasing": u32,
        "unpaid": u32,  # accounts that were ever flagged UNPAID
        "first_mismatch": u64,  # sequence + 1 of the event by which a pool first counted against it; 0 none does
    },
    key="tokens",
    digest=False,
)

#: How often a pool or a token was flagged, or a token first matched, which can turn against pools that nobody ever
#: paid: while it stands still, nothing became worse. `turns`: how often that, or evidence that was taken back, may have
#: barred or unbarred a pool that no log of its own names; most verdicts say that all is well, and turn nothing.
conduct_counters = Table("conduct_counters", {"verdicts": u64, "turns": u64}, digest=False)


@jit
def conduct_of(state: Any, token: Any) -> Any:
    """How a token behaves, by all that pools have witnessed.

    Parameters
    ----------
    state : the handlers' state
    token : u32, token id in range

    Returns
    -------
    int64 : CLEAN, UNKNOWN (not yet seen both ways), TAXED or REBASING
    """
    t = read(state.token_conduct, token)
    taxed, rebasing = np.int64(t["taxed"]), np.int64(t["rebasing"])
    against = taxed + rebasing
    if against != 0 and OUTVOTED * against >= np.int64(t["in_full"]):
        return TAXED if taxed >= rebasing else REBASING
    seen = t["matched_in"] != 0 and t["matched_out"] != 0
    return CLEAN if seen else UNKNOWN


@jit
def conduct_in(state: Any, pool: Any) -> Any:
    """How a pool's tokens behave, in general and in this pool: what a path through the pool has to ask.

    UNKNOWN also while no swap of this pool has matched a transfer of either token.

    Parameters
    ----------
    state : the handlers' state
    pool : u32, id of a registered pool

    Returns
    -------
    int64 : the worst of both tokens' conduct and of this pool's own account of them
    """
    p = read(state.pools, pool)
    first, second = conduct_of(state, p["token0"]), conduct_of(state, p["token1"])
    here = max(
        _conduct_by(read(state.account0, pool), first), _conduct_by(read(state.account1, pool), second)
    )
    return max(here, first, second)


@jit
def _conduct_by(account: Any, token: Any) -> Any:
    """What one account says of a token whose conduct is `token`.

    Liquidity that nobody paid for counts once the token is known to be in the stream, unless the pool has moved it
    since.
    """
    flags = np.int64(account["flags"])
    if token == CLEAN and (flags & (UNPAID | SEEN)) == UNPAID:
        return REBASING
    if (flags & FLAGGED) != 0:
        return TAXED if (flags & FLAGGED_TAXED) != 0 else REBASING
    return CLEAN if (flags & MATCHED) != 0 else UNKNOWN
