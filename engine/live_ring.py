"""The input ring of a live engine: a named region that outlives its processes, found by its journal's directory.

The region's name is made from the journal's lock file (device and inode), so it needs no setting and can't belong
to another journal. What a killed engine left in it and had not made durable goes into the journal first: then the
ring is gone on with where it was, watermarks included.
"""

from __future__ import annotations

import os
from pathlib import Path

from disruptor.consumer import Consumer
from disruptor.errors import JournalError, RegionError
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
    try:
        found = os.stat(Path(journal) / LOCK_NAME)
    except OSError as error:
        raise JournalError(f"{journal}: no journal here that anyone has written: {error.strerror}") from error
    return f"journal-{found.st_dev:x}-{found.st_ino:x}"


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
        """Take the three places; the first engine joins, a successor resumes them."""
        ring, block = self.ring, self.region.block
        marks = watermarks(block)
        consumers = []
        for place, mark in (
            (JOURNALER, marks.synced),
            (PROCESSOR, marks.processed),
            (RELEASER, marks.released),
        ):
            after = (PROCESSOR,) if place == RELEASER else ()
            if mark is None:
                consumer = Consumer.join(block, ring.strategy, after)
                assert consumer.number == place
            else:
                consumer = Consumer.resume(block, place, ring.strategy, after)
            consumers.append(consumer)
        self.journaler, self.processor, self.releaser = consumers
        self.journaler.move(last)

    def leave(self) -> None:
        """Stop using the ring; what is in it waits for the next engine of this journal."""
        self.region.give_up()

    def remove(self) -> None:
        """Everything is in the journal: the region is not needed any more."""
        self.region.unlink_on_close = True
        self.region.close()
