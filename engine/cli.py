"""The command line. Nothing heavy is imported before a command needs it, so `--help` answers at once.

Each command lives in the `cli_*` module of its subject; `cli_errors` decides how a command ends.
"""

from __future__ import annotations

from typing import Annotated

import typer

from disruptor import __version__
from disruptor.engine import (
    cli_config,
    cli_diff,
    cli_journal,
    cli_quote,
    cli_replay,
    cli_run,
    cli_snapshot,
    cli_state,
)
from disruptor.engine.cli_errors import Commands
from disruptor.engine.cli_options import Debug

app = typer.Typer(
    name="disruptor",
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Replay recorded DeFi streams through one compiled loop: exact pool state, arbitrage, digests.",
)
app.command("import")(cli_journal.import_logs)
app.command("replay")(cli_replay.replay)
app.command("run")(cli_run.run)
app.command("scan")(cli_replay.scan)
app.command("quote")(cli_quote.quote)
app.command("state")(cli_state.state)
app.command("snapshot")(cli_snapshot.snapshot)
app.command("diff")(cli_diff.diff)
app.command("warmup")(cli_config.warmup)
app.add_typer(cli_config.config, name="config")
app.add_typer(cli_journal.journal, name="journal")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Debug = False,
) -> None:
    """Print version or help where no command is named."""
    if version:
        typer.echo(f"disruptor {__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the `disruptor` script."""
    app()
