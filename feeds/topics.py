"""The logs that are understood, as a table: topic, shape, and what to check and store of every ABI word.

A log is recognised by its first topic; its meaning also needs the right number of topics, the right data
length, the right kind of emitter, and every word in the range of its Solidity type. One word is one
`OP_DTYPE` row:

    from_data, at    the word's bytes start at `at` in the data (1) or in the log's topics (0)
    forbidden0..3    bits, least limb first, that an unsigned value must not have; of a signed one all or none
    signed           whether all-ones in the forbidden bits is a proper (negative) value
    ranged, low, high  whether the low 64 bits, as a signed value, must also lie in a range (ticks, fees)
    width, target    bytes to store (0: only check) at this offset of the slot
    saturate         a value too wide for its field is stored as the field's largest, and flagged

The interpreter of this table is `feeds/encode_kernels.py`. Adding an event is adding a line to `EVENTS`.

Source: the events of UniswapV2Pair, UniswapV2Factory, UniswapV3Pool, UniswapV3Factory, PancakeV3Pool, ERC-20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.handlers import messages as m
from disruptor.message import HEADER_SIZE, MessageType

#: What an emitter of the topic is: a pool, a factory, or a token.
ROLE_POOL, ROLE_FACTORY, ROLE_TOKEN = 1, 2, 3

#: Uniswap V3's tick range; `UniswapV3Pool` reverts outside of it.
MAX_TICK = 887272
#: `UniswapV3Factory.enableFeeAmount` demands less than 100 %.
MAX_FEE = 999_999
_RANGES = {"tick": (-MAX_TICK, MAX_TICK), "fee": (0, MAX_FEE), "spacing": (1, 2**23 - 1)}
_SOLIDITY = {"tick": "int24", "fee": "uint24", "spacing": "int24"}

SPEC_DTYPE = np.dtype(
    [
        ("topic", "<u8", (4,)),  # big-endian limbs as `load_be64` reads them
        ("role", "<i8"),
        ("kind", "<i8"),  # of the emitting pool, or of the pool that a factory creates
        ("type_id", "<i8"),
        ("topic_count", "<i8"),
        ("data_length", "<i8"),
        ("first_op", "<i8"),
        ("op_count", "<i8"),
        ("lower", "<i8"),  # slot offset of tick_lower, which must be below tick_upper; -1: no such pair
        ("upper", "<i8"),
    ]
)
OP_DTYPE = np.dtype(
    [
        ("forbidden0", "<u8"),
        ("forbidden1", "<u8"),
        ("forbidden2", "<u8"),
        ("forbidden3", "<u8"),
        ("low", "<i8"),
        ("high", "<i8"),
        ("at", "<i8"),
        ("target", "<i8"),
        ("width", "<i4"),
        ("from_data", "<i4"),
        ("signed", "<i4"),
        ("saturate", "<i4"),
        ("ranged", "<i8"),
    ]
)


@dataclass(frozen=True)
class Event:
    """One recognised log: message, kind of pool, topic, words. A word is "type" or "type field"."""

    message: MessageType
    role: int
    kind: int
    topic: str
    indexed: tuple[str, ...]
    words: tuple[str, ...]


_V2, _V3, _ANY = m.KIND_UNISWAP_V2, m.KIND_UNISWAP_V3, m.KIND_UNKNOWN
_TICKS = ("tick tick_lower", "tick tick_upper")
_V3_SWAP = ("int256 amount0", "int256 amount1", "uint160 sqrt_price_x96", "uint128 liquidity", "tick tick")
_V3_MOVED = ("uint128 liquidity", "uint256 amount0", "uint256 amount1")

# fmt: off
EVENTS: tuple[Event, ...] = (
    Event(m.PoolRegistered, ROLE_FACTORY, _V2,
          "0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9",
          ("address", "address"), ("address", "uint256")),
    Event(m.PoolRegistered, ROLE_FACTORY, _V3,
          "783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118",
          ("address", "address", "fee"), ("spacing", "address")),
    Event(m.UniswapV2Sync, ROLE_POOL, _V2,
          "1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",
          (), ("uint112 reserve0", "uint112 reserve1")),
    Event(m.UniswapV2Swap, ROLE_POOL, _V2,
          "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",
          ("address", "address"),
          ("uint256 amount0_in", "uint256 amount1_in", "uint256 amount0_out", "uint256 amount1_out")),
    Event(m.UniswapV2Mint, ROLE_POOL, _V2,
          "4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f",
          ("address",), ("uint256 amount0", "uint256 amount1")),
    Event(m.UniswapV2Burn, ROLE_POOL, _V2,
          "dccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496",
          ("address", "address"), ("uint256 amount0", "uint256 amount1")),
    Event(m.UniswapV3Initialize, ROLE_POOL, _V3,
          "98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",
          (), ("uint160 sqrt_price_x96", "tick tick")),
    Event(m.UniswapV3Swap, ROLE_POOL, _V3,
          "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
          ("address", "address"), _V3_SWAP),
    # PancakeSwap V3 adds the two protocol fees to the same five words.
    Event(m.UniswapV3Swap, ROLE_POOL, _V3,
          "19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83",
          ("address", "address"), (*_V3_SWAP, "uint128", "uint128")),
    Event(m.UniswapV3Mint, ROLE_POOL, _V3,
          "7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",
          ("address", *_TICKS), ("address", *_V3_MOVED)),
    Event(m.UniswapV3Burn, ROLE_POOL, _V3,
          "0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",
          ("address", *_TICKS), _V3_MOVED),
    Event(m.UniswapV3Collect, ROLE_POOL, _V3,
          "70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0",
          ("address owner", *_TICKS), ("address", "uint128 amount0", "uint128 amount1")),
    Event(m.UniswapV3Flash, ROLE_POOL, _V3,
          "bdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633",
          ("address", "address"), ("uint256 amount0", "uint256 amount1", "uint256 paid0", "uint256 paid1")),
    Event(m.UniswapV3SetFeeProtocol, ROLE_POOL, _V3,
          "973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133", (),
          ("uint8 fee_protocol0_old", "uint8 fee_protocol1_old",
           "uint8 fee_protocol0_new", "uint8 fee_protocol1_new")),
    Event(m.UniswapV3CollectProtocol, ROLE_POOL, _V3,
          "596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151",
          ("address", "address"), ("uint128 amount0", "uint128 amount1")),
    Event(m.UniswapV3IncreaseObservationCardinalityNext, ROLE_POOL, _V3,
          "ac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a",
          (), ("uint16 cardinality_old", "uint16 cardinality_new")),
    Event(m.Erc20Transfer, ROLE_TOKEN, _ANY,
          "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
          ("address", "address"), ("uint256 amount",)),
)
# fmt: on


class TopicTables(NamedTuple):
    """The events as arrays that kernels read.

    specs : (events,) SPEC_DTYPE
    ops : (words of all events,) OP_DTYPE
    places : (64,) int64, open addressing on the low bits of the topic's last limb: event number or -1
    """

    specs: npt.NDArray[Any]
    ops: npt.NDArray[Any]
    places: npt.NDArray[np.int64]


def _limits(kind: str) -> tuple[int, bool]:
    """Bits of a Solidity type, and whether it is signed."""
    name = _SOLIDITY.get(kind, kind)
    if name == "address":
        return 160, False
    return int(name.lstrip("uint")), name.startswith("int")


def _op(event: Event, word: str, *, from_data: bool, at: int) -> tuple[int, ...]:
    kind, _, field = word.partition(" ")
    bits, signed = _limits(kind)
    magnitude = bits - 1 if signed else bits
    forbidden = ((1 << 256) - 1) >> magnitude << magnitude if magnitude < 256 - signed else 0
    limbs = tuple(forbidden >> (64 * k) & (2**64 - 1) for k in range(4))
    low, high = _RANGES.get(kind, (0, 0))
    width = event.message.fields[field].dtype.itemsize if field else 0
    target = HEADER_SIZE + event.message.offsets[field] if field else 0
    saturate = width > 0 and kind != "address" and bits > 8 * width
    flags = (int(from_data), int(signed), int(saturate), int(kind in _RANGES))
    return (*limbs, low, high, at, target, width, *flags)


def build_tables(events: tuple[Event, ...] = EVENTS) -> TopicTables:
    """Turn declared events into the arrays that the kernels interpret."""
    ops: list[tuple[int, ...]] = []
    specs = np.zeros(len(events), SPEC_DTYPE)
    index = np.full(64, -1, np.int64)
    for number, event in enumerate(events):
        first = len(ops)
        ops += [_op(event, w, from_data=False, at=32 * (k + 1)) for k, w in enumerate(event.indexed)]
        ops += [_op(event, w, from_data=True, at=32 * k) for k, w in enumerate(event.words)]
        offsets = event.message.offsets
        ordered = "tick_lower" in offsets
        topic = [int(event.topic[16 * k : 16 * k + 16], 16) for k in range(4)]
        specs[number] = (
            topic,
            event.role,
            event.kind,
            event.message.type_id,
            1 + len(event.indexed),
            32 * len(event.words),
            first,
            len(ops) - first,
            HEADER_SIZE + offsets["tick_lower"] if ordered else -1,
            HEADER_SIZE + offsets["tick_upper"] if ordered else -1,
        )
        place = topic[3] & 63
        while index[place] >= 0:
            place = (place + 1) & 63
        index[place] = number
    return TopicTables(specs, np.array(ops, OP_DTYPE), index)
