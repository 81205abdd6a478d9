"""The tables of the search for arbitrage. Only handlers of `disruptor.handlers.arbitrage` write them.

Only `openings` is part of a state's digest: the others are bookkeeping that could be computed again.
"""

from __future__ import annotations

from disruptor.message import f64, i64, u32, u64, u128
from disruptor.table import Table, ref

marked_pairs = Table(
    "marked_pairs",
    {
        "boundary": u64,  # the pair is on the list for this boundary
        "seen": u64,  # sequence + 1 at which it was last evaluated
        "next": u32,
        "open": u32,  # openings of this pair
    },
    key="pairs",
    digest=False,
)

exact_prices = Table(
    "exact_prices",
    {
        "mantissa": u128,
        "exponent": i64,
        "version": u64,  # `market.sequence` + 1 when computed
    },
    key="pools",
    digest=False,
)

openings = Table(
    "openings",
    {"venue_a": ref("pools"), "venue_b": ref("pools"), "epoch": u32, "reserved": u32, "opened_block": u64},
    key=("venue_a", "venue_b"),
)

arbitrage_cursor = Table(
    "arbitrage_cursor",
    {
        "boundary": u64,  # boundaries evaluated so far
        "first_marked": u32,  # pair row + 1, 0 none
        "pool_a": u32,  # pool + 1 to go on with, 0 at the start of a pair
        "pool_b": u32,
        "reserved": u32,
        "pairs_evaluated": u64,
        "pairs_compared": u64,
        "openings": u64,
    },
    digest=False,
)

#: Written by the engine before the first event: what settings make of it.
arbitrage_settings = Table(
    "arbitrage_settings",
    {"min_spread": i64, "block_time_ns": u64, "confidence": f64},
    digest=False,
    rollback="engine",
)
