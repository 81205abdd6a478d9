"""Slots of one message type as Arrow columns, by the journal's own schema, and back to the same bytes.

Every byte of a slot is in exactly one place, so that nothing is lost and nothing said twice decides:

    sequence          int64: the place in the journal, which puts all files back into one order
    header_sequence   int64, null where the slot's own header says that same sequence
    source_sequence, event_time_ns, flags, source_id    the rest of the slot's header
    one column a field       numbers as they are; addresses, hashes and wide integers as fixed-size binary
    <field>_decimal          a wide integer once more as text, for people and for tools without 256 bits
    rest              the bytes that no column covers (padding, and what follows the message), null if all zero

Slots of a type that the schema does not describe are one such table too: `type_id`, and `payload` as bytes. A
decimal column is the one thing that is there twice: reading back holds it against its number.

Wide integers become text through Arrow's decimal256, whose memory is theirs: 0.1 µs each instead of 1 µs by
Python's integers. It has 76 digits, so those of 2^249 and more take the long way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from disruptor.errors import CorruptFrameError
from disruptor.journal.layout import Bytes
from disruptor.journal.rows import column_name
from disruptor.journal.schema import StoredField, StoredMessage
from disruptor.message import HEADER_SIZE, header_dtype

Sequences = NDArray[np.int64]

_PLAIN_HEADER = ("source_sequence", "event_time_ns", "flags", "source_id")
_WIDE_BYTES = 32
#: Decimal256 holds every integer whose top 7 bits are all the sign: below 2^249 < 10^76.
_SMALL = 1 << 56


class MessageColumns:
    """How slots of one type are columns.

    Parameters
    ----------
    message : the type, or None: slots of types that the journal's schema does not describe
    slot_size : bytes
    """

    def __init__(self, message: StoredMessage | None, slot_size: int) -> None:
        self.message, self._slot_size = message, slot_size
        self._header = header_dtype(slot_size)
        payload = StoredField(
            "payload", f"bytes{slot_size - HEADER_SIZE}", HEADER_SIZE, slot_size - HEADER_SIZE
        )
        self._fields = (payload,) if message is None else message.fields
        self._rest = np.ones(slot_size, np.bool_)
        self._rest[:HEADER_SIZE] = False
        for field in self._fields:
            self._rest[field.start : field.start + field.size] = False
        self._own = (*_PLAIN_HEADER, *(("type_id",) if message is None else ()))
        self.schema, self.dictionary = self._columns()

    def table(self, slots: Bytes, sequences: Sequences) -> pa.RecordBatch:
        """The columns of some slots. Every array is a copy.

        Parameters
        ----------
        slots : (n, slot_size) uint8
        sequences : (n,) int64, ascending: their places in the journal
        """
        slots = np.ascontiguousarray(slots)
        headers = slots.reshape(-1).view(self._header)
        own = headers["sequence"].copy()
        arrays = [pa.array(sequences.copy()), pa.array(own, mask=own == sequences)]
        arrays += [pa.array(headers[name].copy()) for name in self._own]
        for field in self._fields:
            part = np.ascontiguousarray(slots[:, field.start : field.start + field.size])
            if field.base is not None:
                arrays.append(pa.array(part.view(field.base)[:, 0]))
                continue
            arrays.append(_binary(part))
            if field.is_wide:
                arrays.append(decimal_text(part, signed=field.signed))
        if self._rest.any():
            rest = slots[:, self._rest]
            known = pa.array(rest.any(axis=1))
            arrays.append(pc.if_else(known, _binary(rest), pa.scalar(None, pa.binary(rest.shape[1]))))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def fill(self, batch: pa.RecordBatch, slots: Bytes, where: Sequences) -> None:
        """Put rows into their slots.

        Parameters
        ----------
        batch : of `schema`
        slots : (m, slot_size) uint8, zero at `where`. Mutated.
        where : (n,) int64, the slot of each row

        Raises
        ------
        CorruptFrameError : a null where there can be none, or a decimal that is not its number; names the column.
        """
        columns = iter(zip(self.schema, batch.columns, strict=True))
        made = np.zeros((len(batch), self._slot_size), np.uint8)
        headers = made.reshape(-1).view(self._header)
        sequences = _numbers(*next(columns))
        headers["sequence"] = pc.fill_null(next(columns)[1], pc.cast(0, pa.int64())).to_numpy()
        implied = batch.column(1).is_null().to_numpy(zero_copy_only=False)
        headers["sequence"][implied] = sequences[implied]
        if self.message is not None:
            headers["type_id"] = self.message.type_id
        for name in self._own:
            headers[name] = _numbers(*next(columns))
        for field in self._fields:
            column = next(columns)
            target = made[:, field.start : field.start + field.size]
            if field.base is not None:
                target[:] = np.ascontiguousarray(_numbers(*column)).view(np.uint8).reshape(len(batch), -1)
                continue
            target[:] = _raw(*column)
            if field.is_wide:
                _check_decimal(next(columns), target, sequences, signed=field.signed)
        if self._rest.any():
            made[:, self._rest] = _raw_or_zero(next(columns)[1])
        slots[where] = made

    def _columns(self) -> tuple[pa.Schema, list[str]]:
        """The schema, and the columns that may be stored as a dictionary of their values."""
        plain = {name: pa.from_numpy_dtype(self._header[name]) for name in self._own}
        columns = [
            pa.field("sequence", pa.int64(), nullable=False),
            pa.field("header_sequence", pa.int64()),
            *(pa.field(name, kind, nullable=False) for name, kind in plain.items()),
        ]
        taken = {column.name for column in columns}
        exact: set[str] = set()

        def add(name: str, kind: pa.DataType, *, nullable: bool = False) -> None:
            while name in taken:  # bounded: each turn makes the name longer than one that is taken
                name += "_"
            taken.add(name)
            columns.append(pa.field(name, kind, nullable=nullable))
            if pa.types.is_floating(kind):
                exact.add(
                    name
                )  # a dictionary has one entry for all that are not a number, whatever their bits

        for field in self._fields:
            name = field.name if self.message is None else column_name(field.name)
            add(name, pa.binary(field.size) if field.base is None else pa.from_numpy_dtype(field.base))
            if field.is_wide:
                add(f"{name}_decimal", pa.string())
        if self._rest.any():
            add("rest", pa.binary(int(self._rest.sum())), nullable=True)
        return pa.schema(columns), [column.name for column in columns if column.name not in exact]


def decimal_text(numbers: Bytes, *, signed: bool) -> pa.Array:
    """Integers as text.

    Parameters
    ----------
    numbers : (n, 16 or 32) uint8, little-endian, two's complement where signed

    >>> decimal_text(np.full((1, 16), 255, np.uint8), signed=True).to_pylist()
    ['-1']
    """
    wide = np.empty((len(numbers), _WIDE_BYTES), np.uint8)
    wide[:, : numbers.shape[1]] = numbers
    negative = numbers[:, -1] >> 7 if signed else np.zeros(len(numbers), np.uint8)
    wide[:, numbers.shape[1] :] = (negative * np.uint8(255))[:, None]
    top = wide.view("<i8")[:, 3]
    if bool(((top < _SMALL) & (top >= -_SMALL)).all()):
        buffers = [None, pa.py_buffer(wide)]
        return pc.cast(pa.Array.from_buffers(pa.decimal256(76, 0), len(wide), buffers), pa.string())
    raw, size = numbers.tobytes(), numbers.shape[1]
    cells = (raw[at : at + size] for at in range(0, len(raw), size))
    return pa.array([str(int.from_bytes(cell, "little", signed=signed)) for cell in cells], pa.string())


def _binary(cells: Bytes) -> pa.Array:
    """Rows of an (n, k) array as fixed-size binary."""
    buffer = pa.py_buffer(np.ascontiguousarray(cells).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(cells.shape[1]), len(cells), [None, buffer])


def _numbers(field: pa.Field, column: pa.Array) -> NDArray[Any]:
    _no_null(field, column)
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _raw(field: pa.Field, column: pa.Array) -> Bytes:
    _no_null(field, column)
    return _cells(column)


def _raw_or_zero(column: pa.Array) -> Bytes:
    cells = _cells(column)
    return np.where(column.is_valid().to_numpy(zero_copy_only=False)[:, None], cells, 0).astype(np.uint8)


def _cells(column: pa.Array) -> Bytes:
    """The (n, k) bytes of a fixed-size binary column, whatever stands where it is null."""
    width, buffer = column.type.byte_width, column.buffers()[1]
    if buffer is None:
        return np.zeros((len(column), width), np.uint8)
    start = column.offset * width
    return np.frombuffer(buffer, np.uint8)[start : start + len(column) * width].reshape(len(column), width)


def _no_null(field: pa.Field, column: pa.Array) -> None:
    if column.null_count:
        raise CorruptFrameError(f"column {field.name}: holds no value in {column.null_count} rows")


def _check_decimal(
    named: tuple[pa.Field, pa.Array], numbers: Bytes, sequences: Sequences, *, signed: bool
) -> None:
    """Text and number are the same thing said twice: hold them against each other."""
    field, column = named
    _no_null(field, column)
    expected = decimal_text(np.ascontiguousarray(numbers), signed=signed)
    if column.equals(expected):
        return
    row = int(np.flatnonzero(~pc.equal(column, expected).to_numpy(zero_copy_only=False))[0])
    raise CorruptFrameError(
        f"column {field.name}, sequence {sequences[row]}: the number is {expected[row]}, the text beside it says "
        f"{column[row]}",
        sequence=int(sequences[row]),
    )
