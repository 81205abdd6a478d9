"""The layouts that others rely on: sizes, offsets and ids never change."""

from __future__ import annotations

import ctypes

from disruptor.handlers import messages as m
from disruptor.handlers.opportunities import opportunity_handlers
from disruptor.message import HEADER_SIZE

SWAP = {
    "protocol_id": 0,
    "pool_address": 4,
    "token0": 24,
    "token1": 44,
    "amount0_in": 64,
    "amount1_out": 80,
    "gas_price": 96,
    "block_number": 104,
    "tx_hash": 112,
    "timestamp": 144,
}
OPPORTUNITY = {
    "token_pair": 0,
    "venue_a": 40,
    "venue_b": 44,
    "price_diff": 48,
    "max_profit": 64,
    "gas_estimate": 80,
    "confidence": 88,
    "expires_at": 96,
}


class Hot(ctypes.Structure):
    """`HotMarketData` as a C compiler lays it out."""

    _fields_ = (
        *((name, ctypes.c_double) for name in ("bid", "ask", "last_price", "volume")),
        ("timestamp", ctypes.c_uint64),
        ("sequence", ctypes.c_uint64),
        ("venue_id", ctypes.c_uint32),
        ("instrument_id", ctypes.c_uint32),
        ("padding", ctypes.c_uint8 * 8),
    )


def test_published_layouts_are_those_of_c():
    assert m.DeFiSwapEvent.offsets == SWAP
    assert m.ArbitrageOpportunity.offsets == OPPORTUNITY
    assert m.HotMarketData.offsets == {name: getattr(Hot, name).offset for name, *_ in Hot._fields_}
    assert ctypes.sizeof(Hot) == 64


def test_sizes_on_the_wire():
    assert (m.DeFiSwapEvent.size, m.ArbitrageOpportunity.size, m.HotMarketData.size) == (160, 112, 64)
    assert all(HEADER_SIZE + message.size <= 192 for message in m.BUILT_IN)


def test_ids_are_distinct_and_in_order():
    ids = [message.type_id for message in m.BUILT_IN]
    assert ids == sorted(set(ids)) and len(ids) > 25


def test_what_comes_from_a_log_begins_alike():
    for message in m.BUILT_IN:
        if "log_index" in message.fields and "tx_hash" in message.fields:
            offsets = [message.offsets[n] for n in ("pool", "log_index", "transaction_index", "tx_hash")]
            assert offsets == [0, 4, 8, 16], message.name


def test_structure_and_transfers_do_not_count_as_events():
    uncounted = {message.name for message in m.BUILT_IN if not message.counted}
    assert {"BlockStart", "TransactionEnd", "BlockEnd", "Erc20Transfer", "PoolIncomplete"} <= uncounted
    assert not uncounted & {"PoolRegistered", "UniswapV2Sync", "UniswapV3Swap", "UniswapV3Mint"}


def test_every_boundary_evaluates_what_is_left_at_the_end_of_the_block():
    for boundary in ("block", "transaction", "log"):
        assert opportunity_handlers(boundary)[-1].message is m.BlockEnd
