"""Uniswap V3's TickBitmap: which ticks are initialized, one bit a usable tick, 256 to a word.

A swap looks for the next initialized tick within one word and stops at the word's end if there is none. Each stop
rounds amounts, so where words end is part of the result. Words without a bit have no row.

`compressed` is a tick divided by the pool's tick spacing, rounded down; its word is `compressed >> 8`.

Source: Uniswap v3-core 1.0.0, libraries/TickBitmap.sol.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import find, insert, read, remove, row
from disruptor.handlers.wide import U256, bit_length, is_zero, load, negate, store, sub, u256
from disruptor.jit import jit
from disruptor.message import i32
from disruptor.message import u256 as u256_field
from disruptor.table import Table, ref

_WORD_SHIFT = 8
_WORD_MASK = 255

#: Derived from `ticks`, so no part of the digest.
tick_bitmap = Table(
    "tick_bitmap",
    {"pool": ref("pools"), "word": i32, "bits": u256_field},
    key=("pool", "word"),
    digest=False,
)


@jit
def word_of(tick: Any, spacing: Any) -> Any:
    """The word that a tick is in; a spacing that no pool has counts as 1."""
    return (np.int64(tick) // max(np.int64(spacing), np.int64(1))) >> _WORD_SHIFT


@jit
def flip(state: Any, pool: Any, compressed: Any) -> None:
    """Turn a tick's bit over: a tick got its first liquidity or lost its last. Inserts at most one row."""
    word = compressed >> _WORD_SHIFT
    t = row(state.tick_bitmap, insert(state.tick_bitmap, pool, word))
    t["pool"] = pool
    t["word"] = word
    bits = load(t["bits"]) ^ (u256(1) << (compressed & _WORD_MASK))
    store(t["bits"], bits)
    if is_zero(bits):
        remove(state.tick_bitmap, pool, word)


@jit
def next_initialized_below(state: Any, pool: Any, start: Any, words: Any) -> tuple[int, bool]:
    """The highest initialized tick from `start` down, within so many words; else the lowest tick of the last of them.

    Parameters
    ----------
    pool : u32 id
    start : int64, compressed: the first tick that may be found
    words : int64: how many to look at; the one of `start` always is, and 1 is what the contract does

    Returns
    -------
    (compressed, initialized)
    """
    word = start >> _WORD_SHIFT
    bits = _word(state, pool, word) & sub(u256(2) << (start & _WORD_MASK), u256(1))
    for _ in range(words - 1):
        if not is_zero(bits):
            break
        word -= 1
        bits = _word(state, pool, word)
    if is_zero(bits):
        return word << _WORD_SHIFT, False
    return (word << _WORD_SHIFT) + bit_length(bits) - 1, True


@jit
def next_initialized_above(state: Any, pool: Any, start: Any, words: Any) -> tuple[int, bool]:
    """The lowest initialized tick from `start` up, within so many words; else the highest tick of the last of them.

    Otherwise as `next_initialized_below`.
    """
    word = start >> _WORD_SHIFT
    bits = (_word(state, pool, word) >> (start & _WORD_MASK)) << (start & _WORD_MASK)
    for _ in range(words - 1):
        if not is_zero(bits):
            break
        word += 1
        bits = _word(state, pool, word)
    if is_zero(bits):
        return (word << _WORD_SHIFT) + _WORD_MASK, False
    return (word << _WORD_SHIFT) + bit_length(bits & negate(bits)) - 1, True


@jit
def _word(state: Any, pool: Any, word: Any) -> U256:
    at = find(state.tick_bitmap, pool, word)
    if at < 0:
        return u256(0)
    return load(read(state.tick_bitmap, at)["bits"])
