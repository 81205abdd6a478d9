"""The built-in messages: chain structure, registrations, pool events, and what the engine emits.

`fee` is in millionths everywhere (Uniswap V2 = 3000). Amounts are raw on-chain units. Messages that come from a log
begin with the same 48 bytes: pool id, log index, transaction index, a 4-byte field of their own, transaction hash.
Ids are dense u32 numbers in order of registration; `NO_ID` means none.
"""

from __future__ import annotations

from disruptor.message import (
    FieldType,
    MessageType,
    byte_string,
    f32,
    f64,
    i32,
    i128,
    i256,
    u32,
    u64,
    u128,
    u256,
)
from disruptor.message import built_in_message as message

ADDRESS = byte_string(20)
HASH = byte_string(32)
NO_ID = 0xFFFFFFFF

# Pool kinds. 0 is an address that emits pool-like logs and was never registered.
KIND_UNKNOWN, KIND_UNISWAP_V2, KIND_UNISWAP_V3 = 0, 2, 3
KIND_NAMES = {KIND_UNKNOWN: "unknown", KIND_UNISWAP_V2: "uniswap_v2", KIND_UNISWAP_V3: "uniswap_v3"}

# Header flags of inputs.
FLAG_TIME_UNKNOWN = 1  # event_time_ns (and BlockStart.timestamp) is 0 because nobody told
FLAG_HASH_UNKNOWN = 2  # BlockStart.hash or tx_hash is zero because nobody told
FLAG_PARENT_UNKNOWN = 4  # BlockStart.parent_hash, base_fee and gas are zero because no header was given
FLAG_GAS_PRICE_UNKNOWN = 8  # TransactionEnd.gas_price, DeFiSwapEvent.gas_price
FLAG_AMOUNT_OVERFLOW = 16  # an amount did not fit its field; the field holds the largest value
FLAG_WITH_STATE = 32  # PoolRegistered: a state message for this pool follows
FLAG_BORN = 64  # PoolRegistered: the creation log is in the stream, so state is known from birth
FLAG_FEES_GIVEN = 128  # UniswapV3State: fee growth and protocol fees were given, also outside of each tick
FLAG_REFUTED = 4096  # UniswapV2State, UniswapV3State: an earlier run saw a swap that contradicts the pool
# Header flags of outputs.
FLAG_NET = 256  # DeFiSwapEvent: two inputs or two outputs, netted per token
FLAG_GROSS = 512  # ArbitrageOpportunity: gas is not counted: its cost is not known in the profit's token
FLAG_OPENING = 1024  # ArbitrageOpportunity: this cycle was not open at the boundary before
FLAG_TOKEN_UNKNOWN = 2048  # ArbitrageOpportunity: some token has not yet been seen to move in full both ways

# Where opportunities are evaluated.
BOUNDARY_BLOCK, BOUNDARY_TRANSACTION, BOUNDARY_LOG = 1, 2, 3
# Why an opportunity closed: its pools moved; or a pool or token of it may no longer be relied on.
CLOSED_MOVED, CLOSED_BARRED = 1, 2

# Why a pool is incomplete (PoolIncomplete.reason).
REASON_UNDECODABLE, REASON_MISSING_BLOCK, REASON_REMOVED, REASON_CONFLICT = 1, 2, 3, 4


def _log(own: tuple[str, FieldType] | None, rest: dict[str, FieldType]) -> dict[str, FieldType]:
    name, kind = own or ("reserved", u32)
    return {"pool": u32, "log_index": u32, "transaction_index": u32, name: kind, "tx_hash": HASH, **rest}


BlockStart = message(
    "BlockStart",
    1,
    {
        "chain_id": u64,
        "number": u64,
        "timestamp": u64,  # seconds
        "base_fee": u64,  # wei per gas
        "gas_used": u64,
        "gas_limit": u64,
        "hash": HASH,
        "parent_hash": HASH,
    },
    counted=False,
)
TransactionEnd = message(
    "TransactionEnd",
    2,
    {"block_number": u64, "gas_price": u64, "transaction_index": u32, "log_count": u32, "tx_hash": HASH},
    counted=False,
)
BlockEnd = message(
    "BlockEnd", 3, {"block_number": u64, "transaction_count": u32, "log_count": u32}, counted=False
)
PoolIncomplete = message(
    "PoolIncomplete",
    4,
    # pool = NO_ID: all pools known so far
    {"pool": u32, "reason": u32, "block_number": u64, "log_index": u32, "reserved": u32},
    counted=False,
)

