"""`disruptor quote`: what trades would pay at the state after given blocks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from disruptor.engine import cli_options as options
from disruptor.status import OK

if TYPE_CHECKING:
    from disruptor.replay.request import RunRequest


def quote(
    sources: options.Sources,
    queries: Annotated[
        str, typer.Option("--queries", metavar="FILE", help="Queries, one JSON object a line.")
    ],
    profile: options.Profile = None,
    sets: options.Sets = None,
    handlers: options.Handlers = None,
    pools: options.Pools = None,
    blocks: options.Blocks = None,
    sort: options.Sort = False,
    strict: options.Strict = False,
    debug: options.Debug = False,
) -> None:
    """Answer what trades would pay at the state after given blocks, as the contracts would."""
    from disruptor.replay.request import RunRequest

    request = RunRequest(
        sources=tuple(sources),
        settings=options.settings_of(profile, "quote", sets),
        handlers=tuple(handlers or ()),
        pools=tuple(pools or ()),
        blocks=tuple(blocks or ()),
        sort=sort,
        strict=strict,
    )
    answer_file(request, queries)


def answer_file(request: RunRequest, path: str) -> None:
    """Print an answer to each query of a file, in order."""
    import numpy as np

    from disruptor.engine.progress import progress_on_stderr

    # The compiled part is imported last: bad options are told at once.
    from disruptor.handlers.quote_kernels import ANSWER_DTYPE
    from disruptor.replay.queries import answer_lines, read_queries
    from disruptor.replay.quote import quote as answers_to

    queries, refused = read_queries(path)
    answers = np.zeros(len(queries), ANSWER_DTYPE)
    answers["status"] = refused
    with progress_on_stderr("quote") as progress:
        answers[refused == OK] = answers_to(request, queries[refused == OK], progress)
    sys.stdout.writelines(f"{line}\n" for line in answer_lines(queries, answers))
