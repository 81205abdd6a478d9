"""Hex and decimal digits in raw bytes, decoded by compiled kernels that every reader shares.

All kernels work on a half-open run `source[start:stop]` of a uint8 array, so a reader never makes a Python
object of a field. Digits go through one 256-entry table: its value is the nibble, with the high bit set for a
byte that is no hex digit, so a whole run is decoded first and judged once, by the OR of all look-ups.
That keeps the loop free of branches; on failure the target holds garbage that the caller must not use.

Results below zero are failures, so one signed return carries value or reason; `describe` names them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.jit import jit

#: A byte that is no digit of the base.
NOT_A_DIGIT = -1
#: Hex bytes need an even number of digits.
ODD_DIGITS = -2
#: A number with no digits at all.
NO_DIGITS = -3
#: A number of 2^63 or more.
TOO_LARGE = -4
#: No `0x` in front.
NO_PREFIX = -5
#: Bytes of another length than the field has.
WRONG_LENGTH = -6

_NAMES = {
    NOT_A_DIGIT: "a character that is no digit",
    ODD_DIGITS: "an odd number of hex digits",
    NO_DIGITS: "no digits",
    TOO_LARGE: "a number of 2^63 or more",
    NO_PREFIX: "no 0x in front",
    WRONG_LENGTH: "another length",
}

_BAD_NIBBLE = 0x80


def _build_nibbles() -> np.ndarray[Any, np.dtype[np.uint8]]:
    table = np.full(256, _BAD_NIBBLE, dtype=np.uint8)
    for value, digit in enumerate(b"0123456789abcdef"):
        table[digit] = value
        table[ord(chr(digit).upper())] = value
    return table


#: Value of each hex digit, either case; 0x80 for every other byte.
NIBBLES = _build_nibbles()

_ZERO, _NINE, _UPPER_X, _LOWER_X = 0x30, 0x39, 0x58, 0x78
#: Numbers stay below 2^63: the largest value that one more digit may be appended to.
_MAX_INT64 = 2**63 - 1
_MAX_BEFORE_HEX_DIGIT = 2**59 - 1
_MAX_BEFORE_DECIMAL_DIGIT = _MAX_INT64 // 10


def describe(result: int) -> str:
    """What a failed decode found, for an error message.

    >>> describe(ODD_DIGITS)
    'an odd number of hex digits'
    """
    return _NAMES.get(result, f"result {result}")


@jit
def skip_prefix(source: Any, start: int, stop: int) -> int:
    """Index of the first digit behind `0x` or `0X`, or `NO_PREFIX`.

    Parameters
    ----------
    source : (n,) uint8
    start, stop : int64, 0 <= start <= stop <= n
    """
    if stop - start < 2 or source[start] != _ZERO:
        return NO_PREFIX
    if source[start + 1] != _LOWER_X and source[start + 1] != _UPPER_X:
        return NO_PREFIX
    return start + 2


@jit
def decode_hex(source: Any, start: int, stop: int, target: Any, at: int) -> int:
    """Decode the hex digits `source[start:stop]` (no prefix) into `target[at:]`.

    Parameters
    ----------
    source : (n,) uint8
    start, stop : int64, 0 <= start <= stop <= n
    target : (m,) uint8, mutated; the caller makes sure that `at + (stop - start) // 2 <= m`
    at : int64

    Returns
    -------
    int64 : bytes written, or `ODD_DIGITS`, or `NOT_A_DIGIT` (the target then holds garbage).
    """
    length = (stop - start) >> 1
    if (stop - start) & 1:
        return ODD_DIGITS
    # Slices start at zero, so the compiler can prove the indexes non-negative and drop the wrap-around tests.
    digits, decoded = source[start:stop], target[at : at + length]
    seen = np.uint8(0)
    for i in range(length):
        high, low = NIBBLES[digits[2 * i]], NIBBLES[digits[2 * i + 1]]
        seen |= high | low
        decoded[i] = (high << 4) | low
    if seen & _BAD_NIBBLE:
        return NOT_A_DIGIT
    return length


@jit
def decode_prefixed(source: Any, start: int, stop: int, target: Any, at: int) -> int:
    """`decode_hex` of a run that must begin with `0x`; `0x` alone is zero bytes.

    Returns
    -------
    int64 : bytes written, or `NO_PREFIX`, `ODD_DIGITS`, `NOT_A_DIGIT`.
    """
    digits = skip_prefix(source, start, stop)
    if digits < 0:
        return digits
    return decode_hex(source, digits, stop, target, at)


@jit
def decode_fixed(source: Any, start: int, stop: int, target: Any) -> int:
    """Decode `0x` and exactly `2 * len(target)` digits into all of `target`.

    Returns
    -------
    int64 : `len(target)`, or `NO_PREFIX`, `WRONG_LENGTH`, `NOT_A_DIGIT`.
    """
    digits = skip_prefix(source, start, stop)
    if digits < 0:
        return digits
    if stop - digits != 2 * len(target):
        return WRONG_LENGTH
    return decode_hex(source, digits, stop, target, 0)


@jit
def parse_hex(source: Any, start: int, stop: int) -> int:
    """Value of the hex digits `source[start:stop]` (no prefix, leading zeros allowed), below 2^63.

    Returns
    -------
    int64 : the value, or `NO_DIGITS`, `NOT_A_DIGIT`, `TOO_LARGE`.
    """
    if start >= stop:
        return NO_DIGITS
    value: Any = 0
    for i in range(start, stop):
        nibble = NIBBLES[source[i]]
        if nibble & _BAD_NIBBLE:
            return NOT_A_DIGIT
        if value > _MAX_BEFORE_HEX_DIGIT:
            return TOO_LARGE
        value = (value << 4) | np.int64(nibble)
    return value  # type: ignore[no-any-return]


@jit
def parse_decimal(source: Any, start: int, stop: int) -> int:
    """Value of the decimal digits `source[start:stop]` (no sign, leading zeros allowed), below 2^63.

    Returns
    -------
    int64 : the value, or `NO_DIGITS`, `NOT_A_DIGIT`, `TOO_LARGE`.
    """
    if start >= stop:
        return NO_DIGITS
    value: Any = 0
    for i in range(start, stop):
        byte = np.int64(source[i])
        if byte < _ZERO or byte > _NINE:
            return NOT_A_DIGIT
        digit = byte - _ZERO
        if value > _MAX_BEFORE_DECIMAL_DIGIT or (value == _MAX_BEFORE_DECIMAL_DIGIT and digit > 7):
            return TOO_LARGE
        value = value * 10 + digit
    return value  # type: ignore[no-any-return]


@jit
def parse_number(source: Any, start: int, stop: int) -> int:
    """Value of a run that is either `0x` and hex digits or plain decimal digits.

    Returns
    -------
    int64 : the value (0 .. 2^63 - 1), or `NO_DIGITS`, `NOT_A_DIGIT`, `TOO_LARGE`.
    """
    digits = skip_prefix(source, start, stop)
    if digits >= 0:
        return parse_hex(source, digits, stop)
    return parse_decimal(source, start, stop)
