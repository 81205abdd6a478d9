"""Bytes to words and back: loads from log bytes, stores into slots.

A slot is handled as 24 little-endian uint64 words; a field at byte offset `o` lives in word `o >> 3`. Slots
are zeroed first, so fields narrower than a word are stored by OR. An address is three words, as it lies in
the low 160 bits of an ABI word: top (32 bits), mid, low (64 bits).

Loads run at any alignment. What they load from is a `bytes_at`: in compiled code one machine word, the
address of the first byte, so that topics, log data and hashes are all of one type and every kernel compiles
once; with the JIT off the array itself. Eight array elements combined instead become one load only with
unsigned indices, cost numba 60 instructions each, and a compile for every type of array. The caller promises
that the bytes are there: nothing is checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from disruptor.jit import inline
from disruptor.message import DEFAULT_SLOT_SIZE

WORDS_PER_SLOT = DEFAULT_SLOT_SIZE // 8

ZERO = np.uint64(0)
S8, S16, S24, S32 = (np.uint64(8 * k) for k in range(1, 5))
BYTE = np.uint64(0xFF)
LOW32 = np.uint64(0xFFFFFFFF)
ALL64 = np.uint64(0xFFFFFFFFFFFFFFFF)


def bytes_at(array: Any) -> Any:
    """The bytes of a contiguous array, in the form that the loads take."""
    return array


@intrinsic
def _address(typing_context: Any, array: Any) -> Any:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), build


@overload(bytes_at, strict=False)
def _compiled_bytes_at(array: Any) -> Any:
    return lambda array: _address(array)  # type: ignore[call-arg]


@intrinsic
def _load(typing_context: Any, raw: Any, position: Any) -> Any:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        offset = context.cast(builder, args[1], sig.args[1], types.int64)
        pointer = builder.inttoptr(builder.add(args[0], offset), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(types.int64, position), build


@intrinsic
def _load8(typing_context: Any, raw: Any, position: Any) -> Any:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        offset = context.cast(builder, args[1], sig.args[1], types.int64)
        pointer = builder.inttoptr(builder.add(args[0], offset), ir.IntType(8).as_pointer())
        return builder.zext(builder.load(pointer), ir.IntType(64))

    return types.uint64(types.int64, position), build


@intrinsic
def _swap(typing_context: Any, word: Any) -> Any:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bswap(args[0])

    return types.uint64(types.uint64), build


def load_le64(raw: Any, position: int) -> Any:
    """Little-endian u64 at byte `position`: eight bytes in the order in which a slot stores them."""
    return np.uint64(int.from_bytes(raw[position : position + 8].tobytes(), "little"))


@overload(load_le64, strict=False)
def _compiled_load_le64(raw: Any, position: Any) -> Any:
    return lambda raw, position: _load(raw, position)  # type: ignore[call-arg]


def load_byte(raw: Any, position: int) -> Any:
    """The byte at `position`, as u64."""
    return np.uint64(raw[position])


@overload(load_byte, strict=False)
def _compiled_load_byte(raw: Any, position: Any) -> Any:
    return lambda raw, position: _load8(raw, position)  # type: ignore[call-arg]


def load_be64(raw: Any, position: int) -> Any:
    """Big-endian u64 at byte `position`."""
    return np.uint64(int.from_bytes(raw[position : position + 8].tobytes(), "big"))


@overload(load_be64, strict=False)
def _compiled_load_be64(raw: Any, position: Any) -> Any:
    return lambda raw, position: _swap(_load(raw, position))  # type: ignore[call-arg]


@inline
def load_address(raw: Any, position: int) -> Any:
    """The 20 bytes at `position` as (top, mid, low)."""
    first = load_be64(raw, position)
    second = load_be64(raw, position + 8)
    mid = (first << S32) | (second >> S32)
    return first >> S32, mid, load_be64(raw, position + 12)


@inline
def is_padded_address(raw: Any, position: int) -> Any:
    """Whether the ABI word at `position` has the twelve zero bytes that an address has."""
    return load_be64(raw, position) == ZERO and load_be64(raw, position + 4) == ZERO


@inline
def swap32(value: Any) -> Any:
    """Reverse the four low bytes of a u64 below 2^32."""
    outer = ((value & BYTE) << S24) | (value >> S24)
    return outer | (((value >> S8) & BYTE) << S16) | (((value >> S16) & BYTE) << S8)


@inline
def store32(slot: Any, offset: int, value: Any) -> None:
    """OR the low 32 bits of u64 `value` into a zeroed 4-byte field at a 4-aligned byte `offset`."""
    if offset & 4:
        slot["words"][offset >> 3] |= (value & LOW32) << S32
    else:
        slot["words"][offset >> 3] |= value & LOW32


@inline
def store_address(slot: Any, offset: int, top: Any, mid: Any, low: Any) -> None:
    """Store an address as its 20 bytes at a 4-aligned byte `offset` of a zeroed field."""
    store32(slot, offset, swap32(top))
    store32(slot, offset + 4, swap32(mid >> S32))
    store32(slot, offset + 8, swap32(mid & LOW32))
    store32(slot, offset + 12, swap32(low >> S32))
    store32(slot, offset + 16, swap32(low & LOW32))


@inline
def copy_hash(slot: Any, offset: int, raw: Any) -> None:
    """Copy 32 bytes from `raw` to an 8-aligned byte `offset` of the slot."""
    word = offset >> 3
    for k in range(4):
        slot["words"][word + k] = load_le64(raw, 8 * k)


@inline
def equal_hash(words: Any, raw: Any) -> Any:
    """Whether 32 bytes equal four stored words."""
    differing = ZERO
    for k in range(4):
        differing |= words[k] ^ load_le64(raw, 8 * k)
    return differing == ZERO


@inline
def remember_hash(words: Any, raw: Any) -> None:
    """Keep 32 bytes in four words. Mutates `words`."""
    for k in range(4):
        words[k] = load_le64(raw, 8 * k)
