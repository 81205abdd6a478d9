"""The processor: a handler set's compiled loop, its state, its output ring, and the Python edge around them.

Python enters the loop once per run of slots and comes back with a reason: nothing more to read, output ring or a table
full, a stop request, an error at sequence N. An error poisons the processor, because the event that failed may have
written half of its rows: what then (restore and replay) is for the layer above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor import compile_cache
from disruptor.chain_keeper import ChainKeeper, Covered
from disruptor.codegen import CONTROL_DTYPE, generate
from disruptor.errors import CapacityError, DisruptorError, HandlerError
from disruptor.handler_set import HandlerSet
from disruptor.jit import JIT_DISABLED
from disruptor.message import DEFAULT_SLOT_SIZE, header_dtype
from disruptor.references import DESCRIPTOR_WORDS, OUT_CELL_DTYPE, describe_tables
from disruptor.state import State
from disruptor.status import IDLE, RING_FULL, STOPPED, TABLE_FULL, describe

_FAR = 1 << 62

OutputConsumer = Callable[[npt.NDArray[np.uint8]], None]
Allocate = Callable[[int], npt.NDArray[np.uint8]]


def plain_allocate(nbytes: int) -> npt.NDArray[np.uint8]:
    """Zeroed private memory on ordinary pages, aligned to 4 KiB."""
    memory = np.zeros(nbytes + 4096, np.uint8)
    start = -memory.ctypes.data % 4096
    return memory[start : start + nbytes]


class Processor:
    """One compiled loop with its state.

    Parameters
    ----------
    handlers : what to run
    capacities : rows by domain or table name
    output_slots : slots of the output ring, a power of two
    slot_size : bytes of an input and of an output slot
    checked : compile the variant that checks row indices and declared inserts
    ahead : compile the variant that runs what handlers declare to run ahead of events
    max_batch : events between two publications of progress
    allocate : where state and output ring come from
    covered : compile the variant that keeps a hash chain of these fields of tables (`disruptor.chain_keeper`)

    Attributes
    ----------
    state : State
    next_sequence : the sequence it will process next
    chain : the chain, None in the usual variant
    """

    def __init__(
        self,
        handlers: HandlerSet,
        *,
        capacities: Mapping[str, int],
        output_slots: int = 65536,
        slot_size: int = DEFAULT_SLOT_SIZE,
        checked: bool = False,
        ahead: bool = True,
        max_batch: int = 1024,
        allocate: Allocate = plain_allocate,
        covered: Covered | None = None,
    ) -> None:
        self.handlers, self.slot_size = handlers, slot_size
        chained = covered is not None
        self._loop = generate(handlers, checked=checked, slot_size=slot_size, ahead=ahead, chained=chained)
        self.state = State(handlers.tables, capacities, allocate)
        self._output_slots = output_slots
        self._check_room()
        self._outputs = _OutputRing(output_slots, slot_size, allocate)
        self._control = np.zeros(1, CONTROL_DTYPE)
        self._control[0] = (0, 0, 0, -1, max_batch, 0, -1, 0, -1, -1)
        # cursor, progress, control word (a pair of cache lines each), and each handler's ordinal within its event
        sizes = (16, 16, 16, max(1, len(handlers.handlers)))
        self._cells = tuple(np.zeros(size, np.int64) for size in sizes)
        self._cells[0][0], self._cells[1][0] = _FAR, -1
        self._counts = np.zeros(len(handlers.inputs) + 1, np.int64)
        self.chain = ChainKeeper(self.state, self._outputs.slots, covered) if covered is not None else None
        self._tables = describe_tables(
            [self.state.arrays[t.name] for t in self.state.tables],
            self._outputs.fault,
            None if self.chain is None else self.chain.touched,
        )
        self._failure: DisruptorError | None = None
        self._types = _InputTypes(handlers, slot_size)
        self._kernel: Callable[..., Any] | None = None

    def _check_room(self) -> None:
        for message in self.handlers.inputs:
            needed = self.handlers.outputs_needed(self.handlers.stages(message))
            if needed > self._output_slots:
                raise CapacityError(
                    f"output ring: one {message.name} may emit {needed} outputs, and the ring has "
                    f"{self._output_slots} slots: raise output_slots"
                )

    @property
    def next_sequence(self) -> int:
        """The sequence that will be processed next."""
        return int(self._control[0]["next"])

    @property
    def between_events(self) -> bool:
        """Whether no event is half done: true but for a failure, or a stop that came between slices of an event.

        Only then is the state all there is, so only then may an image be taken of it.
        """
        return self._failure is None and int(self._control[0]["stage"]) < 0

    @property
    def key(self) -> str:
        """Cache key of the compiled loop."""
        return self._loop.key

    def counts(self) -> dict[str, int]:
        """Events processed by message type; `unknown` counts slots of types that this set does not know."""
        named = {m.name: int(self._counts[k + 1]) for k, m in enumerate(self.handlers.inputs)}
        return {**named, "unknown": int(self._counts[0])}

    def request_stop(self) -> None:
        """Make the loop return at its next look at the control word. Safe from any thread."""
        self._cells[2][0] = 1

    def compile(self) -> None:
        """Compile (or load) the loop now, on an empty input."""
        empty = np.zeros((1, self.slot_size), np.uint8)
        self._enter(self._types.views(empty), self.next_sequence)

    def start_at(self, sequence: int) -> None:
        """Expect `sequence` next: for a processor that has processed nothing yet, its state fresh or restored."""
        assert not self._counts.any(), "start_at: this processor has already processed events"
        self._control[0]["next"] = sequence

    def process(
        self,
        slots: npt.NDArray[np.uint8],
        first: int,
        end: int,
        consume: OutputConsumer,
        *,
        base: int = 0,
        mask: int = -1,
    ) -> None:
        """Process the sequences `first` .. `end - 1` and hand all their outputs to `consume`.

        Parameters
        ----------
        slots : (n, slot_size) uint8, C-contiguous; sequence s lies at slot (s - base) & mask
        first, end : `first` must be `next_sequence`
        consume : called with (k, slot_size) uint8 views of output slots in order; valid during the call only
        base, mask : 0 and capacity - 1 for a ring; the first slot's sequence and -1 for a frame

        Raises
        ------
        HandlerError : a handler failed; CapacityError : a table is full. The processor is poisoned by either.
        """
        if self._failure is not None:
            raise self._failure
        assert first == self.next_sequence, f"expected sequence {self.next_sequence}, got {first}"
        self._control[0]["base"], self._control[0]["mask"] = base, mask
        views = self._types.views(slots)
        while True:
            reason = self._enter(views, end)
            self._outputs.drain(self._control, consume)
            if self._control[0]["handler"] >= 0:  # its status may have the value of one of the loop's reasons
                self._fail(reason)
            if reason == IDLE and self.next_sequence >= end:
                return
            if reason not in (IDLE, RING_FULL, STOPPED):
                self._fail(reason)
            if reason == STOPPED:
                self._cells[2][0] = 0
                return

    def _enter(self, views: tuple[Any, ...], end: int) -> int:
        self._control[0]["limit"] = end
        args = (
            self._control,
            self._cells,
            self._counts,
            views[0],
            views[1:],
            self._tables,
            self._outputs.argument,
            *(() if self.chain is None else (self.chain.arrays,)),
        )
        if self._kernel is None:
            self._kernel = compile_cache.compiled_for(self._loop.label, self._loop.function, *args)
        with np.errstate(over="ignore"):
            return int(self._kernel(*args))

    def _fail(self, reason: int) -> None:
        sequence = self.next_sequence
        if reason == TABLE_FULL and self._control[0]["table"] >= 0:
            table = self.handlers.tables[int(self._control[0]["table"])]
            setting = table.domain or table.name
            capacity = self.state.capacities[table.name]
            self._failure = CapacityError(
                f"table {table.name} is full ({capacity} rows) at sequence {sequence}: raise capacity.{setting}",
                sequence=sequence,
                table=table.name,
                capacity=capacity,
            )
        else:
            number = int(self._control[0]["handler"])
            name = self.handlers.handlers[number].name if number >= 0 else "the loop"
            self._failure = HandlerError(
                f"handler {name} failed at sequence {sequence} with {describe(reason)}: stopped before any later event",
                sequence=sequence,
                handler=name,
                status=reason,
            )
        raise self._failure


class _InputTypes:
    """Makes the typed views that the loop reads a run of input slots through, always of the same numba types."""

    def __init__(self, handlers: HandlerSet, slot_size: int) -> None:
        headers = header_dtype(slot_size)
        self._dtypes = [headers, *(m.slot_dtype(slot_size) for m in handlers.inputs)]
        if not handlers.inputs:
            self._dtypes.append(headers)

    def views(self, slots: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], ...]:
        """The headers, then one view a message. Read-only, whether the slots are or not."""
        flat = slots.reshape(-1)
        if flat.flags.writeable:
            flat = flat.view()
            flat.flags.writeable = False
        return tuple(flat.view(dtype) for dtype in self._dtypes)


class _OutputRing:
    """The output ring with one scratch slot behind it, and its cells."""

    def __init__(self, capacity: int, slot_size: int, allocate: Allocate) -> None:
        assert capacity & (capacity - 1) == 0, "output_slots must be a power of two"
        self.capacity = capacity
        self.slots = allocate((capacity + 1) * slot_size).reshape(capacity + 1, slot_size)
        self.cell = np.zeros(1, OUT_CELL_DTYPE)
        self.cell[0]["mask"] = capacity - 1
        self.fault = np.zeros(8, np.int64)
        self.argument: Any = (self.slots, self.cell, self.fault)
        if not JIT_DISABLED:
            self.argument = np.zeros(DESCRIPTOR_WORDS, np.uint64)
            self.argument[:3] = [a.ctypes.data for a in (self.slots, self.cell, self.fault)]

    def drain(self, control: npt.NDArray[Any], consume: OutputConsumer) -> None:
        """Hand everything between the consumer's position and the producer's to `consume`, in at most two pieces."""
        done, end = int(control[0]["consumed"]), int(self.cell[0]["next"])
        while done < end:
            at = done & (self.capacity - 1)
            count = min(end - done, self.capacity - at)
            consume(self.slots[at : at + count])
            done += count
            control[0]["consumed"] = done
