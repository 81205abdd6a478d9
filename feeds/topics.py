"""The logs that are understood, as a table: topic, shape, and what to check and store of every ABI word.

A log is recognised by its first topic; its meaning also needs the right number of topics, the right data
length, the right kind of emitter, and every word in the range of its Solidity type. Several venues may share a topic:
its events are a list (`next`), and the emitter decides, a pool by its kind, a factory by its address. One word is one
`OP_DTYPE` row:

    from_data, at    the word's bytes start at `at` in the data (1) or in the log's topics (0)
    forbidden0..3    bits, least limb first, that an unsigned value must not have; of a signed one all or none
    signed           whether all-ones in the forbidden bits is a proper (negative) value
    ranged, low, high  whether the low 64 bits, as a signed value, must also lie in a range (ticks, fees)
    width, target    bytes to store (0: only check) at this offset of the slot
    saturate         a value too wide for its field is stored as the field's largest, and flagged

The interpreter of this table is `feeds/encode_decode.py`. What logs there are is declared by the venues
(`handlers/venues.py`), and their number is no constant of the compiled encoder.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import DefinitionError
from disruptor.handlers import messages as m
from disruptor.handlers.uniswap_venues import BUILT_IN
from disruptor.handlers.venues import Venue
from disruptor.message import HEADER_SIZE, MessageType

#: What an emitter of the topic is: a pool, a factory, or a token.
ROLE_POOL, ROLE_FACTORY, ROLE_TOKEN = 1, 2, 3

#: Uniswap V3's tick range; `UniswapV3Pool` reverts outside of it.
MAX_TICK = 887272
#: `UniswapV3Factory.enableFeeAmount` demands less than 100 %.
MAX_FEE = 999_999
_RANGES = {"tick": (-MAX_TICK, MAX_TICK), "fee": (0, MAX_FEE), "spacing": (1, 2**23 - 1)}
_SOLIDITY = {"tick": "int24", "fee": "uint24", "spacing": "int24"}
_UNSIGNED = {"address": 160, "bool": 1, "bytes32": 256}
_INTEGER = re.compile(r"(u?int)([0-9]{1,3})")
_TOPIC, _ADDRESS = re.compile("[0-9a-fA-F]{64}"), re.compile("[0-9a-fA-F]{40}")
#: Bytes of fields that the encoder can store a word in; the one that takes the largest value where a word is larger.
_WIDTHS, _SATURATING = (4, 8, 16, 20, 32), 16

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
        ("next", "<i8"),  # the next event of the same topic; -1: none
        ("any_factory", "<i8"),  # of creation logs: whoever emits it; else only
        ("factory", "<u8", (3,)),  # this one (top, mid, low)
        ("token0", "<i8"),  # of creation logs, where a word is: `place_of`
        ("token1", "<i8"),
        ("pool", "<i8"),
        ("fee", "<i8"),
        ("tick_spacing", "<i8"),
        ("default_fee", "<i8"),  # millionths, where nobody says; -1: none
    ]
)
#: Added to the place of a word in the data; without it a place is one in the topics. -1: there is no such word.
IN_DATA = 1 << 32
#: Events that may share a topic.
MAX_SAME_TOPIC = 64
#: Events and their words that the encoder has room for, and places to look for a topic: a power of two.
MAX_EVENTS, MAX_WORDS = 512, 4096
PLACES = 4 * MAX_EVENTS
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
    """One recognised log: message, kind of pool, topic, words; of creation logs also the factory and the usual fee."""

    message: MessageType
    role: int
    kind: int
    topic: str
    indexed: tuple[str, ...]
    words: tuple[str, ...]
    factory: str | None = None
    fee: int = -1


_TRANSFER = Event(
    m.Erc20Transfer,
    ROLE_TOKEN,
    m.KIND_UNKNOWN,
    "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
    ("address", "address"),
    ("uint256 amount",),
)


def events_of(venue: Venue) -> list[Event]:
    """A venue's logs: its factories' (one for each that it names), then its pools'."""
    found = []
    for creation in venue.creations:
        for factory in venue.factories or (None,):
            said = {"factory": factory, "fee": -1 if venue.fee is None else venue.fee}
            words = (creation.topic, creation.indexed, creation.words)
            found.append(Event(m.PoolRegistered, ROLE_FACTORY, venue.kind, *words, **said))  # type: ignore[arg-type]
    for log in venue.logs:
        found.append(Event(log.message, ROLE_POOL, venue.kind, log.topic, log.indexed, log.words))
    return found


