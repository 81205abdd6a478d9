"""`disruptor replay` and `disruptor scan`: build the request, run it with its sinks, say what came out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disruptor.engine import cli_options as options
from disruptor.errors import InputError, SettingError

if TYPE_CHECKING:
    from disruptor.engine.opportunities import BestOpportunities, Ranking
    from disruptor.replay.request import OutputSink, ReplayRequest

#: Exit code where a run is not what was recorded.
DIFFERENT = 1
#: What the table of a scan is made of.
SCANNED = ("ArbitrageOpportunity", "OpportunityClosed")


class SortBy(StrEnum):
    """What makes one opportunity come before another."""

    spread = "spread"
    profit = "profit"
    block = "block"


Top = Annotated[int, typer.Option("--top", metavar="N", min=1, max=100_000, help="Rows to show.")]
By = Annotated[
    SortBy,
    typer.Option(
        "--sort-by",
        help="Widest spread; most profit, which only compares within one token: by token, --top of each; "
        "or latest block first.",
    ),
]
Token = Annotated[
    list[str] | None,
    typer.Option("--token", metavar="ADDR|SYMBOL", help="Only routes with this token; repeatable."),
]
Pool = Annotated[
    list[str] | None,
    typer.Option("--pool", metavar="ADDR", help="Only routes through this pool; repeatable."),
]
MinBps = Annotated[float, typer.Option("--min-bps", metavar="BPS", min=0, help="Smallest spread to show.")]
Tokens = Annotated[
    str | None, typer.Option("--tokens", metavar="FILE", help="Token list: symbols and decimals.")
]


def replay(
    sources: options.Sources,
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    from_block: options.FromBlock = None,
    to_block: options.ToBlock = None,
    from_seq: options.FromSequence = None,
    to_seq: options.ToSequence = None,
    from_time: options.FromTime = None,
    to_time: options.ToTime = None,
    record: options.Record = None,
    check: options.Check = None,
    allow_code_change: options.AllowCodeChange = False,
    from_snapshot: options.FromSnapshot = False,
    speed: options.Speed = "max",
    until: options.Until = None,
    step: options.Step = False,
    pause_at: options.PauseAt = None,
    write_journal: options.WriteJournal = None,
    sort: options.Sort = False,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    out: options.Out = None,
    types: options.Types = None,
    state_out: options.StateOut = None,
    opportunities_out: options.OpportunitiesOut = None,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Run recorded logs or a journal through the engine: pools, swaps, arbitrage, digests."""
    from disruptor.replay.request import ReplayRequest

    names, settings = split_types(types, out), options.settings_of(profile, "replay", sets)
    if opportunities_out is not None and not settings.arbitrage.enabled:
        raise SettingError(
            "arbitrage.enabled: expected true with --opportunities-out: there are none without it"
        )
    held: dict[str, Any] = {"record": checked_file("--record", record), "check": check}
    looked_on: dict[str, Any] = {"speed": options.speed_factor(speed), "until": until, "step": step}
    request = ReplayRequest(
        sources=tuple(sources),
        settings=settings,
        handlers=tuple(handlers or ()),
        pools=tuple(pools or ()),
        blocks=tuple(blocks or ()),
        **bounds(from_block, to_block, from_seq, to_seq),
        from_time=options.block_time("--from-time", from_time),
        to_time=options.block_time("--to-time", to_time),
        **held,
        allow_code_change=allow_code_change,
        from_snapshot=from_snapshot,
        **looked_on,
        pause_at=pause_at,
        write_journal=write_journal,
        sort=sort,
        strict=strict,
        state_out=checked_file("--state-out", state_out),
        opportunities_out=checked_file("--opportunities-out", opportunities_out),
        types=names,
    )
    sinks = output_sinks(out, names, force=force)
    answer = execute(request, sinks, title="replay", asking=not as_json and (step or pause_at is not None))
    if as_json:
        options.print_json(answer)
    else:
        typer.echo("\n".join(summary_lines(answer)))
    if (answer.get("checked") or {}).get("differences"):
        raise typer.Exit(DIFFERENT)


