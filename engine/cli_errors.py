"""How a command ends: what it prints on stderr and what it exits with.

    0    done
    1    a verification failed, or the engine stopped on an error of its own kind
    2    bad input or usage
    70   a bug: an exception that nobody planned
    130  Ctrl-C
    141  whoever read stdout went away

An error is one or two lines. The traceback is for those who ask with `--debug`. All commands pass through
`invoke` below, so no command handles errors itself, and a test runner sees what a shell sees.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from disruptor.engine.cli_options import DEBUG
from disruptor.errors import DisruptorError

BAD_INPUT, BUG, INTERRUPTED, READER_GONE = 2, 70, 130, 141


class Commands(TyperGroup):
    """The root command; turns every exception into lines and an exit code."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Parse and run; exits in standalone mode, else returns the exit code."""
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            code = _usage_error(error)
        code = code if isinstance(code, int) else 0
        if standalone_mode:
            sys.exit(code)
        return code

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the chosen command."""
        try:
            super().invoke(ctx)  # type: ignore[arg-type]
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            # Python flushes stdout once more at exit; give it something that takes the bytes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_GONE) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if hasattr(error, "format_message"):
                raise
            raise typer.Exit(report(error, debug=bool(ctx.meta.get(DEBUG)))) from None


def report(error: Exception, *, debug: bool) -> int:
    """Print an exception as an error; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, DisruptorError):
        say(f"error: {error}")
        return error.exit_code
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        say(f"error: {place}{error.strerror or error}")
        return BAD_INPUT
    say(f"internal error: {type(error).__name__}: {error}")
    if not debug:
        say("this is a bug: run again with --debug and report the traceback")
    return BUG


def say(line: str) -> None:
    """One line on stderr."""
    typer.echo(" ".join(line.splitlines()), err=True)


def _usage_error(error: Any) -> int:
    """What the parser complains about, and where to read on."""
    context = getattr(error, "ctx", None)
    say(f"error: {error.format_message()}")
    if context is not None:
        say(f"see: {context.command_path} --help")
    return BAD_INPUT
