"""The journaler: a consumer of the input ring that makes what is published durable, and lets nobody lap it.

    producer ──► input ring (named, on tmpfs: survives its processes) ──► processor
                     └──► journaler thread ──► recorder ──► device

It drains whatever is there in one flush: the slower the device, the larger the flushes, so it keeps up at any rate
that the device's bandwidth allows. When to flush is a promise to whoever published:

    process   what is published survives the death of any of our processes, because the ring does; it is on the
              device within `LAZY` limits. Power loss takes what was not there yet.
    group     on the device after at most `sync_us` or `sync_bytes`, and the time that one write takes. Power loss
              takes no more than that.
    strict    flushed at once, and outputs are released only when their event is on the device: whatever left the
              engine can be shown and repeated, whatever happens.

None of them survives a device that lies about what it has, or in `process` and `group` the loss of tmpfs.

A full disk is no error: the journaler waits for space and tries again, and meanwhile the ring fills and producers
wait. `stalled` says why. Any other I/O error ends it, and stops the ring: nothing more is sequenced.
"""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from typing import Literal

from disruptor.consumer import Consumer
from disruptor.errors import JournalError, SettingError
from disruptor.journal.recorder import Recorder
from disruptor.ring_buffer import RingBuffer

Mode = Literal["process", "group", "strict"]
MODES: tuple[Mode, ...] = ("process", "group", "strict")
#: Limits of `process`: microseconds and bytes.
LAZY = (10_000, 1 << 20)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_RETRY_SECONDS = 0.05
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Durability:
    """What is promised, see above. `sync_us` and `sync_bytes` are the limits of `group`."""

    mode: Mode = "group"
    sync_us: int = 1_000
    sync_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        """Refuse what can't be promised."""
        if self.mode not in MODES:
            raise SettingError(f"durability: {self.mode!r}; there are {', '.join(MODES)}")
        if self.sync_us < 0 or self.sync_bytes < 1:
            raise SettingError("durability: sync_us must be 0 or more, sync_bytes 1 or more")

    @property
    def limits(self) -> tuple[float, int]:
        """Seconds that the oldest event waits, and bytes that wait, at most."""
        if self.mode == "strict":
            return 0.0, 1
        wait_us, size = LAZY if self.mode == "process" else (self.sync_us, self.sync_bytes)
        return wait_us / 1e6, size


class Journaler:
    """Drains a ring into a recorder, on a thread of its own.

    Parameters
    ----------
    ring : the input ring
    consumer : the journaler's place in it; its sequence is the synced watermark
    recorder : goes on behind that sequence

    Attributes
    ----------
    error : why it ended, or None
    stalled : the sentence that says what it waits for (space), or None
    """

    def __init__(
        self, ring: RingBuffer, consumer: Consumer, recorder: Recorder, durability: Durability
    ) -> None:
        assert consumer.sequence + 1 == recorder.next_sequence
        self._ring, self._consumer, self._recorder = ring, consumer, recorder
        self._longest, self._most = durability.limits
        self._most = min(self._most, ring.capacity * ring.slot_size // 2)
        self.error: BaseException | None = None
        self.stalled: str | None = None
        self.flushes = 0
        self._draining = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journaler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def drain(self) -> None:
        """Make everything that is published durable, and end.

        Raises
        ------
        JournalError : it could not; also where it waits for space, which it does no longer.
        """
        self._draining.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    @property
    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not (self._draining.is_set() and self._consumer.available() == self._consumer.sequence):
                if self._consumer.wait(_LOOK_SECONDS) > self._consumer.sequence:
                    self._gather()
                    self._flush(self._consumer.available())
                elif self._ring.stopped():
                    time.sleep(_RETRY_SECONDS)  # a stopped ring does not wait
        except BaseException as error:
            self.error = error
            self._ring.stop()

    def _gather(self) -> None:
        """Wait until enough is there for a flush, or the oldest has waited long enough."""
        deadline = time.monotonic() + self._longest
        slot_size = self._ring.slot_size
        while not self._draining.is_set():
            waiting = (self._consumer.available() - self._consumer.sequence) * slot_size
            left = deadline - time.monotonic()
            if waiting >= self._most or left <= 0:
                return
            time.sleep(min(left, 0.0005))

    def _flush(self, highest: int) -> None:
        """Make everything up to `highest` durable; wait for space as long as there is none."""
        while self._consumer.sequence < highest:  # each turn makes progress, waits for space, or raises
            first = self._consumer.sequence + 1
            try:
                for span in self._ring.spans(first, highest - first + 1):
                    self._recorder.write(self._ring.slots[span])
                self.stalled = None
            except JournalError as error:
                if error.facts.get("errno") not in _NO_SPACE or self._draining.is_set():
                    raise
                self.stalled = str(error)
            finally:
                if self._recorder.next_sequence - 1 > self._consumer.sequence:
                    self._consumer.commit(self._recorder.next_sequence - 1)
            if self.stalled is not None:
                self._draining.wait(_RETRY_SECONDS)
        self.flushes += 1
