"""One segment file: the writer that fills it and the reader that believes nothing in it.

A reader never asks the file what it holds: the manifest says which frames a segment has, and from that follow
offset, kind, count and first sequence of each one (`places`). Every frame read is then held against its
place, its checksums and its zeros, so that damaged, swapped, stale or missing frames are all noticed, with
the expected and the actual value. Reads go to a buffer by `preadv`, never through a mapping: a file that
shrinks while it is read is a short read and a clear error, where a mapping would be SIGBUS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.layout import (
    BLOCK_SIZE,
    FRAME_CRC_START,
    FRAME_HEADER_DTYPE,
    FRAME_HEADER_SIZE,
    FRAME_MAGIC,
    KIND_JOURNAL_END,
    KIND_SEGMENT_END,
    KIND_SLOTS,
    SEGMENT_CRC_START,
    SEGMENT_HEADER_DTYPE,
    SEGMENT_MAGIC,
    TOTALS_DTYPE,
    VERSION,
    Bytes,
    blocks,
    crc32c,
    seal_frame,
    seed_hash,
)
from disruptor.journal.manifest import Manifest, SegmentEntry
from disruptor.journal.segment_file import SegmentFile, open_segment
from disruptor.journal.storage import Storage, reported


class SegmentWriter:
    """Writes one segment: header, frames, end mark.

    Parameters
    ----------
    storage : where the file is created
    name : file name
    header : the sealed header, whole blocks
    segment_bytes : bytes to reserve
    """

    def __init__(self, storage: Storage, name: str, header: Bytes, segment_bytes: int) -> None:
        self._storage, self.name, self._path = storage, name, storage.path(name)
        self.frame_count = self.slot_count = 0
        self.running_hash = seed_hash(header)
        self.first_sequence = int(
            header[: SEGMENT_HEADER_DTYPE.itemsize].view(SEGMENT_HEADER_DTYPE)["first_sequence"][0]
        )
        with reported(self._path, f"reserving {segment_bytes} bytes"):
            self._fd: int | None = storage.create(name, segment_bytes)
        self._offset = 0
        try:
            self._write(header)
        except BaseException:
            self.close()
            raise

    @classmethod
    def reopened(
        cls,
        storage: Storage,
        name: str,
        first_sequence: int,
        frame_count: int,
        frame_slots: int,
        running_hash: bytes,
        offset: int,
    ) -> SegmentWriter:
        """Go on in a segment whose first `frame_count` frames, all full, end at `offset`.

        Raises
        ------
        JournalError : the file can't be opened.
        """
        writer = cls.__new__(cls)
        writer._storage, writer.name, writer._path = storage, name, storage.path(name)
        writer.frame_count, writer.slot_count = frame_count, frame_count * frame_slots
        writer.running_hash, writer.first_sequence, writer._offset = running_hash, first_sequence, offset
        with reported(writer._path, "opening the segment"):
            writer._fd = storage.reopen(name)
        if writer._fd is None:
            raise JournalError(f"{writer._path}: the segment is gone", path=writer._path)
        return writer

    def blank(self, blank_behind: Callable[[int, str, int], None]) -> None:
        """Have everything behind the last frame made zero by `blank_behind` (descriptor, name, offset)."""
        assert self._fd is not None
        with reported(self._path, "clearing what was torn", self._offset):
            blank_behind(self._fd, self.name, self._offset)

    def write_frame(self, buffer: Bytes, count: int, slot_size: int) -> None:
        """Seal and write a frame of `count` slots that stand in `buffer` at 64."""
        self._seal_and_write(buffer, KIND_SLOTS, count, count * slot_size)
        self.frame_count += 1
        self.slot_count += count

    def seal_frame(self, buffer: Bytes, count: int, slot_size: int) -> Callable[[], None]:
        """Seal a frame of slots that stand in `buffer` at 64; calling what this returns writes it.

        The next frame may be sealed meanwhile, not written. If the write fails this segment can't be gone on with.
        """
        content = self._seal(buffer, KIND_SLOTS, count, count * slot_size)
        offset, self._offset = self._offset, self._offset + len(content)
        self.frame_count += 1
        self.slot_count += count
        return lambda: self._put(content, offset)

    def finish(self, kind: int, frame_count: int, segment_count: int, journal_first: int) -> SegmentEntry:
        """Write the end mark and say what the segment holds.

        Parameters
        ----------
        kind : KIND_SEGMENT_END or KIND_JOURNAL_END
        frame_count, segment_count : of the journal up to here
        journal_first : the journal's first sequence
        """
        end = self.first_sequence + self.slot_count
        mark = np.zeros(BLOCK_SIZE, np.uint8)
        totals = mark[FRAME_HEADER_SIZE : FRAME_HEADER_SIZE + TOTALS_DTYPE.itemsize].view(TOTALS_DTYPE)
        totals["slot_count"], totals["last_sequence"] = end - journal_first, end - 1
        totals["frame_count"], totals["segment_count"] = frame_count, segment_count
        self._seal_and_write(mark, kind, 0, TOTALS_DTYPE.itemsize)
        return SegmentEntry(
            name=self.name,
            first_sequence=self.first_sequence,
            slot_count=self.slot_count,
            size=self._offset,
            running_hash=self.running_hash.hex(),
        )

    def settle(self) -> None:
        """After `finish`: cut the file to what it holds, put it on the device, close it."""
        assert self._fd is not None
        try:
            with reported(self._path, "syncing the segment", self._offset):
                self._storage.cut(self._fd, self._offset)
                self._storage.sync(self._fd)
        finally:
            self.close()

    def close(self) -> None:
        """Give up the file, finished or not."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._storage.close(fd)

    def _seal_and_write(self, buffer: Bytes, kind: int, count: int, size: int) -> None:
        self._write(self._seal(buffer, kind, count, size))

    def _seal(self, buffer: Bytes, kind: int, count: int, size: int) -> Bytes:
        sequence = self.first_sequence + self.slot_count
        self.running_hash = seal_frame(
            buffer, self.running_hash, kind=kind, count=count, size=size, first_sequence=sequence
        )
        return buffer[: blocks(FRAME_HEADER_SIZE + size)]

    def _write(self, content: Bytes) -> None:
        self._put(content, self._offset)
        self._offset += len(content)

    def _put(self, content: Bytes, offset: int) -> None:
        assert self._fd is not None and len(content) % BLOCK_SIZE == 0
        with reported(self._path, "writing", offset):
            self._storage.write(self._fd, content, offset)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame must lie and what it must hold."""

    segment: int  # index into the manifest's segments
    offset: int
    kind: int
    first_sequence: int
    count: int
    size: int  # payload bytes

    @property
    def disk_size(self) -> int:
        """Bytes on disk, padding included."""
        return blocks(FRAME_HEADER_SIZE + self.size)


def places(manifest: Manifest, segment: int, start_sequence: int) -> Iterator[Place]:
    """Every frame of a segment from the one that holds `start_sequence` on, the end mark last."""
    entry = manifest.segments[segment]
    full = manifest.frame_slots
    skipped = max(0, start_sequence - entry.first_sequence) // full
    offset = manifest.header_size + skipped * manifest.full_frame_size
    for sequence in range(entry.first_sequence + skipped * full, entry.end_sequence, full):
        count = min(full, entry.end_sequence - sequence)
        yield Place(segment, offset, KIND_SLOTS, sequence, count, count * manifest.slot_size)
        offset += manifest.full_frame_size
    last = segment == len(manifest.segments) - 1
    kind = KIND_JOURNAL_END if last else KIND_SEGMENT_END
    yield Place(segment, entry.size - BLOCK_SIZE, kind, entry.end_sequence, 0, TOTALS_DTYPE.itemsize)


class SegmentReader:
    """An open segment of a finished journal, its header checked.

    Attributes
    ----------
    header : all bytes of the header
    schema, identity : the JSON in it
    """

    def __init__(self, directory: str | os.PathLike[str], manifest: Manifest, segment: int) -> None:
        self._manifest, self._segment = manifest, segment
        self._entry = manifest.segments[segment]
        self._path = str(Path(directory) / self._entry.name)
        try:
            self._file: SegmentFile | None = open_segment(self._path)
        except CorruptFrameError as error:
            raise self._corrupt(str(error), 0, self._entry.first_sequence) from error
        except OSError as error:
            raise JournalError(
                f"{self._path}: the segment of sequences {self._entry.first_sequence} to "
                f"{self._entry.end_sequence - 1} can't be opened: {error.strerror or error}",
                segment=self._path,
                sequence=self._entry.first_sequence,
            ) from error
        try:
            self._expect("size of the file", self._entry.size, self._file.size)
            self.header = np.empty(manifest.header_size, np.uint8)
            self._pread(self.header, 0, self._entry.first_sequence)
            self.schema, self.identity = self._check_header()
        except BaseException:
            self.close()
            raise

    def load(self, place: Place, buffer: Bytes) -> Bytes:
        """Read one frame into `buffer`, check all of it, and return its payload (a view)."""
        content = buffer[: place.disk_size]
        self._pread(content, place.offset, place.first_sequence)
        header = content[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)[0]
        at = (place.offset, place.first_sequence)
        self._expect("frame magic", FRAME_MAGIC, int(header["magic"]), *at)
        self._expect(
            "frame header CRC32C",
            int(header["header_crc"]),
            crc32c(content[FRAME_CRC_START:FRAME_HEADER_SIZE]),
            *at,
        )
        self._expect("frame kind", place.kind, int(header["kind"]), *at)
        self._expect("reserved field", 0, int(header["reserved"]), *at)
        self._expect("first sequence", place.first_sequence, int(header["first_sequence"]), *at)
        self._expect("slot count", place.count, int(header["count"]), *at)
        self._expect("payload size", place.size, int(header["payload_size"]), *at)
        payload = content[FRAME_HEADER_SIZE : FRAME_HEADER_SIZE + place.size]
        self._expect("payload CRC32C", int(header["payload_crc"]), crc32c(payload), *at)
        self._expect("non-zero padding", False, bool(content[FRAME_HEADER_SIZE + place.size :].any()), *at)
        if place.kind != KIND_SLOTS:
            self._check_end(header["running_hash"].tobytes().hex(), payload, place)
        return payload

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _check_header(self) -> tuple[bytes, bytes]:
        manifest = self._manifest
        start = SEGMENT_HEADER_DTYPE.itemsize
        header = self.header[:start].view(SEGMENT_HEADER_DTYPE)[0]
        self._expect("segment magic", SEGMENT_MAGIC, int(header["magic"]))
        self._expect(
            "segment header CRC32C", int(header["header_crc"]), crc32c(self.header[SEGMENT_CRC_START:])
        )
        before = (
            bytes(32)
            if self._segment == 0
            else bytes.fromhex(manifest.segments[self._segment - 1].running_hash)
        )
        self._expect("chain of the segment before", before.hex(), header["chain"].tobytes().hex())
        expected = {
            "version": VERSION,
            "header_size": manifest.header_size,
            "slot_size": manifest.slot_size,
            "frame_slots": manifest.frame_slots,
            "segment_bytes": manifest.segment_bytes,
            "segment_number": self._segment,
            "first_sequence": self._entry.first_sequence,
        }
        for name, value in expected.items():
            self._expect(name.replace("_", " "), value, int(header[name]))
        middle = start + int(header["schema_size"])
        end = middle + int(header["identity_size"])
        self._expect("size of the JSON", True, end <= len(self.header))
        self._expect("non-zero padding", False, bool(self.header[end:].any()))
        return self.header[start:middle].tobytes(), self.header[middle:end].tobytes()

    def _check_end(self, running: str, payload: Bytes, place: Place) -> None:
        manifest, at = self._manifest, (place.offset, place.first_sequence)
        totals = payload.view(TOTALS_DTYPE)[0]
        slots = place.first_sequence - manifest.first_sequence
        expected = {
            "slot_count": slots,
            "last_sequence": place.first_sequence - 1,
            "frame_count": -(-slots // manifest.frame_slots),
            "segment_count": self._segment + 1,
        }
        for name, value in expected.items():
            self._expect(f"end mark, {name}", value, int(totals[name]), *at)
        self._expect("end mark, running hash", self._entry.running_hash, running, *at)

    def _pread(self, buffer: Bytes, offset: int, sequence: int) -> None:
        assert self._file is not None
        done = 0
        while done < len(buffer):  # bounded: each turn reads at least a byte or ends the loop
            try:
                got = self._file.read_at(buffer[done:], offset + done)
            except CorruptFrameError as error:
                raise self._corrupt(str(error), offset + done, sequence) from error
            except OSError as error:
                raise JournalError(
                    f"{self._path}, offset {offset + done}, sequence {sequence}: reading failed: "
                    f"{error.strerror or error}",
                    segment=self._path,
                    offset=offset + done,
                    sequence=sequence,
                ) from error
            if got == 0:
                break
            done += got
        self._expect("bytes read", len(buffer), done, offset, sequence)

    def _expect(
        self, what: str, expected: Any, actual: Any, offset: int = 0, sequence: int | None = None
    ) -> None:
        if expected == actual:
            return
        sequence = self._entry.first_sequence if sequence is None else sequence
        what = f"{what}: expected {expected}, found {actual}"
        raise self._corrupt(what, offset, sequence, expected=expected, actual=actual)

    def _corrupt(self, what: str, offset: int, sequence: int, **facts: Any) -> CorruptFrameError:
        return CorruptFrameError(
            f"{self._path}, offset {offset}, sequence {sequence}: {what}. "
            "The journal is damaged here: restore this segment from a copy, or import again.",
            segment=self._path,
            offset=offset,
            sequence=sequence,
            **facts,
        )
