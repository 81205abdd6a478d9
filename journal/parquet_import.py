"""An archive of columns back into the journal that it was made of: `disruptor journal from-parquet`.

Every file is read once, in step: a window of sequences is filled from all of them, each row into the slot that its
`sequence` names, and goes to an ordinary `JournalWriter`. A slot that no file has, or two have, ends it at once. What
no count shows (a value that was changed, slots exchanged) the running hash does: the manifest that comes out must
be, byte for byte, the one that the archive carries, and only then does the journal get its name.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.incarnations import INCARNATIONS_NAME, load_incarnations
from disruptor.journal.layout import VERSION, Bytes, canonical_json
from disruptor.journal.manifest import Manifest, decode_manifest, encode_manifest
from disruptor.journal.parquet_columns import MessageColumns, Sequences
from disruptor.journal.parquet_export import (
    ARCHIVE_FORMAT,
    ARCHIVE_VERSION,
    JOURNAL_FILE,
    UNKNOWN_FILE,
    Progress,
)
from disruptor.journal.parquet_files import FORMATS, ColumnFile, arrow_errors, staged_directory
from disruptor.journal.schema import Schema, declared, parse_schema
from disruptor.journal.storage import Storage
from disruptor.journal.writer import JournalWriter
from disruptor.message import MessageType

#: Slots that are put together at a time.
WINDOW_SLOTS = 16_384


class Archive:
    """An archive whose files are all there and belong together.

    Raises
    ------
    JournalError : no archive, an export, a file missing or of another archive, or columns that are not its own.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        head = ColumnFile(_journal_file(self.directory))
        head.close()
        self.manifest, self.messages, files = self._head(head)
        self.incarnations: Any = head.facts.get("incarnations")
        self._files = [self._open(name, rows, head.facts) for name, rows in sorted(files.items())]

    def streams(self) -> list[_Stream]:
        """Every file, to be read once."""
        schema: Schema = parse_schema(
            canonical_json([kind.schema() for kind in self.messages]), self.manifest.slot_size
        )
        named = {message.name: message for message in schema.values()}
        streams = []
        for file in self._files:
            name = file.path.stem
            if name != UNKNOWN_FILE and name not in named:
                raise JournalError(f"{file.path}: the journal has no such message", path=str(file.path))
            columns = MessageColumns(named.get(name), self.manifest.slot_size)
            if not file.schema.equals(columns.schema):
                raise JournalError(
                    f"{file.path}: its columns are not those that to-parquet writes: restore it from a copy",
                    path=str(file.path),
                )
            streams.append(_Stream(file, columns, self.manifest.first_sequence))
        return streams

    def close(self) -> None:
        """Close every file."""
        for file in self._files:
            file.close()

    def _head(self, head: ColumnFile) -> tuple[Manifest, list[MessageType], dict[str, int]]:
        """What the journal's own file says, checked."""
        facts, path = head.facts, head.path
        if facts.get("format") != ARCHIVE_FORMAT or facts.get("version") != ARCHIVE_VERSION:
            raise JournalError(
                f"{path}: {facts.get('format')} version {facts.get('version')}; this program reads "
                f"{ARCHIVE_FORMAT} {ARCHIVE_VERSION}",
                path=str(path),
            )
        if facts.get("selection") is not None:
            raise JournalError(
                f"{self.directory}: an export of some slots only ({_chosen(facts['selection'])}): no journal can be "
                "made of it. Make an archive of the whole journal: to-parquet without a range and without types",
                path=str(path),
            )
        try:
            manifest = decode_manifest(facts["manifest"].encode(), str(path))
            messages, files = declared(facts["messages"]), facts["files"]
            sound = (
                messages is not None
                and manifest.complete
                and manifest.version == VERSION
                and facts["running_hash"] == manifest.running_hash
                and all(_is_file_name(name) and isinstance(rows, int) for name, rows in files.items())
                and sum(files.values()) == manifest.slot_count
            )
        except (KeyError, AttributeError, TypeError, UnicodeEncodeError) as error:
            raise _unsound(path) from error
        if not sound or messages is None:
            raise _unsound(path)
        return manifest, messages, files

    def _open(self, name: str, rows: int, head: dict[str, Any]) -> ColumnFile:
        path = self.directory / name
        if not path.is_file():
            raise JournalError(f"{path}: this file of the archive is missing ({rows} slots)", path=str(path))
        file = ColumnFile(path)
        same = ("format", "version", "running_hash", "selection")
        if [file.facts.get(key) for key in same] != [head.get(key) for key in same]:
            raise JournalError(f"{path}: belongs to another archive: restore it from a copy", path=str(path))
        if file.rows != rows:
            raise CorruptFrameError(f"{path}: holds {file.rows} rows; expected {rows}", path=str(path))
        return file


