"""Snapshots of a running engine: the loop stops for a copy of the rows in use, a thread does the rest.

    loop    ... events │ copy rows │ events ...          the pause: `longest_pause`
    thread             └──► until the journal has the event and its outputs have left ──► write, sync, remove old ones

A snapshot is never ahead of the journal, nor of what was released: it is written when the last event that it includes
is on the device, and nothing that it or events before it caused is still held. What goes on from the snapshot could not
make that again.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from disruptor.engine.live_ring import LiveRing
from disruptor.errors import DisruptorError
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.processor import Processor
from disruptor.replay.restore import RunIdentity, facts_of
from disruptor.state_image import StateImage, copy_rows

_LOOK_SECONDS = 0.001


class SnapshotTaker:
    """Takes a snapshot every so many events, unless one is still being written.

    Parameters
    ----------
    every : slots between two; 0 takes none
    keep : how many stay

    Attributes
    ----------
    taken : written so far; `problems` : what went wrong with others. longest_pause : seconds
    """

    def __init__(
        self,
        store: SnapshotStore,
        processor: Processor,
        identity: RunIdentity,
        live: LiveRing,
        *,
        every: int,
        keep: int,
    ) -> None:
        self._store, self._processor, self._identity, self._live = store, processor, identity, live
        self._every, self._keep = every, keep
        self._next = -1
        self._writing: Future[None] | None = None
        self._helper = ThreadPoolExecutor(1, "snapshot")
        # The same memory for every copy: only what the first one touches is faulted in, in its pause.
        self._buffer = np.empty(processor.state.nbytes if every else 0, np.uint8)
        self._closing = False
        self.taken, self.longest_pause = 0, 0.0
        self.problems: list[str] = []

    def after(self, last: int, slot: npt.NDArray[np.uint8]) -> None:
        """Look whether it is time. Called by the loop between two events.

        Parameters
        ----------
        last : the sequence processed last; `slot` its (slot_size,) bytes
        """
        if not self._every:
            return
        if self._next < 0:
            self._next = last + self._every
        busy = self._writing is not None and not self._writing.done()
        if last < self._next or busy or not self._processor.between_events:
            return
        self._next = last + self._every
        began = time.perf_counter()
        facts = facts_of(self._processor, self._identity, slot)
        image = copy_rows(self._processor.state, self._buffer)
        self.longest_pause = max(self.longest_pause, time.perf_counter() - began)
        self._writing = self._helper.submit(self._write, image, facts)

    def close(self) -> None:
        """Wait for the one being written; one that waits for the journal is given up."""
        self._closing = True
        self._helper.shutdown(wait=True)

    def _write(self, image: StateImage, facts: SnapshotFacts) -> None:
        while self._live.settled < facts.sequence:
            if self._closing:
                return
            time.sleep(_LOOK_SECONDS)
        try:
            self._store.write(image, facts)
            self._store.prune(self._store.plan(keep=self._keep, code_identity=self._identity.code))
            self.taken += 1
        except DisruptorError as error:
            self.problems.append(str(error))
