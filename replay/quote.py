"""What trades would pay at the state after given blocks: one pass over the stream answers all queries.

Queries are sorted by block, and the pass stops where asked blocks end. *The state after block N* is that before the
first block above N begins. Blocks without logs are not in a stream, and whether blocks are missing shows only in what
follows the next block's start (`PoolIncomplete` for all pools). So block N itself is asked right before the next
start, and blocks between the two right behind it: should one of them be missing, all pools are incomplete by then.

The pass ends with the last asked block. Only if some pool was unknown does it go on to the end of the stream, so that
"not created yet" can be told from "unknown", and an answer depends on its query and the stream alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.handler_set import Extension
from disruptor.handlers.messages import KIND_UNKNOWN, NO_ID, PoolIncomplete
from disruptor.handlers.moved_rows import moved_dtype
from disruptor.handlers.quote_entry import layout_of, queries_kernel
from disruptor.handlers.quote_kernels import ANSWER_DTYPE, MAX_HOPS, PATH, QUERY_DTYPE
from disruptor.handlers.quoting import AFTER_END, NOT_CREATED, UNKNOWN_POOL
from disruptor.references import describe_tables
from disruptor.replay.request import Progress, RunRequest
from disruptor.replay.session import Session, handlers_of, run_session
from disruptor.replay.slots import Run, block_starts, cut
from disruptor.state import State

_LAST_BLOCK = 2**63 - 1


def quote(
    request: RunRequest, queries: npt.NDArray[Any], progress: Progress | None = None
) -> npt.NDArray[Any]:
    """Answer queries about a stream's pools.

    Parameters
    ----------
    request : the stream, and what it is read and run with
    queries : (n,) QUERY_DTYPE, in any order
    progress : called a few times a second

    Returns
    -------
    (n,) ANSWER_DTYPE, in the order of the queries. What a contract would refuse is a status, never an exception.

    Raises
    ------
    DisruptorError : whatever can be wrong with input, settings, capacities or handlers.
    ValueError : an array of another type, a number of hops or a form that there is not.
    """
    _check(queries)
    order = np.argsort(queries["block"], kind="stable")
    ordered = np.ascontiguousarray(queries[order])
    handlers = handlers_of(request)
    venues = handlers.extensions
    found = run_session(
        request, handlers, lambda session: _Quotes(session, ordered, venues).answer(), progress
    )
    answers = np.empty_like(found)
    answers[order] = found
    return answers


def warm_quotes(state: State, venues: Sequence[Extension] = ()) -> None:
    """Compile the kernel that answers queries, by asking nothing of a state."""
    nothing = np.zeros((0, MAX_HOPS), np.int64)
    _Answering(state, venues).answer(np.zeros(0, QUERY_DTYPE), nothing, np.zeros(0, ANSWER_DTYPE))


class _Answering:
    """The kernel that answers queries, with all that it works on."""

    def __init__(self, state: State, venues: Sequence[Extension]) -> None:
        layout = layout_of(venues)
        self._kernel = queries_kernel(venues)
        self._kept, self._fault = np.zeros(MAX_HOPS, moved_dtype(layout.extensions)), np.zeros(8, np.int64)
        self._tables = describe_tables([state.arrays[name] for name in layout.names], self._fault)

    def answer(
        self, queries: npt.NDArray[Any], ids: npt.NDArray[np.int64], answers: npt.NDArray[Any]
    ) -> None:
        """Answer queries at the present state, into `answers`."""
        with np.errstate(over="ignore"):
            self._kernel(self._tables, queries, ids, answers, self._kept)


def _check(queries: npt.NDArray[Any]) -> None:
    if queries.dtype != QUERY_DTYPE or queries.ndim != 1:
        raise ValueError(f"queries: expected one dimension of {QUERY_DTYPE}")
    hops, form = queries["hops"], queries["form"]
    if not np.all((hops >= 1) & (hops <= MAX_HOPS) & (form <= PATH) & ((form == PATH) | (hops == 1))):
        raise ValueError(f"queries: expected a known form, and 1 hop, or in paths 1 to {MAX_HOPS}")


class Piece(NamedTuple):
    """A part of a run, and how many queries, in order of blocks, can be answered once it is processed."""

    run: Run
    ready: int


class AskedBlocks:
    """Cuts runs where asked blocks end.

    Parameters
    ----------
    blocks : (n,) ascending

    Attributes
    ----------
    last : number of the latest block that has begun; -1 before the first
    """

    def __init__(self, blocks: npt.NDArray[Any]) -> None:
        self._blocks = np.minimum(blocks, _LAST_BLOCK).astype(np.int64)
        self._ready = 0
        self._is_between = False  # the last run ended with a block's start, and blocks before it are asked
        self.last = -1

    def pieces(self, run: Run) -> Iterator[Piece]:
        """The parts of a run, in order, together all of it; some may be empty."""
        starts, numbers = block_starts(run)
        at = run.first
        for end in self._cuts(run, starts, numbers):
            yield Piece(cut(run, at, run.first + end), self._ready)
            at = run.first + end
        if len(numbers):
            self.last = int(numbers[-1])
        yield Piece(cut(run, at, run.first + len(run.slots)), self._ready)

    def up_to_end(self) -> int:
        """How many queries can be answered at the end of the stream."""
        return self._count_through(self.last)

    def _cuts(self, run: Run, starts: Any, numbers: Any) -> Iterator[int]:
        """Where in a run's slots queries can be answered; `_ready` is how many by then."""
        if self._is_between and len(run.slots):
            self._is_between = False
            self._ready = self._count_before(self.last)
            yield _behind_missing(run, 0)
        while self._ready < len(self._blocks):
            asked = int(self._blocks[self._ready])
            k = int(np.searchsorted(numbers, asked, side="right"))
            if k == len(numbers):
                return
            begun = int(numbers[k - 1]) if k else self.last
            if asked == begun:
                self._ready = self._count_through(begun)
                yield int(starts[k])
            elif starts[k] + 1 < len(run.slots):
                self._ready = self._count_before(int(numbers[k]))
                yield _behind_missing(run, int(starts[k]) + 1)
            else:
                self._is_between = True
                return

    def _count_before(self, block: int) -> int:
        return int(np.searchsorted(self._blocks, block, side="left"))

    def _count_through(self, block: int) -> int:
        return int(np.searchsorted(self._blocks, block, side="right"))