TokenRegistered = message(
    "TokenRegistered", 10, {"token": u32, "decimals": u32, "address": ADDRESS}, counted=False
)
PoolRegistered = message(
    "PoolRegistered",
    11,
    _log(
        ("kind", u32),
        {
            "token0": u32,
            "token1": u32,
            "fee": u32,
            "tick_spacing": i32,
            "address": ADDRESS,
            "factory": ADDRESS,
            "token0_address": ADDRESS,
            "token1_address": ADDRESS,
        },
    ),
)
PoolSeen = message("PoolSeen", 12, {"pool": u32, "reserved": u32, "address": ADDRESS}, counted=False)

UniswapV2Sync = message("UniswapV2Sync", 20, _log(None, {"reserve0": u128, "reserve1": u128}))
UniswapV2Swap = message(
    "UniswapV2Swap",
    21,
    _log(None, {"amount0_in": u128, "amount1_in": u128, "amount0_out": u128, "amount1_out": u128}),
)
UniswapV2Mint = message("UniswapV2Mint", 22, _log(None, {"amount0": u256, "amount1": u256}))
UniswapV2Burn = message("UniswapV2Burn", 23, _log(None, {"amount0": u256, "amount1": u256}))

UniswapV3Initialize = message("UniswapV3Initialize", 30, _log(("tick", i32), {"sqrt_price_x96": u256}))
UniswapV3Swap = message(
    "UniswapV3Swap",
    31,
    _log(("tick", i32), {"liquidity": u128, "amount0": i256, "amount1": i256, "sqrt_price_x96": u256}),
)
UniswapV3Mint = message(
    "UniswapV3Mint",
    32,
    _log(("tick_lower", i32), {"tick_upper": i32, "liquidity": u128, "amount0": u256, "amount1": u256}),
)
UniswapV3Burn = message(
    "UniswapV3Burn",
    33,
    _log(("tick_lower", i32), {"tick_upper": i32, "liquidity": u128, "amount0": u256, "amount1": u256}),
)
UniswapV3Collect = message(
    "UniswapV3Collect",
    34,
    _log(("tick_lower", i32), {"tick_upper": i32, "owner": ADDRESS, "amount0": u128, "amount1": u128}),
)
UniswapV3Flash = message(
    "UniswapV3Flash", 35, _log(None, {"amount0": u128, "amount1": u128, "paid0": u256, "paid1": u256})
)
UniswapV3SetFeeProtocol = message(
    "UniswapV3SetFeeProtocol",
    36,
    _log(
        None,
        {
            "fee_protocol0_old": u32,
            "fee_protocol1_old": u32,
            "fee_protocol0_new": u32,
            "fee_protocol1_new": u32,
        },
    ),
)
UniswapV3CollectProtocol = message(
    "UniswapV3CollectProtocol", 37, _log(None, {"amount0": u128, "amount1": u128})
)
UniswapV3IncreaseObservationCardinalityNext = message(
    "UniswapV3IncreaseObservationCardinalityNext",
    38,
    _log(None, {"cardinality_old": u32, "cardinality_new": u32}),
)

# State given with a pools file, as of a stated block and log.
UniswapV2State = message(
    "UniswapV2State", 40, {"pool": u32, "reserved": u32, "reserve0": u128, "reserve1": u128}, counted=False
)
UniswapV3State = message(
    "UniswapV3State",
    41,
    {
        "pool": u32,
        "tick": i32,
        "fee_protocol": u32,  # low 4 bits token0, next 4 bits token1, as slot0 packs it
        "ticks_complete": u32,  # 1 when all initialized ticks follow as UniswapV3TickState
        "liquidity": u128,
        "sqrt_price_x96": u256,
        "fee_growth_global0_x128": u256,
        "fee_growth_global1_x128": u256,
        "protocol_fees0": u128,
        "protocol_fees1": u128,
    },
    counted=False,
)
UniswapV3TickState = message(
    "UniswapV3TickState",
    42,
    {
        "pool": u32,
        "tick": i32,
        "liquidity_gross": u128,
        "liquidity_net": i128,
        "fee_growth_outside0_x128": u256,
        "fee_growth_outside1_x128": u256,
    },
    counted=False,
)

