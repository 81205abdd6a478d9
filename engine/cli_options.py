"""The options that several commands share, each described once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

#: Key of `Context.meta` under which `--debug` is kept, wherever on the line it stood.
DEBUG = "disruptor.debug"
#: More could not be a block's time.
_SECONDS_DIGITS = 12


def _remember_debug(context: typer.Context, value: bool) -> bool:
    context.meta[DEBUG] = context.meta.get(DEBUG, False) or value
    return value


Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE", help="Recorded logs (files, folders, globs) or a journal."),
]
LogSources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Recorded logs: files, directories of chunks, globs.")
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="P", help="Settings profile: replay, scan, quote, or a YAML file."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeatable. See `config show`."),
]
Handlers = Annotated[
    list[str] | None,
    typer.Option("--handlers", metavar="H", help="Your handlers: a .py file or a module; repeatable."),
]
Pools = Annotated[
    list[str] | None,
    typer.Option("--pools", metavar="FILE", help="Pools file, or logs of the factories; repeatable."),
]
Blocks = Annotated[
    list[str] | None, typer.Option("--blocks", metavar="FILE", help="Block headers; repeatable.")
]
FromBlock = Annotated[
    int | None, typer.Option("--from-block", metavar="N", min=0, help="First block to report.")
]
ToBlock = Annotated[int | None, typer.Option("--to-block", metavar="N", min=0, help="Last block to apply.")]
FromSequence = Annotated[
    int | None, typer.Option("--from-seq", metavar="S", min=0, help="First sequence to report.")
]
ToSequence = Annotated[
    int | None, typer.Option("--to-seq", metavar="S", min=0, help="Last sequence to apply.")
]
FromTime = Annotated[
    str | None,
    typer.Option("--from-time", metavar="TIME", help="First block time to report: ISO 8601 or seconds."),
]
ToTime = Annotated[
    str | None,
    typer.Option("--to-time", metavar="TIME", help="Last block time to apply: ISO 8601 or seconds."),
]
Record = Annotated[
    str | None,
    typer.Option("--record", metavar="FILE", help="Write what was run and what came out, for --check."),
]
Check = Annotated[
    str | None,
    typer.Option(
        "--check", metavar="FILE", help="Hold the run against this record: exit code 1 if it differs."
    ),
]
AllowCodeChange = Annotated[
    bool,
    typer.Option("--allow-code-change", help="Run although code or settings are not those recorded."),
]
FromSnapshot = Annotated[
    bool,
    typer.Option("--from-snapshot", help="Begin behind the journal's newest snapshot that fits the bounds."),
]
Speed = Annotated[
    str,
    typer.Option(
        "--speed", metavar="S", help="max, original, or N times as fast as recorded, by block times."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="CONDITION", help="End where it first holds, e.g. 'events >= 1000'."),
]
Step = Annotated[
    bool, typer.Option("--step", help="Ask on stdin what to do next: n, b, c, s TABLE [KEY], q.")
]
PauseAt = Annotated[
    int | None,
    typer.Option("--pause-at", metavar="S", min=0, help="Run up to this sequence, then ask as --step does."),
]
WriteJournal = Annotated[
    str | None, typer.Option("--write-journal", metavar="DIR", help="Also write the event journal here.")
]
Sort = Annotated[bool, typer.Option("--sort", help="Accept logs in disorder: sort them on disk first.")]
Strict = Annotated[bool, typer.Option("--strict", help="Make what would be a counted warning an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE|DIR", help="Write outputs: .jsonl, .parquet, or a directory."),
]
Types = Annotated[
    str | None, typer.Option("--types", metavar="T,...", help="Message types that --out gets; default all.")
]
StateOut = Annotated[
    str | None,
    typer.Option("--state-out", metavar="FILE", help="Write the state, one JSON line a pool."),
]
OpportunitiesOut = Annotated[
    str | None,
    typer.Option(
        "--opportunities-out", metavar="FILE.jsonl", help="Write what is open at the end, one JSON line each."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files of --out that exist.")]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", callback=_remember_debug, is_eager=True),
]


def settings_of(profile: str | None, default: str, sets: list[str] | None) -> Any:
    """Effective settings of a command."""
    from disruptor.config.loader import load_settings

    return load_settings(profile or default, sets or ())[0]


def block_time(option: str, text: str | None) -> int | None:
    """Unix seconds of a time given as such or in ISO 8601; without an offset it is UTC. Fractions are cut off.

    Raises
    ------
    InputError : neither, or before 1970.
    """
    from datetime import UTC, datetime

    from disruptor.errors import InputError

    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _SECONDS_DIGITS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        seconds = -1
    if seconds < 0 or text.isdigit():
        raise InputError(
            f"{option} {text}: expected Unix seconds, or a time such as 2024-01-31T12:00:00Z, not before 1970"
        )
    return seconds


def speed_factor(text: str) -> float | None:
    """How many times as fast as recorded; None for flat out.

    Raises
    ------
    InputError : neither a word nor a number above 0.
    """
    from disruptor.errors import InputError

    words = {"max": None, "original": 1.0}
    if text in words:
        return words[text]
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise InputError(f"--speed {text}: expected max, original, or a number above 0 such as 10")
    return factor


def print_json(value: dict[str, Any]) -> None:
    """One JSON object and a line end on stdout."""
    import json

    typer.echo(json.dumps(value, allow_nan=False))
