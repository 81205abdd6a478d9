"""`disruptor run`: puts the parts of a live engine together, and says what became of the run."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from disruptor import compile_cache
from disruptor.engine.live import LiveEngine, LiveReport, Position, Receiver
from disruptor.engine.live_feed import ResumingWriter
from disruptor.engine.live_ring import LiveRing
from disruptor.engine.live_snapshots import SnapshotTaker
from disruptor.engine.output_log import Discard, OutputLog
from disruptor.errors import InputError
from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, RemovedLogsFound
from disruptor.handler_set import HandlerSet
from disruptor.journal.journaler import Durability
from disruptor.journal.layout import DEFAULT_SEGMENT_BYTES
from disruptor.journal.manifest import Manifest
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.message import MessageType, header_dtype
from disruptor.pages import PagePolicy
from disruptor.processor import Processor
from disruptor.replay.events import SLOT_SIZE, Inputs, LogEvents
from disruptor.replay.importer import journal_facts
from disruptor.replay.pipeline import RingWriter
from disruptor.replay.program import Memory, build_processor, code_identity
from disruptor.replay.record import make_live_record, write_record
from disruptor.replay.request import RunRequest
from disruptor.replay.restore import check_beginning, events_of, identity_of, restore_newest
from disruptor.replay.session import handlers_of
from disruptor.replay.user_code import venues_in


@dataclass(frozen=True, kw_only=True)
class LiveRequest(RunRequest):
    """What a live run is asked.

    Attributes
    ----------
    journal : directory: new, empty, or a recording of the same sources
    durability : what is promised of what was published
    out : file to which outputs are appended; None counts them only
    finish : mark the recording complete when the sources end
    record : file to write what was run and what came out to, for a replay's `check`
    snapshot_every : take one after so many slots; 0 takes none. snapshot_keep : how many stay
    """

    journal: str
    durability: Durability = field(default_factory=Durability)
    out: str | None = None
    finish: bool = False
    record: str | None = None
    snapshot_every: int = 0
    snapshot_keep: int = 3
    segment_bytes: int = DEFAULT_SEGMENT_BYTES


class _Counted:
    """A receiver around another: counts and digests what is released."""

    def __init__(self, inner: Receiver, messages: Sequence[MessageType]) -> None:
        self._inner, self._names = inner, {m.type_id: m.name for m in messages}
        self._hash, self._counts = xxhash.xxh3_128(), Counter[int]()

    def last(self) -> Position | None:
        """What the other knows."""
        return self._inner.last()

    def receive(self, outputs: Any, incarnation: int) -> None:
        """Hand on, then count."""
        self._inner.receive(outputs, incarnation)
        self._hash.update(np.ascontiguousarray(outputs).data)
        headers = outputs.reshape(-1).view(header_dtype(outputs.shape[1]))
        self._counts.update(headers["type_id"].tolist())

    def to_json(self) -> dict[str, Any]:
        """Counts by type name, and the digest of what was released in this run."""
        counts = {self._names[kind]: count for kind, count in sorted(self._counts.items())}
        return {"outputs": counts, "output_digest": self._hash.hexdigest()}


def run_live(request: LiveRequest) -> dict[str, Any]:
    """Record and process a source's events as if they came live; goes on with a recording that is there.

    Returns
    -------
    The `--json` object.

    Raises
    ------
    DisruptorError : whatever can be wrong with input, settings, handlers, journal or ring; what was published is safe.
    """
    began = time.perf_counter()
    handlers = handlers_of(request)
    memory, settings, venues = Memory(request.settings), request.settings, venues_in(handlers)
    inputs = Inputs(request.sources, request.pools, request.blocks, request.sort, request.strict, venues)
    events = LogEvents(inputs, settings, memory)
    processor = build_processor(handlers, settings, memory.allocate, events.chain_id)
    processor.compile()
    memory.settle()
    facts = journal_facts(settings, events.chain_id, venues)
    recorder = Recorder(request.journal, segment_bytes=request.segment_bytes, **facts)
    try:
        run = _Live(request, handlers, processor, recorder, memory.policy, events)
        report = run.run()
    except BaseException:
        recorder.close(mark=False)
        raise
    found = {
        **run.receiver.to_json(),
        "state_digest": processor.state.digest(),
        "code_identity": code_identity(handlers, settings.semantic()),
    }
    manifest = _finish(request, facts, run) if request.finish else None
    if request.record is not None:
        recorded = {**found, "chain_id": events.chain_id, "resumed_at": report.resumed_at}
        parts, last = identity_of(handlers, settings).parts, report.watermarks.sequenced
        write_record(make_live_record(recorded, parts, last), request.record)
    ended = time.perf_counter()
    seconds = ended - began - compile_cache.compile_wall(began, ended)
    return {
        **_answer(request, report, manifest),
        **run.snapshots(),
        "slots": report.watermarks.sequenced + 1 - report.resumed_at,
        "seconds": round(seconds, 6),
        **found,
        "warnings": run.events.warnings,
    }


class _Live:
    """The parts of one run."""

    def __init__(
        self,
        request: LiveRequest,
        handlers: HandlerSet,
        processor: Processor,
        recorder: Recorder,
        policy: PagePolicy,
        events: LogEvents,
    ) -> None:
        settings = request.settings
        self._request, self.events = request, events
        schema = "".join(f"{m.type_id}:{m.schema_hash}," for m in sorted(handlers.inputs, key=_type_id))
        self._live = LiveRing(
            request.journal,
            recorder,
            settings.ring_slots,
            SLOT_SIZE,
            policy=policy,
            wait_strategy=settings.wait_strategy,
            schema_hash=int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], "little"),
        )
        self._log: OutputLog | None = None
        self._problems: list[str] = []
        self._identity, self._store = identity_of(handlers, settings), SnapshotStore(request.journal)
        try:
            self._begin(handlers, processor, recorder)
        except BaseException:
            self._live.leave()
            raise

    def _begin(self, handlers: HandlerSet, processor: Processor, recorder: Recorder) -> None:
        """Open the file of outputs and recover."""
        request = self._request
        if request.out is not None:
            self._log = OutputLog(Path(request.out), handlers.outputs)
        self.receiver = _Counted(self._log or Discard(), handlers.outputs)
        self._taker = SnapshotTaker(
            self._store,
            processor,
            self._identity,
            self._live,
            every=request.snapshot_every,
            keep=request.snapshot_keep,
        )
        self._engine = LiveEngine(
            request.journal,
            recorder,
            self._live,
            processor,
            self.receiver,
            request.durability,
            restore=self._restore,
            after=self._taker.after,
        )

    def _restore(self, processor: Processor, at_most: int) -> int | None:
        reader = open_journal(self._request.journal)
        found = restore_newest(self._store, processor, self._identity, at_most, event_at=events_of(reader))
        self._problems = [str(problem) for problem in found.problems]
        check_beginning(reader, found)
        return found.sequence

    def run(self) -> LiveReport:
        """Feed everything through."""
        journal = open_journal(self._request.journal)

        def produce(ring: RingWriter) -> None:
            writer = ResumingWriter(ring, journal)
            self.events.produce(writer)
            writer.check_end()

        try:
            return self._engine.run(produce, MAX_SLOTS_PER_LOG)
        except RemovedLogsFound:
            raise InputError(
                "the sources take back logs (removed: true), which is only known once all were read: "
                "use `disruptor import`, which reads them twice"
            ) from None
        finally:
            self._taker.close()
            if self._log is not None:
                self._log.close()

    def snapshots(self) -> dict[str, Any]:
        """What became of snapshots."""
        return {
            "snapshots": self._taker.taken,
            "snapshot_pause_seconds": round(self._taker.longest_pause, 6),
            "snapshot_problems": [*self._problems, *self._taker.problems],
        }


def _finish(request: LiveRequest, facts: dict[str, Any], run: _Live) -> Manifest:
    """Make the recording a finished journal."""
    recorder = Recorder(request.journal, segment_bytes=request.segment_bytes, **facts)
    try:
        counts = {**run.events.counts, "warnings": run.events.warnings, "chain_id": run.events.chain_id}
        return recorder.finish(counts)
    except BaseException:
        recorder.close()
        raise


def _answer(request: LiveRequest, report: LiveReport, manifest: Manifest | None) -> dict[str, Any]:
    return {
        "journal": request.journal,
        "status": "stopped" if manifest is None else "complete",
        "running_hash": None if manifest is None else manifest.running_hash,
        "durability": request.durability.mode,
        "direct": report.direct,
        "incarnation": report.incarnation,
        "resumed_at": report.resumed_at,
        "recovered": report.recovered,
        "cuts": list(report.cuts),
        "restored_from": report.restored_from,
        "watermarks": report.watermarks._asdict(),
        "released": report.released,
        "suppressed": report.suppressed,
        "in_doubt": report.in_doubt,
        "flushes": report.flushes,
    }


def _type_id(message: MessageType) -> int:
    return message.type_id
