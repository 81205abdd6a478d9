"""How a recording stands: what its segments and tails hold together, found without changing anything.

    segments  ████ ████ ████ ██░  ◄─ the last frame may be torn: its slots are in a tail, or were never acknowledged
    tails               ▌▌▌▌ ▌▌▐▌▌ ▌▌▐  ◄─ the last flush may be torn
              ──────────────────────────► end: the first sequence that is in neither

Only what a writer needs in order to go on is read: the end marks of closed segments, the last segment's frames, all
tails. Whether every byte is right is `journal verify`'s question.

What is provably torn is a cut; whatever else is wrong is damage, and nobody writes on behind damage.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.head import load_head
from disruptor.journal.incarnations import load_incarnations
from disruptor.journal.layout import (
    BLOCK_SIZE,
    HASH_SIZE,
    KIND_SEGMENT_END,
    KIND_SLOTS,
    Bytes,
    frames_per_segment,
    seal_segment_header,
    seed_hash,
)
from disruptor.journal.manifest import Manifest, SegmentEntry
from disruptor.journal.problem import Problem
from disruptor.journal.salvage import FoundFrame, FrameWalk, Geometry, RawSegment, SegmentHeader, read_header
from disruptor.journal.storage import Storage
from disruptor.journal.survey import begun_segments, left_segments
from disruptor.journal.tail import (
    CLOSING,
    KIND_TAIL_FOLLOWED,
    TailHeader,
    read_tail_header,
    tail_frame_size,
    tail_frames,
    tail_name,
    tail_names,
)


@dataclass(frozen=True)
class OpenSegment:
    """A segment to be written on: `frame_count` sound frames, the next one at `offset`."""

    name: str
    first_sequence: int
    frame_count: int
    running_hash: bytes
    offset: int


@dataclass(frozen=True)
class FoundTail:
    """A tail and how far it is sound: `end_sequence` would follow at `offset`."""

    header: TailHeader
    end_sequence: int
    offset: int
    running_hash: bytes
    is_closed: bool
    is_torn: bool


@dataclass
class Standing:
    """What was found.

    Attributes
    ----------
    entries : closed segments in order
    open : the segment that is not closed; None where the next frame begins a new one
    running_hash : of all frames in segments
    slots : (n, slot_size) uint8, what tails hold from `segments_end` on
    cuts : what is provably torn, none of it acknowledged
    damage : everything else that is wrong
    spares : files that were prepared and never begun
    suspect : what is wrong with the last frame, until it is known whether tails hold its slots
    """

    first_sequence: int
    entries: list[SegmentEntry] = field(default_factory=list)
    open: OpenSegment | None = None
    running_hash: bytes = bytes(HASH_SIZE)
    segments_end: int = 0
    slots: Bytes = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    tails: list[FoundTail] = field(default_factory=list)
    cuts: list[Problem] = field(default_factory=list)
    damage: list[Problem] = field(default_factory=list)
    spares: list[str] = field(default_factory=list)
    suspect: Problem | None = None

    @property
    def end(self) -> int:
        """The first sequence that the journal does not hold."""
        return self.segments_end + len(self.slots)

    @property
    def incarnation(self) -> int:
        """The highest of any tail; 0 if there is none."""
        return max((tail.header.incarnation for tail in self.tails), default=0)

    @property
    def is_closed(self) -> bool:
        """Whether its last writer said that it was done."""
        return not (self.cuts or self.damage) and all(tail.is_closed for tail in self.tails[-1:])


def find_standing(storage: Storage, manifest: Manifest, schema: bytes, identity: bytes) -> Standing:
    """Look at a recording. Its writer must be gone, or what is found may be no more than a moment's truth.

    Parameters
    ----------
    schema, identity : canonical JSON, as every segment's header has to hold them
    """
    standing = Standing(manifest.first_sequence, segments_end=manifest.first_sequence)
    names, head = storage.names(), load_head(storage.directory)
    if head is not None:
        standing.first_sequence, standing.segments_end = head.journal_first_sequence, head.first_sequence
        standing.entries, standing.running_hash = list(head.segments), head.chain
    begun = begun_segments(storage.directory, head)
    standing.spares += sorted(set(left_segments(storage.directory, head)) - set(begun))
    _find_segments(standing, storage, manifest, begun, (schema, identity))
    _find_tails(standing, storage.directory, manifest.slot_size, tail_names(names))
    _settle_suspect(standing, manifest.frame_slots)
    newest = max((one.number for one in load_incarnations(storage.directory)), default=0)
    if newest > standing.incarnation:
        standing.damage.append(Problem(f"the tail of incarnation {newest} is missing"))
    return standing


def _find_segments(
    standing: Standing, storage: Storage, manifest: Manifest, names: list[str], content: tuple[bytes, bytes]
) -> None:
    geometry = Geometry(
        manifest.header_size, manifest.slot_size, manifest.frame_slots, manifest.segment_bytes
    )
    for number, name in enumerate(names, len(standing.entries)):
        if standing.open is not None:
            standing.damage.append(Problem("a segment follows one that is not closed", name))
            return
        try:
            with closing(RawSegment(storage.directory / name)) as raw:
                header = read_header(raw)
                wrong = _header_fault(standing, header, geometry, number, name, content)
                if wrong is None:
                    _find_end(standing, raw, header, name, last=name == names[-1])
                else:
                    standing.damage.append(Problem(wrong, name, 0))
        except JournalError as error:
            standing.damage.append(Problem(str(error), name, 0))
        if standing.damage:
            return


def _header_fault(
    standing: Standing,
    header: SegmentHeader,
    geometry: Geometry,
    number: int,
    name: str,
    content: tuple[bytes, bytes],
) -> str | None:
    if number == 0:
        standing.first_sequence = standing.segments_end = header.first_sequence
    expected = seal_segment_header(
        *content,
        slot_size=geometry.slot_size,
        frame_slots=geometry.frame_slots,
        segment_bytes=geometry.segment_bytes,
        segment_number=number,
        first_sequence=standing.segments_end,
        chain=np.frombuffer(standing.running_hash, np.uint8),
    )
    if header.seed == seed_hash(expected) and int(name[:20]) == standing.segments_end:
        return None
    return "segment header: it does not follow from the segment before, or is another journal's"


def _find_end(standing: Standing, raw: RawSegment, header: SegmentHeader, name: str, *, last: bool) -> None:
    """Where the frames of a segment end, and whether an end mark says so."""
    geometry, first = header.geometry, header.first_sequence
    walk = FrameWalk(raw, geometry, first, header.seed)
    fits = frames_per_segment(geometry.segment_bytes, geometry.header_size, geometry.full_frame_size)
    running, count = header.seed, 0
    found: FoundFrame | None = None
    # Of a full segment only the last frame and the end mark are read, of the last one the last two frames.
    extent = walk.extent()
    written = (extent - geometry.header_size) // geometry.full_frame_size + 1 if extent >= 0 else 0
    count = max(0, min(written, fits) - 2)
    if count:
        before = walk.stored_hash(count - 1)
        running = header.seed if before is None else before
    while count <= fits:  # bounded: each turn is a frame
        offset = geometry.header_size + count * geometry.full_frame_size
        found = walk.load(count, offset, first + count * geometry.frame_slots, running)
        if found.payload is None or found.is_end or found.count < geometry.frame_slots:
            break
        running, count = found.stored_hash or b"", count + 1
    assert found is not None
    standing.segments_end = first + count * geometry.frame_slots
    if found.is_end and found.payload is not None and found.kind == KIND_SEGMENT_END:
        standing.running_hash = found.stored_hash or b""
        size = found.offset + BLOCK_SIZE
        slots = count * geometry.frame_slots
        standing.entries.append(
            SegmentEntry(
                name=name,
                first_sequence=first,
                slot_count=slots,
                size=size,
                running_hash=standing.running_hash.hex(),
            )
        )
        return
    standing.running_hash = running
    standing.open = OpenSegment(name, first, count, running, found.offset)
    place = (name, found.offset, count, standing.segments_end)
    if found.payload is not None:  # a short frame, or the end mark behind none
        standing.cuts.append(Problem("the journal's end was being written", *place))
    elif found.is_unwritten:
        if not last:
            standing.damage.append(Problem("the end mark is missing", *place))
    elif found.torn and last and written <= count + 1:
        standing.cuts.append(
            Problem(f"torn: the last frame was written only in part ({found.fault})", *place)
        )
    elif last and written <= count + 1:
        standing.suspect = Problem(found.fault or "", *place)
    else:
        standing.damage.append(Problem(found.fault or "", *place))


def _settle_suspect(standing: Standing, frame_slots: int) -> None:
    """The last frame is not sound: where tails hold its slots it is written again, else it is damage."""
    suspect = standing.suspect
    if suspect is None:
        return
    if standing.end >= standing.segments_end + frame_slots and not standing.damage:
        standing.cuts.append(suspect)
    else:
        standing.damage.insert(0, suspect)


def _find_tails(standing: Standing, directory: Path, slot_size: int, names: list[str]) -> None:
    """What tails hold behind the segments; they overlap nowhere, and follow from one another."""
    pieces: list[Bytes] = []
    end = standing.segments_end
    for number, name in enumerate(names):
        try:
            with closing(RawSegment(directory / name)) as raw:
                header = read_tail_header(raw)
                if header is None:
                    standing.spares.append(name)
                    continue
                last = all(n in standing.spares or _is_spare(directory, n) for n in names[number + 1 :])
                end = _read_tail(standing, raw, header, slot_size, pieces, end, last=last)
        except JournalError as error:
            standing.damage.append(Problem(str(error), name, 0))
    standing.slots = np.concatenate(pieces) if pieces else np.empty((0, slot_size), np.uint8)


def _read_tail(
    standing: Standing,
    raw: RawSegment,
    header: TailHeader,
    slot_size: int,
    pieces: list[Bytes],
    end: int,
    *,
    last: bool,
) -> int:
    """Add what a tail holds from `end` on; the new end."""
    name, sequence, offset, running = header.name, header.first_sequence, BLOCK_SIZE, header.seed
    closed = followed = torn = False
    if header.slot_size != slot_size or sequence > end:
        standing.damage.append(Problem(f"sequence {end} should follow", name, 0, sequence=sequence))
        return end
    past = standing.tails[-1] if standing.tails else None
    if past is not None and past.header.number == header.number - 1 and past.running_hash != header.seed:
        standing.damage.append(Problem("a tail does not follow from the one before", name, 0))
        return end
    for frame in tail_frames(raw, header):
        if frame.payload is None:
            torn = frame.torn and last
            (standing.cuts if torn else standing.damage).append(
                Problem(
                    f"torn: the last flush was written only in part ({frame.fault})"
                    if torn
                    else frame.fault or "",
                    name,
                    frame.offset,
                    None,
                    sequence,
                )
            )
            break
        if frame.first_sequence > end:
            place = (name, frame.offset, None, end, frame.first_sequence - 1)
            standing.damage.append(Problem("these slots are in no segment and in no tail", *place))
            break
        closed, followed = frame.kind in CLOSING, frame.kind == KIND_TAIL_FOLLOWED
        offset += tail_frame_size(frame.payload.size)
        skip = end - frame.first_sequence
        sequence, running = frame.first_sequence + frame.count, frame.running_hash
        if sequence > end:
            pieces.append(frame.payload.reshape(frame.count, slot_size)[skip:].copy())
            end = sequence
    if not (closed or last or torn):
        standing.damage.append(Problem("a tail follows one that is not closed", name, offset))
    standing.tails.append(FoundTail(header, sequence, offset, running, closed, torn))
    if followed and not Path(raw.path).with_name(tail_name(header.number + 1)).exists():
        standing.damage.append(Problem("this tail is missing", tail_name(header.number + 1)))
    return end


def _is_blank(raw: RawSegment) -> bool:
    return not raw.read(np.empty(BLOCK_SIZE, np.uint8), 0).any()


def _is_spare(directory: Path, name: str) -> bool:
    with closing(RawSegment(directory / name)) as raw:
        return _is_blank(raw)


__all__ = ["KIND_SLOTS", "FoundTail", "OpenSegment", "Standing", "find_standing"]
