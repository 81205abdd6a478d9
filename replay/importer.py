"""Recorded logs into a journal: decoded, given their one order, framed. No handler runs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from disruptor import __version__, compile_cache
from disruptor.handlers.messages import BUILT_IN
from disruptor.handlers.venues import Venue
from disruptor.journal.layout import DEFAULT_FRAME_SLOTS, DEFAULT_SEGMENT_BYTES
from disruptor.journal.manifest import MANIFEST_NAME, load_manifest
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
    segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    frame_slots: int = DEFAULT_FRAME_SLOTS,
) -> dict[str, Any]:
    """Write the event journal of recorded logs, or go on with one that was interrupted.

    An unfinished import of the same command (sources, options, settings, identity) is gone on with: the logs are
    decoded from the start, what that gives is compared with what is on disk, and only what is missing is
    written. So the journal is the one of an import that was not interrupted, byte for byte.

    Parameters
    ----------
    sources : files, directories or globs of recorded logs
    journal : directory: new, empty, or with an unfinished import of the same command
    restart : remove what an unfinished import left, of whatever command, and start over
    pools, blocks : files with pools and block headers
    handlers : users' files or modules, for the venues that they declare
    sort : sort the logs first; strict : undecodable logs are errors
    segment_bytes, frame_slots : see `JournalWriter`

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
    command = _command(inputs, handlers)
    if not restart and _begun_with(journal) == {**command, "removed_logs_known": True}:
        command, events = {**command, "removed_logs_known": True}, events.with_removed(Memory(settings))
    while True:
        writer = JournalWriter(
            journal,
            restart=restart,
            command=command,
            segment_bytes=segment_bytes,
            frame_slots=frame_slots,
            **journal_facts(settings, events.chain_id, inputs.venues),
        )
        try:
            with writer:
                _append_all(events, writer, progress)
                summary = {**events.counts, "warnings": events.warnings, "chain_id": events.chain_id}
                manifest = writer.finish(summary)
            break
        except RemovedLogsFound:
            restart, events = True, events.with_removed(Memory(settings))
            command = {**command, "removed_logs_known": True}
    return {
        "journal": journal,
        "chain_id": events.chain_id,
        **events.counts,
        "first_sequence": manifest.first_sequence,
        "last_sequence": manifest.last_sequence,
        "slots_kept": writer.slots_kept,
        "running_hash": manifest.running_hash,
        **_times(began, events.counts["logs"]),
        "warnings": events.warnings,
    }


def _times(began: float, logs: int) -> dict[str, float]:
    """How long an import took that began then, compiling apart."""
    ended = time.perf_counter()
    compiled = compile_cache.compile_wall(began, ended)
    seconds = ended - began - compiled
    return {
        "seconds": round(seconds, 6),
        "compile_seconds": round(compiled, 6),
        "logs_per_second": round(logs / seconds, 1),
    }


def _command(inputs: Inputs, handlers: Sequence[str]) -> dict[str, Any]:
    """What is noted of a command while its import is unfinished, to know it when it is given again."""
    return {
        "sources": [os.path.abspath(path) for path in inputs.sources],
        "pools": [os.path.abspath(path) for path in inputs.pools],
        "blocks": [os.path.abspath(path) for path in inputs.blocks],
        "handlers": list(handlers),
        "sort": inputs.sort,
        "strict": inputs.strict,
        # Whether it had met removed logs, and so started over knowing them all.
        "removed_logs_known": False,
    }


def _begun_with(journal: str) -> Any:
    """The command of an unfinished import in a directory, or None."""
    if not (Path(journal) / MANIFEST_NAME).is_file():
        return None
    manifest = load_manifest(journal)
    return None if manifest.complete else manifest.summary.get("command")


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
