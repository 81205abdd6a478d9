"""Outputs of a live engine as JSON lines, appended as they are released, each with its identity.

The file knows what was released: its last line names incarnation, sequence, handler and ordinal, so an engine that
goes on after it was killed hands on what comes behind, and nothing twice. A last line that was written in part was
not released, and is cut. Lines reach the kernel before the release counts as done; they survive the death of the
process, not a power loss, after which those that are missing are written again, under another incarnation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.engine.json_columns import constant, decimal_text, join_columns
from disruptor.engine.live import Position
from disruptor.engine.output_jsonl import field_columns
from disruptor.errors import InputError
from disruptor.message import MessageType, header_dtype
from disruptor.replay.request import header

_STEP = 1 << 16
_BEGIN = b'{"incarnation":'


class OutputLog:
    """Appends outputs to a file.

    Parameters
    ----------
    path : new, or what an earlier run of the same journal wrote
    messages : types that may come

    Raises
    ------
    InputError : it can't be written, or is no such file.
    """

    def __init__(self, path: Path, messages: Sequence[MessageType]) -> None:
        self.path, self._messages = path, messages
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(f"{path}: can't be written: {error.strerror}", path=str(path)) from None
        self._size = os.fstat(self._fd).st_size
        end = self._line_start(self._size)
        if end < self._size:
            self._cut(end)

    def _cut(self, end: int) -> None:
        """Take off a line that was written in part, if it is one of ours."""
        if end:
            start = self._line_start(end - 1)
            self._parse(os.pread(self._fd, end - start, start))
        begun = os.pread(self._fd, len(_BEGIN), end)
        if begun != _BEGIN[: len(begun)]:
            self._parse(begun)
        os.ftruncate(self._fd, end)
        self._size = end

    def last(self) -> Position:
        """Where the last line stands; everything is still to come where there is none."""
        sequence, count, end = -1, 0, self._size
        while end > 0:  # bounded: each turn takes a line off
            start = self._line_start(end - 1)
            found = self._parse(os.pread(self._fd, end - start, start))
            if count and found != sequence:
                break
            sequence, count, end = found, count + 1, start
        return Position(max(sequence, 0), count)

    def receive(self, outputs: npt.NDArray[np.uint8], incarnation: int) -> None:
        """Append (n, slot_size) outputs in their order.

        Raises
        ------
        InputError : they could not be written in full; the part is cut again.
        """
        content = b"".join(self._lines(outputs, incarnation))
        try:
            written = 0
            while written < len(content):  # bounded: a write takes at least a byte or raises
                written += os.write(self._fd, content[written:])
        except OSError as error:
            os.ftruncate(self._fd, self._size)
            raise InputError(
                f"{self.path}: can't be written: {error.strerror}; what is recorded is safe: make room and run "
                "the same command again",
                path=str(self.path),
            ) from None
        self._size += len(content)

    def close(self) -> None:
        """Put it on the device and close it."""
        os.fsync(self._fd)
        os.close(self._fd)

    def _lines(self, outputs: npt.NDArray[np.uint8], incarnation: int) -> list[bytes]:
        flat = outputs.reshape(-1)
        kinds = flat.view(header_dtype(outputs.shape[1]))["type_id"]
        lines: list[bytes] = [b""] * len(outputs)
        for message in self._messages:
            where = np.flatnonzero(kinds == message.type_id)
            if len(where):
                records = flat.view(message.slot_dtype(outputs.shape[1]))[where]
                text, ends = _json_lines(records, message, incarnation)
                starts = [0, *ends.tolist()]
                for index, start, end in zip(where.tolist(), starts, starts[1:], strict=False):
                    lines[index] = text[start:end]
        return lines

    def _line_start(self, end: int) -> int:
        """Where the line begins that the byte before `end` is part of; `end` itself behind a line's end."""
        while end > 0:  # bounded: each turn goes back a step
            start = max(0, end - _STEP)
            found = os.pread(self._fd, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0

    def _parse(self, line: bytes) -> int:
        try:
            return int(json.loads(line)["sequence"])
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{self.path}: is no file of outputs that a live engine wrote: choose another",
                path=str(self.path),
            ) from None


class Discard:
    """Takes outputs and keeps nothing of them."""

    def last(self) -> Position | None:
        """It does not know."""
        return None

    def receive(self, outputs: npt.NDArray[np.uint8], incarnation: int) -> None:
        """Take them."""


def _json_lines(
    records: npt.NDArray[Any], message: MessageType, incarnation: int
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """One JSON object a record; (n,) where each line ends."""
    columns = [
        constant(f'{{"incarnation":{incarnation},"sequence":'),
        decimal_text(header(records, message, "sequence"), signed=True),
        constant(',"handler":'),
        decimal_text(header(records, message, "source_id"), signed=False),
        constant(',"ordinal":'),
        decimal_text(header(records, message, "source_sequence"), signed=True),
        constant(f',"type":"{message.name}","flags":'),
        decimal_text(header(records, message, "flags"), signed=False),
    ]
    for name, kind in message.fields.items():
        columns.extend(field_columns(name, kind, records[name]))
    columns.append(constant("}\n"))
    return join_columns(columns, len(records))
