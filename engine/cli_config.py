"""`disruptor config show`: the effective settings and where each came from; `disruptor warmup`: compile
once."""

from __future__ import annotations

from typing import Any

import typer

from disruptor.engine import cli_options as options

config = typer.Typer(help="Look at the settings.", no_args_is_help=False)


@config.command()
def show(
    profile: options.Profile = None,
    sets: options.Sets = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Print the effective settings and where each came from. Without --profile: those of replay."""
    from disruptor.config.loader import load_settings
    from disruptor.config.schema import flatten, spec_path, specs

    settings, origins = load_settings(profile or "replay", sets or ())
    flat, known = flatten(settings), specs()
    if as_json:
        options.print_json(
            {
                path: {
                    "value": value,
                    "origin": origins[path],
                    "changes_results": known[spec_path(path)].semantic,
                    "help": known[spec_path(path)].help,
                }
                for path, value in flat.items()
            }
        )
        return
    rows = [(path, value_text(path, value), origins[path]) for path, value in flat.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for path, value, origin in rows:
        typer.echo(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {origin}")


def warmup(
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compile everything once, for one profile or for all commands, so that the next run starts at once."""
    profiles = [profile] if profile else ["replay", "scan", "quote"]
    all_settings = [options.settings_of(name, name, sets) for name in profiles]
    from disruptor.engine.cli_journal import show as show_report
    from disruptor.replay.warmup import warm_up

    show_report(warm_up(all_settings, tuple(handlers or ())), as_json=as_json)


def value_text(path: str, value: Any) -> str:
    """A setting's value in the words in which a profile would give it.

    >>> value_text("mlock", False), value_text("huge_page_size", 2 << 20), value_text("numa_node", None)
    ('false', '2MiB', 'null')
    """
    from disruptor.config.parsers import show_bytes

    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return show_bytes(value) if path in ("memory_pool_size", "huge_page_size") else str(value)