#: The logs that are understood without venues of users' own.
EVENTS: tuple[Event, ...] = (*(event for venue in BUILT_IN for event in events_of(venue)), _TRANSFER)


class TopicTables(NamedTuple):
    """The events as arrays that kernels read.

    specs : (events,) SPEC_DTYPE
    ops : (words of all events,) OP_DTYPE
    places : (PLACES,) int64, open addressing on the low bits of the topic's last limb: event number or -1
    """

    specs: npt.NDArray[Any]
    ops: npt.NDArray[Any]
    places: npt.NDArray[np.int64]


def build_tables(events: Sequence[Event] = EVENTS) -> TopicTables:
    """Turn events into the arrays that the kernels interpret.

    Raises
    ------
    DefinitionError : a word that is no Solidity type or does not fit its field, a topic that is none, or one with which
        it could not be told what a log means.
    """
    ops: list[tuple[int, ...]] = []
    specs = np.zeros(len(events), SPEC_DTYPE)
    for number, event in enumerate(events):
        first = len(ops)
        ops += [_op(event, word, *place) for word, place in _placed(event)]
        specs[number] = (*_shape(event, first, len(ops) - first), *_creation(event))
    if len(events) > MAX_EVENTS or len(ops) > MAX_WORDS:
        raise DefinitionError(
            f"venues: {len(events)} logs with {len(ops)} words; there is room for {MAX_EVENTS} and {MAX_WORDS}"
        )
    return TopicTables(specs, np.array(ops, OP_DTYPE), _index(events, specs))


def _placed(event: Event) -> list[tuple[str, tuple[bool, int]]]:
    """The words of an event, each with whether it is in the data, and where."""
    topics = [(word, (False, 32 * (k + 1))) for k, word in enumerate(event.indexed)]
    return topics + [(word, (True, 32 * k)) for k, word in enumerate(event.words)]


def _limits(event: Event, kind: str) -> tuple[int, bool]:
    """Bits of a Solidity type, and whether it is signed."""
    name = _SOLIDITY.get(kind, kind)
    if name in _UNSIGNED:
        return _UNSIGNED[name], False
    found = _INTEGER.fullmatch(name)
    if found is None or not 0 < int(found[2]) <= 256 or int(found[2]) % 8:
        raise DefinitionError(
            f"{event.message.name}: {kind!r} is no type of one word: say uint112, int24, address"
        )
    return int(found[2]), found[1] == "int"


def _op(event: Event, word: str, from_data: bool, at: int) -> tuple[int, ...]:
    kind, _, name = word.partition(" ")
    bits, signed = _limits(event, kind)
    magnitude = bits - 1 if signed else bits
    forbidden = ((1 << 256) - 1) >> magnitude << magnitude if magnitude < 256 - signed else 0
    limbs = tuple(forbidden >> (64 * k) & (2**64 - 1) for k in range(4))
    low, high = _RANGES.get(kind, (0, 0))
    stored = name if event.role != ROLE_FACTORY else ""
    width, target = _target(event, word, stored, bits) if stored else (0, 0)
    saturate = width == _SATURATING and bits > 8 * width
    if (saturate and signed) or (not saturate and width not in (0, 20) and bits > 8 * width):
        raise DefinitionError(f"{event.message.name}: {word!r} does not fit its field: declare a wider one")
    flags = (int(from_data), int(signed), int(saturate), int(kind in _RANGES))
    return (*limbs, low, high, at, target, width, *flags)


