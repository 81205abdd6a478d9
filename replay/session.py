"""One pass of a source's events through a processor: what replays and quotes have in common.

A stream of recorded logs may turn out, after part of it was processed, to hold a `removed` row that takes back an
earlier log. The pass is void then: `run_session` makes a new session that knows all removals, and asks for the pass
once more. So a pass must not tell anybody anything that it can't take back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from disruptor.errors import InputError
from disruptor.feeds.encoder import RemovedLogsFound
from disruptor.handler_set import HandlerSet
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.processor import OutputConsumer, Processor
from disruptor.replay.events import EventSource, Inputs, JournalEvents, LogEvents, open_events
from disruptor.replay.program import Memory, build_handler_set, build_processor, pin
from disruptor.replay.request import Progress, ProgressUpdate, RunRequest
from disruptor.replay.restore import Restored, RunIdentity, check_beginning, events_of, restore_newest
from disruptor.replay.slots import Run
from disruptor.replay.user_code import load_user_code, venues_in

_PROGRESS_SECONDS = 0.1
T = TypeVar("T")


class Session:
    """A processor that has processed nothing yet, and the events for it.

    Attributes
    ----------
    events, processor, memory : the parts
    restarted : whether an earlier session over the same stream had to be given up
    """

    def __init__(
        self, events: EventSource, processor: Processor, memory: Memory, progress: Progress | None
    ) -> None:
        self.events, self.processor, self.memory = events, processor, memory
        self.restarted = False
        self._progress, self._told = progress, 0.0

    def restore(
        self,
        identity: RunIdentity,
        at_most: int | None = None,
        *,
        accept: Callable[[SnapshotFacts], bool] = lambda _: True,
        allow_code_change: bool = False,
    ) -> Restored:
        """Begin behind the newest snapshot of the journal that may be used, if there is one; before `runs`.

        Raises
        ------
        InputError : the source is not a journal, or not as it is; or its beginning was purged, and there is no
            snapshot to begin with.
        CapacityError : a table is too small for the snapshot's rows.
        """
        if not isinstance(self.events, JournalEvents):
            raise InputError("--from-snapshot: expected a journal as the source, without --pools")
        reader = self.events.reader
        restored = restore_newest(
            SnapshotStore(reader.directory),
            self.processor,
            identity,
            at_most,
            event_at=events_of(reader),
            end=(reader.last_sequence, reader.running_hash) if reader.running_hash.strip("0") else None,
            accept=accept,
            allow_code_change=allow_code_change,
        )
        check_beginning(reader, restored)
        if restored.sequence is not None:
            self.events.start_after(restored.sequence)
        return restored

    def runs(self) -> Generator[Run]:
        """The events run by run; `process` each before the next is asked for. Tells progress."""
        with closing(self.events.runs()) as runs:
            for run in runs:
                yield run
                self._tell()

    def process(self, part: Run, consume: OutputConsumer) -> None:
        """Process the events that follow those processed so far; there may be none."""
        if not len(part.slots):
            return
        end = part.first + len(part.slots)
        if self.processor.next_sequence != part.first:
            self.processor.start_at(part.first)
        self.processor.process(part.slots, part.first, end, consume, base=part.first)

    def pool_address(self, pool: int) -> bytes | None:
        """Address of an interned pool."""
        rows = self.processor.state.arrays["pool_directory"].rows
        address = rows[pool]["address"] if 0 <= pool < len(rows) - 1 else None
        return address.tobytes() if address is not None and address.any() else None

    def _tell(self) -> None:
        now = time.monotonic()
        if self._progress is not None and now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            done, total, unit = self.events.progress()
            self._progress(ProgressUpdate(done, total, unit, self.processor.next_sequence))


def handlers_of(request: RunRequest) -> HandlerSet:
    """The handlers that a request's settings and modules make. Pins the process first, as the settings say."""
    if request.settings.cpu_cores:
        pin(request.settings.cpu_cores)
    return build_handler_set(request.settings, load_user_code(request.handlers))


def run_session(
    request: RunRequest, handlers: HandlerSet, attempt: Callable[[Session], T], progress: Progress | None
) -> T:
    """Open a request's stream and make one pass over it.

    Parameters
    ----------
    attempt : makes the pass; called once more with a new session if the stream takes back logs
    progress : called a few times a second

    Raises
    ------
    DisruptorError : whatever can be wrong with input, settings, capacities or handlers.
    """
    paths, venues = (request.sources, request.pools, request.blocks), venues_in(handlers)
    inputs = Inputs(*paths, request.sort, request.strict, venues)
    settings, memory = request.settings, Memory(request.settings)
    events = open_events(inputs, settings, memory)
    restarted = False
    while True:
        processor = build_processor(handlers, settings, memory.allocate, events.chain_id)
        processor.compile()
        memory.settle()
        session = Session(events, processor, memory, progress)
        session.restarted = restarted
        try:
            return attempt(session)
        except RemovedLogsFound:
            assert isinstance(events, LogEvents) and not restarted
            memory = Memory(settings)
            events, restarted = events.with_removed(memory), True
