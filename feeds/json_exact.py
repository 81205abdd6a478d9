"""One log in JSON, decided exactly: the authority behind the compiled scanner, who also words the errors.

It sees only the objects that the scanner hands back, so it may be slow: the standard library's parser, with
the pairs of each object in hand, because a key given twice would otherwise vanish. What it adds to the
scanner's language: escapes, nested values of unknown keys, null where a field may be unknown (hashes,
transaction index, time, removed), every ISO 8601 time.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from disruptor.feeds.json_fields import FIELDS, KEYS, MAX_INDEX
from disruptor.feeds.utc import seconds_of

_SHOWN = 40
_REQUIRED = ("address", "topics", "data", "blockNumber", "logIndex")
_MAX_INT64 = 2**63 - 1
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class ExactLog(NamedTuple):
    """One log; None where the field is absent or null."""

    address: bytes
    topics: list[bytes]
    data: bytes
    block_hash: bytes | None
    block_number: int
    timestamp: int | None
    tx_hash: bytes | None
    transaction_index: int | None
    log_index: int
    removed: bool


class NotALogError(ValueError):
    """The text is no log; the message says which key and why, and leaves the place to the caller."""


def parse_json(text: bytes) -> Any:
    """Parse one JSON value; objects become `Pairs`.

    Raises
    ------
    NotALogError : not JSON, or not UTF-8.
    """
    try:
        return json.loads(text.decode(), object_pairs_hook=Pairs, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise NotALogError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotALogError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise NotALogError(f"not usable JSON: {error}") from None


class Pairs(list[tuple[str, Any]]):
    """The members of an object, in order, duplicates and all."""

    def first(self, key: str) -> Any:
        """Value of the first member with that key, or None."""
        return next((value for name, value in self if name == key), None)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def read_exactly(text: bytes) -> ExactLog:
    """Read one log from the text of one JSON value.

    Raises
    ------
    NotALogError : with the key, what was expected and what was there.

    >>> read_exactly(b'{"address": "0x00"}')
    Traceback (most recent call last):
        ...
    disruptor.feeds.json_exact.NotALogError: topics: missing; the keys are address
    """
    pairs = parse_json(text)
    if not isinstance(pairs, Pairs):
        raise NotALogError(f"expected a log object, got {_show(pairs)}")
    values = _by_field(pairs)
    block_hash, tx_hash = values.get("blockHash"), values.get("transactionHash")
    for name in _REQUIRED:
        if name not in values:
            raise NotALogError(f"{name}: missing; {_keys(pairs)}")
        if values[name] is None and name in ("blockNumber", "logIndex"):
            raise NotALogError(
                f"{name}: null, so the log is pending; only mined logs have a place in the order"
            )
    return ExactLog(
        address=_bytes("address", values["address"], 20),
        topics=_topics(values["topics"]),
        data=_bytes("data", values["data"], None),
        block_hash=None if block_hash is None else _bytes("blockHash", block_hash, 32),
        block_number=_number("blockNumber", values["blockNumber"], _MAX_INT64),
        timestamp=_time(values.get("blockTimestamp")),
        tx_hash=None if tx_hash is None else _bytes("transactionHash", tx_hash, 32),
        transaction_index=_optional_index("transactionIndex", values.get("transactionIndex")),
        log_index=_number("logIndex", values["logIndex"], MAX_INDEX),
        removed=_removed(values.get("removed")),
    )


def _by_field(pairs: Pairs) -> dict[str, Any]:
    """Values by the eth_getLogs name of their key, both spellings; unknown keys left out."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        number = KEYS.get(key, len(FIELDS))
        if number >= len(FIELDS):
            continue
        if FIELDS[number] in values:
            raise NotALogError(f"{key}: given twice")
        values[FIELDS[number]] = value
    return values


def _bytes(name: str, value: Any, size: int | None) -> bytes:
    expected = "0x and an even number of hex digits" if size is None else f"0x and {2 * size} hex digits"
    if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
        raise NotALogError(f"{name}: expected {expected}, got {_show(value)}")
    digits = value[2:]
    if len(digits) % 2 or (size is not None and len(digits) != 2 * size):
        raise NotALogError(f"{name}: expected {expected}, got {len(digits)} digits: {_show(value)}")
    if not _HEX_DIGITS.issuperset(digits):
        raise NotALogError(f"{name}: expected {expected}, got {_show(value)}")
    return bytes.fromhex(digits)


def _topics(value: Any) -> list[bytes]:
    if not isinstance(value, list) or isinstance(value, Pairs):
        raise NotALogError(f"topics: expected a list of 0x strings, got {_show(value)}")
    if len(value) > 4:
        raise NotALogError(f"topics: expected at most 4, got {len(value)}")
    return [_bytes(f"topics[{i}]", topic, 32) for i, topic in enumerate(value)]


def _number(name: str, value: Any, largest: int) -> int:
    number = _digits(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise NotALogError(f"{name}: expected a whole number or a 0x string, got {_show(value)}")
    if not 0 <= number <= largest:
        raise NotALogError(f"{name}: expected 0 to {largest}, got {_show(value)}")
    return number


def _digits(text: str) -> int | None:
    if text[:2] in ("0x", "0X"):
        return int(text[2:], 16) if text[2:] and _HEX_DIGITS.issuperset(text[2:]) else None
    return int(text) if text.isascii() and text.isdigit() else None


def _optional_index(name: str, value: Any) -> int | None:
    return None if value is None else _number(name, value, MAX_INDEX)


def _time(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and _digits(value) is None:
        try:
            return seconds_of(value)
        except ValueError:
            raise NotALogError(
                f"blockTimestamp: expected seconds or a time like 2023-08-26 16:21:35 UTC, got {_show(value)}"
            ) from None
    return _number("blockTimestamp", value, _MAX_INT64)


def _removed(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise NotALogError(f"removed: expected true or false, got {_show(value)}")


def _keys(pairs: Pairs) -> str:
    """What an object has instead of a missing key: it may be no log at all."""
    names = ", ".join(key for key, _ in pairs[:8])
    return f"the keys are {names}{', ...' if len(pairs) > 8 else ''}" if pairs else "the object is empty"


def _show(value: Any) -> str:
    """A value as the file wrote it, shortened."""
    if isinstance(value, Pairs):
        return "an object"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"
    text = json.dumps(value, default=lambda _: "an object")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
