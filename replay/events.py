"""Where a replay's events come from: a journal, or recorded logs encoded on the fly. Both give runs of slots.

A run is a contiguous (n, 192) array of slots with consecutive sequences, valid until the next one is asked for. What
differs is only where the slots lie: a journal's frame as it was read, or the input ring. The processor sees the same
bytes either way, hence the same digests.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.feeds.columns import LogBatch
from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, Encoder, RemovedLogsFound, RemovedSet, collect_removed
from disruptor.feeds.source import LogSource
from disruptor.handlers.venues import Venue
from disruptor.journal.reader import JournalReader
from disruptor.journal.recording_reader import open_journal
from disruptor.replay.pipeline import Pipeline, SlotWriter
from disruptor.replay.settings import RunSettings
from disruptor.replay.slots import Run
from disruptor.ring_buffer import RingBuffer

SLOT_SIZE = 192
_HEAD_BYTES = 65536


class RingMemory(Protocol):
    """Where an input ring comes from."""

    def ring(self, capacity: int, slot_size: int, wait_strategy: str) -> RingBuffer:
        """A ring by the page policy of the run."""


class EventSource(Protocol):
    """A recorded stream as runs of slots."""

    chain_id: int | None

    def runs(self) -> Generator[Run]:
        """All events in order; a source can be run once. Close it when leaving early."""

    def progress(self) -> tuple[int, int | None, str]:
        """(done, total, unit) so far."""

    @property
    def venue_names(self) -> frozenset[str]:
        """The users' venues whose logs are among the events."""

    @property
    def warnings(self) -> dict[str, int]:
        """What was left out or doubted, by kind."""

    @property
    def counts(self) -> dict[str, int]:
        """Totals for a journal's summary."""


class JournalEvents:
    """The frames of a finished journal."""

    def __init__(self, directory: str) -> None:
        self.reader = open_journal(directory)
        summary = self.reader.summary
        self.chain_id: int | None = summary.get("chain_id") or self.reader.identity.get("chain_id") or None
        self._warnings: dict[str, int] = dict(summary.get("warnings", {}))
        self._done = 0
        self._start: int | None = None  # the journal's own, which may have been purged

    def start_after(self, sequence: int) -> None:
        """Leave out all events up to this sequence, without reading them; before `runs`."""
        self._start, self._done = sequence + 1, sequence + 1 - self.reader.first_sequence

    def runs(self) -> Generator[Run]:
        """Each frame is a run."""
        for frame in self.reader.frames(self._start):
            yield Run(frame.slots, frame.first_sequence)
            self._done += frame.count

    def progress(self) -> tuple[int, int | None, str]:
        """Slots processed, of all."""
        return self._done, self.reader.slot_count, "slots"

    @property
    def venue_names(self) -> frozenset[str]:
        """What the import was given."""
        return frozenset(self.reader.identity.get("venues", {}))

    @property
    def warnings(self) -> dict[str, int]:
        """What the import left out or doubted."""
        return self._warnings

    @property
    def counts(self) -> dict[str, int]:
        """Totals that the import noted."""
        return {k: v for k, v in self.reader.summary.items() if isinstance(v, int)}


class Inputs(NamedTuple):
    """What recorded logs are read with."""

    sources: tuple[str, ...]
    pools: tuple[str, ...]
    blocks: tuple[str, ...]
    sort: bool
    strict: bool
    venues: tuple[Venue, ...] = ()


class LogEvents:
    """Recorded logs, decoded and encoded into a ring of slots as they are asked for.

    If the stream turns out to hold removed logs, `RemovedLogsFound` ends the run; the caller starts over with
    `with_removed`, which reads the stream once more to know them all beforehand.
    """

    def __init__(
        self,
        inputs: Inputs,
        settings: RunSettings,
        memory: RingMemory,
        removed: RemovedSet | None = None,
    ) -> None:
        self._inputs, self._settings = inputs, settings
        self._source = LogSource(inputs.sources)
        self.chain_id = _one_chain(settings.chain_id, self._source.chain_id)
        headers = _load_headers(inputs.blocks)
        self._missing = [] if headers is None else list(headers.gaps)
        self._encoder = Encoder(
            chain_id=self.chain_id or 0,
            headers=headers,
            gaps=sorted([*self._source.chunk_gaps, *self._missing]),
            factories=settings.factory_fees(),
            default_v2_fee=settings.default_v2_fee,
            strict=inputs.strict,
            files=self._source.files,
            removed=removed,
            venues=inputs.venues,
        )
        capacity = settings.ring_slots
        if capacity < 2 * MAX_SLOTS_PER_LOG:
            raise InputError(
                f"ring_slots: {capacity} is too small, one log may need {MAX_SLOTS_PER_LOG} slots"
            )
        self._memory, self._ring_slots = memory, capacity
        self._extra_warnings: dict[str, int] = {}

    def with_removed(self, memory: RingMemory) -> LogEvents:
        """The same stream again, with its removed logs known."""
        removed = collect_removed(LogSource(self._inputs.sources))
        return LogEvents(self._inputs, self._settings, memory, removed)

    def runs(self) -> Generator[Run]:
        """Registrations first, then batch by batch, then the closing of the last block."""
        ring = self._memory.ring(self._ring_slots, SLOT_SIZE, self._settings.wait_strategy)
        return Pipeline(ring, MAX_SLOTS_PER_LOG, self.produce).runs()

    def produce(self, writer: SlotWriter) -> None:
        """Encode everything into a writer's slots; once."""
        self._register(writer)
        batches: Iterable[LogBatch] = self._source
        if self._inputs.sort:
            from disruptor.feeds.sort import sorted_batches

            batches = sorted_batches(self._source)
        for batch in batches:
            self._encode(batch, self._encoder.encode, writer)
        self._until_done(self._encoder.finish, writer)

    def _register(self, writer: SlotWriter) -> None:
        for path in self._inputs.pools:
            from disruptor.feeds.pools_file import load_pools

            if is_pools_file(path):
                loaded = load_pools([path], self._inputs.venues)
                for reason, count in loaded.skipped.items():
                    self._extra_warnings[f"pools_file_{reason}"] = count
                self._encoder.register(loaded)
                self._until_done(self._encoder.write_registrations, writer)
            else:
                source = LogSource([path])
                register = functools.partial(self._encoder.register_logs, files=source.files)
                for batch in source:
                    self._encode(batch, register, writer)

    def _encode(self, batch: LogBatch, encode: Callable[..., int], writer: SlotWriter) -> None:
        start = 0
        while start < len(batch.rows):
            start = encode(batch, start, writer.slots, writer.mask, writer.limit())
            writer.publish(self._encoder.next_sequence)

    def _until_done(
        self, write: Callable[[npt.NDArray[np.uint8], int, int], bool], writer: SlotWriter
    ) -> None:
        done = False
        while not done:
            done = write(writer.slots, writer.mask, writer.limit())
            writer.publish(self._encoder.next_sequence)

    def progress(self) -> tuple[int, int | None, str]:
        """Bytes read, of all."""
        return self._source.bytes_read, self._source.total_bytes, "bytes"

    @property
    def venue_names(self) -> frozenset[str]:
        """What the run was given."""
        return frozenset(venue.name for venue in self._inputs.venues)

    @property
    def warnings(self) -> dict[str, int]:
        """What was left out or doubted so far."""
        found = {**self._encoder.warnings, **self._extra_warnings}
        if self._source.ignored:
            found["ignored_files"] = len(self._source.ignored)
        return found

    @property
    def counts(self) -> dict[str, int]:
        """Totals so far."""
        return self._encoder.counts


