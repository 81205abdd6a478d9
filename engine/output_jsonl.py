"""Outputs as JSON lines: one object a record, all types in one file, in the order of the run.

Each column becomes a list of Python scalars at once, and one `%` template per type puts them together: that
is several times faster than a dict per record, and safe because no value needs escaping: names are
identifiers, everything else is digits or hex.

Integers of up to 64 bits are JSON numbers, wider ones decimal strings; bytes are `0x` and lower-case hex;
floats are written with as many digits as bring the same float back, and `null` where they are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.engine.output import (
    StagedFile,
    column_name,
    is_wide,
    order_keys,
    output_order,
    wide_integers,
)
from disruptor.message import FieldType, MessageType
from disruptor.replay.request import OutputContext, PoolAddress, choose_types, header

#: A JSON fragment with one `%` conversion, and the values for it.
_Column = tuple[str, list[Any]]


class JsonlOutput:
    """A sink that writes one `.jsonl` file."""

    def __init__(self, path: Path, types: Sequence[str] | None, *, force: bool = False) -> None:
        self._types = types
        self._wanted: set[int] = set()
        self._file = StagedFile(path, force=force)
        self._lines: list[str] = []
        self._keys: list[tuple[npt.NDArray[Any], ...]] = []

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Choose the types to write."""
        self._wanted = {message.type_id for message in choose_types(self._types, messages)}

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Turn records into lines; they reach the file at the end of the batch."""
        if len(records) and context.message.type_id in self._wanted:
            self._lines.extend(json_lines(records, context))
            self._keys.append(order_keys(records, context.message))

    def end_batch(self) -> None:
        """Write the lines of the batch in order."""
        if not self._lines:
            return
        lines, order = self._lines, output_order(self._keys)
        if order is not None:
            lines = [lines[index] for index in order.tolist()]
        self._file.file.write(("\n".join(lines) + "\n").encode())
        self._lines, self._keys = [], []

    def close(self) -> None:
        """Write what is left and give the file its name."""
        self.end_batch()
        self._file.finish()
        self._file.publish()

    def abort(self) -> None:
        """Remove the file."""
        self._file.discard()


def json_lines(records: npt.NDArray[Any], context: OutputContext) -> list[str]:
    """One JSON object a record, as text without line ends.

    Parameters
    ----------
    records : (n,) slots of `context.message`
    context : where they come from, n rows
    """
    message = context.message
    columns: list[_Column] = [
        ('"sequence":%d', header(records, message, "sequence").tolist()),
        ('"block":%d', context.block.tolist()),
        ('"transaction_hash":%s', _hashes(context)),
        ('"log_index":%s', ["null" if index < 0 else index for index in context.log_index.tolist()]),
    ]
    flags: _Column = (f'"type":"{message.name}","flags":%d', header(records, message, "flags").tolist())
    columns.append(flags)
    columns.extend(_field(name, kind, records[name]) for name, kind in message.fields.items())
    template = "{" + ",".join(fragment for fragment, _ in columns) + "}"
    return [template % row for row in zip(*(values for _, values in columns), strict=True)]


def _hashes(context: OutputContext) -> list[str]:
    texts = hex_texts(context.tx_hash)
    if context.has_tx.all():
        return [f'"0x{text}"' for text in texts]
    return [
        f'"0x{text}"' if known else "null" for text, known in zip(texts, context.has_tx.tolist(), strict=True)
    ]


def _field(name: str, kind: FieldType, column: npt.NDArray[Any]) -> _Column:
    """Fragment and values of one payload field."""
    key = f'"{column_name(name)}":'
    if is_wide(kind.count, kind.name):
        return key + '"%d"', wide_integers(column, signed=kind.name.startswith("i"))
    if kind.count:
        return key + '"0x%s"', hex_texts(column)
    if kind.base.startswith("<f"):
        return key + "%s", [repr(v) if math.isfinite(v) else "null" for v in column.tolist()]
    return key + "%d", column.tolist()


def hex_texts(column: npt.NDArray[np.uint8]) -> list[str]:
    """Lower-case hex of each row of an (n, k) byte column, without prefix.

    >>> hex_texts(np.array([[1, 255], [0, 16]], dtype=np.uint8))
    ['01ff', '0010']
    """
    count, width = column.shape[0], column.shape[1] * 2
    text = np.ascontiguousarray(column).tobytes().hex()
    return [text[start : start + width] for start in range(0, count * width, width)]
