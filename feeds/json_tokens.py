"""JSON tokens in raw bytes: the kernels below the log scanner.

Each takes `buffer`, an index `at` and the end `stop` of the valid bytes, and returns the index behind the
token, or a reason below zero. A token that touches `stop` is never judged: more bytes may follow. Strings
with escapes or bytes beyond ASCII, and numbers that are no plain non-negative integer, are UNUSUAL: right
or wrong is for Python to say, since both need rules (surrogates, UTF-8, exponents) that a hot loop should
not carry.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.compile_cache import entry_uncounted
from disruptor.jit import jit

#: The bytes end inside the token.
NEED_MORE = -11
#: Perhaps right, but not for the fast path.
UNUSUAL = -12
#: Not JSON.
INVALID = -13

QUOTE, BACKSLASH, COMMA, COLON, NEWLINE = 0x22, 0x5C, 0x2C, 0x3A, 0x0A
OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST = 0x7B, 0x7D, 0x5B, 0x5D
_BLANK, _RETURN, _TAB = 0x20, 0x0D, 0x09
_ZERO, _NINE = 0x30, 0x39
_TRUE = np.frombuffer(b"true", dtype=np.uint8)
_FALSE = np.frombuffer(b"false", dtype=np.uint8)
_NULL = np.frombuffer(b"null", dtype=np.uint8)
#: Deeper nesting is no log of any node, and the kinds of the open brackets fit an int64.
_MAX_DEPTH = 62


@jit
def skip_space(buffer: Any, at: int, stop: int) -> int:
    while at < stop and (
        buffer[at] == 0x20 or buffer[at] == NEWLINE or buffer[at] == 0x0D or buffer[at] == 0x09
    ):
        at += 1
    return at


@jit
def count_newlines(buffer: Any, start: int, stop: int) -> int:
    """Number of newline bytes in `buffer[start:stop]`."""
    run, count = buffer[start:stop], 0
    for i in range(len(run)):
        count += 1 if run[i] == NEWLINE else 0
    return count


@jit
def find_quote(buffer: Any, at: int, stop: int) -> int:
    """Index of the quote that ends a string whose first byte is at `at`, or a reason below zero."""
    while at < stop:
        byte = buffer[at]
        if byte == QUOTE:
            return at
        if byte < 0x20:
            return INVALID
        if byte == BACKSLASH or byte >= 0x80:
            return UNUSUAL
        at += 1
    return NEED_MORE


@jit
def skip_word(buffer: Any, at: int, stop: int) -> int:
    """Skip `true`, `false` or `null`."""
    word = _NULL
    if buffer[at] == _TRUE[0]:
        word = _TRUE
    elif buffer[at] == _FALSE[0]:
        word = _FALSE
    for i in range(len(word)):
        if at + i >= stop:
            return NEED_MORE
        if buffer[at + i] != word[i]:
            return INVALID
    return at + len(word)


@jit
def skip_digits(buffer: Any, at: int, stop: int) -> int:
    """Skip a JSON integer without sign; fractions and exponents are UNUSUAL."""
    start = at
    while at < stop and buffer[at] >= _ZERO and buffer[at] <= _NINE:
        at += 1
    if at == stop:
        return NEED_MORE
    if at == start or (buffer[start] == _ZERO and at - start > 1):
        return UNUSUAL
    if buffer[at] == 0x2E or buffer[at] == 0x65 or buffer[at] == 0x45:
        return UNUSUAL
    return at


@jit
def skip_scalar(buffer: Any, at: int, stop: int) -> int:
    """Skip the value of a key that means nothing here; nesting and numbers not plain are UNUSUAL."""
    byte = buffer[at]
    if byte == QUOTE:
        quote = find_quote(buffer, at + 1, stop)
        return quote + 1 if quote >= 0 else quote
    if byte >= 0x61 and byte <= 0x7A:
        return skip_word(buffer, at, stop)
    return skip_digits(buffer, at, stop)


@jit
def skip_object(buffer: Any, at: int, stop: int) -> int:
    """Index behind the object or list that starts at `at`, by brackets and strings alone.

    What stands between the brackets is not checked, except that strings hold no control characters (so that a
    line cut off inside a string ends there) and that brackets pair up, at most 62 deep: else INVALID.
    """
    depth, kinds = 0, 0
    while at < stop:
        byte = buffer[at]
        at += 1
        if byte == QUOTE:
            at = _skip_string(buffer, at, stop)
            if at < 0:
                return at
        elif byte in (OPEN_OBJECT, OPEN_LIST):
            if depth == _MAX_DEPTH:
                return INVALID
            depth += 1
            kinds = (kinds << 1) | (1 if byte == OPEN_LIST else 0)
        elif byte in (CLOSE_OBJECT, CLOSE_LIST):
            if (kinds & 1) != (1 if byte == CLOSE_LIST else 0):
                return INVALID
            depth -= 1
            kinds >>= 1
            if depth == 0:
                return at
    return NEED_MORE


@jit
def _skip_string(buffer: Any, at: int, stop: int) -> int:
    """Index behind a string's closing quote, escapes skipped but not judged."""
    while at < stop:
        byte = buffer[at]
        if byte == QUOTE:
            return at + 1
        if byte < 0x20:
            return INVALID
        at += 2 if byte == BACKSLASH else 1
    return NEED_MORE


@entry_uncounted
def find_object_end(buffer: Any, at: int, stop: int) -> int:
    """`skip_object`, for Python."""
    return skip_object(buffer, at, stop)
