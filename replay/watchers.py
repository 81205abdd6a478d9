"""Who looks on at a replay, by what its request asks for; and what can't be asked for together."""

from __future__ import annotations

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.replay.condition import parse
from disruptor.replay.events import is_journal
from disruptor.replay.pace import Pace
from disruptor.replay.request import ReplayRequest
from disruptor.replay.stepper import Console, Stepper
from disruptor.replay.until import Until
from disruptor.replay.watch import Watched, Watcher
from disruptor.state import State


def check_watched(request: ReplayRequest, handlers: HandlerSet, console: Console | None) -> None:
    """Refuse, before anything runs, what can't be looked on at.

    Raises
    ------
    InputError : it says what, and what to do.
    """
    stepping = request.step or request.pause_at is not None
    if stepping and console is None:
        raise InputError("--step, --pause-at: nobody to ask what to do: leave out --json")
    if stepping or request.speed is not None:
        option = "--speed" if request.speed is not None else "--step" if request.step else "--pause-at"
        if len(request.sources) != 1 or not is_journal(request.sources[0]):
            # Logs may have to be started over, and what was shown or waited for can't be taken back.
            raise InputError(f"{option}: expected a journal as the source: import the logs first")
    if request.until is not None:
        parse(request.until, handlers)
    if stepping or request.until is not None:
        for option, value in (("--record", request.record), ("--check", request.check)):
            if value is not None:
                raise InputError(
                    f"{option}: of a run that may end anywhere; give its end with --to-seq instead"
                )


def watchers_of(
    request: ReplayRequest, handlers: HandlerSet, state: State, watched: Watched, console: Console | None
) -> list[Watcher]:
    """The watchers in their row: the pace first, then what ends the run, then who is asked."""
    found: list[Watcher] = []
    if request.speed is not None:
        found.append(Pace(request.speed))
    if request.until is not None:
        found.append(Until(parse(request.until, handlers), handlers, state, watched))
    if request.step or request.pause_at is not None:
        assert console is not None
        found.append(Stepper(console, handlers, state, watched, request.pause_at))
    return found