Erc20Transfer = message(
    "Erc20Transfer",
    50,
    # pool is the tracked party; direction 1 = in, 2 = out, 3 = from `pool` to `other_pool`
    _log(("direction", u32), {"token": u32, "other_pool": u32, "amount": u256, "counterparty": ADDRESS}),
    counted=False,
)

DeFiSwapEvent = message(
    "DeFiSwapEvent",
    100,
    {
        "protocol_id": u32,
        "pool_address": ADDRESS,
        "token0": ADDRESS,  # the token paid in
        "token1": ADDRESS,  # the token received
        "amount0_in": u128,
        "amount1_out": u128,
        "gas_price": u64,
        "block_number": u64,
        "tx_hash": HASH,
        "timestamp": u64,  # ns
    },
)
ArbitrageOpportunity = message(
    "ArbitrageOpportunity",
    101,
    {
        "token_pair": byte_string(40),  # the two addresses in canonical (ascending) order
        "venue_a": u32,  # pool bought from
        "venue_b": u32,  # pool sold to
        "price_diff": f64,  # net-of-fee ratio minus one, basis points
        "max_profit": u128,
        "gas_estimate": u64,
        "confidence": f32,
        "expires_at": u64,  # ns
    },
)
#: Goes with each ArbitrageOpportunity, as the next output: what its fixed layout has no room for.
ArbitragePath = message(
    "ArbitragePath",
    104,
    {
        "pool0": u32,  # in the order of the swaps; NO_ID behind the last
        "pool1": u32,
        "pool2": u32,
        "pool3": u32,
        "hops": u32,
        "zero_for_one": u32,  # bit k: hop k sells its pool's token0
        "boundary": u32,  # BOUNDARY_BLOCK, BOUNDARY_TRANSACTION or BOUNDARY_LOG
        "transaction_index": u32,  # of the transaction that ended at the boundary; of a block's last one that counts
        "block_number": u64,
        "gas_cost_wei": u64,  # gas_estimate at the next block's price; 0 if unknown or not counted
        "amount_in": u128,  # of the token that the cycle starts and ends with
        "profit": u128,  # what comes back beyond amount_in, before costs: max_profit
        "cost": u128,  # of gas and funding, in the same token, as far as known
        "amount_out0": u128,  # of hop 0, 1, 2; the last hop's is amount_in + profit
        "amount_out1": u128,
        "amount_out2": u128,
        "opened_block": u64,
        "path": u32,
        "reserved": u32,
    },
)
OpportunityClosed = message(
    "OpportunityClosed",
    105,
    {
        "pool0": u32,
        "pool1": u32,
        "pool2": u32,
        "pool3": u32,
        "hops": u32,
        "zero_for_one": u32,
        "boundary": u32,
        "transaction_index": u32,
        "block_number": u64,
        "opened_block": u64,
        "amount_in": u128,  # as last reported
        "profit": u128,
        "tx_hash": HASH,  # the last transaction that changed one of its pools; zero where none did
        "path": u32,
        "reason": u32,  # CLOSED_MOVED or CLOSED_BARRED
    },
)
HotMarketData = message(
    "HotMarketData",
    102,
    {
        "bid": f64,
        "ask": f64,
        "last_price": f64,
        "volume": f64,
        "timestamp": u64,
        "sequence": u64,
        "venue_id": u32,
        "instrument_id": u32,
        "padding": byte_string(8),
    },
)

#: Every built-in message, in id order.
BUILT_IN: tuple[MessageType, ...] = tuple(
    sorted((m for m in globals().values() if isinstance(m, MessageType)), key=lambda m: m.type_id)
)