class _Stream:
    """The rows of one file in their order, taken up to a sequence at a time."""

    def __init__(self, file: ColumnFile, columns: MessageColumns, first_sequence: int) -> None:
        self.path, self._columns = file.path, columns
        self._batches = file.batches()
        self._batch: pa.RecordBatch | None = None
        self._sequences: Sequences = np.empty(0, np.int64)
        self._at = 0
        self._before = first_sequence - 1

    def fill(self, slots: Bytes, seen: Bytes, start: int) -> None:
        """Put every row before the end of a window into it.

        Parameters
        ----------
        slots : (n, slot_size) uint8, the window. Mutated.
        seen : (n,) uint8, how many rows came for each slot. Mutated.
        start : sequence of the first slot

        Raises
        ------
        CorruptFrameError, JournalError : rows in disorder, values missing, or a file that can't be read.
        """
        end = start + len(slots)
        while self._at < len(self._sequences) or self._next():  # bounded: by the rows of the file
            stop = int(np.searchsorted(self._sequences, end))
            if stop > self._at:
                assert self._batch is not None
                where = self._sequences[self._at : stop] - start
                try:
                    self._columns.fill(self._batch.slice(self._at, stop - self._at), slots, where)
                except CorruptFrameError as error:
                    raise CorruptFrameError(f"{self.path}: {error}", path=str(self.path)) from error
                seen[where] += 1
                self._at = stop
            if stop < len(self._sequences):
                return

    def _next(self) -> bool:
        """Go on to the next batch; False at the end of the file."""
        batch = next(self._batches, None)
        while batch is not None and not len(batch):  # bounded: by the batches of the file
            batch = next(self._batches, None)
        if batch is None:
            return False
        with arrow_errors(self.path):
            sequences: Sequences = batch.column(0).to_numpy(zero_copy_only=False)
        before = np.concatenate(([self._before], sequences[:-1]))
        wrong = np.flatnonzero(~(sequences > before))
        if len(wrong):
            raise CorruptFrameError(
                f"{self.path}: sequence {sequences[wrong[0]]} follows {before[wrong[0]]}: rows were added or moved",
                path=str(self.path),
            )
        self._batch, self._sequences, self._at = batch, sequences, 0
        self._before = int(sequences[-1])
        return True


def from_columns(
    archive: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make the journal that an archive was made of, byte for byte.

    Parameters
    ----------
    archive : what `to_columns` wrote, whole; Parquet or Arrow
    directory : a directory that is new or empty; appears when the journal is whole, and is that of the archive

    Returns
    -------
    dict : `journal, slots, first_sequence, last_sequence, segments, running_hash`

    Raises
    ------
    JournalError : no archive, an export, a file that is missing or can't be read.
    CorruptFrameError : the archive was changed: it gives another journal, or none.
    """
    with ExitStack() as stack:
        opened = Archive(archive)
        stack.callback(opened.close)
        staged = stack.enter_context(staged_directory(Path(directory)))
        manifest = _write(opened, staged, progress)
        if encode_manifest(manifest) != encode_manifest(opened.manifest):
            raise CorruptFrameError(_difference(opened, manifest), path=str(archive))
        if opened.incarnations is not None:
            _put_incarnations(staged, opened)
    return {
        "journal": str(directory),
        "slots": manifest.slot_count,
        "first_sequence": manifest.first_sequence,
        "last_sequence": manifest.last_sequence,
        "segments": len(manifest.segments),
        "running_hash": manifest.running_hash,
    }


def _write(archive: Archive, directory: Path, progress: Progress | None) -> Manifest:
    """The journal that the rows give, whatever it is."""
    stored, streams = archive.manifest, archive.streams()
    with JournalWriter(
        directory,
        slot_size=stored.slot_size,
        messages=archive.messages,
        identity=stored.identity,
        settings=stored.settings,
        segment_bytes=stored.segment_bytes,
        frame_slots=stored.frame_slots,
    ) as writer:
        for start in range(stored.first_sequence, stored.last_sequence + 1, WINDOW_SLOTS):
            count = min(WINDOW_SLOTS, stored.last_sequence + 1 - start)
            slots, seen = np.zeros((count, stored.slot_size), np.uint8), np.zeros(count, np.uint8)
            for stream in streams:
                stream.fill(slots, seen, start)
            if not (seen == 1).all():
                raise _not_once(archive, seen, start)
            writer.append(slots, start)
            if progress is not None:
                progress(start + count - stored.first_sequence, stored.slot_count)
        return writer.finish(stored.summary)


def _put_incarnations(directory: Path, archive: Archive) -> None:
    """Of a recording: who wrote from which sequence on. The file holds a checksum of itself."""
    try:
        Storage(directory).replace(INCARNATIONS_NAME, archive.incarnations.encode())
        load_incarnations(directory)
    except (AttributeError, UnicodeEncodeError, JournalError) as error:
        raise CorruptFrameError(f"{archive.directory}: its incarnations were changed") from error


def _not_once(archive: Archive, seen: Bytes, start: int) -> CorruptFrameError:
    at = int(np.flatnonzero(seen != 1)[0])
    what = "no file has it: a row is missing" if not seen[at] else f"{seen[at]} files have it"
    return CorruptFrameError(f"{archive.directory}: sequence {start + at}: {what}", sequence=start + at)


def _difference(archive: Archive, manifest: Manifest) -> str:
    """What the archive gives instead of what it says."""
    pairs = zip(archive.manifest.segments, manifest.segments, strict=False)
    wrong = next((stored for stored, made in pairs if stored.running_hash != made.running_hash), None)
    where = (
        "its metadata"
        if wrong is None
        else f"a value of sequences {wrong.first_sequence} to {max(wrong.end_sequence - 1, 0)}"
    )
    return (
        f"{archive.directory}: {where} was changed: the running hash is {manifest.running_hash}, and that of the "
        f"journal is {archive.manifest.running_hash}. No journal was made"
    )


def _journal_file(directory: Path) -> Path:
    for kind in FORMATS:
        path = directory / f"{JOURNAL_FILE}.{kind}"
        if path.is_file():
            return path
    raise JournalError(
        f"{directory}: no archive here ({JOURNAL_FILE}.parquet is missing)", path=str(directory)
    )


def _is_file_name(name: str) -> bool:
    return "/" not in name and "\0" not in name and name.rpartition(".")[2] in FORMATS


def _chosen(selection: Any) -> str:
    parts = selection.items() if isinstance(selection, dict) else ()
    return ", ".join(f"{name} {value}" for name, value in parts if value not in (None, [])) or "unknown"


def _unsound(path: Path) -> JournalError:
    return JournalError(
        f"{path}: what it says of the journal makes no sense: restore it from a copy", path=str(path)
    )
