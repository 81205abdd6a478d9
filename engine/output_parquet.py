"""Outputs as Parquet: one file a message type, written in row groups, so memory does not grow with the run.

Bytes (addresses, hashes) are fixed-size binary columns. No Parquet type holds 128 or 256 bits, so a wide
integer `f` is two columns: `f`, its little-endian bytes (two's complement where signed), and `f_decimal`,
the number as text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from disruptor.engine.output import (
    StagedFile,
    column_name,
    is_wide,
    order_keys,
    output_order,
    wide_integers,
)
from disruptor.errors import InputError
from disruptor.message import FieldType, MessageType
from disruptor.replay.request import OutputContext, PoolAddress, choose_types, header

ROW_GROUP_ROWS = 65_536


class _TypeFile:
    """The Parquet file of one message type."""

    def __init__(self, path: Path, message: MessageType, *, force: bool) -> None:
        self._staged = StagedFile(path, force=force)
        self._schema = schema_of(message)
        self._writer = pq.ParquetWriter(self._staged.file, self._schema, compression="zstd")
        self._batch: list[pa.Table] = []
        self._keys: list[tuple[npt.NDArray[Any], ...]] = []
        self._group: list[pa.Table] = []
        self._group_rows = 0

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Take the records of a part of a batch."""
        self._batch.append(pa.Table.from_arrays(_arrays(records, context), schema=self._schema))
        self._keys.append(order_keys(records, context.message))

    def end_batch(self) -> None:
        """Put the batch in order; write a row group when one is full."""
        if not self._batch:
            return
        table, order = pa.concat_tables(self._batch), output_order(self._keys)
        self._group.append(table if order is None else table.take(pa.array(order)))
        self._group_rows += table.num_rows
        self._batch, self._keys = [], []
        if self._group_rows >= ROW_GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what is left and the footer."""
        self.end_batch()
        self._flush()
        self._writer.close()
        self._staged.finish()

    def publish(self) -> None:
        """Give the finished file its name."""
        self._staged.publish()

    def abort(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # else its destructor tries again, and complains to stderr
        self._staged.discard()

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(pa.concat_tables(self._group), row_group_size=ROW_GROUP_ROWS)
        self._group, self._group_rows = [], 0


class _ParquetOutput:
    """What the two sinks share: a file per type."""

    def __init__(self) -> None:
        self._files: dict[int, _TypeFile] = {}

    def _take_back(self) -> None:
        """Discard what was written so far."""
        for file in self._files.values():
            file.abort()
        self._files.clear()

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Hand records to the file of their type, if that type is wanted."""
        file = self._files.get(context.message.type_id)
        if file is not None and len(records):
            file.write(records, context)

    def end_batch(self) -> None:
        """End the batch in every file."""
        for file in self._files.values():
            file.end_batch()

    def close(self) -> None:
        """Finish every file, then name them all: a full disk leaves none of them."""
        for file in self._files.values():
            file.finish()
        for file in self._files.values():
            file.publish()

    def abort(self) -> None:
        """Remove every file that is not finished."""
        for file in self._files.values():
            file.abort()


class ParquetFileOutput(_ParquetOutput):
    """A sink that writes one message type to one `.parquet` file."""

    def __init__(self, path: Path, types: Sequence[str] | None, *, force: bool = False) -> None:
        super().__init__()
        if types is not None and len(set(types)) != 1:
            raise _one_type_only(path, types)
        _refuse_existing(path, force=force)
        self._path, self._types, self._force = path, types, force

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Create the file of the one type; anew when a run starts over."""
        self._take_back()
        chosen = choose_types(self._types, messages)
        if len(chosen) != 1:
            raise _one_type_only(self._path, [message.name for message in chosen])
        self._files[chosen[0].type_id] = _TypeFile(self._path, chosen[0], force=self._force)


class ParquetDirectoryOutput(_ParquetOutput):
    """A sink that writes `DIR/<Type>.parquet` for every type, with no rows where none came."""

    def __init__(self, path: Path, types: Sequence[str] | None, *, force: bool = False) -> None:
        super().__init__()
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path}: is a file that ends in neither .jsonl nor .parquet")
        for name in types or ():
            _refuse_existing(path / f"{name}.parquet", force=force)
        self._path, self._types, self._force = path, types, force
        self._made_directory = False

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Create the directory and the file of every type; anew when a run starts over."""
        self._take_back()
        chosen = choose_types(self._types, messages)
        if not self._path.exists():
            try:
                self._path.mkdir(parents=True)
            except OSError as error:
                raise InputError(f"--out {self._path}: can't be made: {error.strerror}") from None
            self._made_directory = True
        for message in chosen:
            path = self._path / f"{message.name}.parquet"
            self._files[message.type_id] = _TypeFile(path, message, force=self._force)

    def abort(self) -> None:
        """Remove every file, and the directory if this run made it."""
        super().abort()
        if self._made_directory and not any(self._path.iterdir()):
            self._path.rmdir()


