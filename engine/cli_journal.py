"""`disruptor import` and `disruptor journal verify`: the event journal is made, and checked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from disruptor.engine import cli_archive, cli_inspect, cli_prove, cli_repair, cli_retention
from disruptor.engine import cli_options as options

VERIFICATION_FAILED = 1

journal = typer.Typer(help="Work with event journals.", no_args_is_help=False)
journal.command()(cli_inspect.describe)
journal.command()(cli_inspect.stats)
journal.command()(cli_inspect.dump)
journal.command()(cli_prove.prove)
journal.command()(cli_prove.check)
journal.command()(cli_repair.repair)
journal.command()(cli_archive.follow)
journal.command()(cli_archive.to_parquet)
journal.command()(cli_archive.from_parquet)
journal.command()(cli_retention.compact)
journal.command()(cli_retention.purge)


def import_logs(
    sources: options.LogSources,
    directory: Annotated[str, typer.Option("--journal", metavar="DIR", help="The journal to write.")],
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    sort: options.Sort = False,
    strict: options.Strict = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over, whatever an unfinished import left in DIR.")
    ] = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Decode recorded logs into an event journal, identical for identical input. Goes on if it was interrupted."""
    settings = options.settings_of(profile, "replay", sets)
    from disruptor.engine.progress import progress_on_stderr
    from disruptor.replay.importer import import_logs as import_into

    with progress_on_stderr("import") as progress:
        answer = import_into(
            sources,
            directory,
            pools=pools or [],
            blocks=blocks or [],
            sort=sort,
            strict=strict,
            settings=settings,
            restart=restart,
            handlers=handlers or (),
            progress=progress,
        )
    show(answer, as_json=as_json)


@journal.command()
def verify(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal to check.")],
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Check every frame of a journal: checksums, chain, sequences. Exit code 1 if one is wrong."""
    from dataclasses import asdict

    from disruptor.journal import verify as verification

    report = verification.verify(directory)
    show({"ok": report.ok, **asdict(report)}, as_json=as_json)
    if not report.ok:
        raise typer.Exit(VERIFICATION_FAILED)


def show(answer: dict[str, Any], *, as_json: bool) -> None:
    """A flat report: one JSON object, or one `name: value` line an entry."""
    if as_json:
        options.print_json(answer)
        return
    for name, value in answer.items():
        typer.echo(f"{name.replace('_', ' ')}: {shown(value)}")


def shown(value: Any) -> str:
    """A value for people.

    >>> shown(1234567), shown({"gap": 2}), shown(None), shown(True), shown([])
    ('1,234,567', 'gap 2', 'none', 'yes', 'none')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(part) for part in value) or "none"
    return "none" if value is None else str(value)
