"""Recorded logs into a journal: decoded, given their one order, framed. No handler runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from disruptor import __version__, compile_cache
from disruptor.handlers.messages import BUILT_IN
from disruptor.handlers.venues import Venue
from disruptor.journal.writer import JournalWriter
from disruptor.replay.events import Inputs, LogEvents, RemovedLogsFound, venue_facts
from disruptor.replay.program import Memory, pin
from disruptor.replay.request import Progress, ProgressUpdate
from disruptor.replay.settings import RunSettings
from disruptor.replay.user_code import load_user_code

_PROGRESS_SECONDS = 0.1
#: Settings that decide what an import writes; the others concern handlers.
_IMPORT_SETTINGS = ("chain_id", "default_v2_fee", "factories.")


def journal_facts(
    settings: RunSettings, chain_id: int | None, venues: Sequence[Venue] = ()
) -> dict[str, Any]:
    """Message types, identity and settings for a journal's headers: what decided its bytes."""
    chosen = {k: v for k, v in settings.semantic().items() if k.startswith(_IMPORT_SETTINGS)}
    identity: dict[str, Any] = {"writer": f"disruptor {__version__}", "chain_id": chain_id}
    if venues:
        identity["venues"] = venue_facts(venues)
    messages = (*BUILT_IN, *(message for venue in venues for message in venue.messages))
    return {"messages": messages, "identity": identity, "settings": chosen}


def import_logs(
    sources: list[str],
    journal: str,
    *,
    pools: list[str],
    blocks: list[str],
    sort: bool,
    strict: bool,
    settings: RunSettings,
    restart: bool = False,
    handlers: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the event journal of recorded logs.

    Parameters
    ----------
    sources : files, directories or globs of recorded logs
    journal : directory, new or empty; with `restart` one that holds an unfinished import
    pools, blocks : files with pools and block headers
    handlers : users' files or modules, for the venues that they declare
    sort : sort the logs first; strict : undecodable logs are errors

    Returns
    -------
    The `--json` object: counts, sequences, warnings, seconds.

    Raises
    ------
    InputError, JournalError : the journal stays marked unfinished, and says how to go on.
    """
    began = time.perf_counter()
    if settings.cpu_cores:
        pin(settings.cpu_cores)
    inputs = Inputs(
        tuple(sources), tuple(pools), tuple(blocks), sort, strict, load_user_code(handlers).venues
    )
    events = LogEvents(inputs, settings, Memory(settings))
    while True:
        writer = JournalWriter(
            journal, restart=restart, **journal_facts(settings, events.chain_id, inputs.venues)
        )
        try:
            with writer:
                _append_all(events, writer, progress)
                summary = {**events.counts, "warnings": events.warnings, "chain_id": events.chain_id}
                manifest = writer.finish(summary)
            break
        except RemovedLogsFound:
            restart, events = True, events.with_removed(Memory(settings))
    ended = time.perf_counter()
    compiled = compile_cache.compile_wall(began, ended)
    seconds = ended - began - compiled
    return {
        "journal": journal,
        "chain_id": events.chain_id,
        **events.counts,
        "first_sequence": manifest.first_sequence,
        "last_sequence": manifest.last_sequence,
        "running_hash": manifest.running_hash,
        "seconds": round(seconds, 6),
        "compile_seconds": round(compiled, 6),
        "logs_per_second": round(events.counts["logs"] / seconds, 1),
        "warnings": events.warnings,
    }


def _append_all(events: LogEvents, writer: JournalWriter, progress: Progress | None) -> None:
    told = 0.0
    with closing(events.runs()) as runs:
        for run in runs:
            writer.append(run.slots, run.first)
            now = time.monotonic()
            if progress is not None and now - told >= _PROGRESS_SECONDS:
                told = now
                done, total, unit = events.progress()
                progress(ProgressUpdate(done, total, unit, run.first + len(run.slots)))
