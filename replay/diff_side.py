"""One side of a comparison: a journal run through one set of handlers and settings, interval by interval.

A side keeps a hash chain (`disruptor.chain`) and what it emitted in the interval, so that it can be asked afterwards
what one of its events wrote. What it answers is plain: numbers, bytes, objects as of JSON; so it may as well run in
another process, of another version of the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from disruptor.chain import INTERVAL
from disruptor.chain_keeper import RowChange
from disruptor.digest import shown_fields
from disruptor.errors import CapacityError, HandlerError, InputError
from disruptor.message import header_dtype
from disruptor.replay.events import Inputs, is_journal, open_events
from disruptor.replay.program import Memory, build_processor
from disruptor.replay.request import RunRequest
from disruptor.replay.session import Session, handlers_of
from disruptor.replay.shown_slots import ShownSlots
from disruptor.replay.slots import Run, cut
from disruptor.replay.table_rows import TableRows
from disruptor.replay.user_code import venues_in

Octets = npt.NDArray[np.uint8]
#: Field names to kinds, by table: what two sides can compare.
Fields = Mapping[str, Mapping[str, str]]


class Step(NamedTuple):
    """One interval of a side.

    first, end : sequences first .. end - 1 were handled
    state, outputs, inputs : folds over what was written, emitted and read; 32 hex digits each
    failure : why no further event was handled, "" unless one failed
    """

    first: int
    end: int
    state: str
    outputs: str
    inputs: str
    failure: str


class DiffSide(Protocol):
    """What a comparison asks of a side, in this order: `fields` once, `open` once, then `advance` until it is done."""

    def fields(self) -> Fields:
        """The digested tables and their canonical fields."""

    def open(self, covered: Mapping[str, Sequence[str]]) -> int:
        """Get ready to compare these fields of tables; the first sequence."""

    def advance(self) -> Step:
        """Handle the events up to the next multiple of `INTERVAL`; an empty step at the end."""

    def sums(self) -> npt.NDArray[np.uint64]:
        """(n, 2) state sums after each event of the last step."""

    def changes(self, sequence: int) -> list[dict[str, Any]]:
        """Rows that an event of the last step wrote: `table, key, before, after`."""

    def outputs(self) -> tuple[Octets, list[str]]:
        """(k, slot_size) what the last step emitted, without ordinals and handlers, and their types' names."""

    def show_outputs(self, which: Sequence[int]) -> list[dict[str, Any]]:
        """Some of these as objects."""

    def show_input(self, sequence: int) -> dict[str, Any]:
        """An event of the last step as an object."""

    def close(self) -> None:
        """Release what it holds."""


class LocalSide:
    """A side in this process.

    Parameters
    ----------
    request : one journal, and what to run it with

    Raises
    ------
    InputError : something else than a journal.
    """

    def __init__(self, request: RunRequest) -> None:
        if len(request.sources) != 1 or not is_journal(request.sources[0]):
            raise InputError(
                f"{', '.join(request.sources)}: not a journal: diff compares journals; import the logs first"
            )
        self._request = request
        self._handlers = handlers_of(request)
        self._emitted: list[Octets] = []
        self._read: list[Octets] = []
        self._first = self._count = 0

    def fields(self) -> Fields:
        """See `DiffSide`."""
        tables = [table for table in self._handlers.tables if table.digest]
        return {t.name: {name: kind.name for name, kind in shown_fields(t).items()} for t in tables}

    def open(self, covered: Mapping[str, Sequence[str]]) -> int:
        """See `DiffSide`."""
        request, settings = self._request, self._request.settings
        memory = Memory(settings)
        paths = (request.sources, request.pools, request.blocks)
        inputs = Inputs(*paths, request.sort, request.strict, venues_in(self._handlers))
        events = open_events(inputs, settings, memory)
        processor = build_processor(self._handlers, settings, memory.allocate, events.chain_id, covered)
        processor.compile()
        memory.settle()
        assert processor.chain is not None
        self._session, self._chain = Session(events, processor, memory, None), processor.chain
        self._rows = TableRows(processor.state)
        self._shows = ShownSlots(self._handlers, self._rows)
        self._runs: Iterator[Run] = self._session.runs()
        self._run = next(self._runs, None)
        self._next = 0 if self._run is None else self._run.first
        return self._next

    def advance(self) -> Step:
        """See `DiffSide`."""
        self._first, self._emitted, self._read, failure = self._next, [], [], ""
        end = (self._first // INTERVAL + 1) * INTERVAL
        hashed = xxhash.xxh3_128()
        self._chain.begin(self._first)
        while self._run is not None and self._next < end and not failure:
            run_end = self._run.first + len(self._run.slots)
            part = cut(self._run, self._next, min(end, run_end))
            self._read.append(part.slots.copy())
            hashed.update(part.slots.data)
            failure = self._handle(part)
            if self._next >= run_end:
                self._run = next(self._runs, None)
        self._count = self._next - self._first
        fold = self._chain.fold
        return Step(
            self._first, self._next, f"{fold.state:032x}", f"{fold.outputs:032x}", hashed.hexdigest(), failure
        )

    def _handle(self, part: Run) -> str:
        failure = ""
        try:
            self._session.process(part, lambda slots: self._emitted.append(slots.copy()))
        except (HandlerError, CapacityError) as error:
            failure = str(error)
        self._next = self._session.processor.next_sequence
        return failure

    def sums(self) -> npt.NDArray[np.uint64]:
        """See `DiffSide`."""
        return self._chain.sums(self._count)

    def changes(self, sequence: int) -> list[dict[str, Any]]:
        """See `DiffSide`."""
        return [self._shown(change) for change in self._chain.changes(sequence)]

    def _shown(self, change: RowChange) -> dict[str, Any]:
        record = change.before if change.after is None else change.after
        key = "" if record is None else self._rows.key(change.table, change.row, record)
        names = shown_fields(change.table)

        def fields(row: Any) -> dict[str, Any] | None:
            if row is None:
                return None
            return {name: self._rows.shown(kind, row[name]) for name, kind in names.items()}

        return {
            "table": change.table.name,
            "key": key,
            "before": fields(change.before),
            "after": fields(change.after),
        }

    def outputs(self) -> tuple[Octets, list[str]]:
        """See `DiffSide`."""
        slots = self._slots(self._emitted).copy()
        headers = slots.reshape(-1).view(header_dtype(slots.shape[1]))
        headers["source_id"] = headers["source_sequence"] = 0
        return slots, [self._shows.name(int(kind)) for kind in headers["type_id"]]

    def show_outputs(self, which: Sequence[int]) -> list[dict[str, Any]]:
        """See `DiffSide`."""
        slots = self._slots(self._emitted)
        return [self._shows.output(slots[k]) for k in which]

    def show_input(self, sequence: int) -> dict[str, Any]:
        """See `DiffSide`."""
        return self._shows.event(self._slots(self._read)[sequence - self._first])

    def close(self) -> None:
        """See `DiffSide`."""
        close = getattr(self._runs, "close", None)
        if close is not None:
            close()

    def _slots(self, parts: Sequence[Octets]) -> Octets:
        return np.concatenate(parts) if parts else np.zeros((0, self._session.processor.slot_size), np.uint8)
