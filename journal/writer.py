"""Bulk writing: slots go in by the batch, a journal of full frames comes out.

    append ──copy──► frame buffer ──full──► one helper thread: CRC32C, SHA-256, pwrite

The caller only copies (0.1-0.2 ns a byte). Hashing and writing take a nanosecond a byte, a quarter of an
importer's time at a million logs a second, and release the GIL: so they run on one helper thread, one frame
after the other, behind `BUFFERS` buffers. When those are full `append` waits: back-pressure, not memory. A
frame is written when it has `frame_slots` slots, never earlier, so the bytes of a journal do not depend on
how the slots were batched, nor on time. Measured in CPU time of all threads, 2-core Zen 4 VM, page cache,
192-byte slots: 0.9-1.0 GB/s, of which SHA-256 is 1.7 GB/s by itself; an importer at a million logs a second
asks for 0.27.

Any error on the helper thread poisons the writer: nothing is written after it, every later call raises it,
and the journal stays marked `importing` (see `disruptor.journal.manifest`).
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

from disruptor.errors import DefinitionError, JournalError
from disruptor.journal.directory import claim, is_segment_name
from disruptor.journal.layout import (
    DEFAULT_FRAME_SLOTS,
    DEFAULT_SEGMENT_BYTES,
    FRAME_HEADER_SIZE,
    VERSION,
    Bytes,
    canonical_json,
    check_geometry,
    frame_size,
)
from disruptor.journal.manifest import (
    COMPLETE,
    FORMAT,
    IMPORTING,
    MANIFEST_NAME,
    Manifest,
    encode_manifest,
)
from disruptor.journal.resume import ResumedStorage
from disruptor.journal.sink import JournalSink
from disruptor.journal.storage import Storage, reported
from disruptor.message import DEFAULT_SLOT_SIZE, HEADER_SIZE, MessageType, check_distinct

#: Frames in flight between the caller and the helper thread, the one being filled included.
BUFFERS = 4


class JournalWriter:
    """The one writer of a new journal.

    Parameters
    ----------
    directory : created if missing; else empty, or holding an unfinished journal and `restart` is set
    slot_size : bytes, a multiple of 64
    messages : every message type whose slots may come, for the schema in each segment's header
    identity : what decided the bytes (sources, code, chain); plain JSON, no wall clock, no paths
    settings : settings that change results; plain JSON
    segment_bytes : a segment is closed before it would outgrow this
    frame_slots : slots of a full frame
    restart : remove the files of an unfinished journal first; a complete one is never touched
    command : what makes the slots (sources, options), plain JSON, noted while the journal is unfinished. An unfinished
        journal of the same command, identity, settings and sizes is gone on with: append all slots from the first on,
        and only what is not there yet is written (see `disruptor.journal.resume`)
    storage : file operations, replaced by tests

    Raises
    ------
    UnfinishedJournalError : another unfinished journal is there and `restart` is not set.
    JournalError : a complete or damaged journal, other files, another writer, or an I/O error.
    DefinitionError : messages that clash or do not fit the slot.

    Invariants
    ----------
    The same slots, messages, identity, settings and sizes give the same bytes, however they were batched.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        slot_size: int = DEFAULT_SLOT_SIZE,
        messages: Sequence[MessageType],
        identity: dict[str, Any],
        settings: dict[str, Any],
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        frame_slots: int = DEFAULT_FRAME_SLOTS,
        restart: bool = False,
        command: dict[str, Any] | None = None,
        storage: Storage | None = None,
    ) -> None:
        check_geometry(slot_size, frame_slots)
        self._schema = journal_schema(messages, slot_size)
        self._identity, self._settings = dict(identity), dict(settings)
        self._sink = JournalSink(
            storage or Storage(directory),
            self._schema,
            canonical_json({"identity": self._identity, "settings": self._settings}),
            {"slot_size": slot_size, "frame_slots": frame_slots, "segment_bytes": segment_bytes},
        )
        self._storage, self._slot_size, self._frame_slots = self._sink.storage, slot_size, frame_slots
        self._next_sequence: int | None = None
        self._filled = 0
        self._failed: BaseException | None = None
        begun = self._manifest(IMPORTING, {} if command is None else {"command": command})
        lock, resumes = claim(self._storage, restart, None if command is None else begun)
        self._lock: int | None = lock
        self._resumed = ResumedStorage(self._storage) if resumes else None
        if self._resumed is not None:
            self._sink.storage = self._resumed
        else:
            self._begin(begun)
        self._frames = [_frame_buffer(frame_slots, slot_size) for _ in range(BUFFERS)]
        self._free, self._frame = self._frames[1:], self._frames[0]
        self._pending: deque[tuple[Future[None], Bytes]] = deque()
        self._helper = ThreadPoolExecutor(1, "journal-write")

    @property
    def slots_kept(self) -> int:
        """Slots that an earlier writer had already written. Final after `finish`."""
        return 0 if self._resumed is None else self._resumed.slots_kept

    def append(self, slots: Bytes, first_sequence: int) -> None:
        """Add slots to the journal.

        Parameters
        ----------
        slots : (n, slot_size) uint8, C-contiguous. Copied before this returns.
        first_sequence : of `slots[0]`, >= 0; the one after the last appended

        Raises
        ------
        JournalError : a gap in the sequences, a finished writer, or an I/O error of an earlier frame.
        """
        assert slots.dtype == np.uint8 and slots.ndim == 2 and slots.shape[1] == self._slot_size
        self._check_open()
        expected = first_sequence if self._next_sequence is None else self._next_sequence
        if first_sequence != expected or first_sequence < 0:
            raise JournalError(
                f"journal: append at sequence {first_sequence}; the next one is {max(expected, 0)}"
            )
        if self._next_sequence is None:
            self._sink.first_sequence = first_sequence
        done = 0
        while done < len(slots):
            step = min(len(slots) - done, self._frame_slots - self._filled)
            start = FRAME_HEADER_SIZE + self._filled * self._slot_size
            target = self._frame[start : start + step * self._slot_size].reshape(step, self._slot_size)
            target[:] = slots[done : done + step]
            self._filled += step
            done += step
            if self._filled == self._frame_slots:
                self._send()
        self._next_sequence = first_sequence + len(slots)

    def finish(self, summary: dict[str, Any]) -> Manifest:
        """Write what is left, put everything on the device, and mark the journal complete.

        Parameters
        ----------
        summary : counts for the manifest (blocks, pools, tokens, chain id, warnings); plain JSON

        Raises
        ------
        JournalError : an I/O error; the journal stays unfinished.
        """
        self._check_open()
        canonical_json(summary)  # refuse what can't be stored before the journal's end is written
        if self._filled:
            self._send()
        try:
            while self._pending:
                self._reclaim()
            self._helper.submit(self._sink.finish).result()
            manifest = self._manifest(COMPLETE, dict(summary))
            with reported(self._storage.path(MANIFEST_NAME), "writing the manifest"):
                self._remove_strays({entry.name for entry in manifest.segments})
                self._storage.sync_directory()
                self._storage.replace(MANIFEST_NAME, encode_manifest(manifest))
        except BaseException as error:
            self._failed = self._failed or error
            raise
        self.close()
        return manifest

    def close(self) -> None:
        """Stop writing and release the lock. Without `finish` before it, the journal stays unfinished."""
        self._failed = self._failed or JournalError("journal: this writer is closed")
        self._helper.shutdown(wait=True, cancel_futures=True)
        self._sink.close()
        self._unlock()

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, begun: Manifest) -> None:
        try:
            with reported(self._storage.path(MANIFEST_NAME), "writing the manifest"):
                self._storage.replace(MANIFEST_NAME, encode_manifest(begun))
        except BaseException:
            self._unlock()
            raise

    def _remove_strays(self, own: set[str]) -> None:
        """Segments that an earlier writer left behind the end."""
        if self._resumed is not None:
            for name in self._storage.names():
                if is_segment_name(name) and name not in own:
                    self._storage.remove(name)

    def _check_open(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _send(self) -> None:
        count, self._filled = self._filled, 0
        self._pending.append((self._helper.submit(self._sink.write, self._frame, count), self._frame))
        if not self._free:
            self._reclaim()
        self._frame = self._free.pop()

    def _reclaim(self) -> None:
        future, buffer = self._pending.popleft()
        try:
            future.result()
        except BaseException as error:
            self._failed = error
            raise
        self._free.append(buffer)

    def _manifest(self, status: str, summary: dict[str, Any]) -> Manifest:
        return manifest_of(status, self._sink, self._schema, self._identity, self._settings, summary)

    def _unlock(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            self._storage.close(lock)


def manifest_of(
    status: str,
    sink: JournalSink,
    schema: bytes,
    identity: dict[str, Any],
    settings: dict[str, Any],
    summary: dict[str, Any],
) -> Manifest:
    """What `journal.json` says of what a sink has written."""
    return Manifest(
        format=FORMAT,
        version=VERSION,
        status=status,
        header_size=sink.header_size,
        **sink.geometry,
        first_sequence=sink.first_sequence,
        last_sequence=sink.first_sequence + sink.slot_count - 1,
        slot_count=sink.slot_count,
        frame_count=sink.frame_count,
        running_hash=sink.running_hash.hex(),
        schema_hash=hashlib.sha256(schema).hexdigest(),
        identity=identity,
        settings=settings,
        summary=summary,
        segments=list(sink.entries),
    )


def journal_schema(messages: Sequence[MessageType], slot_size: int) -> bytes:
    """Every message's layout, in type id order."""
    check_distinct(list(messages))
    for kind in messages:
        if HEADER_SIZE + kind.size > slot_size:
            raise DefinitionError(f"message {kind.name}: {kind.size} bytes do not fit a slot of {slot_size}")
    by_id = {kind.type_id: kind.schema() for kind in messages}
    return canonical_json([by_id[type_id] for type_id in sorted(by_id)])


def _frame_buffer(frame_slots: int, slot_size: int) -> Bytes:
    """A page-aligned buffer for one frame."""
    return np.frombuffer(mmap.mmap(-1, frame_size(frame_slots, slot_size)), np.uint8)