def schema_of(message: MessageType) -> pa.Schema:
    """The Parquet columns of one message type."""
    columns = [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("block", pa.uint64(), nullable=False),
        pa.field("transaction_hash", pa.binary(32)),
        pa.field("log_index", pa.int64()),
        pa.field("type", pa.string(), nullable=False),
        pa.field("flags", pa.uint16(), nullable=False),
    ]
    for name, kind in message.fields.items():
        columns.append(pa.field(column_name(name), _arrow_type(kind), nullable=False))
        if is_wide(kind.count, kind.name):
            columns.append(pa.field(f"{column_name(name)}_decimal", pa.string(), nullable=False))
    return pa.schema(
        columns, metadata={"message": message.name, "schema_hash": f"{message.schema_hash:016x}"}
    )


def _arrow_type(kind: FieldType) -> pa.DataType:
    return pa.binary(kind.dtype.itemsize) if kind.count else pa.from_numpy_dtype(kind.dtype)


def _arrays(records: npt.NDArray[Any], context: OutputContext) -> list[pa.Array]:
    """The columns of `schema_of`; every array is a copy, so the slots may be reused."""
    message = context.message
    arrays = [
        _plain(header(records, message, "sequence")),
        _plain(context.block),
        _hashes(context),
        pa.array(np.array(context.log_index, dtype=np.int64), mask=np.asarray(context.log_index) < 0),
        pa.repeat(pa.scalar(message.name), len(records)),
        _plain(header(records, message, "flags")),
    ]
    for name, kind in message.fields.items():
        column = records[name]
        if not kind.count:
            arrays.append(_plain(column))
            continue
        arrays.append(_binary(column))
        if is_wide(kind.count, kind.name):
            arrays.append(_decimal(column, signed=kind.name.startswith("i")))
    return arrays


def _plain(column: npt.NDArray[Any]) -> pa.Array:
    return pa.array(np.array(column, order="C"))


def _binary(column: npt.NDArray[Any]) -> pa.Array:
    """Rows of an (n, k) array as fixed-size binary."""
    width = column.shape[1] * column.itemsize
    buffer = pa.py_buffer(np.ascontiguousarray(column).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(column), [None, buffer])


def _hashes(context: OutputContext) -> pa.Array:
    known = pa.array(np.array(context.has_tx, dtype=np.bool_))
    return pc.if_else(known, _binary(context.tx_hash), pa.scalar(None, type=pa.binary(32)))


def _decimal(column: npt.NDArray[np.uint64], *, signed: bool) -> pa.Array:
    """Numbers as text; the cast does those of one limb without a Python object each."""
    if not column[:, 1:].any():
        return pc.cast(_plain(column[:, 0]), pa.string())
    return pa.array([str(value) for value in wide_integers(column, signed=signed)], type=pa.string())


def _refuse_existing(path: Path, *, force: bool) -> None:
    """Say before the run, not after it, that the target is taken or has no folder."""
    if path.exists() and not force:
        raise InputError(f"{path}: exists already: add --force to replace it", path=str(path))


def _one_type_only(path: Path, names: Sequence[str]) -> InputError:
    return InputError(
        f"--out {path}: a .parquet file holds one message type, this run writes "
        f"{', '.join(sorted(set(names)))}: choose one with --types, "
        f"or name a directory such as {path.with_suffix('')}/"
    )
