"""The tables of the search for cycles. Only handlers of `disruptor.handlers.opportunities` write them.

A *path* is a cycle of two to four pools that starts and ends at one token; no pool and no inner token comes twice.
It is entered once, for both directions: at the margin at most one of the two can pay.

    pairs, pools          of tracking: which pools trade a pair
    token_links           first pair of each token         ┐ the graph of tokens,
    pair_links            next pair of either token        ┘ walked when a pool is registered
    paths                 pools of each cycle, and links to the next path of each pool
    path_heads            first path and leg of each pool; whether the pool has changed since the last boundary
    rates                 what one unit buys at the margin, net of fee, both ways: what the screen reads
    path_legs ...         the same cycles in two halves, which is how many are screened at once
                          (`disruptor.handlers.path_legs`)
    path_queue            what the screen has chosen and waits to be solved
    path_state            the answer for a path that is open
    pool_moves            when a pool last moved, and how far searches have looked: what answers rest on
                          (`disruptor.handlers.path_standing`)
    hop_cells             scratch of the solver, a row a hop

None of them is part of a state's digest: all could be computed again from pools, and what they lead to is in the
outputs.
"""

from __future__ import annotations

from disruptor.handlers.messages import ADDRESS, HASH
from disruptor.message import f64, i32, i64, u32, u64, u128, u256
from disruptor.table import Table

#: Hops of the longest cycle.
MAX_HOPS = 4
#: Rows of `base_tokens`.
MAX_BASE_TOKENS = 64
#: Rows of `native_pools`.
MAX_NATIVE_POOLS = 64

#: First pair and first junction of each token, and how many there are.
token_links = Table(
    "token_links",
    {"first_pair": u32, "degree": u32, "first_junction": u32, "junctions": u32},
    key="tokens",
    digest=False,
)

pair_links = Table(
    "pair_links",
    {
        "next0": u32,  # next pair of token0 + 1, 0 at the end
        "next1": u32,
        "linked": u32,
        "reserved": u32,
    },
    key="pairs",
    digest=False,
)

#: One cache line a path. Hop k goes through `pool{k}`; bit k of `zero_for_one` is its direction going forward.
paths = Table(
    "paths",
    {
        "pool0": u32,
        "pool1": u32,
        "pool2": u32,
        "pool3": u32,
        "next0": u32,  # next (path * 4 + hop) + 1 of the pool's list, 0 at the end
        "next1": u32,
        "next2": u32,
        "next3": u32,
        "hops": u32,
        "zero_for_one": u32,
        "boundary": u64,  # looked at for this boundary
        "open": u32,  # 0 closed, 1 open going forward, 2 going backward
        "reserved": u32,
        "leg0": u32,
        "leg1": u32,
    },
    key="paths",
    digest=False,
)

path_heads = Table(
    "path_heads",
    {
        "first": u32,  # (path * 4 + hop) + 1, 0 none
        "next_marked": u32,  # pool + 1
        "boundary": u64,  # on the list for this boundary
        "entered": u32,  # its paths have been looked for
        "rank": u32,  # place on the boundary's list
        "first_leg": u32,  # (leg * 2 + side) + 1, 0 none
        "legs": u32,
    },
    key="pools",
    digest=False,
)

#: The transaction that changed a pool last, to name who closed what. A row is a cache line.
last_changes = Table(
    "last_changes",
    {"block_number": u64, "transaction_index": u32, "reserved": u32, "tx_hash": HASH, "padding": u128},
    key="pools",
    digest=False,
)

#: 0 where the pool can't be traded that way.
rates = Table("rates", {"zero_for_one": f64, "one_for_zero": f64}, key="pools", digest=False)

#: A heap of paths: see `disruptor.handlers.path_queue`. A path is on it once at most.
path_queue = Table("path_queue", {"key": u64}, key="paths", digest=False)

#: `lowest`..`highest`: ticks that an answer since then has looked at; none if lowest > highest.
pool_moves = Table(
    "pool_moves",
    {
        "boundary": u64,
        "lowest": i32,
        "highest": i32,
        "newest_open": u32,  # path + 1: of the open ones that begin at this pool (`disruptor.handlers.path_open`)
        "reserved": u32,
    },
    key="pools",
    digest=False,
)