def _target(event: Event, word: str, name: str, bits: int) -> tuple[int, int]:
    """(width, offset in the slot) of a word's field."""
    fields = event.message.fields
    if name not in fields:
        raise DefinitionError(f"{event.message.name}: {word!r} names no field of the message")
    width = fields[name].dtype.itemsize
    if width not in _WIDTHS or (width == 20) != (bits == 160 and word.startswith("address")):
        raise DefinitionError(
            f"{event.message.name}: field {name} can't hold {word!r}: declare a u32, u64, u128, u256 or an address"
        )
    return width, HEADER_SIZE + event.message.offsets[name]


def _limbs(event: Event) -> list[int]:
    """The topic as big-endian limbs."""
    text = event.topic.removeprefix("0x")
    if not _TOPIC.fullmatch(text):
        raise DefinitionError(f"{event.message.name}: topic {event.topic[:70]!r} is not 64 hex digits")
    return [int(text[16 * k : 16 * k + 16], 16) for k in range(4)]


def _shape(event: Event, first: int, count: int) -> tuple[Any, ...]:
    """The fields of a spec up to `upper`."""
    offsets = event.message.offsets
    ordered = "tick_lower" in offsets
    return (
        _limbs(event),
        event.role,
        event.kind,
        event.message.type_id,
        1 + len(event.indexed),
        32 * len(event.words),
        first,
        count,
        HEADER_SIZE + offsets["tick_lower"] if ordered else -1,
        HEADER_SIZE + offsets["tick_upper"] if ordered else -1,
    )


def _creation(event: Event) -> tuple[Any, ...]:
    """The fields of a spec from `next` on: where the facts of a new pool are."""
    places = {
        word.partition(" ")[2]: at + (IN_DATA if from_data else 0) for word, (from_data, at) in _placed(event)
    }
    if event.role == ROLE_FACTORY and not {"token0", "token1", "pool"} <= places.keys():
        raise DefinitionError(f"creation log {event.topic[:10]}…: name its words token0, token1 and pool")
    factory = [0, 0, 0]
    if event.factory is not None:
        digits = event.factory.removeprefix("0x")
        if not _ADDRESS.fullmatch(digits):
            raise DefinitionError(f"factory {event.factory[:50]!r}: expected 0x and 40 hex digits")
        factory = [int(digits[:8], 16), int(digits[8:24], 16), int(digits[24:], 16)]
    facts = [places.get(name, -1) for name in ("token0", "token1", "pool", "fee", "tick_spacing")]
    return (-1, int(event.factory is None), factory, *facts, event.fee)


def _index(events: Sequence[Event], specs: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Where each topic's first event is; the others of a topic follow by `next`."""
    first_of: dict[str, list[int]] = {}
    for number, event in enumerate(events):
        first_of.setdefault(event.topic.removeprefix("0x").lower(), []).append(number)
    places = np.full(PLACES, -1, np.int64)
    for topic, numbers in first_of.items():
        _check_shared(topic, [events[number] for number in numbers])
        for one, following in itertools.pairwise(numbers):
            specs[one]["next"] = following
        place = int(topic[-8:], 16) & (PLACES - 1)
        while places[place] >= 0:
            place = (place + 1) & (PLACES - 1)
        places[place] = numbers[0]
    return places


def _check_shared(topic: str, events: list[Event]) -> None:
    """Refuse a topic whose logs could not be told apart by who emits them."""
    roles = {event.role for event in events}
    anyones = [event.kind for event in events if event.role == ROLE_FACTORY and event.factory is None]
    shapes = [
        (event.kind, len(event.indexed), len(event.words)) for event in events if event.role == ROLE_POOL
    ]
    if len(roles) > 1 or len(events) > MAX_SAME_TOPIC:
        raise DefinitionError(
            f"topic 0x{topic[:8]}…: declared for pools, factories or tokens at the same time"
        )
    if len(anyones) > 1:
        raise DefinitionError(
            f"creation log 0x{topic[:8]}…: declared by kinds {anyones[0]} and {anyones[1]}: name the factories of one"
        )
    if len(set(shapes)) < len(shapes):
        raise DefinitionError(f"topic 0x{topic[:8]}…: declared twice with as many words by one kind")
