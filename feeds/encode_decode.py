"""Interpreting the table of `feeds.topics`: one log's words are checked and stored in the next slot.

The slot is begun but not committed: what to do about a malformed log is the caller's business.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.encode_slots import add_flags, begin_log_slot
from disruptor.feeds.encode_words import (
    ALL64,
    LOW32,
    ZERO,
    bytes_at,
    load_address,
    load_be64,
    store32,
    store_address,
)
from disruptor.feeds.topics import MAX_SAME_TOPIC, PLACES
from disruptor.handlers.messages import FLAG_AMOUNT_OVERFLOW, KIND_UNKNOWN
from disruptor.jit import inline

# What decoding found; the union over the words of a log.
FITS, MALFORMED, OVERFLOWS = 0, 1, 2
_LAST_PLACE = np.uint64(PLACES - 1)


@inline
def find_spec(row: Any, stream: Any) -> Any:
    """Number of the first event that the first topic names, or -1. At most `PLACES` probes."""
    if row["topic_count"] == 0:
        return -1
    place = np.int64(load_be64(bytes_at(row["topics"]), 24) & _LAST_PLACE)
    for _ in range(PLACES):
        spec = stream["places"][place]
        if spec < 0:
            return -1
        if is_topic(stream["specs"][spec]["topic"], bytes_at(row["topics"])):
            return spec
        place = (place + 1) & (PLACES - 1)
    return -1


@inline
def is_topic(limbs: Any, topics: Any) -> Any:
    """Whether the first topic has these big-endian limbs."""
    if limbs[3] != load_be64(topics, 24) or limbs[2] != load_be64(topics, 16):
        return False
    return limbs[1] == load_be64(topics, 8) and limbs[0] == load_be64(topics, 0)


@inline
def spec_of_kind(row: Any, spec: int, kind: int, stream: Any) -> Any:
    """Of the events of a topic from `spec` on, that of a kind of pool (of any, if it is unknown), or -1.

    Where there are several, the first that has as many words as the log.
    """
    if stream["specs"][spec]["next"] < 0:
        return spec if kind == KIND_UNKNOWN or stream["specs"][spec]["kind"] == kind else -1
    return spec_of_several(row, spec, kind, stream)


@inline
def spec_of_several(row: Any, spec: int, kind: int, stream: Any) -> Any:
    """`spec_of_kind` where events share the topic."""
    found = -1
    for _ in range(MAX_SAME_TOPIC):
        event = stream["specs"][spec]
        if kind == KIND_UNKNOWN or event["kind"] == kind:
            if has_shape(row, event):
                return spec
            if found < 0:
                found = spec
        spec = event["next"]
        if spec < 0:
            break
    return found


@inline
def spec_of_factory(row: Any, spec: int, stream: Any) -> Any:
    """Of the creation logs of a topic, that of the emitter, else the one that anybody may emit; or -1."""
    top, mid, low = load_address(bytes_at(row["address"]), 0)
    found = -1
    for _ in range(MAX_SAME_TOPIC):
        event = stream["specs"][spec]
        factory = event["factory"]
        if event["any_factory"] != 0:
            found = spec
        elif factory[0] == top and factory[1] == mid and factory[2] == low:
            return spec
        spec = event["next"]
        if spec < 0:
            break
    return found


@inline
def has_shape(row: Any, event: Any) -> Any:
    """Whether topic count and data length are the event's."""
    return row["topic_count"] == event["topic_count"] and row["data_length"] == event["data_length"]


@inline
def decode(row: Any, blob: Any, spec: int, pool: int, slots: Any, stream: Any) -> Any:
    """Write a log into the next slot, uncommitted: FITS, MALFORMED, or OVERFLOWS (and flagged)."""
    event = stream["specs"][spec]
    if not has_shape(row, event):
        return MALFORMED
    slot = begin_log_slot(slots, stream, event["type_id"], pool, row)
    found = decode_words(row, blob, event, slot, stream)
    if found & MALFORMED:
        return MALFORMED
    if event["lower"] >= 0 and load_i32(slot, event["lower"]) >= load_i32(slot, event["upper"]):
        return MALFORMED
    if found & OVERFLOWS:
        add_flags(slot, FLAG_AMOUNT_OVERFLOW)
    return found


@inline
def decode_words(row: Any, blob: Any, event: Any, slot: Any, stream: Any) -> Any:
    """Check every word of a log and store those that have a field; the union of what was found."""
    first, number = event["first_op"], event["op_count"]
    topics, at_data = bytes_at(row["topics"]), row["data_offset"]
    found = FITS
    for k in range(first, first + number):
        op = stream["ops"][k]
        if op["from_data"]:
            found |= decode_word(blob, at_data + op["at"], op, slot)
        else:
            found |= decode_word(topics, op["at"], op, slot)
    return found


@inline
def decode_word(raw: Any, at: int, op: Any, slot: Any) -> Any:
    """Check the ABI word at byte `at` against an op and store it. Mutates `slot`."""
    limb3, limb2 = load_be64(raw, at), load_be64(raw, at + 8)
    limb1, limb0 = load_be64(raw, at + 16), load_be64(raw, at + 24)
    if not is_in_range(limb0, limb1, limb2, limb3, op):
        return MALFORMED
    word, width = op["target"] >> 3, op["width"]
    if width == 4:
        store32(slot, op["target"], limb0)
    elif width == 20:
        store_address(slot, op["target"], limb2, limb1, limb0)
    elif width == 16:
        too_wide = op["saturate"] != 0 and (limb3 | limb2) != ZERO
        slot["words"][word] = ALL64 if too_wide else limb0
        slot["words"][word + 1] = ALL64 if too_wide else limb1
        return OVERFLOWS if too_wide else FITS
    elif width == 32:
        slot["words"][word], slot["words"][word + 1], slot["words"][word + 2], slot["words"][word + 3] = (
            limb0,
            limb1,
            limb2,
            limb3,
        )
    elif width == 8:
        slot["words"][word] = limb0
    return FITS


@inline
def is_in_range(limb0: Any, limb1: Any, limb2: Any, limb3: Any, op: Any) -> Any:
    """Whether a word is a proper value of an op's Solidity type, and in its range."""
    bad0, bad1, bad2, bad3 = op["forbidden0"], op["forbidden1"], op["forbidden2"], op["forbidden3"]
    used = (limb0 & bad0) | (limb1 & bad1) | (limb2 & bad2) | (limb3 & bad3)
    if used != ZERO:
        if not op["signed"]:
            return False
        lacking = (~limb0 & bad0) | (~limb1 & bad1) | (~limb2 & bad2) | (~limb3 & bad3)
        if lacking != ZERO:
            return False
    value = np.int64(limb0)
    return not op["ranged"] or (op["low"] <= value and value <= op["high"])


@inline
def load_i32(slot: Any, offset: int) -> Any:
    """The i32 field at byte `offset` of a slot."""
    word = np.int64((slot["words"][offset >> 3] >> np.uint64(8 * (offset & 7))) & LOW32)
    return word - 0x100000000 if word >= 0x80000000 else word
