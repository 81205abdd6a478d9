"""`disruptor journal repair`: says what of a damaged journal can be kept; with --yes, keeps it."""

from __future__ import annotations

from typing import Annotated

import typer

from disruptor.engine import cli_options as options

#: Exit code where there is damage that was not repaired.
DAMAGED = 1


def repair(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal; nobody may be writing it.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it. The damaged journal stays, under another name.")
    ] = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Say what could be kept of a damaged journal: all before the first damage. With --yes, put that in its place."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal.repair import plan_repair
    from disruptor.journal.repair import repair as do_repair

    plan, aside = do_repair(directory) if yes else (plan_repair(directory), None)
    answer = {**plan.to_json(), "repaired": aside is not None, "damaged_journal": aside}
    if not as_json and plan.needed and not yes:
        kept = f"{plan.end - plan.first_sequence:,} slots, up to sequence {plan.end - 1}"
        typer.echo(f"with --yes: keep {kept}, lose {plan.lost:,}; the damaged journal would stay beside it")
    show(answer, as_json=as_json)
    if plan.needed and not yes:
        raise typer.Exit(DAMAGED)