def is_journal(path: str) -> bool:
    """Whether a source is a journal directory rather than recorded logs."""
    from disruptor.journal.manifest import MANIFEST_NAME

    return (Path(path) / MANIFEST_NAME).is_file()


def open_events(inputs: Inputs, settings: RunSettings, memory: RingMemory) -> EventSource:
    """The source that the given paths are: one journal, or any number of log files.

    Raises
    ------
    InputError : a journal mixed with other sources, or options that a journal has no use for.
    """
    journals = [s for s in inputs.sources if is_journal(s)]
    if not journals:
        return LogEvents(inputs, settings, memory)
    if len(inputs.sources) > 1:
        raise InputError(f"{journals[0]}: a journal is replayed alone; leave out the other sources")
    if inputs.blocks or inputs.sort:
        raise InputError(
            f"{journals[0]}: --blocks and --sort were decided at import; import again to change them"
        )
    events = JournalEvents(journals[0])
    check_venues_of(events.reader, inputs.venues)
    events.chain_id = _one_chain(settings.chain_id, events.chain_id)
    if inputs.strict:
        check_strict(journals[0], events.warnings)
    if inputs.pools:
        from disruptor.replay.resequence import ResequencedEvents

        return ResequencedEvents(events, inputs.pools, settings, inputs.strict, inputs.venues)
    return events


def venue_facts(venues: Sequence[Venue]) -> dict[str, str]:
    """What decides which slots the logs of users' venues become: a hash by name, for a journal's identity."""
    return {venue.name: hashlib.sha256(venue.encoding.encode()).hexdigest()[:16] for venue in venues}


def check_venues_of(journal: JournalReader, venues: Sequence[Venue]) -> None:
    """Refuse a journal whose import did not take the logs of these venues as they are declared now: it lacks them."""
    imported = journal.identity.get("venues", {})
    for name, facts in venue_facts(venues).items():
        if imported.get(name) != facts:
            how = "with other logs of" if name in imported else "without"
            raise InputError(
                f"{journal.directory}: imported {how} venue {name}, so its events are not in there: "
                "import the logs again with the same --handlers"
            )


def check_strict(journal: str, warnings: dict[str, int]) -> None:
    """With --strict, a journal whose import left events of known pools out is refused."""
    lost = {
        k: warnings[k] for k in ("undecodable_logs", "missing_blocks", "pool_conflicts") if warnings.get(k)
    }
    if lost:
        found = ", ".join(f"{k} {n}" for k, n in lost.items())
        raise InputError(
            f"{journal}: --strict, and its import counted {found}: import the logs again with --strict"
        )


def is_pools_file(path: str) -> bool:
    """Whether a `--pools` path is a pools file rather than recorded logs with creations."""
    if Path(path).is_dir() or any(c in path for c in "*?["):
        return False
    from disruptor.feeds.compression import open_recorded
    from disruptor.feeds.pools_file import looks_like_pools

    if not Path(path).is_file():
        raise InputError(f"--pools {path}: no such file")
    with open_recorded(Path(path)) as stream:
        return looks_like_pools(stream.read(_HEAD_BYTES))


def _one_chain(asked: int | None, found: int | None) -> int | None:
    if asked is not None and found is not None and asked != found:
        raise InputError(f"chain_id: the settings say {asked}, the source says {found}")
    return asked if asked is not None else found


def _load_headers(paths: Sequence[str]) -> Any:
    if not paths:
        return None
    from disruptor.feeds.headers import load_headers

    return load_headers(paths)


__all__ = [
    "EventSource",
    "Inputs",
    "JournalEvents",
    "LogEvents",
    "RemovedLogsFound",
    "Run",
    "is_journal",
    "open_events",
]
