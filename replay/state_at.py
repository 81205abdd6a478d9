"""The state at a sequence: the tables as they were right after that event was handled."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.replay.bounds import Bounds
from disruptor.replay.events import JournalEvents
from disruptor.replay.request import Progress, ReplayRequest
from disruptor.replay.restore import identity_of
from disruptor.replay.session import Session, handlers_of, run_session
from disruptor.replay.table_rows import find_table
from disruptor.state import State


class StateAt(NamedTuple):
    """A state.

    sequence : of the last event that is in it, -1 if none is; snapshot : of the one that the run began behind
    """

    state: State
    sequence: int
    snapshot: int | None = None


def state_at(request: ReplayRequest, table: str | None = None, progress: Progress | None = None) -> StateAt:
    """Replay up to the request's upper bound; of a journal from the newest snapshot on that may be used.

    Parameters
    ----------
    table : name of a table that will be asked for, so that an unknown one is told at once

    Raises
    ------
    InputError : no such table; `to_seq` is beyond the last event.
    DisruptorError : whatever can be wrong with input, settings, capacities or handlers.
    """
    handlers = handlers_of(request)
    if table is not None:
        find_table(handlers.tables, table)
    identity = identity_of(handlers, request.settings)

    def attempt(session: Session) -> StateAt:
        snapshot = None
        if isinstance(session.events, JournalEvents) and request.to_block is None:
            snapshot = session.restore(identity, request.to_seq).sequence
        return _advance(session, request, snapshot)

    found = run_session(request, handlers, attempt, progress)
    if request.to_seq is not None and found.sequence < request.to_seq and request.to_block is None:
        raise InputError(f"--at {request.to_seq}: the last sequence is {found.sequence}")
    return found


def _advance(session: Session, request: ReplayRequest, snapshot: int | None) -> StateAt:
    bounds, last = Bounds(request), -1 if snapshot is None else snapshot
    with closing(session.runs()) as runs:
        for run in runs:
            for part in bounds.parts(run):
                session.process(part.run, _nobody)
                last = part.run.first + len(part.run.slots) - 1
            if bounds.ended:
                break
    return StateAt(session.processor.state, last, snapshot)


def _nobody(_slots: npt.NDArray[np.uint8]) -> None:
    """Takes outputs: here only the state is asked for."""
