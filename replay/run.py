"""One replay: a source's events through the processor, and everything that is said about it afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from disruptor import compile_cache
from disruptor.errors import InputError
from disruptor.handlers.venues import Venue
from disruptor.journal.writer import JournalWriter
from disruptor.replay import from_snapshot
from disruptor.replay.bounds import Bounds
from disruptor.replay.held import HeldAgainst
from disruptor.replay.importer import journal_facts
from disruptor.replay.opportunities_out import write_opportunities
from disruptor.replay.outputs import Collector, last_block
from disruptor.replay.program import INPUTS
from disruptor.replay.record import make_record, write_record
from disruptor.replay.request import OutputSink, Progress, ReplayRequest, choose_types
from disruptor.replay.restore import RunIdentity
from disruptor.replay.session import Session, handlers_of, run_session
from disruptor.replay.slots import Run
from disruptor.replay.state_out import write_state
from disruptor.replay.stepper import Console
from disruptor.replay.user_code import venues_in
from disruptor.replay.watch import Watched, Watcher, watch
from disruptor.replay.watchers import check_watched, watchers_of


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """What one run gave; `to_json` is what `--json` prints."""

    chain_id: int | None
    events: int
    outputs: dict[str, int]
    opportunities: int
    seconds: float
    compile_seconds: float
    first_sequence: int
    last_sequence: int
    state_digest: str
    output_digest: str
    code_identity: str
    pages: dict[str, Any]
    warnings: dict[str, int]
    slots: int
    swaps_audited: int
    swaps_mismatched: int
    swaps_not_checkable: int
    paths: int
    paths_screened: int
    paths_solved: int
    identity: dict[str, Any]
    checked: dict[str, Any]
    snapshot: dict[str, Any] | None
    stopped: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        rate = self.events / self.seconds if self.seconds > 0 else 0.0
        return {
            "chain_id": self.chain_id,
            "events": self.events,
            "outputs": self.outputs,
            "opportunities": self.opportunities,
            "seconds": round(self.seconds, 6),
            "events_per_second": round(rate, 1),
            "compile_seconds": round(self.compile_seconds, 6),
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "state_digest": self.state_digest,
            "output_digest": self.output_digest,
            "code_identity": self.code_identity,
            "pages": self.pages,
            "warnings": self.warnings,
            "slots": self.slots,
            "swaps_audited": self.swaps_audited,
            "swaps_mismatched": self.swaps_mismatched,
            "swaps_not_checkable": self.swaps_not_checkable,
            "paths": self.paths,
            "paths_screened": self.paths_screened,
            "paths_solved": self.paths_solved,
            "identity": self.identity,
            "checked": self.checked,
            "snapshot": self.snapshot,
            "stopped": self.stopped,
        }


def run(
    request: ReplayRequest,
    sink: OutputSink | None = None,
    progress: Progress | None = None,
    console: Console | None = None,
) -> ReplayResult:
    """Run a request.

    Parameters
    ----------
    request : what to replay
    sink : receives outputs; opened here, closed or aborted by whoever made it
    progress : called a few times a second
    console : who is asked, for a request that steps or pauses

    Raises
    ------
    DisruptorError : whatever can be wrong with input, settings, capacities or handlers; nothing half-written stays.
    """
    began = time.perf_counter()
    from_snapshot.check_request(request)
    handlers = handlers_of(request)
    check_watched(request, handlers, console)
    held = HeldAgainst(request, handlers)

    def attempt(session: Session) -> _Replay:
        types = choose_types(request.types, handlers.outputs)
        if sink is not None:
            sink.open(types, session.pool_address)
        collector = Collector(handlers.outputs, sink, types, session.processor.state)
        replay = _Replay(request, session, collector, venues_in(handlers), held)
        state, watched = session.processor.state, replay.watched
        replay.run(watchers_of(request, handlers, state, watched, console))
        return replay

    result = run_session(request, handlers, attempt, progress).result(began)
    if request.record is not None:
        record = make_record(result.to_json(), held.identity, request.bounds(), held.running_hash)
        write_record(record, request.record)
    return result


class _Replay:
    """One pass over the events, and what is said about it."""

    def __init__(
        self,
        request: ReplayRequest,
        session: Session,
        collector: Collector,
        venues: tuple[Venue, ...],
        held: HeldAgainst,
    ) -> None:
        self._request, self._session, self._collector = request, session, collector
        self._venues, self._held = venues, held
        self._events, self._processor = session.events, session.processor
        self._bounds, self.watched = Bounds(request), Watched()
        self._muted: dict[str, int] = {}
        self._first, self._last, self._seconds = -1, -1, 0.0
        self._writer: JournalWriter | None = None
        self._beginning = from_snapshot.begin(
            session, request, RunIdentity(held.code_identity, held.identity)
        )

    def run(self, watchers: Sequence[Watcher]) -> None:
        """Process everything within the bounds, up to where a watcher ends it."""
        self._watchers = list(watchers)
        began = time.perf_counter()
        if self._request.write_journal is not None:
            settings = self._request.settings
            self._check_rewrite()
            self._writer = JournalWriter(
                self._request.write_journal,
                restart=self._session.restarted,
                **journal_facts(settings, self._events.chain_id, self._venues),
            )
            with self._writer:
                self._run_all()
                self._writer.finish(self._summary(began))
        else:
            self._run_all()
        if self._request.state_out is not None:
            write_state(self._processor.state, self._request.state_out, self._venues)
        if self._request.opportunities_out is not None and self._request.settings.arbitrage.enabled:
            write_opportunities(self._processor.state, self._request.opportunities_out)
        ended = time.perf_counter()
        self._seconds = ended - began - compile_cache.compile_wall(began, ended)

    def _summary(self, began: float) -> dict[str, Any]:
        """What the journal written beside this run says of it: counts, and the record that a replay is held against."""
        # An upper bound is where that journal ends.
        bounds = {k: None if k.startswith("to_") else v for k, v in self._request.bounds().items()}
        record = make_record(self.result(began).to_json(), self._held.identity, bounds, None)
        return {
            **self._events.counts,
            "warnings": self._events.warnings,
            "chain_id": self._events.chain_id,
            "recorded": record.to_json(),
        }

    def _check_rewrite(self) -> None:
        """Refuse to write a journal of messages that nobody here has declared: it could not say what they are."""
        unread = self._events.venue_names - {venue.name for venue in self._venues}
        if unread:
            raise InputError(
                f"--write-journal: the source has the venue {min(unread)}: give the --handlers that declare it"
            )

    def _run_all(self) -> None:
        block = self._beginning.block
        needs_block = self._collector.has_sink
        with closing(self._session.runs()) as runs:
            for run_ in runs:
                for part in self._bounds.parts(run_):
                    for piece in watch(self._watchers, self.watched, part):
                        self._process(piece.run, counted=piece.counted, block=block)
                        if needs_block:
                            block = last_block(piece.run, block)
                if self._bounds.ended or self.watched.stopped is not None:
                    break

    def _process(self, part: Run, *, counted: bool, block: int) -> None:
        if counted and self._first < 0:
            self._first, self._muted = part.first, self._processor.counts()
        self._collector.enabled = counted
        consume = self._collector.consume
        self._session.process(part, self.watched.take(consume) if self._watchers else consume)
        if counted:
            self._collector.end_run(part, block)
            self._last = part.first + len(part.slots) - 1
        if self._writer is not None:
            self._writer.append(part.slots, part.first)

    def result(self, began: float) -> ReplayResult:
        """Everything that is said about the run, which began at `began` on the clock of `time.perf_counter`."""
        processor, collector = self._processor, self._collector
        counts = processor.counts()
        own = [message for venue in self._venues for message in venue.messages]
        counted = [message.name for message in (*INPUTS, *own) if message.counted]
        events = sum(counts[name] - self._muted.get(name, 0) for name in counted)
        audit, search = self._counters("audit_counters"), self._counters("path_cursor")
        result = ReplayResult(
            chain_id=self._events.chain_id,
            events=events if self._first >= 0 else 0,
            outputs=collector.counts,
            opportunities=collector.opportunities,
            seconds=self._seconds,
            compile_seconds=compile_cache.compile_wall(began, time.perf_counter()),
            first_sequence=self._first,
            last_sequence=self._last,
            state_digest=processor.state.digest(),
            output_digest=collector.digest,
            code_identity=self._held.code_identity,
            pages=self._session.memory.report(),
            warnings=self._warnings(counts),
            slots=self._last - self._first + 1 if self._first >= 0 else 0,
            swaps_audited=audit.get("audited", 0),
            swaps_mismatched=audit.get("mismatched", 0),
            swaps_not_checkable=audit.get("not_checkable", 0),
            paths=search.get("path_count", 0),
            paths_screened=search.get("screened", 0),
            paths_solved=search.get("solved", 0),
            identity=self._held.identity_report(),
            checked={},
            snapshot=self._beginning.to_json(),
            stopped=self.watched.stopped,
        )
        if self._beginning.partial or self.watched.stopped is not None:
            return result
        checked = self._held.verdict(result.to_json(), explicit=self._request.check is not None)
        return replace(result, checked=checked)

    def _counters(self, table: str) -> dict[str, int]:
        """The fields of a one-row table; empty if the handlers do not have it."""
        arrays = self._processor.state.arrays.get(table)
        return (
            {}
            if arrays is None
            else {name: int(arrays.rows[0][name]) for name in arrays.rows.dtype.names or ()}
        )

    def _warnings(self, counts: dict[str, int]) -> dict[str, int]:
        warnings = dict(self._events.warnings)
        found = {
            "swaps_withheld": self._counters("swap_counters").get("withheld", 0),
            "swaps_mismatched": self._counters("audit_counters").get("mismatched", 0),
            "pools_unverified": self._counters("audit_counters").get("unverified", 0),
            "opportunities_withheld": self._counters("path_cursor").get("withheld", 0),
            "searches_limited": self._counters("path_cursor").get("limited", 0),
        }
        warnings |= {kind: count for kind, count in found.items() if count}
        if counts["unknown"]:
            warnings["unknown_types"] = counts["unknown"]
        if self._held.import_settings:
            warnings["import_settings_differ"] = len(self._held.import_settings)
        return warnings
