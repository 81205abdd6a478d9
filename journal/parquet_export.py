"""A journal as columns: `disruptor journal to-parquet`.

    OUT/Swap.parquet       a file for each message type that has slots
    OUT/_unknown.parquet   slots of types that the journal's schema does not describe
    OUT/_journal.parquet   its segments; and in its metadata the manifest, the schema, and what the other files hold

A whole archive has all that the journal has (see `disruptor.journal.parquet_columns`); `parquet_import` makes the
same journal of it again, byte for byte. A range, or some of the types, is an *export*: the same files, of which no
journal can be made, and which say so.

Slots are gathered by type and written in row groups of `GROUP_ROWS`; types that come seldom are written earlier when
all that waits exceeds `WAITING_BYTES`. So memory does not grow with the journal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from disruptor.errors import JournalError
from disruptor.journal import schema as schemas
from disruptor.journal.incarnations import INCARNATIONS_NAME, load_incarnations
from disruptor.journal.layout import VERSION, Bytes, canonical_json
from disruptor.journal.manifest import encode_manifest
from disruptor.journal.parquet_columns import MessageColumns, Sequences
from disruptor.journal.parquet_files import FORMATS, PARQUET, ColumnWriter, staged_directory
from disruptor.journal.reader import Frame, JournalReader
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.rows import type_ids
from disruptor.journal.schema import declared
from disruptor.journal.verify import verify

ARCHIVE_FORMAT, ARCHIVE_VERSION = "disruptor-columns", 1
#: Names that no message file has.
JOURNAL_FILE, UNKNOWN_FILE = "_journal", "_unknown"
GROUP_ROWS = 32_768
WAITING_BYTES = 64 << 20

#: Slots done so far, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which slots; None: no bound. Bounds are inclusive, types are names; none: all."""

    from_sequence: int | None = None
    to_sequence: int | None = None
    types: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()


@dataclass
class _Waiting:
    """Slots of one type that are not in a file yet."""

    columns: MessageColumns
    name: str
    slots: list[Bytes] = field(default_factory=list)
    sequences: list[Sequences] = field(default_factory=list)
    size: int = 0  # bytes
    writer: ColumnWriter | None = None

    @property
    def rows(self) -> int:
        return sum(map(len, self.sequences))


