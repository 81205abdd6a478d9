"""`disruptor snapshot`: states of a journal kept on disk, so that going on from them takes no replay of all before."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from disruptor.engine import cli_options as options
from disruptor.engine.cli_retention import seconds as age

#: Exit code where some snapshot was passed over.
PASSED_OVER = 1


def snapshot(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal.")],
    at: Annotated[
        int | None,
        typer.Option(
            "--at", metavar="SEQ", min=0, help="Last sequence to include; default: the last there is."
        ),
    ] = None,
    every: Annotated[
        int | None, typer.Option("--every", metavar="N", min=1, help="Also one after each N events.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="K", min=1, help="Remove all but the K newest.")
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age", metavar="AGE", help="Remove what is older than 90m, 36h or 7d; never the newest."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do remove; without it, what would be is only named.")
    ] = False,
    allow_code_change: Annotated[
        bool,
        typer.Option("--allow-code-change", help="Begin with a snapshot of other code or settings."),
    ] = False,
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Write the state at a sequence of a journal. Exit code 1 if a snapshot was damaged or could not be used."""
    from disruptor.replay.request import RunRequest

    seconds = None if max_age is None else age(max_age)
    request = RunRequest(
        sources=(directory,),
        settings=options.settings_of(profile, "replay", sets),
        handlers=tuple(handlers or ()),
    )
    from disruptor.engine.progress import progress_on_stderr
    from disruptor.replay.snapshots import prune_snapshots, take_snapshots

    with progress_on_stderr("snapshot") as progress:
        answer = take_snapshots(
            request, at=at, every=every, allow_code_change=allow_code_change, progress=progress
        )
    wanted = keep is not None or seconds is not None
    code = answer["code_identity"]
    answer["retention"] = prune_snapshots(directory, keep, seconds, code, yes=yes) if wanted else None
    if as_json:
        options.print_json(answer)
    else:
        typer.echo("\n".join(_lines(answer)))
    if answer["problems"] or (answer["retention"] or {}).get("problems"):
        raise typer.Exit(PASSED_OVER)


def problem_lines(problems: list[dict[str, Any]]) -> list[str]:
    """One line for each snapshot that was passed over."""
    return [f"passed over: {p['segment']}: {p['what']}" for p in problems]


def _lines(answer: dict[str, Any]) -> list[str]:
    """What a person is told."""
    behind = answer["started_from"]
    where = "from the start" if behind is None else f"behind the snapshot at {behind}"
    lines = problem_lines(answer["problems"])
    lines += [f"code change allowed: {line}" for line in answer["changed"]]
    lines.append(f"{answer['slots']:,} slots replayed {where}, {answer['seconds']:.2f} s in all")
    lines += [_written_line(written) for written in answer["snapshots"]] or [
        "nothing to write: that snapshot is there"
    ]
    lines.append(f"state digest   {answer['state_digest']}")
    retention = answer["retention"]
    if retention is not None:
        lines += problem_lines(retention["problems"])
        word = "removed" if retention["done"] else "would be removed (add --yes)"
        lines += [f"{word}: {gone['path']}: {gone['why']}" for gone in retention["removed"]]
        lines += [] if retention["removed"] else ["nothing to remove"]
    return lines


def _written_line(written: dict[str, Any]) -> str:
    """One snapshot that was written."""
    block = "" if written["block"] is None else f", block {written['block']}"
    size = f"{written['bytes']:,} bytes in {written['seconds']:.2f} s"
    return f"snapshot at {written['sequence']}{block}: {size}: {written['path']}"
