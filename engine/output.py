"""Files of outputs: which format a path means, what a row holds, and how a file appears only when it is
whole.

A row is `sequence, block, transaction_hash, log_index, type, flags` and then every field of the message by
name. A field that is called like one of those columns is written as `payload_<name>`, so that `sequence`
means the same in every file. (Renaming the columns instead would make each type's file different for those
who join them.)

A file is written beside its final place under a name that starts with a dot and ends with `.partial`, and
renamed at the end: what stands under the final name is always complete.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.message import MessageType
from disruptor.replay.request import OutputContext, OutputSink, PoolAddress, header

ROW_COLUMNS = ("sequence", "block", "transaction_hash", "log_index", "type", "flags")
_SUFFIXES = (".jsonl", ".parquet")
#: What a key of the output order is made of; the last one leads, as `np.lexsort` wants it.
_ORDER = ("source_sequence", "source_id", "sequence")


def open_output(out: str, types: Sequence[str] | None, *, force: bool = False) -> OutputSink:
    """The sink for `--out`: one `.jsonl`, one `.parquet` of one type, or a directory of Parquet files.

    Raises
    ------
    InputError : the target exists (and not `force`), has no folder, or has an unknown suffix.
    """
    path = Path(out)
    suffix = path.suffix.lower()
    if not out.endswith(os.sep) and not path.is_dir() and suffix:
        if suffix == ".jsonl":
            from disruptor.engine.output_jsonl import JsonlOutput

            return JsonlOutput(path, types, force=force)
        if suffix == ".parquet":
            from disruptor.engine.output_parquet import ParquetFileOutput

            return ParquetFileOutput(path, types, force=force)
        raise InputError(f"--out {out}: unknown format {suffix}: use .jsonl, .parquet or a directory")
    from disruptor.engine.output_parquet import ParquetDirectoryOutput

    return ParquetDirectoryOutput(path, types, force=force)


class StagedFile:
    """A file that gets its name when it is complete.

    Raises
    ------
    InputError : the target exists and not `force`, or it can't be written.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        if path.is_dir() or (path.exists() and not force):
            hint = "it is a directory" if path.is_dir() else "add --force to replace it"
            raise InputError(f"{path}: exists already: {hint}", path=str(path))
        self.path = path
        self._staged = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            self.file: IO[bytes] = self._staged.open("wb", buffering=1 << 20)
        except OSError as error:
            raise InputError(f"{path}: can't be written: {error.strerror}", path=str(path)) from None

    def rewind(self) -> None:
        """Take back what was written."""
        self.file.seek(0)
        self.file.truncate()

    def finish(self) -> None:
        """Make the bytes durable; the file still has no name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def publish(self) -> None:
        """Give the finished file its name."""
        self._staged.replace(self.path)

    def discard(self) -> None:
        """Remove what was written; does nothing after `publish`."""
        with contextlib.suppress(OSError):  # a full disk: the bytes are to go anyway
            self.file.close()
        self._staged.unlink(missing_ok=True)


class FanOut:
    """Several sinks as one; an error of one aborts all when the caller aborts."""

    def __init__(self, sinks: Sequence[OutputSink]) -> None:
        self._sinks = tuple(sinks)

    def __enter__(self) -> FanOut:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close when the block ended well, else abort."""
        if kind is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            self.abort()
            raise

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Announce the types to every sink."""
        for sink in self._sinks:
            sink.open(messages, pool_address)

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Hand one batch to every sink."""
        for sink in self._sinks:
            sink.write(records, context)

    def end_batch(self) -> None:
        """End the batch of every sink."""
        for sink in self._sinks:
            sink.end_batch()

    def close(self) -> None:
        """Close every sink."""
        for sink in self._sinks:
            sink.close()

    def abort(self) -> None:
        """Abort every sink."""
        for sink in self._sinks:
            sink.abort()


def column_name(field: str) -> str:
    """The column under which a payload field is written.

    >>> column_name("price_diff"), column_name("sequence")
    ('price_diff', 'payload_sequence')
    """
    return f"payload_{field}" if field in ROW_COLUMNS else field


def is_wide(base_count: int, type_name: str) -> bool:
    """Whether a field is an integer of several 64-bit limbs."""
    return base_count > 0 and not type_name.startswith("bytes")


def wide_integers(limbs: npt.NDArray[np.uint64], *, signed: bool) -> list[int]:
    """Python integers of little-endian limbs, two's complement where signed.

    >>> wide_integers(np.array([[5, 0], [1, 1]], dtype=np.uint64), signed=False)
    [5, 18446744073709551617]
    """
    count, width = limbs.shape[0], limbs.shape[1] * 8
    if not limbs[:, 1:].any() and (
        not signed or not (limbs[:, 0] >> np.uint64(63)).any() or limbs.shape[1] > 1
    ):
        low: list[int] = limbs[:, 0].tolist()
        return low
    raw = np.ascontiguousarray(limbs).tobytes()
    return [
        int.from_bytes(raw[start : start + width], "little", signed=signed)
        for start in range(0, count * width, width)
    ]


def order_keys(records: npt.NDArray[Any], message: MessageType) -> tuple[npt.NDArray[Any], ...]:
    """Copies of the columns by which outputs are ordered, least significant first."""
    return tuple(header(records, message, name).copy() for name in _ORDER)


def output_order(batches: Sequence[tuple[npt.NDArray[Any], ...]]) -> npt.NDArray[np.int64] | None:
    """The permutation that puts the rows of all batches in order, or None where they already are."""
    keys = tuple(np.concatenate(columns) for columns in zip(*batches, strict=True))
    order: npt.NDArray[np.int64] = np.lexsort(keys)
    return None if bool((order[1:] > order[:-1]).all()) else order