def to_columns(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    selection: Selection | None = None,
    *,
    kind: str = PARQUET,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a finished journal as columns.

    Parameters
    ----------
    directory : of the journal, finished; or of a recording, for an export. Only read
    out : a directory that is new or empty; appears when all of it is written
    selection : which slots; default all, and then every byte of the journal is verified first
    kind : PARQUET or ARROW

    Returns
    -------
    dict : `out, format, whole, slots, first_sequence, last_sequence, running_hash, files` (name to rows), `bytes`

    Raises
    ------
    JournalError : no finished journal, a damaged one, one that could not be made again from columns, a type or a
        sequence that it does not have, or `out` can't be written.
    """
    selection = selection or Selection()
    if kind not in FORMATS:
        raise JournalError(f"format {kind}: there are {' and '.join(FORMATS)}")
    reader = open_journal(directory)
    if selection.everything:
        _check_restorable(reader)
    with staged_directory(Path(out)) as staged:
        exporter = _Exporter(reader, staged, selection, kind)
        answer = exporter.run(progress)
        answer["bytes"] = sum(path.stat().st_size for path in staged.iterdir())
    return {"out": str(out), "format": kind, **answer}


class _Exporter:
    """One pass over a journal."""

    def __init__(self, reader: JournalReader, folder: Path, selection: Selection, kind: str) -> None:
        self._reader, self._folder, self._kind = reader, folder, kind
        self._everything = selection.everything
        self._schema = schemas.parse_schema(canonical_json(reader.messages), reader.slot_size)
        self._waiting: dict[int, _Waiting] = {}
        self._unknown = _Waiting(MessageColumns(None, reader.slot_size), UNKNOWN_FILE)
        known = {message.name: type_id for type_id, message in self._schema.items()}
        wrong = [name for name in selection.types if name not in known]
        if wrong:
            raise JournalError(
                f"{reader.directory}: no message {wrong[0]} in this journal; there are {', '.join(sorted(known))}"
            )
        if known.keys() & {JOURNAL_FILE, UNKNOWN_FILE}:
            raise JournalError(f"{reader.directory}: a message is named {JOURNAL_FILE} or {UNKNOWN_FILE}")
        self._types = np.array([known[name] for name in selection.types], np.uint16)
        first = reader.first_sequence if selection.from_sequence is None else selection.from_sequence
        last = reader.last_sequence if selection.to_sequence is None else selection.to_sequence
        if not self._everything and not reader.first_sequence <= first <= last <= reader.last_sequence:
            raise JournalError(
                f"{reader.directory}: sequences {first} to {last} are not in this journal "
                f"({reader.first_sequence} to {reader.last_sequence})"
            )
        self._first, self._last = first, last
        chosen = msgspec.to_builtins(selection)
        self._facts = {
            "format": ARCHIVE_FORMAT,
            "version": ARCHIVE_VERSION,
            "running_hash": reader.running_hash,
            "selection": None if self._everything else chosen,
        }

    def run(self, progress: Progress | None) -> dict[str, Any]:
        """Write every file."""
        with ExitStack() as cleanup:
            cleanup.callback(self._abort)
            for frame in self._reader.frames(self._first):
                self._take(frame)
                done = min(frame.first_sequence + frame.count, self._last + 1) - self._first
                if progress is not None:
                    progress(done, self._last + 1 - self._first)
                if done == self._last + 1 - self._first:
                    break
            for waiting in self._all():
                self._flush(waiting)
                if waiting.writer is not None:
                    waiting.writer.finish()
            cleanup.pop_all()
        files = {self._file_name(w.name): w.writer.rows for w in self._all() if w.writer is not None}
        self._write_journal_file(files)
        return {
            "whole": self._everything,
            "slots": sum(files.values()),
            "first_sequence": self._first,
            "last_sequence": self._last,
            "running_hash": self._reader.running_hash,
            "files": dict(sorted(files.items())),
        }

    def _take(self, frame: Frame) -> None:
        """Gather a frame's slots by type; write what has become enough."""
        count = min(frame.count, self._last + 1 - frame.first_sequence)
        slots, kinds = frame.slots[:count], type_ids(frame.slots[:count])
        sequences = frame.first_sequence + np.arange(count, dtype=np.int64)
        found = np.unique(kinds)
        for kind in found if not len(self._types) else np.intersect1d(found, self._types):
            waiting, where = self._waiting_of(int(kind)), np.flatnonzero(kinds == kind)
            if waiting is not self._unknown:
                _add(waiting, slots[where], sequences[where])
        if not len(self._types):
            where = np.flatnonzero(~np.isin(kinds, list(self._schema)))
            if len(where):
                _add(self._unknown, slots[where], sequences[where])
        for waiting in self._all():
            if waiting.rows >= GROUP_ROWS:
                self._flush(waiting)
        while sum(waiting.size for waiting in self._all()) > WAITING_BYTES:  # bounded: each turn empties one
            self._flush(max(self._all(), key=lambda waiting: waiting.size))

    def _waiting_of(self, kind: int) -> _Waiting:
        message = self._schema.get(kind)
        if message is None:
            return self._unknown
        if kind not in self._waiting:
            columns = MessageColumns(message, self._reader.slot_size)
            self._waiting[kind] = _Waiting(columns, message.name)
        return self._waiting[kind]

    def _flush(self, waiting: _Waiting) -> None:
        if not waiting.slots:
            return
        if waiting.writer is None:
            path = self._folder / self._file_name(waiting.name)
            columns = waiting.columns
            waiting.writer = ColumnWriter(path, columns.schema, self._facts, columns.dictionary)
        slots, sequences = np.concatenate(waiting.slots), np.concatenate(waiting.sequences)
        waiting.writer.write(waiting.columns.table(slots, sequences))
        waiting.slots, waiting.sequences, waiting.size = [], [], 0

    def _write_journal_file(self, files: dict[str, int]) -> None:
        """The segments as rows, and in the metadata all that is not in any row."""
        manifest = self._reader.manifest
        entries = [msgspec.to_builtins(entry) for entry in manifest.segments]
        kinds = {"name": pa.string(), "running_hash": pa.string()}
        names = ("name", "first_sequence", "slot_count", "size", "running_hash")
        schema = pa.schema([pa.field(name, kinds.get(name, pa.int64()), nullable=False) for name in names])
        whole: dict[str, Any] = {
            "files": dict(sorted(files.items())),
            "messages": self._reader.messages,
            "manifest": encode_manifest(manifest).decode(),
        }
        if load_incarnations(self._reader.directory):
            whole["incarnations"] = (self._reader.directory / INCARNATIONS_NAME).read_text()
        path = self._folder / self._file_name(JOURNAL_FILE)
        writer = ColumnWriter(path, schema, {**self._facts, **whole}, list(names))
        writer.write(pa.RecordBatch.from_pylist(entries, schema))
        writer.finish()

    def _all(self) -> list[_Waiting]:
        return [*self._waiting.values(), self._unknown]

    def _file_name(self, name: str) -> str:
        return f"{name}.{self._kind}"

    def _abort(self) -> None:
        for waiting in self._all():
            if waiting.writer is not None:
                waiting.writer.abort()


def _add(waiting: _Waiting, slots: Bytes, sequences: Sequences) -> None:
    waiting.slots.append(slots)
    waiting.sequences.append(sequences)
    waiting.size += slots.nbytes + sequences.nbytes


def _check_restorable(reader: JournalReader) -> None:
    """Refuse an archive of which the same journal could not be made again."""
    if reader.head is not None:
        raise JournalError(
            f"{reader.head.why(reader.directory)}; a range or types make an export of what is left"
        )
    if not reader.manifest.complete:
        raise JournalError(
            f"{reader.directory}: a recording that is not finished: choose types or a range, for an export"
        )
    report = verify(reader.directory)
    if not report.ok:
        raise JournalError(f"{reader.directory}: damaged, so no archive of it is made: {report.problems[0]}")
    messages = declared(reader.messages)
    same = messages is not None and reader.manifest.version == VERSION
    if not same or hashlib.sha256(canonical_json(reader.messages)).hexdigest() != reader.schema_hash:
        raise JournalError(
            f"{reader.directory}: was written by another version of this program, which this one could not write "
            "again: choose types or a range, for an export"
        )