path_state = Table(
    "path_state",
    {
        "amount_in": u128,
        "profit": u128,
        "out0": u128,
        "out1": u128,
        "out2": u128,
        "out3": u128,
        "opened_block": u64,
        "solved": u64,  # boundary of the answer; 0: it may not be kept
        "next_open": u32,  # path + 1
        "previous_open": u32,
        "next_here": u32,  # of those that begin at the same pool
        "previous_here": u32,
        "opening": u64,  # its number
        "gas_cost_wei": u64,
        "gas": u32,
        "reserved": u32,
    },
    key="paths",
    digest=False,
)

#: Where a hop's pool stands while the solver walks along its curve; amounts of the exact answer.
hop_cells = Table(
    "hop_cells",
    {
        "pool": u32,
        "zero_for_one": u32,
        "piece": u32,  # of the curve, from 0 on
        "tick": i32,
        "boundary_tick": i32,
        "boundary_initialized": u32,
        "crossed": u32,  # initialized ticks crossed so far
        "lowest": i32,  # of a V3 pool, the ticks at which a swap or the search has been
        "highest": i32,
        "ready": u32,  # `target` and `most_out` hold: see `disruptor.handlers.path_hops`
        "depth_in": f64,  # virtual reserves of the current piece, input side
        "depth_out": f64,
        "kept": f64,  # 1 - fee
        "room": f64,  # most input that the piece can take; infinite for one piece
        "sqrt_price": f64,
        "liquidity": u128,
        "amount_out": u256,
        "best_out": u256,
        "target": u256,
        "most_out": u256,
    },
    key="hops",
    capacity=MAX_HOPS,
    digest=False,
)

#: The answer of the search just made.
path_answer = Table(
    "path_answer",
    {
        "amount_in": u128,
        "profit": u128,
        "cost": u128,
        "spread": i64,
        "gas": u64,
        "gas_cost_wei": u64,
        "gross": u32,
        "reserved": u32,
    },
    digest=False,
)

path_cursor = Table(
    "path_cursor",
    {
        "boundary": u64,  # boundaries evaluated so far
        "path_count": u32,
        "first_marked": u32,  # pool + 1, 0 none
        "hop": u32,  # (path * 4 + hop) + 1 to go on with, 0 at the start of a pool
        "refreshed": u32,  # the rates of all marked pools are those of this boundary
        "first_open": u32,  # path + 1
        "entered": u32,  # paths of the pool being registered that are entered already
        "epoch": u32,
        "stage": u32,  # of the screen in batches
        "pool": u32,  # pool + 1 whose legs are next, 0 at the end
        "link": u32,  # (leg * 2 + side) + 1 to go on with, 0 at the start of a pool
        "queued": u32,
        "as_marked": u32,  # pools at which open paths begin count as marked
        "priced": u32,  # gas can be told in some token
        "reserved": u32,
        "flagged": u64,  # flags of pools and tokens when all open paths were last looked through
        "turned": u64,  # `turned_count` when they really were
        "screened": u64,  # paths whose own product was computed
        "solved": u64,
        "openings": u64,
        "withheld": u64,  # open, but an amount does not fit u128
        "limited": u64,  # searches that stopped at MAX_PIECES
    },
    digest=False,
)

#: Written by the engine before the first event: what settings make of it.
path_settings = Table(
    "path_settings",
    {
        "block_time_ns": u64,
        "priority_fee": u64,  # wei per gas
        "max_amount_in": u128,  # 0: no limit
        "min_spread": i64,
        "loan_millionths": u32,
        "max_hops": u32,
        "count_gas": u32,
        "boundary": u32,  # BOUNDARY_BLOCK, ...
        "base_tokens": u32,  # rows of `base_tokens` in use
        "native_pools": u32,
        "simd": u32,  # screen many paths at once
        "reserved": u32,
    },
    digest=False,
    rollback="engine",
)

#: Tokens in which profit is wanted, best first.
base_tokens = Table(
    "base_tokens",
    {"address": ADDRESS},
    key="base_tokens",
    capacity=MAX_BASE_TOKENS,
    digest=False,
    rollback="engine",
)
#: Row 0: the wrapped native token; the others: pools through which gas is converted into a profit token.
native_pools = Table(
    "native_pools",
    {"address": ADDRESS},
    key="native_pools",
    capacity=MAX_NATIVE_POOLS,
    digest=False,
    rollback="engine",
)

#: How the price of gas becomes an amount of a token: found when the named pools are registered.
native_quotes = Table(
    "native_quotes",
    {
        "pool": u32,  # the named pool of this token and the native one + 1, 0 none
        "is_native": u32,
    },
    key="tokens",
    digest=False,
)
