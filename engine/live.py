"""The live engine: one feed in, one processor, a journal that loses nothing, outputs out once.

    feed thread ──► input ring ──► processor (the caller's thread) ──► held outputs ──► release
                        └────────► journaler thread ──► device              ▲
                                          synced watermark ─── strict ──────┘

Opening recovers: the journal's end is made sound, what only the surviving ring holds is appended, the newest snapshot
is loaded and the journal behind it processed again. Outputs made on the way are handed on only from where the last
release stopped: by the released watermark in the ring, or by what the receiver knows itself. If neither is left (a
power loss, and a receiver without memory), nothing of the past is handed on again, and the report counts it: whoever
trades must not trade on it twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from disruptor.engine.live_ring import LiveRing
from disruptor.journal.journaler import Durability, Journaler
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.message import header_dtype
from disruptor.processor import Processor
from disruptor.replay.pipeline import RingWriter, Stopped
from disruptor.watermarks import Watermarks, watermarks

Slots = npt.NDArray[np.uint8]
#: Slots processed between two looks at what may be released.
_PIECE = 1024
_LOOK_SECONDS, _HELD_SECONDS = 0.05, 0.0002


class Position(NamedTuple):
    """Everything before sequence `sequence` was released, and its first `outputs` outputs."""

    sequence: int
    outputs: int


class Receiver(Protocol):
    """Whoever outputs are handed to."""

    def last(self) -> Position | None:
        """Up to where it has received; None if it does not know."""

    def receive(self, outputs: Slots, incarnation: int) -> None:
        """Take (n, slot_size) outputs in order; they are valid during the call only. Returns when it has them."""


@dataclass(frozen=True, kw_only=True)
class LiveReport:
    """How a live run went.

    Attributes
    ----------
    incarnation : of this run's outputs
    resumed_at : the sequence with which it went on
    recovered : slots that an earlier engine had published and only the ring still had
    cuts : what that engine had left torn
    restored_from : sequence of the snapshot that was loaded; None if all was processed again
    released, suppressed : outputs handed on; outputs of the past that had been, or may have been
    in_doubt : of those suppressed, how many may never have been handed on
    """

    incarnation: int
    resumed_at: int
    recovered: int
    cuts: tuple[str, ...]
    restored_from: int | None
    released: int
    suppressed: int
    in_doubt: int
    flushes: int
    direct: bool | None
    watermarks: Watermarks


class LiveEngine:
    """Runs one feed through one processor, and journals it.

    Parameters
    ----------
    journal : directory
    recorder, live : of that journal
    processor : has processed nothing yet
    receiver : takes outputs
    restore : loads the newest snapshot of the past up to a sequence into the processor, and says which; or None
    after : called between two events with the last sequence processed and its slot, for snapshots
    """

    def __init__(
        self,
        journal: str,
        recorder: Recorder,
        live: LiveRing,
        processor: Processor,
        receiver: Receiver,
        durability: Durability,
        restore: Callable[[Processor, int], int | None] | None = None,
        after: Callable[[int, Slots], None] | None = None,
    ) -> None:
        self._journal, self._recorder, self._live, self._processor = journal, recorder, live, processor
        self._receiver, self._strict = receiver, durability.mode == "strict"
        self._ring = live.ring
        self._after = after
        self._held: deque[Slots] = deque()
        self._released = self._suppressed = self._in_doubt = 0
        self._seen = Position(-1, 0)
        self._resumed_at = recorder.next_sequence
        self.marks = watermarks(live.region.block)
        self._restored_from = self._catch_up(restore)
        self._journaler = Journaler(self._ring, live.journaler, recorder, durability)
        self._feed_error: BaseException | None = None
        self._fed = threading.Event()

    # --- recovery -------------------------------------------------------------------------------------------

    def _catch_up(self, restore: Callable[[Processor, int], int | None] | None) -> int | None:
        """Bring the state to the journal's end, and hand on what was not."""
        last = self._recorder.next_sequence - 1
        self._position, self._known = self._find_position(last)
        # What was not handed on comes of events behind the snapshot, or it would never come.
        at_most = min(last, self._position.sequence - 1)
        snapshot = None if restore is None or at_most < 0 else restore(self._processor, at_most)
        reader = open_journal(self._journal)
        first = reader.first_sequence if snapshot is None else snapshot + 1
        if self._processor.next_sequence != first:
            self._processor.start_at(first)
        # Without a snapshot from the journal's own start, which may have been purged.
        for frame in reader.frames(None if snapshot is None else first) if first <= last else ():
            end = frame.first_sequence + frame.count
            self._processor.process(
                frame.slots,
                frame.first_sequence,
                end,
                self._sift,
                base=frame.first_sequence,
            )
            if end - 1 > self._live.processor.sequence:
                self._live.processor.move(end - 1)
            self._hand_on(end - 1)
        self._live.caught_up(last)
        # What was released of events that were lost with the ring: theirs come again, and may be others.
        self._known &= self._position.sequence <= last + 1
        return snapshot

    def _find_position(self, last: int) -> tuple[Position, bool]:
        """Up to where outputs were handed on, and whether that is known."""
        received = self._receiver.last()
        mark = None if self._live.released is None else Position(self._live.released + 1, 0)
        known = [position for position in (received, mark) if position is not None]
        return (max(known), True) if known else (Position(last + 1, 0), False)

    def _sift(self, outputs: Slots) -> None:
        """Hold what was not released before: what comes behind the position."""
        position = self._position
        sequences = _sequences(outputs)
        before = int(np.searchsorted(sequences, position.sequence))
        same = int(np.searchsorted(sequences, position.sequence, side="right")) - before
        # What one event causes may come in several pieces: the rest of `outputs` is in the next.
        seen = self._seen.outputs if self._seen.sequence == position.sequence else 0
        dropped = before + min(same, max(0, position.outputs - seen))
        self._seen = Position(position.sequence, seen + same)
        self._suppressed += dropped
        self._in_doubt += 0 if self._known else dropped
        if dropped < len(outputs):
            self._held.append(outputs[dropped:].copy())

    # --- running --------------------------------------------------------------------------------------------

    def run(self, produce: Callable[[RingWriter], None], needed: int) -> LiveReport:
        """Feed everything through, make it durable, release what it caused.

        Parameters
        ----------
        produce : called on a thread with the ring's writer; writes everything and returns
        needed : slots that it must find free to make progress

        Raises
        ------
        DisruptorError : of the feed, of a handler, or of the journal; what is published stays recoverable.
        """
        feed = threading.Thread(target=self._feed, args=(produce, needed), name="feed", daemon=True)
        self._journaler.start()
        feed.start()
        try:
            self._loop()
        except BaseException:
            self._ring.stop()
            raise
        finally:
            feed.join()
            self._end()
        if self._feed_error is not None:
            raise self._feed_error
        return self._report()

    def _feed(self, produce: Callable[[RingWriter], None], needed: int) -> None:
        try:
            produce(RingWriter(self._ring, needed))
        except Stopped:
            pass
        except BaseException as error:
            self._feed_error = error
        finally:
            self._fed.set()

    def _loop(self) -> None:
        consumer = self._live.processor
        while True:
            fed = self._fed.is_set()  # looked at before the cursor, so that nothing is missed
            wait = _HELD_SECONDS if self._held else _LOOK_SECONDS
            highest = consumer.available() if fed else consumer.wait(wait)
            first = consumer.sequence + 1
            if highest >= first:
                last = min(highest, first + _PIECE - 1)
                self._processor.process(
                    self._ring.slots, first, last + 1, self._sift, base=0, mask=self._ring.mask
                )
                if self._after is not None:
                    self._after(last, self._ring.slots[last & self._ring.mask])
                consumer.commit(last)
            elif fed:
                return
            if self._journaler.error is not None:
                raise self._journaler.error
            self._hand_on(self._releasable())

    def _end(self) -> None:
        """Make durable what is published, and release what waited for that."""
        try:
            self._journaler.drain()
            self._hand_on(self._releasable())
        finally:
            marks = watermarks(self._live.region.block)
            everything = marks.synced == marks.sequenced == marks.released
            self.marks = marks
            self._recorder.close(mark=everything)
            if everything:
                self._live.remove()
            else:
                self._live.leave()

    def _releasable(self) -> int:
        """The last sequence whose outputs may leave."""
        processed = self._live.processor.sequence
        return min(processed, self._live.journaler.sequence) if self._strict else processed

    def _hand_on(self, limit: int) -> None:
        """Release the outputs of events up to `limit`, then say so."""
        while self._held:
            outputs = self._held[0]
            count = int(np.searchsorted(_sequences(outputs), limit, side="right"))
            if count:
                self._receiver.receive(outputs[:count], self._recorder.incarnation)
                self._released += count
            if count < len(outputs):
                self._held[0] = outputs[count:]
                break
            self._held.popleft()
        self._live.released_to(limit)

    def _report(self) -> LiveReport:
        return LiveReport(
            incarnation=self._recorder.incarnation,
            resumed_at=self._resumed_at,
            recovered=self._live.recovered,
            cuts=tuple(str(cut) for cut in self._recorder.cuts),
            restored_from=self._restored_from,
            released=self._released,
            suppressed=self._suppressed,
            in_doubt=self._in_doubt,
            flushes=self._journaler.flushes,
            direct=self._recorder.is_direct,
            watermarks=self.marks,
        )


def _sequences(outputs: Slots) -> npt.NDArray[np.int64]:
    """The sequences of the events that caused outputs, ascending."""
    return np.ascontiguousarray(outputs.reshape(-1).view(header_dtype(outputs.shape[1]))["sequence"])


__all__ = ["LiveEngine", "LiveReport", "Position", "Receiver"]
