"""The tables of pool tracking, and what a pool's row says.

`pools` is what an event touches: two cache lines a pool, the first all that a V2 pool needs. What is read only now and
then (addresses) lies apart in `pool_directory`. Pool and token ids are dense, in order of registration.

A pool is *complete* when its state is the chain's: V2 from birth, from given state or from its latest `Sync`; V3 from
birth, `Initialize` or given state with all ticks. A loss that concerns one pool clears its flags; a loss that concerns
all (a missing block) advances `chain.epoch`, and a pool whose own epoch is older is incomplete until an authoritative
event renews it. So a missing block costs one write, not one for each pool.
"""

from __future__ import annotations

from typing import Any

from disruptor.access import read
from disruptor.handlers.messages import ADDRESS, HASH, KIND_UNISWAP_V3, KIND_UNKNOWN, HotMarketData
from disruptor.jit import jit
from disruptor.message import i32, i128, u32, u64, u128, u256
from disruptor.table import Table, derived, ref

# Flags of a pool's row.
RESERVES_KNOWN = 1  # V2 and users' venues: the state is the chain's
PRICE_KNOWN = 2  # V3: price, tick and liquidity are the chain's
TICKS_KNOWN = 4  # V3: the tick map is whole
FEES_KNOWN = 8  # V3: fee growth and protocol fees are the chain's
AUDITED = 16  # a recorded swap matched that would not have at a higher fee
UNVERIFIED = 32  # one did not match: see `disruptor.handlers.audit`

#: Fee of a pool that nobody told the fee of; it takes part in nothing that counts fees.
NO_FEE = 0xFFFFFFFF

#: Which tokens have an id depends on which transfers an import kept, so the table is no part of the digest; the tokens
#: of pools are, by their addresses.
tokens = Table(
    "tokens",
    {"address": ADDRESS, "decimals": u32},
    key="tokens",
    identity="address",
    scope="replicated",
    digest=False,
)

pools = Table(
    "pools",
    {
        "kind": u32,
        "flags": u32,
        "fee": u32,  # millionths
        "epoch": u32,  # of `chain` when state was last authoritative
        "token0": ref("tokens"),
        "token1": ref("tokens"),
        "pair": derived(u32),  # row of `pairs`
        "next_in_pair": derived(u32),  # next pool of the pair + 1, 0 at the end
        "reserve0": u128,
        "reserve1": u128,
        "liquidity": u128,
        "sqrt_price_x96": u256,
        "tick": i32,
        "fee_protocol": u32,
        "tick_spacing": derived(i32),  # of `pool_directory`: on the lines that a swap touches anyway
    },
    key="pools",
)

pool_directory = Table(
    "pool_directory",
    {
        "address": ADDRESS,
        "token0_address": ADDRESS,
        "token1_address": ADDRESS,
        "factory": ADDRESS,
        "tick_spacing": i32,
        "kind": u32,
    },
    key="pools",
    identity="address",
)

ticks = Table(
    "ticks",
    {
        "pool": ref("pools"),
        "tick": i32,
        "liquidity_gross": u128,
        "liquidity_net": i128,
        "fee_growth_outside0_x128": u256,  # mod 2^256, see `disruptor.handlers.fee_growth`
        "fee_growth_outside1_x128": u256,
    },
    key=("pool", "tick"),
)

pairs = Table(
    "pairs",
    {"token0": u32, "token1": u32, "first_pool": u32, "pool_count": u32},
    key=("token0", "token1"),
    digest=False,
)

#: One 64-byte line a pool, rewritten at each change; `sequence` tells by which event. Rounded, hence not digested.
market = Table("market", HotMarketData.fields, key="pools", digest=False)

chain = Table(
    "chain",
    {
        "chain_id": u64,
        "block_number": u64,
        "timestamp": u64,  # seconds, 0 unknown
        "previous_timestamp": u64,
        "base_fee": u64,
        "gas_used": u64,
        "gas_limit": u64,
        "epoch": u32,
        "reserved": u32,
        "block_hash": HASH,
    },
    scope="replicated",
)


@jit
def is_complete(state: Any, pool: Any) -> bool:
    """Whether a pool's tracked state is the chain's, to the last unit."""
    row = read(state.pools, pool)
    if row["epoch"] != read(state.chain, 0)["epoch"]:
        return False
    if row["kind"] == KIND_UNISWAP_V3:
        return (row["flags"] & TICKS_KNOWN) != 0
    return row["kind"] != KIND_UNKNOWN and (row["flags"] & RESERVES_KNOWN) != 0
