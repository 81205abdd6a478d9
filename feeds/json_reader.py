"""Logs from JSON in any of its framings: JSONL, an array, a JSON-RPC answer, or several of these in a row.

The compiled scanner does the work; this class feeds it chunks and does what it stops for. Memory is
bounded: one chunk, whose unfinished last object is carried over, and the rows and blob of one batch. Only
an object that is larger than the chunk makes the buffer grow, up to `MAX_OBJECT_BYTES`. The blob has room
for half of the buffer, which is all that hex can decode to, because a batch goes out before the buffer is
filled again.

A file may hold several documents, so the framing is a small state: LINES at the top, ELEMENTS within
`[...]`, and when an array came out of a JSON-RPC answer, the rest of that answer is checked behind it.
Positions are lines in LINES and element numbers (counted over the file) in ELEMENTS; error messages give
both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from disruptor.errors import InputError
from disruptor.feeds import json_exact
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, LOG_DTYPE, REMOVED, LogBatch
from disruptor.feeds.json_scan import (
    ARRAY_END,
    ARRAY_START,
    ELEMENTS,
    ENVELOPE,
    LINES,
    ROWS_FULL,
    SCAN_DTYPE,
    SEPARATOR,
    VALUE_OR_END,
    finish_row,
    scan_logs,
)
from disruptor.feeds.json_tokens import NEED_MORE, UNUSUAL, find_object_end
from disruptor.feeds.recognise import UTF8_MARK

CHUNK_BYTES = 4 << 20
#: The largest log that is read: 32 MiB of log data, which no block's gas limit allows.
MAX_OBJECT_BYTES = 64 << 20
#: What comes before and after the logs in a JSON-RPC answer.
MAX_ENVELOPE_BYTES = 1 << 16

_RESULT_ARRAY = re.compile(rb'"result"\s*:\s*\[')


def read_logs(
    path: Path,
    file_index: int,
    open_stream: Callable[[], io.RawIOBase],
    batch_rows: int,
    *,
    chunk_bytes: int | None = None,
) -> Iterator[LogBatch]:
    """Read the logs of one JSON file.

    Parameters
    ----------
    path : named in errors
    file_index : stored in every row
    open_stream : opens the decompressed bytes
    batch_rows : most rows in a batch, >= 1
    chunk_bytes : bytes read at a time; `CHUNK_BYTES` unless given

    Yields
    ------
    LogBatch : at least one row each; rows and blob are reused for the next batch.

    Raises
    ------
    InputError : text that is no log, a JSON-RPC error, or an end in the middle of something.
    """
    with open_stream() as stream:
        yield from _JsonReader(path, file_index, stream, batch_rows, chunk_bytes or CHUNK_BYTES).batches()


class _JsonReader:
    def __init__(
        self, path: Path, file_index: int, stream: io.RawIOBase, batch_rows: int, chunk_bytes: int
    ) -> None:
        self._path, self._stream, self._chunk_bytes = path, stream, chunk_bytes
        self._buffer = np.zeros(chunk_bytes, dtype=np.uint8)
        self._rows = np.zeros(batch_rows, dtype=LOG_DTYPE)
        self._row_bytes = self._rows.view(np.uint8)
        self._blob = np.zeros(chunk_bytes // 2 + 1, dtype=np.uint8)
        self._scan = np.zeros(1, dtype=SCAN_DTYPE)
        self._state = self._scan[0]
        self._state["line"], self._state["file"] = 1, file_index
        self._ended = False
        self._in_envelope = False

    def batches(self) -> Iterator[LogBatch]:
        """All batches of the stream."""
        self._fill()
        if self._text(len(UTF8_MARK)) == UTF8_MARK:
            self._state["position"] = len(UTF8_MARK)
        while True:
            reason = int(scan_logs(self._buffer, self._rows, self._row_bytes, self._blob, self._scan))
            if reason == UNUSUAL:
                if self._read_exactly():
                    continue
                reason = NEED_MORE
            if self._state["row_count"] > 0:
                yield self._batch()
            if reason == NEED_MORE:
                if not self._more():
                    return
            elif reason != ROWS_FULL:
                self._resolve(reason)

    def _batch(self) -> LogBatch:
        rows, used = int(self._state["row_count"]), int(self._state["blob_used"])
        self._state["row_count"] = self._state["blob_used"] = 0
        return LogBatch(self._rows[:rows], self._blob[:used])

    def _resolve(self, reason: int) -> None:
        """Change the framing as the scanner asks."""
        if reason == ENVELOPE:
            self._open_envelope()
        elif reason == ARRAY_START:
            self._state["framing"], self._state["expects"] = ELEMENTS, VALUE_OR_END
        elif reason == ARRAY_END:
            self._state["framing"], self._state["expects"] = LINES, SEPARATOR
            if self._in_envelope:
                self._close_envelope()
        else:
            raise self._refusal()

    # The buffer

    def _text(self, length: int) -> bytes:
        """Up to `length` bytes from the position on."""
        position, stop = int(self._state["position"]), int(self._state["stop"])
        return self._buffer[position : min(stop, position + length)].tobytes()

    def _left(self) -> int:
        return int(self._state["stop"] - self._state["position"])

    def _fill(self) -> None:
        """Move what is left to the front, grow the buffer if that fills it, and read until it is full."""
        left, position = self._left(), int(self._state["position"])
        self._buffer[:left] = self._buffer[position : position + left].copy()
        if left == len(self._buffer):
            self._grow()
        stop, target = left, self._buffer.data
        while stop < len(target):
            got = self._stream.readinto(target[stop:])
            if not got:
                self._ended = True
                break
            stop += got
        self._state["position"], self._state["stop"] = 0, stop

    def _grow(self) -> None:
        if len(self._buffer) >= MAX_OBJECT_BYTES:
            raise self._error(f"a log of more than {MAX_OBJECT_BYTES >> 20} MiB, or one whose end is missing")
        size = min(2 * len(self._buffer), MAX_OBJECT_BYTES)
        self._buffer = np.concatenate([self._buffer, np.zeros(size - len(self._buffer), dtype=np.uint8)])
        self._blob = np.zeros(size // 2 + 1, dtype=np.uint8)

    def _more(self) -> bool:
        """Read on; False at a clean end."""
        if not self._ended:
            self._fill()
            return True
        if self._left() > 0:
            if not self._read_exactly():
                raise self._error("the file ends within this log: it is cut off")
            return True
        if self._state["framing"] == ELEMENTS:
            raise self._error("the file ends within the array: its ] is missing", ahead=True)
        return False

    # What the scanner leaves to Python

    def _read_exactly(self) -> bool:
        """Decide the object at the position: a row, or an InputError; False when its end is not here yet."""
        end = int(find_object_end(self._buffer, self._state["position"], self._state["stop"]))
        if end == NEED_MORE:
            return False
        if end < 0:
            raise self._refusal()
        text = self._buffer[self._state["position"] : end].tobytes()
        try:
            log = json_exact.read_exactly(text)
        except json_exact.NotALogError as error:
            raise self._error(str(error)) from None
        self._store(log)
        finish_row(self._buffer, self._rows, self._scan, end)
        return True

    def _store(self, log: json_exact.ExactLog) -> None:
        row, used = self._rows[self._state["row_count"]], int(self._state["blob_used"])
        row["block_number"], row["log_index"] = log.block_number, log.log_index
        row["timestamp"] = -1 if log.timestamp is None else log.timestamp
        row["transaction_index"] = -1 if log.transaction_index is None else log.transaction_index
        row["data_length"], row["topic_count"] = len(log.data), len(log.topics)
        row["flags"] = (
            (REMOVED if log.removed else 0)
            | (HAS_BLOCK_HASH if log.block_hash is not None else 0)
            | (HAS_TX_HASH if log.tx_hash is not None else 0)
        )
        for name, value in (
            ("address", log.address),
            ("block_hash", log.block_hash),
            ("tx_hash", log.tx_hash),
        ):
            row[name] = np.frombuffer(value, dtype=np.uint8) if value is not None else 0
        row["topics"] = 0
        for i, topic in enumerate(log.topics):
            row["topics"][i] = np.frombuffer(topic, dtype=np.uint8)
        self._blob[used : used + len(log.data)] = np.frombuffer(log.data, dtype=np.uint8)

    def _open_envelope(self) -> None:
        """Pass the part of a JSON-RPC answer before its logs; an error in it becomes an InputError."""
        if self._state["framing"] == ELEMENTS:
            raise self._error("a JSON-RPC answer within an array; save one answer a line instead of a batch")
        text = self._envelope_text()
        for found in _RESULT_ARRAY.finditer(text):
            if _is_json(text[: found.end() - 1] + b"null}"):
                self._advance(found.end())
                self._state["framing"], self._state["expects"] = ELEMENTS, VALUE_OR_END
                self._in_envelope = True
                return
        raise self._error(_why_no_logs(text))

    def _close_envelope(self) -> None:
        """Pass the part of a JSON-RPC answer behind its logs."""
        self._in_envelope = False
        text = self._envelope_text()
        end = text.find(b"}")
        while end >= 0:
            if _is_json(b'{"result":null' + text[: end + 1]):
                self._advance(end + 1)
                return
            end = text.find(b"}", end + 1)
        raise self._error("the JSON-RPC answer around the logs does not end as JSON", ahead=True)

    def _envelope_text(self) -> bytes:
        """What may belong to the envelope from the position on."""
        while not self._ended and self._left() < MAX_ENVELOPE_BYTES:
            self._fill()
        return self._text(MAX_ENVELOPE_BYTES)

    def _advance(self, count: int) -> None:
        self._state["line"] += self._text(count).count(b"\n")
        self._state["position"] += count

    # Errors

    def _refusal(self) -> InputError:
        """What is wrong with the text at the position, in the JSON parser's words."""
        text = self._text(MAX_ENVELOPE_BYTES)
        shown = text.split(b"\n", 1)[0][:40]
        if self._state["expects"] == SEPARATOR:
            wanted = "a new line" if self._state["framing"] == LINES else "a comma or ]"
            return self._error(f"expected {wanted} after the log before, got {shown!r}", ahead=True)
        if not shown.startswith(b"{"):
            return self._error(f"expected a log object, got {shown!r}", ahead=True)
        try:
            json_exact.read_exactly(text)
        except json_exact.NotALogError as error:
            return self._error(str(error))
        return self._error("not a log that can be read")

    def _error(self, why: str, *, ahead: bool = False) -> InputError:
        """An error at the value that comes next; `ahead` when it lies between two values."""
        line, element = int(self._state["line"]), int(self._state["element"])
        if self._state["framing"] == ELEMENTS:
            number = element if ahead else element + 1
            place = f"{self._path}: {'after element' if ahead else 'element'} {number} (line {line})"
        else:
            place = f"{self._path}:{line}"
        return InputError(f"{place}: {why}", file=str(self._path), line=line, element=element + 1)


def _is_json(text: bytes) -> bool:
    try:
        json_exact.parse_json(text)
    except json_exact.NotALogError:
        return False
    return True


def _why_no_logs(text: bytes) -> str:
    """Message for a JSON-RPC answer whose `result` is not an array."""
    end = int(find_object_end(np.frombuffer(text, dtype=np.uint8), 0, len(text)))
    if end < 0:
        return "a JSON-RPC answer without a result array in its first 64 KiB, or cut off"
    try:
        answer = json_exact.parse_json(text[:end])
    except json_exact.NotALogError as error:
        return str(error)
    refusal = answer.first("error")
    if isinstance(refusal, json_exact.Pairs):
        message, code = refusal.first("message"), refusal.first("code")
        return f"the node answered with an error: {message} (code {code}); ask it again"
    return "a JSON-RPC answer whose result is no array of logs"