def _behind_missing(run: Run, at: int) -> int:
    """`at`, or one further where the slot there says that blocks are missing."""
    slot = run.slots[at].view(PoolIncomplete.slot_dtype(run.slots.shape[1]))[0]
    return at + int(slot["type_id"] == PoolIncomplete.type_id and slot["pool"] == NO_ID)


class _Quotes:
    """One pass over the events that answers queries, given in order of blocks."""

    def __init__(self, session: Session, queries: npt.NDArray[Any], venues: Sequence[Extension]) -> None:
        self._session, self._queries = session, queries
        self._asked = AskedBlocks(queries["block"])
        self._pools = _PoolIds(session.processor.state)
        self._answers = np.zeros(len(queries), ANSWER_DTYPE)
        self._answered = 0
        self._answering = _Answering(session.processor.state, venues)

    def answer(self) -> npt.NDArray[Any]:
        """Process as much of the stream as it takes; the answers."""
        with closing(self._session.runs()) as runs:
            for run in runs:
                for piece in self._asked.pieces(run):
                    self._session.process(piece.run, _nobody)
                    self._answer_up_to(piece.ready)
                    if self._is_done():
                        break
                if self._is_done():
                    break
        self._answer_up_to(self._asked.up_to_end())
        self._answers["status"][self._answered :] = AFTER_END
        for k in np.flatnonzero(self._answers["status"] == UNKNOWN_POOL):
            if self._pools.is_registered(self._queries[k]["pool"][self._answers[k]["hops"]].tobytes()):
                self._answers[k]["status"] = NOT_CREATED
        return self._answers

    def _answer_up_to(self, ready: int) -> None:
        """Answer all queries before the `ready`-th at the present state."""
        if ready <= self._answered:
            return
        part = slice(self._answered, ready)
        queries, ids = self._queries[part], self._pools.ids(self._queries[part])
        self._answering.answer(queries, ids, self._answers[part])
        self._answered = ready

    def _is_done(self) -> bool:
        return self._answered == len(self._queries) and not np.any(self._answers["status"] == UNKNOWN_POOL)


def _nobody(_outputs: npt.NDArray[np.uint8]) -> None:
    """Takes outputs: quotes are asked for, not what handlers emit."""


class _PoolIds:
    """Ids of pools by address, as far as the stream has told them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._ids: dict[bytes, int] = {}
        self._known = 0

    def ids(self, queries: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(n, MAX_HOPS) ids of the queries' pools, -1 for unknown ones."""
        self._learn()
        addresses = np.ascontiguousarray(queries["pool"]).reshape(-1, 20).view("V20").reshape(-1).tolist()
        get = self._ids.get
        return np.array([get(address, -1) for address in addresses], np.int64).reshape(-1, MAX_HOPS)

    def is_registered(self, address: bytes) -> bool:
        """Whether a pool is registered by now, with its kind."""
        self._learn()
        pool = self._ids.get(address, -1)
        return pool >= 0 and int(self._state.rows("pools")[pool]["kind"]) != KIND_UNKNOWN

    def _learn(self) -> None:
        rows = self._state.rows("pool_directory")
        for pool in range(self._known, len(rows)):
            self._ids[rows["address"][pool].tobytes()] = pool
        self._known = len(rows)
