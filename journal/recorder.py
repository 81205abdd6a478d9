"""Recording: slots are durable batch by batch as they come, and the journal that results is an import's.

    write ──► a whole frame at once ─────────────────────────────► segment, durable
         └──► less: tail, durable ──► when its frame is full ────► segment, on a helper thread

The recorder is the one writer of its directory; the kernel frees its lock if it dies. What it acknowledges, by
returning from `write`, is on the device. Files are made ahead of need by another helper thread: a segment when the
one before is half full, a tail too. Only where the disk is full does a write wait for that, and raise; then nothing of
it is acknowledged, nothing is lost, and the same call goes on when there is space again.

Who opens a recording that is there goes on with it: what was provably torn is blanked (and named in `cuts`), frames
whose slots are only in tails are written into segments, and a new incarnation begins. Damage is never written over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.direct import DirectStorage, aligned
from disruptor.journal.directory import claim_recording
from disruptor.journal.files_ahead import FilesAhead
from disruptor.journal.incarnations import Incarnation, load_incarnations, store_incarnations
from disruptor.journal.layout import (
    BLOCK_SIZE,
    DEFAULT_FRAME_SLOTS,
    DEFAULT_SEGMENT_BYTES,
    FRAME_HEADER_SIZE,
    Bytes,
    canonical_json,
    check_geometry,
    frame_size,
    segment_name,
)
from disruptor.journal.manifest import COMPLETE, MANIFEST_NAME, RECORDING, Manifest, encode_manifest
from disruptor.journal.problem import Problem
from disruptor.journal.recordable import check_slots, whole_frames
from disruptor.journal.salvage import SLOT_LIMIT
from disruptor.journal.segment import SegmentWriter
from disruptor.journal.sink import JournalSink
from disruptor.journal.standing import Standing, find_standing
from disruptor.journal.storage import reported
from disruptor.journal.tail import (
    KIND_TAIL_FOLLOWED,
    KIND_TAIL_STOPPED,
    TailHeader,
    tail_frame_size,
    tail_name,
    tail_number,
)
from disruptor.journal.tail_writer import TailWriter, blank_behind, close_torn
from disruptor.journal.writer import journal_schema, manifest_of
from disruptor.message import MessageType

#: Frames that may wait for the helper thread.
_FRAMES_BEHIND = 2
#: Bytes of a tail, where frames are not larger.
_TAIL_BYTES = 8 << 20


class Recorder:
    """The one writer of a recording.

    Parameters
    ----------
    directory : created if missing; else empty, or holding a recording of the same messages, identity and settings
    messages, identity, settings, slot_size, frame_slots, segment_bytes : as of `JournalWriter`
    first_sequence : of a new recording
    storage : file operations, replaced by tests

    Attributes
    ----------
    next_sequence : the first that is not durable
    incarnation : of this recorder, from 1
    cuts : what an earlier writer left torn, and was blanked; none of it was acknowledged

    Raises
    ------
    JournalError : another writer, a finished journal, other files, another recording, damage, or an I/O error.
    """

    def __init__(
        self,
        directory: str,
        *,
        messages: Sequence[MessageType],
        identity: dict[str, Any],
        settings: dict[str, Any],
        slot_size: int = 192,
        frame_slots: int = DEFAULT_FRAME_SLOTS,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        first_sequence: int = 0,
        storage: DirectStorage | None = None,
    ) -> None:
        check_geometry(slot_size, frame_slots)
        if slot_size > SLOT_LIMIT:
            raise JournalError(f"journal: slots of {slot_size} bytes; a recording takes up to {SLOT_LIMIT}")
        self._storage = storage or DirectStorage(directory)
        self._slot_size, self._frame_slots = slot_size, frame_slots
        self._facts = (dict(identity), dict(settings))
        self._schema = journal_schema(messages, slot_size)
        content = canonical_json({"identity": identity, "settings": settings})
        geometry = {"slot_size": slot_size, "frame_slots": frame_slots, "segment_bytes": segment_bytes}
        self._sink = JournalSink(self._storage, self._schema, content, geometry)
        self._sink.first_sequence = first_sequence
        self._canonical = ThreadPoolExecutor(1, "journal-frames")
        self._ahead = FilesAhead(self._storage)
        self._behind: deque[tuple[Future[None], Bytes]] = deque()
        self._frames = [aligned(frame_size(frame_slots, slot_size)) for _ in range(_FRAMES_BEHIND + 1)]
        self._frame, self._filled = self._frames.pop(), 0
        self._staging = aligned(tail_frame_size(frame_slots * slot_size))
        #: Room for some flushes of a whole frame, or as many of a slot as two frames have, up to a limit.
        largest = 2 * BLOCK_SIZE + 2 * tail_frame_size(frame_slots * slot_size)
        self._tail_size = max(largest, min(BLOCK_SIZE * (2 + 2 * frame_slots), _TAIL_BYTES))
        self._tail: TailWriter | None = None
        self._tail_number, self._tail_hash, self._old_tails = 0, bytes(32), list[tuple[str, int]]()
        self._failed: BaseException | None = None
        self.cuts: list[Problem] = []
        self._lock: int | None = None
        self._opened = False
        self._open(manifest_of(RECORDING, self._sink, self._schema, *self._facts, {}))

    @property
    def is_direct(self) -> bool | None:
        """Whether files are written past the page cache; None until the first was made."""
        return self._storage.is_direct

    def _open(self, begun: Manifest) -> None:
        self._lock, found = claim_recording(self._storage, begun)
        try:
            if found is None:
                with reported(self._storage.path(MANIFEST_NAME), "writing the manifest"):
                    self._storage.replace(MANIFEST_NAME, encode_manifest(begun))
                self.next_sequence = begun.first_sequence
                standing = Standing(begun.first_sequence)
            else:
                content = canonical_json({"identity": begun.identity, "settings": begun.settings})
                standing = find_standing(self._storage, found, self._schema, content)
                self._take_over(standing)
            past = load_incarnations(self._storage.directory)
            number = max([standing.incarnation, *(one.number for one in past)]) + 1
            cuts = tuple(str(cut) for cut in self.cuts)
            self.incarnation = number
            now = Incarnation(number=number, first_sequence=self.next_sequence, cuts=cuts)
            self._have_segment()
            self._sink.begin()
            self._begin_tail()
            # Behind its tail, so that an incarnation without one has lost it.
            store_incarnations(self._storage, [*past, now])
            self._opened = True
        except BaseException:
            self.close(mark=False)
            raise

    def _take_over(self, standing: Standing) -> None:
        """Go on where another writer stopped."""
        if standing.damage:
            raise JournalError(
                f"{self._storage.directory}: {standing.damage[0]}. This is damage, not the trace of an interruption: "
                f"restore the file from a copy, or see what can be kept with "
                f"`disruptor journal repair {self._storage.directory}`",
                path=str(self._storage.directory),
            )
        storage, sink = self._storage, self._sink
        for name in standing.spares:
            storage.remove(name)
        segment = None
        if standing.open is not None:
            at = standing.open
            segment = SegmentWriter.reopened(
                storage,
                at.name,
                at.first_sequence,
                at.frame_count,
                self._frame_slots,
                at.running_hash,
                at.offset,
            )
            if any(cut.segment == at.name for cut in standing.cuts):
                segment.blank(partial(blank_behind, storage))
        sink.resume(standing.first_sequence, standing.entries, segment)
        for tail in standing.tails:
            self._tail_hash = tail.running_hash
            if not tail.is_closed:
                place = (tail.offset, tail.end_sequence, tail.running_hash)
                self._tail_hash = close_torn(storage, tail.header, *place)
            self._old_tails.append((tail.header.name, tail.end_sequence))
            self._tail_number = tail.header.number + 1
        self.cuts = list(standing.cuts)
        self._refill(standing)
        self.next_sequence = standing.end

    def _refill(self, standing: Standing) -> None:
        """Frames whose slots are all in tails go into segments; the rest is the beginning of the next frame."""
        slots = standing.slots
        while len(slots) >= self._frame_slots:
            self._copy(slots[: self._frame_slots])
            self._have_segment()
            self._sink.write(self._frame, self._frame_slots)
            self._filled, slots = 0, slots[self._frame_slots :]
        self._copy(slots)

    def write(self, slots: Bytes) -> None:
        """Make slots durable; `next_sequence` says how far that came, also where this raises.

        Parameters
        ----------
        slots : (n, slot_size) uint8, the first of sequence `next_sequence`

        Raises
        ------
        JournalError : an I/O error. With errno ENOSPC or EDQUOT among its facts the rest may be written later.
        """
        assert slots.dtype == np.uint8 and slots.shape[1:] == (self._slot_size,)
        check_slots(slots, self.next_sequence)
        first, done = self.next_sequence, 0
        while done < len(slots):  # bounded: each turn makes at least a slot durable, or raises
            if self._failed is not None:
                raise self._failed
            rest = slots[done:]
            whole = 0 if self._filled else whole_frames(rest, self._frame_slots)
            if whole:
                self._write_frames(rest[: whole * self._frame_slots])
            else:
                self._write_tail(rest[: self._frame_slots - self._filled])
            done = self.next_sequence - first
        self._reclaim(wait=False)

    def _write_frames(self, slots: Bytes) -> None:
        """Whole frames, straight into segments: one is sealed while the one before is written."""
        self._reclaim(wait=True)
        writing: Future[None] | None = None
        try:
            for start in range(0, len(slots), self._frame_slots):
                if self._sink.needs_segment:
                    self._await_frame(writing)
                    writing = None
                    self._have_segment()
                self._copy(slots[start : start + self._frame_slots])
                self._filled, frame = 0, self._frame
                write = self._sink.seal(frame, self._frame_slots)
                self._await_frame(writing)
                writing = self._canonical.submit(write)
                self._frames.insert(0, frame)
                self._frame = self._frames.pop()
        finally:
            self._await_frame(writing)
        if self._sink.is_half_full:
            self._ahead.prepare(*self._next_segment())

    def _await_frame(self, writing: Future[None] | None) -> None:
        """A frame is on the device."""
        if writing is None:
            return
        try:
            writing.result()
        except BaseException as error:
            self._failed = error
            raise
        self.next_sequence += self._frame_slots

    def _write_tail(self, slots: Bytes) -> None:
        self._renew_tail(len(slots))
        assert self._tail is not None
        self._tail.append(slots, self.next_sequence)
        self._copy(slots)
        self.next_sequence += len(slots)
        if self._filled == self._frame_slots:
            while len(self._behind) >= _FRAMES_BEHIND:
                self._reclaim(wait=True)
            self._behind.append((self._canonical.submit(self._settle_frame, self._frame), self._frame))
            self._frame, self._filled = self._frames.pop(), 0
        if self._tail.is_half_full:
            self._ahead.prepare(tail_name(self._tail_number), self._tail_size)

    def _settle_frame(self, frame: Bytes) -> None:
        """Write a full frame into its segment. On the helper thread, or while that is idle."""
        self._have_segment()
        try:
            self._sink.write(frame, self._frame_slots)
        except BaseException as error:
            self._failed = error
            raise
        if self._sink.is_half_full:
            self._ahead.prepare(*self._next_segment())

    def _copy(self, slots: Bytes) -> None:
        start = FRAME_HEADER_SIZE + self._filled * self._slot_size
        self._frame[start : start + slots.size].reshape(slots.shape)[:] = slots
        self._filled += len(slots)

    def _reclaim(self, *, wait: bool) -> None:
        """Take back the buffers of frames that are in their segments; remove the tails that they were in."""
        while self._behind and (wait or self._behind[0][0].done()):
            future, frame = self._behind[0]
            try:
                future.result()
            except JournalError:
                if self._failed is None:  # no space for a segment: it is asked for again
                    self._behind[0] = self._canonical.submit(self._settle_frame, frame), frame
                raise
            self._behind.popleft()
            self._frames.append(frame)
        end = self._sink.first_sequence + self._sink.slot_count
        while not self._behind and self._old_tails and self._old_tails[0][1] <= end:
            with reported(str(self._storage.directory), "removing a tail"):
                self._storage.remove(self._old_tails.pop(0)[0])

    def _renew_tail(self, slots: int) -> None:
        """See that a flush of so many slots fits the tail."""
        if self._tail is not None and not self._tail.has_room(slots):
            self._ahead.have(tail_name(self._tail_number), self._tail_size)
            old = self._tail
            old.close(KIND_TAIL_FOLLOWED)
            self._tail_hash = old.running_hash
            self._old_tails.append((old.header.name, old.next_sequence))
            self._tail = None
        if self._tail is None:
            self._begin_tail()

    def _begin_tail(self) -> None:
        self._ahead.have(tail_name(self._tail_number), self._tail_size, hurry=self._opened)
        header = TailHeader(
            slot_size=self._slot_size,
            first_sequence=self.next_sequence,
            incarnation=self.incarnation,
            number=self._tail_number,
            seed=self._tail_hash,
            size=self._tail_size,
        )
        self._tail = TailWriter(self._storage, header, self._staging)
        self._tail_number += 1

    def _have_segment(self) -> None:
        """Have the file of the segment that the next frame begins, if it begins one."""
        if self._sink.needs_segment:
            self._ahead.have(*self._next_segment(), hurry=self._opened)

    def _next_segment(self) -> tuple[str, int]:
        return segment_name(self._sink.next_segment), self._sink.geometry["segment_bytes"]

    def finish(self, summary: dict[str, Any]) -> Manifest:
        """Write the journal's end and mark it complete: from now on it is as if imported, and nobody goes on with it.

        Parameters
        ----------
        summary : counts for the manifest, plain JSON
        """
        canonical_json(summary)
        self._reclaim(wait=True)
        if self._filled or self._sink.slot_count == 0:
            self._have_segment()
        if self._filled:
            self._sink.write(self._frame, self._filled)
        self._sink.finish()
        self._ahead.stop()
        manifest = manifest_of(COMPLETE, self._sink, self._schema, *self._facts, dict(summary))
        with reported(self._storage.path(MANIFEST_NAME), "writing the manifest"):
            self._ahead.drop()
            self._storage.sync_directory()
            self._storage.replace(MANIFEST_NAME, encode_manifest(manifest))
            if self._tail is not None:
                self._tail.close(None)
                self._tail = None
            for name in self._storage.names():
                if tail_number(name) is not None:
                    self._storage.remove(name)
        self.close(mark=False)
        return manifest

    def close(self, *, mark: bool = True) -> None:
        """Stop writing and give up the lock. With `mark` the recording counts as cleanly closed."""
        self._ahead.stop()
        self._canonical.shutdown(wait=True)
        failed, self._failed = self._failed, JournalError("journal: this recorder is closed")
        try:
            if self._tail is not None:
                self._tail.close(KIND_TAIL_STOPPED if mark and failed is None else None)
        finally:
            self._tail = None
            self._sink.close()
            self._ahead.drop()
            if self._lock is not None:
                lock, self._lock = self._lock, None
                self._storage.close(lock)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(mark=error is None)
