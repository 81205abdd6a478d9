"""Progress on stderr: how far, how fast, how long still. Where stderr is no terminal there is none at all.

The first run of a handler set compiles for some seconds: the line says so. The runner reports once per batch; rich
draws a few times a second, so the reports cost nothing that shows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from disruptor.replay.request import Progress, ProgressUpdate

_DRAWS_PER_SECOND = 4


@contextmanager
def progress_on_stderr(title: str) -> Iterator[Progress | None]:
    """A function that takes `ProgressUpdate`s while the block runs, or None where nobody would see them."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(
        *columns, console=Console(stderr=True), transient=True, refresh_per_second=_DRAWS_PER_SECOND
    ) as bar:
        task = bar.add_task(title, total=None, rate="")

        def report(update: ProgressUpdate) -> None:
            rate = rate_text(update, bar.tasks[0].elapsed or 0.0)
            bar.update(task, description=title, completed=update.done, total=update.total, rate=rate)

        def say_compiling(what: str) -> None:
            bar.update(task, description=f"compiling {what}, once")

        from disruptor import compile_cache

        compile_cache.on_compile.append(say_compiling)
        try:
            yield report
        finally:
            compile_cache.on_compile.remove(say_compiling)


def rate_text(update: ProgressUpdate, elapsed_s: float) -> str:
    """Events so far and the rate since the start.

    >>> rate_text(ProgressUpdate(10, 20, "bytes", 3_000_000), 2.0)
    '3,000,000 events, 1,500,000/s'
    >>> rate_text(ProgressUpdate(10, 20, "blocks", 0), 0.0)
    '10 blocks'
    """
    if not update.events:
        return f"{update.done:,} {update.unit}"
    rate = f", {update.events / elapsed_s:,.0f}/s" if elapsed_s > 0 else ""
    return f"{update.events:,} events{rate}"
