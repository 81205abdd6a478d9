"""`disruptor journal to-parquet | from-parquet | follow`: a journal as columns and back; rows as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from disruptor.engine import cli_options as options

if TYPE_CHECKING:
    from disruptor.journal.parquet_export import Progress

#: Exit code where something was found damaged.
NOT_CLEAN = 1


def to_parquet(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal, finished and whole.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The directory to write: new or empty.")],
    kind: Annotated[
        str, typer.Option("--format", metavar="F", help="parquet, or arrow (IPC files).")
    ] = "parquet",
    from_sequence: Annotated[
        int | None, typer.Option("--from-seq", metavar="S", min=0, help="First sequence.")
    ] = None,
    to_sequence: Annotated[
        int | None, typer.Option("--to-seq", metavar="S", min=0, help="Last sequence.")
    ] = None,
    types: Annotated[
        str | None, typer.Option("--types", metavar="T,...", help="Message types; default all.")
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Write a journal as columns, a file for each message type. A range or types make an export: no way back."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal.parquet_export import Selection, to_columns

    names = tuple(filter(None, (types or "").split(",")))
    selection = Selection(from_sequence=from_sequence, to_sequence=to_sequence, types=names)
    with progress_of("to-parquet") as progress:
        answer = to_columns(directory, out, selection, kind=kind, progress=progress)
    show(answer, as_json=as_json)


def from_parquet(
    archive: Annotated[str, typer.Argument(metavar="OUT", help="What to-parquet wrote, of a whole journal.")],
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal to make: new or empty.")],
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Make the journal again that an archive was made of, byte for byte, or none. Exit code 1 if it was changed."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal.parquet_import import from_columns

    with progress_of("from-parquet") as progress:
        answer = from_columns(archive, directory, progress=progress)
    show(answer, as_json=as_json)


def follow(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal, in any state.")],
    from_sequence: Annotated[
        int | None, typer.Option("--from-seq", metavar="S", min=0, help="First sequence; default by --last.")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=0, help="Begin N slots before the present end.")
    ] = 10,
    types: Annotated[
        str | None, typer.Option("--types", metavar="T,...", help="Message types; default all.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a slot, one a line.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Print slots as they are written, until the journal is complete or Ctrl-C. Exit code 1 if something is damaged."""
    from disruptor.journal.follow import Follower
    from disruptor.journal.problem import Problem
    from disruptor.journal.rows import line, text

    names = tuple(filter(None, (types or "").split(",")))
    follower = Follower(directory, from_sequence=from_sequence, last=last, types=names)
    with suppress(KeyboardInterrupt):  # the ordinary end of it
        for row in follower.rows():
            if isinstance(row, Problem):
                typer.echo(line({"problem": row.to_json()}) if as_json else f"damaged: {row}")
            else:
                typer.echo(line(row) if as_json else text(row))
    if follower.problems:
        raise typer.Exit(NOT_CLEAN)


@contextmanager
def progress_of(title: str, unit: str = "slots") -> Iterator[Progress | None]:
    """How much is done, of how much, where somebody sees it."""
    from disruptor.engine.progress import progress_on_stderr
    from disruptor.replay.request import ProgressUpdate

    with progress_on_stderr(title) as report:
        if report is None:
            yield None
        else:
            yield lambda done, total: report(ProgressUpdate(done, total, unit, 0))
