"""What a V3 pool's contract keeps beside its price and ticks: fees accrued and where its observations stand.

Apart from the `pools` row, because a quote reads none of it. `observation_cardinality` 0 means that the observations
are not known: a contract that is initialized has at least one.

The ticks' own part, fee growth outside, is in `disruptor.handlers.pools.ticks`; which ticks are initialized, for the
search of a swap, in `disruptor.handlers.tick_bitmap`.
"""

from __future__ import annotations

from disruptor.message import i64, u32, u64, u128, u256
from disruptor.table import Table

v3_fees = Table(
    "v3_fees",
    {
        "fee_growth_global0_x128": u256,  # mod 2^256
        "fee_growth_global1_x128": u256,
        "protocol_fees0": u128,  # mod 2^128
        "protocol_fees1": u128,
        "observation_timestamp": u64,  # seconds, of the latest observation; 0 unknown
        "observation_index": u32,
        "observation_cardinality": u32,
        "observation_cardinality_next": u32,
        "reserved": u32,
    },
    key="pools",
)

#: Steps of a swap that are noted; longer swaps are made twice.
MAX_NOTES = 64

#: The steps of the swap rehearsed last: scratch of `disruptor.handlers.uniswap_v3.rehearse`.
step_notes = Table(
    "step_notes",
    {
        "fee_amount": u256,
        "liquidity": u128,  # in range during the step
        "crossed": i64,  # row in `ticks` of the tick crossed, or -1
        "reserved": u64,
    },
    key="step_notes",
    capacity=MAX_NOTES,
    digest=False,
)
