"""`disruptor run`: recorded logs as if they came live, journaled as they come, recoverable at any moment."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from disruptor.engine import cli_options as options

if TYPE_CHECKING:
    from disruptor.journal.journaler import Durability


class Mode(StrEnum):
    """What is promised of what was published; see docs/durability.md."""

    process = "process"
    group = "group"
    strict = "strict"


def run(
    sources: options.LogSources,
    directory: Annotated[
        str, typer.Option("--journal", metavar="DIR", help="Where to record: new, or what is to go on.")
    ],
    durability: Annotated[
        Mode,
        typer.Option(
            "--durability",
            help="process: survives kill -9; group: synced every --sync-us; strict: outputs leave only when synced.",
        ),
    ] = Mode.group,
    sync_us: Annotated[
        int | None,
        typer.Option("--sync-us", metavar="US", min=0, help="group: the longest that an event waits."),
    ] = None,
    sync_bytes: Annotated[
        int | None,
        typer.Option("--sync-bytes", metavar="N", min=1, help="group: as many bytes wait at most."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="FILE.jsonl", help="Append outputs here as they are released, each once."
        ),
    ] = None,
    snapshot_every: Annotated[
        int, typer.Option("--snapshot-every", metavar="N", min=0, help="Take a snapshot after so many slots.")
    ] = 0,
    snapshot_keep: Annotated[
        int, typer.Option("--snapshot-keep", metavar="N", min=1, help="How many snapshots stay.")
    ] = 3,
    finish: Annotated[
        bool, typer.Option("--finish", help="When the sources end, mark the journal complete.")
    ] = False,
    record: options.Record = None,
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Record and process logs as they come. After a crash the same command goes on where it was."""
    from disruptor.engine.cli_journal import show
    from disruptor.engine.cli_replay import checked_file
    from disruptor.engine.live_run import LiveRequest, run_live

    request = LiveRequest(
        sources=tuple(sources),
        settings=options.settings_of(profile, "replay", sets),
        handlers=tuple(handlers or ()),
        pools=tuple(pools or ()),
        blocks=tuple(blocks or ()),
        strict=strict,
        journal=directory,
        durability=_durability(durability, sync_us, sync_bytes),
        out=out,
        finish=finish,
        record=checked_file("--record", record),
        snapshot_every=snapshot_every,
        snapshot_keep=snapshot_keep,
    )
    show(run_live(request), as_json=as_json)


def _durability(mode: Mode, sync_us: int | None, sync_bytes: int | None) -> Durability:
    """The promise that was asked for; limits belong to `group` alone."""
    from disruptor.errors import SettingError
    from disruptor.journal.journaler import Durability

    given = {"sync_us": sync_us, "sync_bytes": sync_bytes}
    limits = {name: value for name, value in given.items() if value is not None}
    if limits and mode is not Mode.group:
        name = f"--{next(iter(limits)).replace('_', '-')}"
        raise SettingError(
            f"{name}: only --durability group has such a limit; leave it out with {mode.value}"
        )
    return Durability(mode.value, **limits)
