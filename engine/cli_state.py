"""`disruptor state`: rows of any table at any sequence."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from disruptor.engine import cli_options as options
from disruptor.errors import InputError


def state(
    sources: options.Sources,
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="SEQ", min=0, help="Sequence of the last event; default: all of them."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="T", help="Rows of this table; without it, their numbers."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="K", help="Only the row with this key: an id, 0x..., or A,B."),
    ] = None,
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    as_json: options.AsJson = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE.jsonl",
            help="Write the rows, one JSON line each; all tables without --table.",
        ),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Show the tables as they were right after an event."""
    from disruptor.engine.cli_replay import checked_file
    from disruptor.replay.request import ReplayRequest

    if key is not None and table is None:
        raise InputError(f"--key {key}: of which table? Add --table T")
    request = ReplayRequest(
        sources=tuple(sources),
        settings=options.settings_of(profile, "replay", sets),
        handlers=tuple(handlers or ()),
        pools=tuple(pools or ()),
        blocks=tuple(blocks or ()),
        to_seq=at,
    )
    answer = _answer(request, table, key, checked_file("--out", out))
    if as_json:
        options.print_json(answer)
        return
    for line in _lines(answer):
        typer.echo(line)


def _answer(request: Any, table: str | None, key: str | None, out: str | None) -> dict[str, Any]:
    """What `--json` prints; writes `--out`."""
    from disruptor.engine.progress import progress_on_stderr
    from disruptor.replay.line_file import write_lines
    from disruptor.replay.state_at import state_at
    from disruptor.replay.table_rows import TableRows

    with progress_on_stderr("state") as progress:
        found = state_at(request, table, progress)
    rows = TableRows(found.state)
    chosen = rows.names if table is None else [table]
    answer: dict[str, Any] = {
        "sequence": found.sequence,
        "snapshot": found.snapshot,
        "state_digest": found.state.digest(),
        "tables": {name: rows.count(name) for name in chosen},
    }
    asked = (
        {"table": name, **row}
        for name in chosen
        for row in (rows.rows(name) if key is None else rows.find(name, key))
    )
    if out is not None:
        return {**answer, "out": out, "lines": write_lines(out, "--out", asked)}
    return answer if table is None else {**answer, "rows": list(asked)}


def _lines(answer: dict[str, Any]) -> list[str]:
    """What a person reads."""
    head = f"after sequence {answer['sequence']}; state digest {answer['state_digest']}"
    if "out" in answer:
        return [head, f"{answer['lines']:,} rows in {answer['out']}"]
    if "rows" not in answer:
        return [head, *(f"{name}: {count:,} rows" for name, count in answer["tables"].items())]
    lines = [row_text(row) for row in answer["rows"]]
    return [head, *(lines or ["no such row"])]


def row_text(row: dict[str, Any]) -> str:
    """A row on one line, its key first."""
    fields = (f"{name}={value}" for name, value in row.items() if name not in ("table", "key"))
    return f"{row['table']}[{row['key']}] {' '.join(fields)}"
