"""What the writer's helper thread owns: the segment being written, the totals, and the running hash.

One instance belongs to one thread at a time; `disruptor.journal.writer` hands frames over and reads the
totals only when the thread is idle. The first error stays: no frame is written after one that failed.

A finished segment is put on the device by a thread of its own while the next one is written: waiting for a
sync of 256 MB would stop an importer for longer than its buffers reach. At most one segment waits in this
way, and `finish` returns only when all are on the device, so a complete journal is a durable one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.layout import (
    BLOCK_SIZE,
    HASH_SIZE,
    KIND_JOURNAL_END,
    KIND_SEGMENT_END,
    Bytes,
    frame_size,
    frames_per_segment,
    seal_segment_header,
    segment_name,
)
from disruptor.journal.manifest import SegmentEntry
from disruptor.journal.segment import SegmentWriter
from disruptor.journal.storage import Storage


class JournalSink:
    """Writes frames into segments, and segments into a chain.

    Parameters
    ----------
    storage : where the segments go
    schema, identity : the JSON of every segment's header
    geometry : slot_size, frame_slots, segment_bytes
    """

    def __init__(self, storage: Storage, schema: bytes, identity: bytes, geometry: dict[str, int]) -> None:
        self.storage, self.geometry = storage, geometry
        self._schema, self._identity = schema, identity
        self.entries: list[SegmentEntry] = []
        self.first_sequence = self.slot_count = self.frame_count = 0
        self.running_hash = bytes(HASH_SIZE)
        self._segment: SegmentWriter | None = None
        self._syncer = ThreadPoolExecutor(1, "journal-sync")
        self._syncing: Future[None] | None = None
        self._failed: BaseException | None = None
        self.header_size = len(self._header())
        full = frame_size(geometry["frame_slots"], geometry["slot_size"])
        self._frames_per_segment = frames_per_segment(geometry["segment_bytes"], self.header_size, full)
        if self._frames_per_segment < 1:
            least = BLOCK_SIZE + self.header_size + full
            raise JournalError(
                f"journal: a segment of {geometry['segment_bytes']} bytes can't hold one frame: give "
                f"at least {least}"
            )

    def resume(self, first_sequence: int, entries: list[SegmentEntry], segment: SegmentWriter | None) -> None:
        """Go on behind closed segments, and in one that is open. Before anything is written."""
        self.first_sequence, self.entries, self._segment = first_sequence, list(entries), segment
        if entries:
            self.running_hash = bytes.fromhex(entries[-1].running_hash)
        self.slot_count = sum(entry.slot_count for entry in entries)
        self.slot_count += 0 if segment is None else segment.slot_count
        self.frame_count = self.slot_count // self.geometry["frame_slots"]

    def begin(self) -> None:
        """Write the first segment's header, so that a reader knows the messages before there is a frame."""
        if self._segment is None:
            self._begin_segment()

    @property
    def needs_segment(self) -> bool:
        """Whether the next frame begins a segment."""
        return self._segment is None or self._segment.frame_count == self._frames_per_segment

    @property
    def is_half_full(self) -> bool:
        """Whether it is time to prepare the segment after the present one."""
        return self._segment is not None and 2 * self._segment.frame_count >= self._frames_per_segment

    @property
    def next_segment(self) -> int:
        """The first sequence of the segment that comes next."""
        if self._segment is None:
            return self.first_sequence + self.slot_count
        return self._segment.first_sequence + self._frames_per_segment * self.geometry["frame_slots"]

    def write(self, buffer: Bytes, count: int) -> None:
        """Write one frame, into a new segment if the present one is full."""
        try:
            segment = self._segment_for_next()
            segment.write_frame(buffer, count, self.geometry["slot_size"])
            self.slot_count, self.frame_count = self.slot_count + count, self.frame_count + 1
        except BaseException as error:
            self._failed = error
            raise

    def seal(self, buffer: Bytes, count: int) -> Callable[[], None]:
        """As `write`, but calling what this returns does the writing, on any thread, one call after the other.

        Where `needs_segment`, the frame before must have been written.
        """
        try:
            write = self._segment_for_next().seal_frame(buffer, count, self.geometry["slot_size"])
            self.slot_count, self.frame_count = self.slot_count + count, self.frame_count + 1
            return write
        except BaseException as error:
            self._failed = error
            raise

    def _segment_for_next(self) -> SegmentWriter:
        if self._failed is not None:
            raise self._failed
        if self._segment is not None and self._segment.frame_count == self._frames_per_segment:
            self._end_segment(KIND_SEGMENT_END)
        return self._segment or self._begin_segment()

    def finish(self) -> None:
        """End the last segment and the journal. An empty journal has one segment, without frames."""
        if self._segment is None:
            self._begin_segment()
        self._end_segment(KIND_JOURNAL_END)
        self._await_sync()

    def close(self) -> None:
        """Give up the segment being written, once the one before is closed."""
        self._syncer.shutdown(wait=True)
        if self._segment is not None:
            self._segment.close()

    def _header(self) -> Bytes:
        return seal_segment_header(
            self._schema,
            self._identity,
            **self.geometry,
            segment_number=len(self.entries),
            first_sequence=self.first_sequence + self.slot_count,
            chain=np.frombuffer(self.running_hash, np.uint8),
        )

    def _begin_segment(self) -> SegmentWriter:
        name = segment_name(self.first_sequence + self.slot_count)
        self._segment = SegmentWriter(self.storage, name, self._header(), self.geometry["segment_bytes"])
        return self._segment

    def _end_segment(self, kind: int) -> None:
        assert self._segment is not None
        entry = self._segment.finish(kind, self.frame_count, len(self.entries) + 1, self.first_sequence)
        self.entries.append(entry)
        self._await_sync()
        self._syncing = self._syncer.submit(self._segment.settle)
        self.running_hash, self._segment = self._segment.running_hash, None

    def _await_sync(self) -> None:
        """Wait for the segment before; its error, if any, is this journal's."""
        if self._syncing is not None:
            syncing, self._syncing = self._syncing, None
            syncing.result()