def scan(
    sources: options.Sources,
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    from_block: options.FromBlock = None,
    to_block: options.ToBlock = None,
    from_seq: options.FromSequence = None,
    to_seq: options.ToSequence = None,
    top: Top = 10,
    sort_by: By = SortBy.spread,
    token: Token = None,
    pool: Pool = None,
    min_bps: MinBps = 0.0,
    tokens: Tokens = None,
    sort: options.Sort = False,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    out: options.Out = None,
    types: options.Types = None,
    state_out: options.StateOut = None,
    opportunities_out: options.OpportunitiesOut = None,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Show the best arbitrage opportunities of recorded logs or a journal: a preset of replay."""
    from disruptor.engine.opportunities import BestOpportunities, Ranking, resolve_pools, resolve_tokens
    from disruptor.replay.request import ReplayRequest

    settings = options.settings_of(profile, "scan", sets)
    if not settings.arbitrage.enabled:
        raise SettingError("arbitrage.enabled: expected true for scan: it shows nothing else")
    names, known = split_types(types, out), load_token_list(tokens)
    ranking = Ranking(
        top=top,
        sort_by=sort_by.value,
        tokens=resolve_tokens(token or (), known),
        pools=resolve_pools(pool or ()),
        min_bps=min_bps,
    )
    request = ReplayRequest(
        sources=tuple(sources),
        settings=settings,
        handlers=tuple(handlers or ()),
        pools=tuple(pools or ()),
        blocks=tuple(blocks or ()),
        **bounds(from_block, to_block, from_seq, to_seq),
        sort=sort,
        strict=strict,
        state_out=checked_file("--state-out", state_out),
        opportunities_out=checked_file("--opportunities-out", opportunities_out),
        types=None if out else SCANNED,
    )
    best = BestOpportunities(ranking)
    answer = execute(request, [best, *output_sinks(out, names, force=force)], title="scan")
    show_best(best, ranking, known, answer, request.handlers, as_json=as_json)


def bounds(
    from_block: int | None, to_block: int | None, from_seq: int | None, to_seq: int | None
) -> dict[str, Any]:
    """Bounds by the names that a request has for them."""
    return {"from_block": from_block, "to_block": to_block, "from_seq": from_seq, "to_seq": to_seq}


def execute(
    request: ReplayRequest, sinks: Sequence[OutputSink], *, title: str, asking: bool = False
) -> dict[str, Any]:
    """Run a request with its sinks and progress, `asking` what to do on stdin; the result as a JSON object."""
    from disruptor.engine.output import FanOut
    from disruptor.engine.progress import progress_on_stderr

    with FanOut(sinks) as sink:
        # The compiled part is imported last: bad options are told at once.
        from disruptor.replay.run import run

        if asking:
            from disruptor.replay.stepper import Console

            result = run(request, sink if sinks else None, None, Console(iter(sys.stdin), typer.echo))
            return result.to_json()
        with progress_on_stderr(title) as progress:
            result = run(request, sink if sinks else None, progress)
    answer: dict[str, Any] = result.to_json()
    return answer


def show_best(
    best: BestOpportunities,
    ranking: Ranking,
    known: dict[bytes, tuple[str, int]],
    answer: dict[str, Any],
    handlers: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """The table and lines below it, or the one object with `best` and `totals` added."""
    from disruptor.engine.tables import opportunity_json, print_opportunities, total_json, total_lines
    from disruptor.replay.user_code import kind_names

    rows, totals, kinds = best.result(), best.totals(), kind_names(handlers)
    if as_json:
        added = {
            "best": [opportunity_json(row, known, kinds) for row in rows],
            "totals": [total_json(total, known) for total in totals],
        }
        options.print_json({**answer, **added})
        return
    print_opportunities(rows, known, kinds)
    shown = f"{len(rows)} of {answer['opportunities']:,} openings shown, by {ranking.sort_by}"
    typer.echo(f"{shown}; {answer['events']:,} events in {answer['seconds']:.2f} s")
    for line in (*total_lines(totals, known), *warning_lines(answer)):
        typer.echo(line)


def output_sinks(out: str | None, types: tuple[str, ...] | None, *, force: bool) -> list[OutputSink]:
    """The sink of `--out`, if there is one."""
    if out is None:
        return []
    from disruptor.engine.output import open_output

    return [open_output(out, types, force=force)]


def split_types(types: str | None, out: str | None) -> tuple[str, ...] | None:
    """The names of `--types T,...`."""
    if types is None:
        return None
    names = tuple(name.strip() for name in types.split(",") if name.strip())
    if not names:
        raise InputError("--types: expected names of message types, such as --types DeFiSwapEvent")
    if out is None:
        raise InputError("--types: chooses what --out writes: add --out FILE.jsonl")
    return names


def checked_file(option: str, path: str | None) -> str | None:
    """Refuse, before the run, a file that has no folder. An earlier file is replaced, in one step, at the end."""
    if path is None:
        return None
    target = Path(path)
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(f"{option} {path}: expected a file in a folder that exists")
    return path


def load_token_list(path: str | None) -> dict[bytes, tuple[str, int]]:
    """Symbols and decimals by token address; empty without a file."""
    if path is None:
        return {}
    from disruptor.feeds.token_list import load_tokens

    known: dict[bytes, tuple[str, int]] = load_tokens(path)
    return known


def summary_lines(answer: dict[str, Any]) -> list[str]:
    """What a replay tells a person."""
    outputs = ", ".join(f"{name} {count:,}" for name, count in answer["outputs"].items()) or "none"
    return [
        f"chain {answer['chain_id'] or 'unknown'}: {answer['events']:,} events "
        f"(sequences {answer['first_sequence']} to {answer['last_sequence']}) in {answer['seconds']:.2f} s, "
        f"{answer['events_per_second']:,.0f}/s; compiled in {answer['compile_seconds']:.2f} s",
        f"outputs: {outputs}; {answer['opportunities']:,} arbitrage openings",
        f"audit: {answer['swaps_audited']:,} swaps matched, {answer['swaps_mismatched']:,} mismatched, "
        f"{answer['swaps_not_checkable']:,} not checkable; {answer['paths']:,} paths, "
        f"{answer['paths_screened']:,} screened, {answer['paths_solved']:,} solved",
        f"state digest   {answer['state_digest']}",
        f"output digest  {answer['output_digest']}",
        f"code identity  {answer['code_identity']}; pages {page_text(answer['pages'])}",
        *warning_lines(answer),
        *identity_lines(answer),
        *snapshot_lines(answer.get("snapshot")),
        *stopped_lines(answer.get("stopped")),
    ]


def identity_lines(answer: dict[str, Any]) -> list[str]:
    """What is another than recorded, and whether the results are."""
    found = answer.get("identity") or {}
    lines = [f"code change allowed: {line}" for line in found.get("changed", ())]
    for name, (before, now) in found.get("environment", {}).items():
        if name == "cpu_features":
            before, now = (f"{len((text or '').split())} features" for text in (before, now))
        lines.append(f"environment: {name}: {before} when recorded, {now} now")
    for name, (before, now) in found.get("import_settings", {}).items():
        lines.append(f"setting {name}: {before} at import, which counts, not {now}")
    checked = answer.get("checked") or {}
    for name, (before, now) in checked.get("differences", {}).items():
        lines.append(f"DIFFERS: {name}: {before} when recorded, {now} now")
    if checked and not checked["differences"]:
        lines.append(f"as recorded: {', '.join(checked['against'])}")
    return lines


def snapshot_lines(found: dict[str, Any] | None) -> list[str]:
    """Where the run began, and which snapshots it could not use."""
    from disruptor.engine.cli_snapshot import problem_lines

    if found is None:
        return []
    began = "at the start" if found["sequence"] is None else f"behind the snapshot at {found['sequence']}"
    allowed = [f"code change allowed: {line}" for line in found["changed"]]
    return [f"began {began}", *allowed, *problem_lines(found["problems"])]


def stopped_lines(found: dict[str, Any] | None) -> list[str]:
    """Why the run ended before its end, if it did."""
    if found is None:
        return []
    why = f"{found['until']} holds" if "until" in found else "told to"
    return [f"stopped after sequence {found['sequence']}: {why}"]


def warning_lines(answer: dict[str, Any]) -> list[str]:
    """One line of counted warnings, if there are any."""
    counts = ", ".join(f"{kind} {count:,}" for kind, count in (answer.get("warnings") or {}).items())
    return [f"warnings: {counts}"] if counts else []


def page_text(pages: Any) -> str:
    """The pages that a run got, in one phrase."""
    if isinstance(pages, dict):
        return ", ".join(f"{name} {kind}" for name, kind in pages.items())
    return str(pages)
