"""The input ring of a live engine: a named region that outlives its processes, found by its journal's directory.

The region's name is made of the recording's instance and of the lock file's inode, so it needs no setting, and can't
belong to another recording, nor to a copy of this one. What a killed engine left in it and had not made durable goes
into the journal first: then the ring is gone on with where it was, watermarks included.
"""

from __future__ import annotations

import os
from pathlib import Path

from disruptor.consumer import Consumer
from disruptor.errors import JournalError, RegionError
from disruptor.journal.incarnations import instance_of
from disruptor.journal.recorder import Recorder
from disruptor.journal.storage import LOCK_NAME
from disruptor.layout import plan_region
from disruptor.memory import Region
from disruptor.pages import PagePolicy
from disruptor.region_file import TMPFS, paths
from disruptor.ring_buffer import RingBuffer
from disruptor.watermarks import JOURNALER, PROCESSOR, RELEASER, watermarks


def region_name(journal: str | os.PathLike[str]) -> str:
    """The name of the region of a journal's live engine.

    Raises
    ------
    JournalError : nobody has recorded there.
    """
    instance = instance_of(Path(journal))
    try:
        found = os.stat(Path(journal) / LOCK_NAME)
    except OSError as error:
        raise JournalError(f"{journal}: nobody has recorded here: {error.strerror}") from error
    if instance is None:
        raise JournalError(f"{journal}: nobody has recorded here")
    return f"journal-{instance[:16]}-{found.st_ino:x}"


class LiveRing:
    """The ring and its three consumers.

    Parameters
    ----------
    recorder : of the journal; what a dead engine left in the ring is written through it
    capacity : slots, a power of two
    directory : where regions lie if not on hugetlbfs

    Attributes
    ----------
    ring, journaler, processor, releaser : the parts
    recovered : slots that only the ring had
    released : the last sequence whose outputs had been handed on; None if no ring survived to say so

    Raises
    ------
    RegionError : a living engine owns it, or it is of another geometry.
    """

    def __init__(
        self,
        journal: str,
        recorder: Recorder,
        capacity: int,
        slot_size: int,
        *,
        policy: PagePolicy,
        wait_strategy: str,
        schema_hash: int,
        directory: Path = TMPFS,
    ) -> None:
        name, layout = region_name(journal), plan_region(capacity, slot_size)
        self.recovered = 0
        self.released: int | None = None
        if any(path.exists() for path in paths(name, directory)):
            self.region = Region.adopt(
                name, schema_hash=schema_hash, layout=layout, directory=directory, unlink_on_close=False
            )
            self.ring = RingBuffer(self.region, wait_strategy)
            self._recover(recorder)
        else:
            self.region = Region.create(
                name,
                layout,
                schema_hash=schema_hash,
                policy=policy,
                directory=directory,
                unlink_on_close=False,
            )
            self.ring = RingBuffer(self.region, wait_strategy)
            self.ring.begin_at(recorder.next_sequence)
        self._join(recorder.next_sequence - 1)

    def _recover(self, recorder: Recorder) -> None:
        """Put into the journal what only the ring has."""
        ring, marks = self.ring, watermarks(self.region.block)
        ring.resume_producer()
        first, last = recorder.next_sequence, marks.sequenced
        if first > last + 1 or last - first >= ring.capacity:
            raise RegionError(
                f"{self.region.path}: holds events up to {last}, the journal ends before {first}: they are not of one "
                "engine. Restore the journal, or remove that file to go on without it"
            )
        for span in ring.spans(first, last - first + 1) if last >= first else []:
            recorder.write(ring.slots[span])
        self.recovered = last - first + 1
        self.released = marks.released

    def _join(self, last: int) -> None:
        """Take the places; the first engine joins, a successor resumes them.

        The releaser's is taken by `caught_up`: in a new ring its sequence would say that the past had been released.
        """
        marks = watermarks(self.region.block)
        self.journaler = self._place(JOURNALER, marks.synced)
        self.processor = self._place(PROCESSOR, marks.processed)
        self.releaser = None if marks.released is None else self._place(RELEASER, marks.released)
        self.journaler.move(last)

    def _place(self, place: int, mark: int | None) -> Consumer:
        ring, block, after = self.ring, self.region.block, (PROCESSOR,) if place == RELEASER else ()
        if mark is not None:
            return Consumer.resume(block, place, ring.strategy, after)
        consumer = Consumer.join(block, ring.strategy, after)
        assert consumer.number == place
        return consumer

    def caught_up(self, last: int) -> None:
        """Everything up to `last` was processed, and its outputs handed on or given up."""
        self.processor.move(last)
        if self.releaser is None:
            self.releaser = self._place(RELEASER, None)
        self.releaser.move(last)

    def released_to(self, sequence: int) -> None:
        """Outputs of events up to `sequence` were handed on."""
        if self.releaser is not None and sequence > self.releaser.sequence:
            self.releaser.commit(sequence)

    @property
    def settled(self) -> int:
        """Up to where events are on the device and their outputs handed on."""
        return -1 if self.releaser is None else min(self.journaler.sequence, self.releaser.sequence)

    def leave(self) -> None:
        """Stop using the ring; what only it holds waits for the next engine of this journal."""
        marks = watermarks(self.region.block)
        unused = self.released is None and self.releaser is None and not self.recovered
        if unused or marks.sequenced == marks.synced == marks.released:
            self.remove()
        else:
            self.region.give_up()

    def remove(self) -> None:
        """Everything is in the journal: the region is not needed any more."""
        self.region.unlink_on_close = True
        self.region.close()
