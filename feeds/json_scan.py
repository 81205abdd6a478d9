"""The compiled scanner for logs in JSON: bytes in, rows and blob out, no Python object per log.

It reads one object after the other straight from the chunk and decodes hex as it goes. It is strict and
narrow: whatever it accepts is JSON and means exactly what it wrote into the row, and all else it hands back:

    UNUSUAL    may well be right (an escape, a null, a nested value, a duplicate or missing key, a bad value):
               Python decides this one object exactly (`feeds.json_exact`) and words the error
    INVALID    can't be JSON here
    ENVELOPE   an object with `jsonrpc`, `result` or `error`: a JSON-RPC answer, which the reader unwraps
    NEED_MORE  the chunk ends first; the position stays at the object's first byte

So there is one grammar for the fast path and one authority for the rest, and a test holds that both agree.
Logs come in two framings: LINES (objects, each beginning on a line of its own) and ELEMENTS (of one array).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.compile_cache import entry_uncounted
from disruptor.feeds.json_fields import (
    ENVELOPE_FIELD,
    REQUIRED,
    ROW_SIZE,
    UNKNOWN_FIELD,
    find_field,
    read_field,
)
from disruptor.feeds.json_tokens import (
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    INVALID,
    NEED_MORE,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    UNUSUAL,
    count_newlines,
    find_quote,
    skip_scalar,
    skip_space,
)
from disruptor.jit import jit

# What `scan_logs` stopped for, beside NEED_MORE, UNUSUAL and INVALID.
ENVELOPE, ROWS_FULL, ARRAY_END, ARRAY_START = -14, -15, -16, -17

LINES, ELEMENTS = 0, 1
#: What may come next: a value (or the end), a value (after a comma), or a separator.
VALUE_OR_END, VALUE, SEPARATOR = 0, 1, 2

#: Where the scanner stands; one element, mutated by the kernel.
SCAN_DTYPE = np.dtype(
    [
        ("position", "<i8"),  # first byte not yet consumed
        ("stop", "<i8"),  # end of the bytes in the buffer
        ("row_count", "<i8"),
        ("blob_used", "<i8"),
        ("line", "<i8"),  # 1-based, of `position`
        ("element", "<i8"),  # values seen before `position`, over all arrays of the file
        ("framing", "<i8"),
        ("expects", "<i8"),
        ("file", "<i8"),
    ]
)


@jit
def _scan_log(buffer: Any, rows: Any, row_bytes: Any, blob: Any, scan: Any) -> int:
    """Read the object at `scan.position` into row `scan.row_count`; index behind it, or a reason.

    The row is written over from the start, so a call that fails leaves only a row that nobody counts.
    """
    state = scan[0]
    stop, index = state["stop"], state["row_count"]
    row_bytes[index * ROW_SIZE : (index + 1) * ROW_SIZE] = 0
    row = rows[index]
    row["timestamp"] = -1
    row["transaction_index"] = -1
    seen = 0
    at = skip_space(buffer, state["position"] + 1, stop)
    if at < stop and buffer[at] == CLOSE_OBJECT:
        return UNUSUAL
    while at < stop:
        if buffer[at] != QUOTE:
            return INVALID
        quote = find_quote(buffer, at + 1, stop)
        if quote < 0:
            return quote
        field = find_field(buffer, at + 1, quote)
        at = skip_space(buffer, quote + 1, stop)
        if at < stop and buffer[at] != COLON:
            return INVALID
        at = skip_space(buffer, at + 1, stop)
        if at >= stop:
            return NEED_MORE
        if field == ENVELOPE_FIELD:
            return ENVELOPE
        if field == UNKNOWN_FIELD:
            at = skip_scalar(buffer, at, stop)
        elif (seen >> field) & 1:
            return UNUSUAL
        else:
            seen |= 1 << field
            at = read_field(buffer, row, row_bytes, blob, scan, field, at)
        if at < 0:
            return at
        at = skip_space(buffer, at, stop)
        if at < stop and buffer[at] == CLOSE_OBJECT:
            return at + 1 if seen & REQUIRED == REQUIRED else UNUSUAL
        if at < stop and buffer[at] != COMMA:
            return INVALID
        at = skip_space(buffer, at + 1, stop)
    return NEED_MORE


@jit
def _finish_log(buffer: Any, rows: Any, scan: Any, end: int) -> None:
    """Count the row that was read from `scan.position` to `end`, and move on to `end`."""
    state = scan[0]
    row = rows[state["row_count"]]
    state["element"] += 1
    row["position"] = state["element"] if state["framing"] == ELEMENTS else state["line"]
    row["file"] = state["file"]
    row["data_offset"] = state["blob_used"]
    state["blob_used"] += row["data_length"]
    state["row_count"] += 1
    state["line"] += count_newlines(buffer, state["position"], end)
    state["position"] = end
    state["expects"] = SEPARATOR


@jit
def _pass_separators(buffer: Any, scan: Any) -> int:
    """Move to the next value's first byte; that index, or why there is none."""
    state = scan[0]
    stop, at = state["stop"], state["position"]
    while at < stop:
        start = at
        at = skip_space(buffer, at, stop)
        newlines = count_newlines(buffer, start, at)
        state["line"] += newlines
        state["position"] = at
        if state["framing"] == LINES and newlines > 0:
            state["expects"] = VALUE_OR_END
        if at == stop:
            return NEED_MORE
        if state["framing"] == ELEMENTS and buffer[at] == CLOSE_LIST and state["expects"] != VALUE:
            state["position"] = at + 1
            return ARRAY_END
        if state["expects"] != SEPARATOR:
            return at  # type: ignore[no-any-return]
        if state["framing"] == LINES or buffer[at] != COMMA:
            return INVALID
        state["expects"] = VALUE
        at += 1
        state["position"] = at
    return NEED_MORE


@entry_uncounted
def scan_logs(buffer: Any, rows: Any, row_bytes: Any, blob: Any, scan: Any) -> int:
    """Read logs from `scan.position` on until something stops it; see the reasons at the top.

    Parameters
    ----------
    buffer : (n,) uint8; bytes up to `scan.stop` are valid
    rows : (r,) LOG_DTYPE, mutated from `scan.row_count` on
    row_bytes : (r * 272,) uint8, the same memory as `rows`
    blob : (b,) uint8, mutated from `scan.blob_used` on; room for half of the bytes not yet consumed
    scan : (1,) SCAN_DTYPE, mutated; afterwards `position` is at the first byte that was not used

    Returns
    -------
    int64 : NEED_MORE, UNUSUAL, INVALID, ENVELOPE, ROWS_FULL, ARRAY_START or ARRAY_END.
    """
    state = scan[0]
    while state["row_count"] < len(rows):
        at = _pass_separators(buffer, scan)
        if at < 0:
            return at
        if buffer[at] == OPEN_LIST and state["framing"] == LINES:
            state["position"] = at + 1
            return ARRAY_START
        if buffer[at] != OPEN_OBJECT:
            return INVALID
        end = _scan_log(buffer, rows, row_bytes, blob, scan)
        if end < 0:
            return end
        _finish_log(buffer, rows, scan, end)
    return ROWS_FULL


@entry_uncounted
def finish_row(buffer: Any, rows: Any, scan: Any, end: int) -> None:
    """`_finish_log`, for Python."""
    _finish_log(buffer, rows, scan, end)
