"""`disruptor journal compact | purge`: say what they would do; with --yes they do it."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from disruptor.engine import cli_options as options

#: Exit code where a segment was found damaged, and left as it was.
NOT_CLEAN = 1
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The journal: finished, or a recording.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this, only say what would be done.")]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="Segments last written so long ago: 90m, 12h, 30d."),
]


def compact(
    directory: Directory,
    older_than: OlderThan = None,
    level: Annotated[
        int, typer.Option("--level", metavar="N", min=1, max=19, help="Level of zstd; default 3.")
    ] = 3,
    yes: Yes = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compress closed segments where they stand; every command reads them as before. Exit code 1 if one is damaged."""
    from disruptor.engine.cli_archive import progress_of
    from disruptor.engine.cli_journal import show
    from disruptor.journal import compact as compacting

    age = 0.0 if older_than is None else seconds(older_than)
    plan = compacting.plan_compact(directory, older_than_s=age)
    answer: dict[str, Any] = {"journal": directory, "done": yes}
    if yes:
        with progress_of("compact", "bytes") as progress:
            answer.update(compacting.compact(plan, level=level, progress=progress))
    else:
        answer.update(segments=len(plan.entries), size=plan.size)
    show({**answer, "compressed_before": plan.compressed, "too_young": plan.younger}, as_json=as_json)
    _hint(yes, as_json)
    if answer.get("problems"):
        raise typer.Exit(NOT_CLEAN)


def purge(
    directory: Directory,
    before: Annotated[
        int | None, typer.Option("--before", metavar="SEQ", min=0, help="Slots before this sequence.")
    ] = None,
    keep_bytes: Annotated[
        str | None, typer.Option("--keep-bytes", metavar="SIZE", help="The oldest beyond so much: 500M, 20G.")
    ] = None,
    older_than: OlderThan = None,
    to_snapshot: Annotated[
        bool, typer.Option("--to-snapshot", help="All that the oldest kept snapshot does not need.")
    ] = False,
    without_snapshot: Annotated[
        bool, typer.Option("--without-snapshot", help="Even if no snapshot is kept to replay from.")
    ] = False,
    yes: Yes = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Remove the oldest segments, as far as no snapshot and no reader needs them."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal import purge as purging

    rule = purging.Retention(
        before=before,
        keep_bytes=None if keep_bytes is None else size(keep_bytes),
        older_than_s=None if older_than is None else seconds(older_than),
        to_snapshot=to_snapshot,
        without_snapshot=without_snapshot,
    )
    if yes:
        answer = purging.purge(directory, rule)
    else:
        answer = purging.report(purging.plan_purge(directory, rule))
    show({"journal": directory, "done": yes, **answer}, as_json=as_json)
    _hint(yes, as_json)


def seconds(text: str) -> float:
    """An age in seconds.

    >>> seconds("90m"), seconds("1.5d")
    (5400.0, 129600.0)
    """
    return _number(text, r"([0-9]+(?:\.[0-9]+)?)([smhd])", _AGES, "an age such as 90m, 12h or 30d")


def size(text: str) -> int:
    """A size in bytes.

    >>> size("4096"), size("20G")
    (4096, 21474836480)
    """
    return int(_number(text, r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)", _SIZES, "a size such as 500M or 20G"))


def _number(text: str, pattern: str, units: dict[str, int], expected: str) -> float:
    from disruptor.errors import InputError

    found = re.fullmatch(pattern, text)
    if found is None:
        raise InputError(f"{text}: expected {expected}")
    return float(found[1]) * units[found[2]]


def _hint(yes: bool, as_json: bool) -> None:
    if not yes and not as_json:
        typer.echo("nothing was changed: add --yes to do it")
