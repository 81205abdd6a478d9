"""What a run is asked to do, and the two ways in which it reports while it runs: progress and outputs.

The runner hands outputs on in batches, one message type a call, as structured arrays over the output slots:
nothing here is per record. The order of calls is

    open(messages, pool_address)  before the first write: every type that this run may emit; once more if the
                                  run starts over, and then all that was written is void
    write(records, context)       any number of times
    end_batch()                   everything up to here is complete; a sink may now order rows over types
    close() | abort()             by whoever made the sink, never by the runner

Rows are ordered by (sequence, handler, ordinal), which is the identity of an output; batches come in that
order, so a sink that sorts within a batch writes the order of the whole run whatever the batch size was.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.message import MessageType
from disruptor.replay.settings import RunSettings

BOUNDS = ("from_block", "to_block", "from_seq", "to_seq", "from_time", "to_time")
#: Address of an interned pool, or None where nobody told.
PoolAddress = Callable[[int], bytes | None]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A stream, and what it is read and run with.

    Attributes
    ----------
    sources : recorded logs, or one journal directory
    handlers : users' handler files or module names, run after the built-in handlers in this order
    pools, blocks : files with pools and with block headers
    sort : accept logs in disorder
    strict : what would be a counted warning is an error
    """

    sources: tuple[str, ...]
    settings: RunSettings
    handlers: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    sort: bool = False
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class ReplayRequest(RunRequest):
    """One replay. Bounds are inclusive; `from_*` limits outputs and counts, never the state.

    Attributes
    ----------
    from_time, to_time : block times in Unix seconds
    types : names of the message types to write to the sink; None writes all
    record : file to write what was run and what came out to (`disruptor.replay.record`)
    check : such a file, to hold this run against
    allow_code_change : run although code or settings are another than those of a record
    speed : times as fast as recorded, above 0; None: flat out
    until : end with the first event after which this holds (`disruptor.replay.condition`)
    step, pause_at : ask what to do before the first event, after this sequence (`disruptor.replay.stepper`)
    from_snapshot : begin behind the newest snapshot of the journal that may be used (`disruptor.replay.from_snapshot`)
    """

    from_block: int | None = None
    to_block: int | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    from_time: int | None = None
    to_time: int | None = None
    record: str | None = None
    check: str | None = None
    allow_code_change: bool = False
    from_snapshot: bool = False
    speed: float | None = None
    until: str | None = None
    step: bool = False
    pause_at: int | None = None
    write_journal: str | None = None
    state_out: str | None = None
    opportunities_out: str | None = None
    types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that leave nothing."""
        for name, low, high in (
            ("block", self.from_block, self.to_block),
            ("seq", self.from_seq, self.to_seq),
            ("time", self.from_time, self.to_time),
        ):
            if low is not None and high is not None and low > high:
                raise InputError(
                    f"--from-{name} {low} is above --to-{name} {high}: swap them or leave one out"
                )

    def bounds(self) -> dict[str, int | None]:
        """The bounds by name, None where there is none."""
        return {name: getattr(self, name) for name in BOUNDS}


class ProgressUpdate(NamedTuple):
    """How far a run is: `done` of `total` (None: unknown) in `unit` ("bytes" or a noun)."""

    done: int
    total: int | None
    unit: str
    events: int


Progress = Callable[[ProgressUpdate], None]


@dataclass(frozen=True, kw_only=True)
class OutputContext:
    """Where each of n records comes from.

    Attributes
    ----------
    message : the one type of all records
    block : (n,) uint64, block of the causing event
    tx_hash : (n, 32) uint8; meaningful where `has_tx`
    has_tx : (n,) bool
    log_index : (n,) int64, -1 where no log caused the record
    extra : further columns by name, (n,) or (n, limbs); sinks use those they know
    """

    message: MessageType
    block: npt.NDArray[np.uint64]
    tx_hash: npt.NDArray[np.uint8]
    has_tx: npt.NDArray[np.bool_]
    log_index: npt.NDArray[np.int64]
    extra: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def rows(self, part: slice) -> OutputContext:
        """The context of some of the records."""
        return OutputContext(
            message=self.message,
            block=self.block[part],
            tx_hash=self.tx_hash[part],
            has_tx=self.has_tx[part],
            log_index=self.log_index[part],
            extra={name: column[part] for name, column in self.extra.items()},
        )


class OutputSink(Protocol):
    """Something that takes outputs; see the module's text for the order of calls."""

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Learn the types that may come; forget what was written before."""

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Take records of one type (its slot dtype); they are valid during the call only."""

    def end_batch(self) -> None:
        """Everything up to here is complete and in order."""

    def close(self) -> None:
        """Finish; what was written becomes visible."""

    def abort(self) -> None:
        """Give up; nothing that was written stays."""


def choose_types(requested: Sequence[str] | None, messages: Sequence[MessageType]) -> list[MessageType]:
    """The requested message types, or all of them.

    Raises
    ------
    InputError : a name that no message of this run has.
    """
    if requested is None:
        return list(messages)
    known = {message.name: message for message in messages}
    for name in requested:
        if name not in known:
            by_lower = {k.lower(): k for k in known}
            close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
            hint = f"; did you mean {by_lower[close[0]]}?" if close else ""
            raise InputError(f"--types {name}: this run emits {', '.join(sorted(known))}{hint}")
    return [known[name] for name in dict.fromkeys(requested)]


def header(records: npt.NDArray[Any], message: MessageType, name: str) -> npt.NDArray[Any]:
    """A header column of slots, whatever the payload's own fields are called."""
    column: npt.NDArray[Any] = records[f"header_{name}" if name in message.fields else name]
    return column
