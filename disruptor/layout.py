"""The bytes of a region. A diagram, offsets summed from sizes, and pure functions; nothing here touches
memory.

A region is one mapping, named or private. All integers are little-endian. The same table is
docs/format-region.md, and a test holds the two and the dtypes below against each other.

    offset  size    what
    0       128     identity: written once, `magic` last
    128     128     owner: who created or adopted the region
    256     128     control word: 0 run; anything else asks compiled loops to return
    384     128     wake cell: a count that every notification raises, and how many wait on it
    512     128     cursor: the producer's highest published sequence
    640     128     producer's own: highest claimed sequence, cached gate; a lane's base and source id
    768     2048    16 gating cells of 128 bytes: a consumer's sequence, and the process that consumes
    2816    1280    zero
    4096    r       ring: capacity * slot_size
    +r      t       type table: type_capacity * 64, one row per type id
    +t      c       counters (the monitoring area): counter_capacity * 128
    +c      s       state area, optional

Each part starts on a multiple of 4096. Words that different cores write stand alone on 128 bytes, a pair of
cache lines, because x86 processors fetch lines in pairs: one line apart they still slow each other down.
Kernels see the first 4096 bytes as 512 int64 words, the control block; the *_WORD constants are indexes into
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from disruptor.errors import RegionError

#: "DSRPTOR1" as a little-endian integer.
MAGIC = int.from_bytes(b"DSRPTOR1", "little")
VERSION = 1

CELL_SIZE = 128
PART_ALIGNMENT = 4096
SLOT_ALIGNMENT = 64
CONTROL_SIZE = 4096
MAX_CONSUMERS = 16

DEFAULT_TYPE_CAPACITY = 4096
DEFAULT_COUNTER_CAPACITY = 256

IDENTITY_DTYPE = np.dtype(
    [
        ("magic", "<u8"),
        ("version", "<u4"),
        ("control_size", "<u4"),
        ("schema_hash", "<u8"),
        ("region_size", "<i8"),  # bytes mapped, a multiple of page_size
        ("capacity", "<i8"),  # slots, a power of two
        ("slot_size", "<i8"),  # bytes, a multiple of 64
        ("ring_offset", "<i8"),
        ("types_offset", "<i8"),
        ("type_capacity", "<i8"),  # rows
        ("counters_offset", "<i8"),
        ("counter_capacity", "<i8"),  # rows
        ("state_offset", "<i8"),
        ("state_size", "<i8"),  # bytes
        ("page_size", "<i8"),  # bytes, of the file; 4096 where no huge pages back it
        ("reserved", "u1", (16,)),
    ]
)
OWNER_DTYPE = np.dtype(
    [
        ("pid", "<i8"),
        ("start_time", "<u8"),  # clock ticks after boot: field 22 of /proc/<pid>/stat
        ("boot_id", "u1", (16,)),
        ("pid_namespace", "<u8"),  # inode of /proc/self/ns/pid: a pid means nothing in another one
        ("reserved", "u1", (88,)),
    ]
)
CELL_DTYPE = np.dtype([("words", "<i8", (16,))])
CONTROL_DTYPE = np.dtype(
    [
        ("identity", IDENTITY_DTYPE),
        ("owner", OWNER_DTYPE),
        ("control", CELL_DTYPE),
        ("wake", CELL_DTYPE),
        ("cursor", CELL_DTYPE),
        ("producer", CELL_DTYPE),
        ("gating", CELL_DTYPE, (MAX_CONSUMERS,)),
        ("reserved", "u1", (1280,)),
    ]
)
TYPE_DTYPE = np.dtype(
    [
        ("type_id", "<u4"),  # 0: no such type
        ("size", "<u4"),  # payload bytes
        ("schema_hash", "<u8"),
        ("handler_mask", "<u8"),  # bit i: the handler number i takes this type
        ("events", "<i8"),
        ("outputs", "<i8"),
        ("errors", "<i8"),
        ("reserved", "u1", (16,)),
    ]
)
COUNTER_DTYPE = np.dtype(
    [
        ("name", "S48"),
        ("unit", "S16"),
        ("value", "<i8"),  # on a line of its own, away from the name that readers look at
        ("reserved", "u1", (56,)),
    ]
)

WORD_SIZE = 8
CELL_WORDS = CELL_SIZE // WORD_SIZE
CONTROL_WORDS = CONTROL_SIZE // WORD_SIZE


def _word(dtype: np.dtype[Any], *path: str) -> int:
    """Index of a field as an int64 word of the control block."""
    offset = 0
    for name in path:
        assert dtype.fields is not None
        dtype, start = dtype.fields[name][:2]
        offset += start
    assert offset % WORD_SIZE == 0
    return offset // WORD_SIZE


CAPACITY_WORD = _word(CONTROL_DTYPE, "identity", "capacity")
CONTROL_WORD = _word(CONTROL_DTYPE, "control")
WAKE_WORD = _word(CONTROL_DTYPE, "wake")
WAITERS_WORD = WAKE_WORD + 1
CURSOR_WORD = _word(CONTROL_DTYPE, "cursor")
CLAIMED_WORD = _word(CONTROL_DTYPE, "producer")
CACHED_GATE_WORD = CLAIMED_WORD + 1
SOURCE_BASE_WORD = CLAIMED_WORD + 2
SOURCE_ID_WORD = CLAIMED_WORD + 3
GATING_WORD = _word(CONTROL_DTYPE, "gating")
#: Within a gating cell: sequence, then the consumer's process.
CONSUMER_PID, CONSUMER_START_TIME = 1, 2


@dataclass(frozen=True)
class RegionLayout:
    """Where the parts of a region lie; made by `plan_region`."""

    capacity: int
    slot_size: int
    type_capacity: int
    counter_capacity: int
    state_size: int

    @property
    def ring_offset(self) -> int:
        """Byte offset of slot 0."""
        return CONTROL_SIZE

    @property
    def types_offset(self) -> int:
        """Byte offset of the type table."""
        return align_up(self.ring_offset + self.capacity * self.slot_size, PART_ALIGNMENT)

    @property
    def counters_offset(self) -> int:
        """Byte offset of the monitoring area."""
        return align_up(self.types_offset + self.type_capacity * TYPE_DTYPE.itemsize, PART_ALIGNMENT)

    @property
    def state_offset(self) -> int:
        """Byte offset of the state area."""
        end = self.counters_offset + self.counter_capacity * COUNTER_DTYPE.itemsize
        return align_up(end, PART_ALIGNMENT)

    @property
    def size(self) -> int:
        """Bytes in all, before rounding up to whole pages."""
        return align_up(self.state_offset + self.state_size, PART_ALIGNMENT)

    def facts(self) -> dict[str, int]:
        """The geometry fields of the identity, by name; all but what pages decide."""
        names = ("capacity", "slot_size", "type_capacity", "counter_capacity", "state_size")
        offsets = ("ring_offset", "types_offset", "counters_offset", "state_offset")
        return {name: int(getattr(self, name)) for name in names + offsets}


def align_up(size: int, alignment: int) -> int:
    """Smallest multiple of `alignment` that is not below `size`.

    >>> align_up(4097, 4096)
    8192
    """
    return -(-size // alignment) * alignment


def plan_region(
    capacity: int,
    slot_size: int,
    *,
    type_capacity: int = DEFAULT_TYPE_CAPACITY,
    counter_capacity: int = DEFAULT_COUNTER_CAPACITY,
    state_size: int = 0,
) -> RegionLayout:
    """Lay out a region.

    Parameters
    ----------
    capacity : slots in the ring, a power of two
    slot_size : bytes of a slot, a multiple of 64
    type_capacity : rows of the type table; a row's index is its type id
    counter_capacity : rows of the monitoring area
    state_size : bytes of the state area, 0 for none

    Raises
    ------
    RegionError : a size that can't be; the message says which and the nearest that can.

    >>> plan_region(8, 64, type_capacity=0, counter_capacity=0).size
    8192
    """
    if capacity < 1 or capacity & (capacity - 1):
        nearest = 1 << max(0, capacity - 1).bit_length()
        raise RegionError(f"ring capacity {capacity} is not a power of two: use {nearest}", capacity=capacity)
    if slot_size < SLOT_ALIGNMENT or slot_size % SLOT_ALIGNMENT:
        nearest = max(SLOT_ALIGNMENT, align_up(slot_size, SLOT_ALIGNMENT))
        raise RegionError(
            f"slot size {slot_size} is not a multiple of 64: use {nearest}", slot_size=slot_size
        )
    for name, value in (("type", type_capacity), ("counter", counter_capacity), ("state", state_size)):
        if value < 0:
            raise RegionError(f"size of the {name} area is negative: {value}")
    return RegionLayout(capacity, slot_size, type_capacity, counter_capacity, state_size)


def gating_word(consumer: int) -> int:
    """Index of a consumer's sequence among the words of the control block.

    >>> gating_word(1) - gating_word(0)
    16
    """
    assert 0 <= consumer < MAX_CONSUMERS
    return GATING_WORD + consumer * CELL_WORDS
