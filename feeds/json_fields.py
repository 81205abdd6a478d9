"""The fields of a log in JSON: which keys mean what, and how each value becomes part of a row.

Both spellings are known, `eth_getLogs` (`blockNumber`) and ethereum-etl (`block_number`), and each field
takes both ways of writing a number, a JSON integer or a string of hex or decimal digits (warehouses export
64-bit integers as decimal strings). Keys are found by a small perfect hash over length, first and last
byte, and then compared byte for byte. A value that is not plainly right is UNUSUAL: see `feeds.json_scan`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, LOG_DTYPE, REMOVED
from disruptor.feeds.hex import NIBBLES, decode_hex, parse_number, skip_prefix
from disruptor.feeds.json_tokens import (
    CLOSE_LIST,
    COMMA,
    INVALID,
    NEED_MORE,
    OPEN_LIST,
    QUOTE,
    UNUSUAL,
    find_quote,
    skip_digits,
    skip_space,
    skip_word,
)
from disruptor.feeds.utc import parse_utc
from disruptor.jit import jit

FIELDS = (
    "address",
    "topics",
    "data",
    "blockHash",
    "blockNumber",
    "blockTimestamp",
    "transactionHash",
    "transactionIndex",
    "logIndex",
    "removed",
)
ADDRESS, TOPICS, DATA, BLOCK_HASH, BLOCK_NUMBER, TIMESTAMP, TX_HASH, TX_INDEX, LOG_INDEX, REMOVED_FIELD = (
    range(10)
)
ENVELOPE_FIELD, UNKNOWN_FIELD = 10, 11
REQUIRED = (1 << ADDRESS) | (1 << TOPICS) | (1 << DATA) | (1 << BLOCK_NUMBER) | (1 << LOG_INDEX)

#: Every key that means something, in both spellings.
KEYS: dict[str, int] = {name: number for number, name in enumerate(FIELDS)}
KEYS |= {
    "block_hash": BLOCK_HASH,
    "block_number": BLOCK_NUMBER,
    "block_timestamp": TIMESTAMP,
    "transaction_hash": TX_HASH,
    "transaction_index": TX_INDEX,
    "log_index": LOG_INDEX,
    "jsonrpc": ENVELOPE_FIELD,
    "result": ENVELOPE_FIELD,
    "error": ENVELOPE_FIELD,
}

MAX_INDEX = 2**31 - 1


def _offset(name: str) -> int:
    assert LOG_DTYPE.fields is not None
    return int(LOG_DTYPE.fields[name][1])


ROW_SIZE = LOG_DTYPE.itemsize
_AT_TOPICS = _offset("topics")
#: Of each byte string of fixed length: bytes, offset in the row, and the flag that says it is there.
_FIXED_SIZES = np.zeros(len(FIELDS), dtype=np.int64)
_FIXED_OFFSETS = np.zeros(len(FIELDS), dtype=np.int64)
_FIXED_FLAGS = np.zeros(len(FIELDS), dtype=np.int64)
for _field, _name, _size, _flag in (
    (ADDRESS, "address", 20, 0),
    (BLOCK_HASH, "block_hash", 32, HAS_BLOCK_HASH),
    (TX_HASH, "tx_hash", 32, HAS_TX_HASH),
):
    _FIXED_SIZES[_field], _FIXED_OFFSETS[_field], _FIXED_FLAGS[_field] = _size, _offset(_name), _flag

_LETTER_T, _LETTER_F = 0x74, 0x66

_HASH_SIZE, _MAX_KEY = 64, 24


@jit
def _key_slot(length: Any, last: Any) -> Any:
    return (length + 9 * last) & (_HASH_SIZE - 1)


def _build_keys() -> tuple[Any, Any, Any]:
    """Perfect hash: field number, length and bytes of the key in each slot."""
    fields = np.full(_HASH_SIZE, UNKNOWN_FIELD, dtype=np.int64)
    lengths = np.zeros(_HASH_SIZE, dtype=np.int64)
    texts = np.zeros((_HASH_SIZE, _MAX_KEY), dtype=np.uint8)
    for key, field in KEYS.items():
        slot = (len(key) + 9 * ord(key[-1])) & (_HASH_SIZE - 1)
        assert lengths[slot] == 0, f"two keys share slot {slot}: change the factors of _key_slot"
        fields[slot], lengths[slot] = field, len(key)
        texts[slot, : len(key)] = np.frombuffer(key.encode(), dtype=np.uint8)
    return fields, lengths, texts


_KEY_FIELDS, _KEY_LENGTHS, _KEY_TEXTS = _build_keys()


@jit
def find_field(buffer: Any, start: int, stop: int) -> int:
    """Number of the field that the key `buffer[start:stop]` names."""
    length = stop - start
    if length == 0:
        return UNKNOWN_FIELD
    slot = _key_slot(length, np.int64(buffer[stop - 1]))
    if _KEY_LENGTHS[slot] != length:
        return UNKNOWN_FIELD
    for i in range(length):
        if _KEY_TEXTS[slot, i] != buffer[start + i]:
            return UNKNOWN_FIELD
    return _KEY_FIELDS[slot]  # type: ignore[no-any-return]


@jit
def _read_fixed(buffer: Any, at: int, stop: int, target: Any, into: int, size: int) -> int:
    """Decode the string at `at`, `0x` and `2 * size` digits, into `target[into:]`; the index behind it."""
    end = at + 3 + 2 * size
    if end >= stop:
        # Too little left for the right length; a shorter, wrong string is judged when more has arrived.
        return NEED_MORE
    if buffer[at] != QUOTE or buffer[end] != QUOTE:
        return UNUSUAL
    digits = skip_prefix(buffer, at + 1, end)
    if digits < 0 or decode_hex(buffer, digits, end, target, into) < 0:
        return UNUSUAL
    return end + 1


@jit
def _read_topics(buffer: Any, at: int, stop: int, row_bytes: Any, into: int) -> tuple[int, int]:
    """Decode a list of at most four 32-byte strings; index behind it (or a reason) and how many."""
    if buffer[at] != OPEN_LIST:
        return UNUSUAL, 0
    at = skip_space(buffer, at + 1, stop)
    if at < stop and buffer[at] == CLOSE_LIST:
        return at + 1, 0
    for count in range(4):
        if at >= stop:
            return NEED_MORE, 0
        at = _read_fixed(buffer, at, stop, row_bytes, into + 32 * count, 32)
        if at < 0:
            return at, 0
        at = skip_space(buffer, at, stop)
        if at >= stop:
            return NEED_MORE, 0
        if buffer[at] == CLOSE_LIST:
            return at + 1, count + 1
        if buffer[at] != COMMA:
            return INVALID, 0
        at = skip_space(buffer, at + 1, stop)
    return UNUSUAL, 0


@jit
def _read_data(buffer: Any, at: int, stop: int, blob: Any, into: int) -> tuple[int, int]:
    """Decode a hex string of any even length into `blob[into:]`; index behind it (or a reason) and length."""
    if at + 3 >= stop:
        return NEED_MORE, 0
    if buffer[at] != QUOTE:
        return UNUSUAL, 0
    at = skip_prefix(buffer, at + 1, at + 3)
    if at < 0:
        return UNUSUAL, 0
    length, room = 0, len(blob) - into
    while at + 1 < stop and length < room:
        high, low = NIBBLES[buffer[at]], NIBBLES[buffer[at + 1]]
        if (high | low) & 0x80:
            break
        blob[into + length] = (high << 4) | low
        length += 1
        at += 2
    if at >= stop:
        return NEED_MORE, 0
    if buffer[at] == QUOTE:
        return at + 1, length
    return (NEED_MORE, 0) if at + 1 >= stop else (UNUSUAL, 0)


@jit
def _read_number(buffer: Any, at: int, stop: int, field: int) -> tuple[int, int]:
    """Read an integer, or a string of hex or decimal digits, or of a time; index behind it and value."""
    quoted = buffer[at] == QUOTE
    start = at + 1 if quoted else at
    end = find_quote(buffer, start, stop) if quoted else skip_digits(buffer, start, stop)
    if end < 0:
        return end, 0
    value = parse_number(buffer, start, end)
    if value < 0 and quoted and field == TIMESTAMP:
        value = parse_utc(buffer, start, end)
    if value < 0 or (value > MAX_INDEX and field in (LOG_INDEX, TX_INDEX)):
        return UNUSUAL, 0
    return (end + 1 if quoted else end), value


@jit
def _store_number(row: Any, field: int, value: int) -> None:
    if field == BLOCK_NUMBER:
        row["block_number"] = value
    elif field == TIMESTAMP:
        row["timestamp"] = value
    elif field == LOG_INDEX:
        row["log_index"] = value
    else:
        row["transaction_index"] = value


@jit
def read_field(buffer: Any, row: Any, row_bytes: Any, blob: Any, scan: Any, field: int, at: int) -> int:
    """Read the value at `at` into the row's field; index behind it, or a reason."""
    state = scan[0]
    stop, base = state["stop"], state["row_count"] * ROW_SIZE
    if _FIXED_SIZES[field] > 0:
        row["flags"] |= _FIXED_FLAGS[field]
        return _read_fixed(buffer, at, stop, row_bytes, base + _FIXED_OFFSETS[field], _FIXED_SIZES[field])
    if field == TOPICS:
        end, count = _read_topics(buffer, at, stop, row_bytes, base + _AT_TOPICS)
        row["topic_count"] = count
        return end
    if field == DATA:
        end, count = _read_data(buffer, at, stop, blob, state["blob_used"])
        row["data_length"] = count
        return end
    if field == REMOVED_FIELD:
        if buffer[at] != _LETTER_T and buffer[at] != _LETTER_F:
            return UNUSUAL
        row["flags"] |= REMOVED if buffer[at] == _LETTER_T else 0
        return skip_word(buffer, at, stop)
    end, value = _read_number(buffer, at, stop, field)
    if end >= 0:
        _store_number(row, field, value)
    return end
