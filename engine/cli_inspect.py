"""`disruptor journal describe | stats | dump`: what a journal in any state holds, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from disruptor.engine import cli_options as options

#: Exit code where something is damaged, or the journal is not (cleanly) finished.
NOT_CLEAN = 1

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The journal, in any state.")]


def describe(directory: Directory, as_json: options.AsJson = False, debug: options.Debug = False) -> None:
    """Say what a journal is and holds, and what is wrong where. Exit code 1 unless it is whole."""
    from disruptor.journal.describe import describe as describe_journal

    answer = describe_journal(directory)
    if "incarnations" in answer:
        answer["watermarks"] = _watermarks(directory)
    _show(answer, as_json=as_json, lists={"messages": _message, "segments": _segment})


def _watermarks(directory: str) -> dict[str, int | None] | None:
    """How far the engine of a recording has come, alive or dead; None if no ring of it is there."""
    from disruptor.engine.live_ring import region_name
    from disruptor.errors import DisruptorError
    from disruptor.watermarks import watermarks_of

    try:
        return watermarks_of(region_name(directory))._asdict()
    except DisruptorError:
        return None


def stats(directory: Directory, as_json: options.AsJson = False, debug: options.Debug = False) -> None:
    """Count slots by type, blocks and times, and say what is wrong where. Exit code 1 unless it is whole."""
    from disruptor.journal.describe import stats as count

    answer = count(directory)
    if not as_json:
        answer["types"] = [{"type": name, **numbers} for name, numbers in answer["types"].items()]
    _show(answer, as_json=as_json, lists={"types": _kind})


def dump(
    directory: Directory,
    from_sequence: Annotated[
        int | None, typer.Option("--from-seq", metavar="S", min=0, help="First sequence.")
    ] = None,
    to_sequence: Annotated[
        int | None, typer.Option("--to-seq", metavar="S", min=0, help="Last sequence.")
    ] = None,
    from_block: Annotated[
        int | None, typer.Option("--from-block", metavar="N", min=0, help="First block.")
    ] = None,
    to_block: Annotated[
        int | None, typer.Option("--to-block", metavar="N", min=0, help="Last block.")
    ] = None,
    from_time: Annotated[
        int | None,
        typer.Option("--from-time", metavar="SECONDS", min=0, help="Earliest block time, Unix seconds."),
    ] = None,
    to_time: Annotated[
        int | None,
        typer.Option("--to-time", metavar="SECONDS", min=0, help="Latest block time, Unix seconds."),
    ] = None,
    types: Annotated[
        str | None, typer.Option("--types", metavar="T,...", help="Message types; default all.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a slot, one a line.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Print slots, one a line, and what is damaged in its place. Exit code 1 unless all that was read is whole."""
    from disruptor.journal.dump import Wanted
    from disruptor.journal.dump import dump as open_dump
    from disruptor.journal.problem import Problem
    from disruptor.journal.rows import line, text

    wanted = Wanted(
        from_sequence=from_sequence,
        to_sequence=to_sequence,
        from_block=from_block,
        to_block=to_block,
        from_time=from_time,
        to_time=to_time,
        types=tuple(filter(None, (types or "").split(","))),
    )
    dumped = open_dump(directory, wanted)
    for row in dumped.rows():
        if isinstance(row, Problem):
            typer.echo(line({"problem": row.to_json()}) if as_json else f"damaged: {row}")
        else:
            typer.echo(line(row) if as_json else text(row))
    if not dumped.survey.ok:
        raise typer.Exit(NOT_CLEAN)


def _show(answer: dict[str, Any], *, as_json: bool, lists: dict[str, Any]) -> None:
    """The report; lists of objects as a heading and a line each. Exits with `NOT_CLEAN` unless it is ok."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal.problem import Problem

    if as_json:
        options.print_json(answer)
    else:
        problems = answer.pop("problems")
        parts = {name: answer.pop(name) for name in lists}
        show(answer, as_json=False)
        for name, part in parts.items():
            typer.echo(f"{name}:")
            for one in part:
                typer.echo(f"  {lists[name](one)}")
        typer.echo(f"problems: {'' if problems else 'none'}".rstrip())
        for problem in problems:
            typer.echo(f"  {Problem(**problem)}")
    if not answer["ok"]:
        raise typer.Exit(NOT_CLEAN)


def _message(message: dict[str, Any]) -> str:
    fields = ", ".join(f"{name} {kind}" for name, kind, _ in message["fields"])
    return f"{message['name']} ({message['type_id']}, {message['size']} bytes): {fields}"


def _segment(segment: dict[str, Any]) -> str:
    last = segment["first_sequence"] + segment["slots"] - 1
    end = "closed" if segment["closed"] else "open"
    held = f"{segment['slots']:,} slots in {segment['frames']:,} frames, {segment['size']:,} bytes"
    return f"{segment['name']} {end}: sequences {segment['first_sequence']} to {last}, {held}"


def _kind(kind: dict[str, Any]) -> str:
    return f"{kind['type']}: {kind['slots']:,} slots, sequences {kind['first_sequence']} to {kind['last_sequence']}"
