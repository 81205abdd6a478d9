"""When the state of a pool of a user's venue is the chain's: kept in the pool's row, as for Uniswap's pools.

A venue says which of its messages tell the whole state (`PoolLog.settles`, `Venue.given`). A handler for each of them
marks the pool complete, and takes over the reserves if the message has any, before the venue's own handlers get it.
What makes a pool incomplete is the same for all kinds: a log that could not be read, blocks that are missing.

The handlers write tables of `disruptor.handlers.tracking`, so they belong to that module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handler import Handler, handler_for
from disruptor.handlers import tracking
from disruptor.handlers.messages import FLAG_AMOUNT_OVERFLOW, FLAG_REFUTED, KIND_UNKNOWN
from disruptor.handlers.pools import RESERVES_KNOWN, UNVERIFIED, pools
from disruptor.handlers.venues import Venue
from disruptor.handlers.wide import load, store
from disruptor.jit import jit
from disruptor.message import MessageType, u128

_LOST = np.uint32(~RESERVES_KNOWN & 0xFFFFFFFF)


@jit
def _settle(state: Any, event: Any) -> bool:
    """Mark the pool complete; False if it is not registered, or the log told an amount that no field holds."""
    p = row(state.pools, event["pool"])
    if p["kind"] == KIND_UNKNOWN:
        return False
    if (event["flags"] & FLAG_AMOUNT_OVERFLOW) != 0:
        p["flags"] &= _LOST
        return False
    p["flags"] |= np.uint32(RESERVES_KNOWN)
    p["flags"] |= np.uint32(UNVERIFIED) if (event["flags"] & FLAG_REFUTED) != 0 else np.uint32(0)
    p["epoch"] = read(state.chain, 0)["epoch"]
    return True


def on_whole_state(state: Any, event: Any, out: Any) -> Any:
    """A message that tells all there is to know of a pool."""
    _settle(state, event)


def on_reserves(state: Any, event: Any, out: Any) -> Any:
    """The same, with the reserves of the pool's row."""
    if _settle(state, event):
        p = row(state.pools, event["pool"])
        store(p["reserve0"], load(event["reserve0"]))
        store(p["reserve1"], load(event["reserve1"]))


def settling_handlers(venues: Sequence[Venue]) -> list[Handler]:
    """A handler for each message of these venues that tells the whole state of a pool."""
    messages = dict.fromkeys(message for venue in venues for message in venue.settling)
    return [handler_for(m, _taking(m), tracking, tables=[pools]) for m in messages]


def _taking(message: MessageType) -> Any:
    fields = message.fields
    has_reserves = fields.get("reserve0") is u128 and fields.get("reserve1") is u128
    return on_reserves if has_reserves else on_whole_state
