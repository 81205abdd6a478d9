"""Bytes to words and back: loads from log bytes, stores into slots.

A slot is handled as 24 little-endian uint64 words; a field at byte offset `o` lives in word `o >> 3`. Slots
are zeroed first, so fields narrower than a word are stored by OR. Loads run at any alignment: they combine
eight bytes, which the compiler turns into one (byte-swapping) load, but only with unsigned indices: signed
ones carry Python's wrap-around of negative indices and cost three times as much (measured). An address is
three words, as it lies in the low 160 bits of an ABI word: top (32 bits), mid, low (64 bits).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.jit import jit
from disruptor.message import DEFAULT_SLOT_SIZE

WORDS_PER_SLOT = DEFAULT_SLOT_SIZE // 8

ZERO = np.uint64(0)
ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN = (np.uint64(k) for k in range(1, 8))
S8, S16, S24, S32, S40, S48, S56 = (np.uint64(8 * k) for k in range(1, 8))
BYTE = np.uint64(0xFF)
LOW32 = np.uint64(0xFFFFFFFF)
ALL64 = np.uint64(0xFFFFFFFFFFFFFFFF)


@jit
def load_be64(raw: Any, position: int) -> Any:
    """Big-endian u64 at byte `position` of a (n,) uint8 array."""
    p = np.uint64(position)
    high = (np.uint64(raw[p]) << S56) | (np.uint64(raw[p + ONE]) << S48) | (np.uint64(raw[p + TWO]) << S40)
    middle = (np.uint64(raw[p + THREE]) << S32) | (np.uint64(raw[p + FOUR]) << S24)
    return (
        high
        | middle
        | (np.uint64(raw[p + FIVE]) << S16)
        | (np.uint64(raw[p + SIX]) << S8)
        | np.uint64(raw[p + SEVEN])
    )


@jit
def load_be32(raw: Any, position: int) -> Any:
    """Big-endian u32, as u64, at byte `position` of a (n,) uint8 array."""
    p = np.uint64(position)
    high = (np.uint64(raw[p]) << S24) | (np.uint64(raw[p + ONE]) << S16)
    return high | (np.uint64(raw[p + TWO]) << S8) | np.uint64(raw[p + THREE])


@jit
def load_le64(raw: Any, position: int) -> Any:
    """Little-endian u64 at byte `position`: eight bytes in the order in which a slot stores them."""
    p = np.uint64(position)
    low = np.uint64(raw[p]) | (np.uint64(raw[p + ONE]) << S8) | (np.uint64(raw[p + TWO]) << S16)
    middle = (np.uint64(raw[p + THREE]) << S24) | (np.uint64(raw[p + FOUR]) << S32)
    return (
        low
        | middle
        | (np.uint64(raw[p + FIVE]) << S40)
        | (np.uint64(raw[p + SIX]) << S48)
        | (np.uint64(raw[p + SEVEN]) << S56)
    )


@jit
def load_address(raw: Any, position: int) -> Any:
    """The 20 bytes at `position` as (top, mid, low)."""
    return load_be32(raw, position), load_be64(raw, position + 4), load_be64(raw, position + 12)


@jit
def is_padded_address(raw: Any, position: int) -> Any:
    """Whether the ABI word at `position` has the twelve zero bytes that an address has."""
    return load_be64(raw, position) == ZERO and load_be32(raw, position + 8) == ZERO


@jit
def swap32(value: Any) -> Any:
    """Reverse the four low bytes of a u64 below 2^32."""
    outer = ((value & BYTE) << S24) | (value >> S24)
    return outer | (((value >> S8) & BYTE) << S16) | (((value >> S16) & BYTE) << S8)


@jit
def store32(slot: Any, offset: int, value: Any) -> None:
    """OR the low 32 bits of u64 `value` into a zeroed 4-byte field at a 4-aligned byte `offset`."""
    if offset & 4:
        slot[offset >> 3] |= (value & LOW32) << S32
    else:
        slot[offset >> 3] |= value & LOW32


@jit
def store_address(slot: Any, offset: int, top: Any, mid: Any, low: Any) -> None:
    """Store an address as its 20 bytes at a 4-aligned byte `offset` of a zeroed field."""
    store32(slot, offset, swap32(top))
    store32(slot, offset + 4, swap32(mid >> S32))
    store32(slot, offset + 8, swap32(mid & LOW32))
    store32(slot, offset + 12, swap32(low >> S32))
    store32(slot, offset + 16, swap32(low & LOW32))


@jit
def copy_hash(slot: Any, offset: int, raw: Any, position: int) -> None:
    """Copy 32 bytes from `raw` at `position` to an 8-aligned byte `offset` of the slot."""
    word = offset >> 3
    for k in range(4):
        slot[word + k] = load_le64(raw, position + 8 * k)


@jit
def equal_hash(words: Any, raw: Any, position: int) -> Any:
    """Whether the 32 bytes at `position` equal four stored words."""
    differing = ZERO
    for k in range(4):
        differing |= words[k] ^ load_le64(raw, position + 8 * k)
    return differing == ZERO


@jit
def remember_hash(words: Any, raw: Any, position: int) -> None:
    """Keep the 32 bytes at `position` in four words. Mutates `words`."""
    for k in range(4):
        words[k] = load_le64(raw, position + 8 * k)
