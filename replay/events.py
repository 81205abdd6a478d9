"""Where a replay's events come from: a journal, or recorded logs encoded on the fly. Both give runs of slots.

A run is a contiguous (n, 192) array of slots with consecutive sequences, valid until the next one is asked for. What
differs is only where the slots lie: a journal's frame as it was read, or the input ring. The processor sees the same
bytes either way, hence the same digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.feeds.columns import LogBatch
from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, Encoder, RemovedLogsFound, RemovedSet, collect_removed
from disruptor.feeds.source import LogSource
from disruptor.journal.reader import JournalReader
from disruptor.replay.settings import RunSettings

SLOT_SIZE = 192


class Run(NamedTuple):
    """Consecutive events: slots (n, 192) uint8 and the first one's sequence."""

    slots: npt.NDArray[np.uint8]
    first: int


class EventSource(Protocol):
    """A recorded stream as runs of slots."""

    chain_id: int | None

    def runs(self) -> Iterator[Run]:
        """All events in order; a source can be run once."""

    def progress(self) -> tuple[int, int | None, str]:
        """(done, total, unit) so far."""

    @property
    def warnings(self) -> dict[str, int]:
        """What was left out or doubted, by kind."""

    @property
    def counts(self) -> dict[str, int]:
        """Totals for a journal's summary."""


class JournalEvents:
    """The frames of a finished journal."""

    def __init__(self, directory: str) -> None:
        self.reader = JournalReader(directory)
        summary = self.reader.summary
        self.chain_id: int | None = summary.get("chain_id") or None
        self._warnings: dict[str, int] = dict(summary.get("warnings", {}))
        self._done = 0

    def runs(self) -> Iterator[Run]:
        """Each frame is a run."""
        for frame in self.reader.frames():
            yield Run(frame.slots, frame.first_sequence)
            self._done += frame.count

    def progress(self) -> tuple[int, int | None, str]:
        """Slots processed, of all."""
        return self._done, self.reader.slot_count, "slots"

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


class LogEvents:
    """Recorded logs, decoded and encoded into a ring of slots as they are asked for.

    If the stream turns out to hold removed logs, `RemovedLogsFound` ends the run; the caller starts over with
    `with_removed`, which reads the stream once more to know them all beforehand.
    """

    def __init__(
        self,
        inputs: Inputs,
        settings: RunSettings,
        allocate: Callable[[int], npt.NDArray[np.uint8]],
        removed: RemovedSet | None = None,
    ) -> None:
        self._inputs, self._settings, self._allocate = inputs, settings, allocate
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
        )
        capacity = settings.ring_slots
        if capacity < 2 * MAX_SLOTS_PER_LOG:
            raise InputError(f"ring_slots: {capacity} is too small, one log may need {MAX_SLOTS_PER_LOG} slots")
        self._slots = allocate(capacity * SLOT_SIZE).reshape(capacity, SLOT_SIZE)
        self._extra_warnings: dict[str, int] = {}

    def with_removed(self) -> LogEvents:
        """The same stream again, with its removed logs known."""
        removed = collect_removed(LogSource(self._inputs.sources))
        return LogEvents(self._inputs, self._settings, self._allocate, removed)

    def runs(self) -> Iterator[Run]:
        """Registrations first, then batch by batch, then the closing of the last block."""
        yield from self._registrations()
        batches: Iterable[LogBatch] = self._source
        if self._inputs.sort:
            from disruptor.feeds.sort import sorted_batches

            batches = sorted_batches(self._source)
        for batch in batches:
            yield from self._encoded(batch, self._encoder.encode)
        yield from self._until_done(self._encoder.finish)

    def _registrations(self) -> Iterator[Run]:
        for path in self._inputs.pools:
            from disruptor.feeds.pools_file import load_pools
            from disruptor.feeds.recognise import is_log_file

            if Path(path).is_dir() or is_log_file(Path(path)):
                source = LogSource([path])
                for batch in source:
                    yield from self._encoded(
                        batch, lambda *a, files=source.files: self._encoder.register_logs(*a, files)
                    )
            else:
                loaded = load_pools([path])
                for reason, count in loaded.skipped.items():
                    self._extra_warnings[f"pools_file_{reason}"] = count
                self._encoder.register(loaded)
                yield from self._until_done(self._encoder.write_registrations)

    def _encoded(self, batch: LogBatch, encode: Callable[..., int]) -> Iterator[Run]:
        start, mask = 0, len(self._slots) - 1
        while start < len(batch.rows):
            first = self._encoder.next_sequence
            start = encode(batch, start, self._slots, mask, first + len(self._slots))
            yield from self._written(first)

    def _until_done(self, write: Callable[[npt.NDArray[np.uint8], int, int], bool]) -> Iterator[Run]:
        done = False
        while not done:
            first = self._encoder.next_sequence
            done = write(self._slots, len(self._slots) - 1, first + len(self._slots))
            yield from self._written(first)

    def _written(self, first: int) -> Iterator[Run]:
        """What was written from `first` on, in at most two pieces where the ring wraps."""
        end, capacity = self._encoder.next_sequence, len(self._slots)
        while first < end:
            at = first & (capacity - 1)
            count = min(end - first, capacity - at)
            yield Run(self._slots[at : at + count], first)
            first += count

    def progress(self) -> tuple[int, int | None, str]:
        """Bytes read, of all."""
        return self._source.bytes_read, self._source.total_bytes, "bytes"

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


def open_events(inputs: Inputs, settings: RunSettings, allocate: Callable[[int], Any]) -> EventSource:
    """The source that the given paths are: one journal, or any number of log files.

    Raises
    ------
    InputError : a journal mixed with other sources, or options that a journal has no use for.
    """
    journals = [s for s in inputs.sources if is_journal(s)]
    if not journals:
        return LogEvents(inputs, settings, allocate)
    if len(inputs.sources) > 1:
        raise InputError(f"{journals[0]}: a journal is replayed alone; leave out the other sources")
    if inputs.blocks or inputs.sort:
        raise InputError(f"{journals[0]}: --blocks and --sort were decided at import; import again to change them")
    events = JournalEvents(journals[0])
    events.chain_id = _one_chain(settings.chain_id, events.chain_id)
    return events


def _one_chain(asked: int | None, found: int | None) -> int | None:
    if asked is not None and found is not None and asked != found:
        raise InputError(f"chain_id: the settings say {asked}, the source says {found}")
    return asked if asked is not None else found


def _load_headers(paths: Sequence[str]) -> Any:
    if not paths:
        return None
    from disruptor.feeds.headers import load_headers

    return load_headers(paths)


__all__ = ["EventSource", "Inputs", "JournalEvents", "LogEvents", "RemovedLogsFound", "Run", "is_journal", "open_events"]
