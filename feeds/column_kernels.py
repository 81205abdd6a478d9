"""Kernels over Arrow columns: one leaf loop for each kind of column.

All take a column of n byte strings as `offsets` (n + 1,) int64, `values` (m,) uint8 and `validity`, a bitmap
of nulls, least significant bit first, empty when there are none; `place` (1,) PLACE_DTYPE groups the scalars.
Each returns how many rows it did: fewer than n names the first bad one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.compile_cache import entry_uncounted
from disruptor.feeds import hex, utc
from disruptor.feeds.byte_copy import copy_bytes
from disruptor.jit import jit

PLACE_DTYPE = np.dtype(
    [
        ("width", "<i8"),  # bytes of each value
        ("at", "<i8"),  # where the first one goes in the target
        ("stride", "<i8"),  # from one to the next in the target
        ("bit", "<i8"),  # the first row's bit in `validity`
    ]
)
_ZERO = 0x30


@jit
def is_valid(validity: Any, bit: int) -> bool:
    """Whether a row is not null."""
    return len(validity) == 0 or (np.int64(validity[bit >> 3]) >> (bit & 7)) & 1 == 1


@entry_uncounted
def gather_fixed(offsets: Any, values: Any, validity: Any, place: Any, target: Any, present: Any) -> int:
    """Copy values of `width` bytes (or their hex) to target[at + i * stride:]; present[i] = 0 without one.

    target : flat uint8, mutated. present : (n,) uint8, mutated.
    """
    width, bit = place[0]["width"], place[0]["bit"]
    for i in range(len(present)):
        at = place[0]["at"] + i * place[0]["stride"]
        start, stop = offsets[i], offsets[i + 1]
        present[i] = 0
        if start == stop or not is_valid(validity, bit + i):
            continue
        if stop - start == width:
            # The two widths that logs have, as constants: see byte_copy.
            if width == 32:
                copy_bytes(values, start, target, at, 32)
            elif width == 20:
                copy_bytes(values, start, target, at, 20)
            else:
                copy_bytes(values, start, target, at, width)
        elif hex.decode_fixed(values, start, stop, target[at : at + width]) != width:
            return i
        present[i] = 1
    return len(present)


@entry_uncounted
def gather_topic_list(offsets: Any, values: Any, validity: Any, place: Any, target: Any, counts: Any) -> int:
    """Decode lists such as `0x…,0x…` or `["0x…", "0x…"]`: up to 4 topics each, their number to counts[i]."""
    bit = place[0]["bit"]
    for i in range(len(counts)):
        at = place[0]["at"] + i * place[0]["stride"]
        counts[i] = 0
        position, stop = offsets[i], offsets[i + 1]
        if not is_valid(validity, bit + i):
            continue
        while position < stop:
            if values[position] != _ZERO:
                if not is_separator(values[position]):
                    return i
                position += 1
                continue
            if counts[i] == 4 or position + 66 > stop:
                return i
            start = at + 32 * np.int64(counts[i])
            if hex.decode_fixed(values, position, position + 66, target[start : start + 32]) != 32:
                return i
            counts[i] += 1
            position += 66
    return len(counts)


@jit
def is_separator(byte: int) -> bool:
    """Blank, comma, brackets or quotes."""
    return byte == 0x20 or byte == 0x2C or byte == 0x5B or byte == 0x5D or byte == 0x22 or byte == 0x27


@entry_uncounted
def decode_data(offsets: Any, values: Any, validity: Any, place: Any, rows: Any, blob: Any) -> int:
    """Decode hex `data` into `blob`, one after the other, and point the rows at it.

    blob : large enough for half of the digits.
    """
    bit: Any = place[0]["bit"]
    used: Any = np.int64(0)
    for i in range(len(rows)):
        start, stop = offsets[i], offsets[i + 1]
        length: Any = np.int64(0)
        if start < stop and is_valid(validity, bit + i):
            length = hex.decode_prefixed(values, start, stop, blob, used)
            if length < 0:
                return i
        rows[i]["data_offset"] = used
        rows[i]["data_length"] = length
        used += length
    return len(rows)


@entry_uncounted
def parse_number_column(offsets: Any, values: Any, validity: Any, place: Any, numbers: Any) -> int:
    """Parse decimal or 0x-hex numbers; null and empty ones are -1."""
    bit = place[0]["bit"]
    for i in range(len(numbers)):
        numbers[i] = -1
        if offsets[i] == offsets[i + 1] or not is_valid(validity, bit + i):
            continue
        number = hex.parse_number(values, offsets[i], offsets[i + 1])
        if number < 0:
            return i
        numbers[i] = number
    return len(numbers)


@entry_uncounted
def parse_time_column(offsets: Any, values: Any, validity: Any, place: Any, seconds: Any, first: int) -> int:
    """From row `first` on, parse numbers or fixed-width UTC times; null and empty ones are -1."""
    bit = place[0]["bit"]
    for i in range(first, len(seconds)):
        seconds[i] = -1
        start, stop = offsets[i], offsets[i + 1]
        if start == stop or not is_valid(validity, bit + i):
            continue
        number = hex.parse_number(values, start, stop)
        if number < 0:
            number = utc.parse_utc(values, start, stop)
        if number < 0:
            return i
        seconds[i] = number
    return len(seconds)
