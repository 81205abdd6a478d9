"""The encoder: batches of logs in, 192-byte event slots out, in one order with one sequence.

The compiled part (`feeds/encode_kernels.py`) takes whole batches; this class owns its arrays, enlarges them
when a kernel asks, and turns a kernel's status into an error with file and position. Slots depend only on
the sequence of rows and on what was registered before: not on batch boundaries, the ring's size, or how
often calls ran out of room.

Use: `register` and `register_logs` first, then `encode` batch after batch, `finish` last. Every call that
writes takes the ring (`slots`, `mask`) and `limit`, the first sequence that must not be written; a call
that runs out of room is repeated once consumers have moved on. `MAX_SLOTS_PER_LOG` slots of room always
suffice for progress.

>>> from disruptor.feeds.encoder import Encoder
>>> encoder = Encoder(chain_id=1)
>>> encoder.next_sequence, encoder.warnings
(0, {})
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from disruptor.errors import DisruptorError, InputError
from disruptor.feeds import encode_state as es
from disruptor.feeds.address_map import new_table, with_room
from disruptor.feeds.columns import LogBatch
from disruptor.feeds.encode_given import state_slots
from disruptor.feeds.encode_kernels import encode_rows, finish_block, register_candidates, register_creations
from disruptor.feeds.encode_removed import RemovedSet, collect_removed
from disruptor.feeds.encode_tables import (
    batch_views,
    candidate_chunks,
    factory_table,
    gap_table,
    header_table,
    slot_words,
)
from disruptor.feeds.topics import EVENTS, build_tables, events_of
from disruptor.handlers.messages import BUILT_IN
from disruptor.handlers.venues import Venue

__all__ = ["MAX_SLOTS_PER_LOG", "Encoder", "RemovedLogsFound", "RemovedSet", "collect_removed"]

MAX_SLOTS_PER_LOG = es.MAX_SLOTS_PER_LOG
_FIRST_CAPACITY = 1 << 12
_NO_ROWS = np.zeros(1, es.ROW_DTYPE)
_IGNORED_NAME = es.COUNTER_NAMES[es.IGNORED]
_STATUS_ERRORS = {
    es.DISORDER: "block {block} log {index} comes after block {last_block} log {last_index}: "
    "sort the input, or use --sort",
    es.TWO_HASHES: "two hashes at height {block}: "
    "give the chain's block headers with --blocks, or remove the orphaned logs",
    es.OUT_OF_RANGE: "block number, log index or transaction index is out of range: check the input",
    es.UNDECODABLE: "block {block} log {index} of a known pool or factory can't be decoded, "
    "and --strict is set",
    es.CONFLICT: "block {block} log {index} is another log than the one before it at the same place, "
    "and --strict is set: find out which one is the chain's and remove the other",
}


class RemovedLogsFound(DisruptorError):
    """The stream has `removed` rows: take `collect_removed` over it, then encode again with a new Encoder."""


class Encoder:
    """Turns logs into slots.

    Parameters
    ----------
    chain_id : int
        Goes into every BlockStart.
    headers : block headers by number, or None
        See `feeds.encode_tables.header_table`.
    gaps : pairs (first missing block, last missing block)
    factories : V2 factory address -> fee in millionths
    default_v2_fee : fee in millionths of V2 pools of other factories
    strict : undecodable logs of known pools and factories are errors, and so are two logs at one place
    files : names for messages, by `rows["file"]`
    removed : what `collect_removed` returned for the same stream, or None
    venues : users' own, whose logs are understood beside the built-in ones

    Attributes
    ----------
    next_sequence : int
        Sequence of the next slot; starts at 0.
    """

    def __init__(
        self,
        *,
        chain_id: int,
        headers: Any = None,
        gaps: Sequence[tuple[int, int]] = (),
        factories: Mapping[bytes, int] | None = None,
        default_v2_fee: int = 3000,
        strict: bool = False,
        files: Sequence[Path | str] = (),
        removed: RemovedSet | None = None,
        venues: Sequence[Venue] = (),
    ) -> None:
        topics = build_tables([*EVENTS, *(event for venue in venues for event in events_of(venue))])
        self._messages = (*BUILT_IN, *(message for venue in venues for message in venue.messages))
        self._files = files
        self._finished = False
        self._streams = es.new_stream(
            chain_id=chain_id, strict=strict, default_fee=default_v2_fee, topics=topics
        )
        self._stream = self._streams[0]
        self._stream["has_headers"], self._stream["has_removed"] = headers is not None, removed is not None
        self._tables = es.Tables(
            pool_table=new_table(_FIRST_CAPACITY),
            token_table=new_table(_FIRST_CAPACITY),
            pools=np.zeros(_FIRST_CAPACITY // 2, es.POOL_DTYPE),
            factories=factory_table(factories or {}),
            candidate=np.zeros(1, es.CANDIDATE_DTYPE),
        )
        self._chain = es.Chain(
            headers=header_table(headers),
            gaps=gap_table(gaps),
            removed=(RemovedSet() if removed is None else removed).table(),
        )
        self._queue: deque[Iterator[tuple[list[Any], es.Array]]] = deque()
        self._entries: list[Any] = []
        self._candidates = np.zeros(0, es.CANDIDATE_DTYPE)
        self._next_candidate = 0
        self._given: es.Array = np.zeros((0, 192), np.uint8)

    @property
    def next_sequence(self) -> int:
        """Sequence of the next slot."""
        return int(self._stream["sequence"])

    @property
    def warnings(self) -> dict[str, int]:
        """How often what was left out or doubted, by kind; kinds that did not occur are absent."""
        counted = {name: int(n) for name, n in zip(es.COUNTER_NAMES, self._stream["counts"], strict=True)}
        return {name: n for name, n in counted.items() if n and name != _IGNORED_NAME}

    @property
    def warning_positions(self) -> dict[str, str]:
        """For each kind of warning where it occurred first, as file:position."""
        places = {}
        for name in self.warnings:
            kind = es.COUNTER_NAMES.index(name)
            if position := int(self._stream["first_position"][kind]):
                places[name] = _place(self._files, int(self._stream["first_file"][kind]), position)
        return places

    @property
    def counts(self) -> dict[str, int]:
        """Totals: rows read and ignored, slots, events (as reports count them), pools, tokens, blocks."""
        types = self._stream["types"]
        return {
            "logs": int(self._stream["ordinal"]),
            "ignored_logs": int(self._stream["counts"][es.IGNORED]),
            "slots": self.next_sequence,
            "events": sum(int(types[m.type_id]) for m in self._messages if m.counted),
            "pools": int(self._stream["pools"]),
            "tokens": int(self._stream["tokens"]),
            "first_block": int(self._stream["first_block"]),
            "last_block": int(self._stream["block_number"]),
        }

    @property
    def type_counts(self) -> dict[str, int]:
        """Slots written, by message name."""
        return {m.name: int(n) for m in self._messages if (n := self._stream["types"][m.type_id])}

    def register(self, entries: Iterable[Any]) -> None:
        """Queue pools of a pools file; `write_registrations` writes them.

        Parameters
        ----------
        entries : iterable of `feeds.pools_file.PoolEntry`
        """
        self._queue.append(candidate_chunks(entries))

    def write_registrations(self, slots: es.Array, mask: int, limit: int) -> bool:
        """Write what `register` queued; False when the room ended before the queue did: call again.

        Parameters
        ----------
        slots : (capacity, 192) uint8, C-contiguous, 64-byte aligned. Mutated.
        mask : capacity - 1
        limit : first sequence not to write
        """
        self._begin(mask, limit)
        while True:
            if not self._write_given(slots, mask, limit):
                return False
            if self._next_candidate == len(self._candidates) and not self._next_chunk():
                return True
            with np.errstate(over="ignore"):
                self._next_candidate = int(
                    register_candidates(
                        self._candidates,
                        self._next_candidate,
                        _NO_ROWS,
                        slot_words(slots),
                        self._streams,
                        self._tables,
                    )
                )
            status = int(self._stream["status"])
            if status == es.STATE_FOLLOWS:
                entry = self._entries[self._next_candidate - 1]
                self._given = state_slots(entry.state, int(self._stream["last_pool"]))
            elif status == es.NO_ROOM:
                return False
            elif status == es.GROW:
                self._grow()

    def register_logs(
        self,
        batch: LogBatch,
        start: int,
        slots: es.Array,
        mask: int,
        limit: int,
        files: Sequence[Path | str] = (),
    ) -> int:
        """Register, as of mid-life, the pools whose creation logs are in a batch; other logs are left out.

        Returns the first row not consumed, as `encode` does. `files` names this batch's files.
        """
        self._begin(mask, limit)
        return self._run(register_creations, (), batch, start, slots, files)

    def encode(self, batch: LogBatch, start: int, slots: es.Array, mask: int, limit: int) -> int:
        """Encode rows of a batch from `start`.

        Parameters
        ----------
        batch : LogBatch
        start : first row to take
        slots : (capacity, 192) uint8, C-contiguous, 64-byte aligned. Mutated.
        mask : capacity - 1
        limit : first sequence not to write

        Returns
        -------
        int : first row not consumed: `len(batch.rows)` when done, else the `start` of the next call, once
        there is room for `MAX_SLOTS_PER_LOG` slots.

        Raises
        ------
        InputError : disorder, two hashes at a height, numbers out of range; when strict, an undecodable log,
        or another log at the place of the one before.
        RemovedLogsFound : a `removed` row, and the encoder was made without `removed`.
        """
        assert not self._finished, "encode: the stream was finished"
        self._begin(mask, limit)
        return self._run(encode_rows, (self._chain,), batch, start, slots, self._files)

    def finish(self, slots: es.Array, mask: int, limit: int) -> bool:
        """Close the open transaction and block; False when there is no room for these two slots yet."""
        if self.next_sequence + 2 > limit:
            return False
        self._begin(mask, limit)
        finish_block(slot_words(slots), self._streams)
        self._finished = True
        return True

    def _begin(self, mask: int, limit: int) -> None:
        self._stream["mask"], self._stream["limit"] = mask, limit

    def _run(
        self, kernel: Any, more: tuple[Any, ...], batch: LogBatch, start: int, slots: es.Array, files: Any
    ) -> int:
        """Call a kernel over a batch, enlarging tables when it asks; returns the first row not consumed."""
        rows, blob = batch_views(batch)
        words = slot_words(slots)
        row = start
        with np.errstate(over="ignore"):
            while True:
                row = int(kernel(rows, blob, row, words, self._streams, self._tables, *more))
                status = int(self._stream["status"])
                if status in (es.OK, es.NO_ROOM):
                    return row
                if status != es.GROW:
                    self._raise(status, batch, row, files)
                self._grow()

    def _grow(self) -> None:
        """Enlarge whichever table is at its limit."""
        old, stream = self._tables, self._stream
        pool_table = with_room(old.pool_table, int(stream["pools"]), 1)
        token_table = with_room(old.token_table, int(stream["tokens"]), 2)
        pools = np.zeros(len(pool_table) // 2, es.POOL_DTYPE)
        pools[: len(old.pools)] = old.pools
        self._tables = old._replace(pool_table=pool_table, token_table=token_table, pools=pools)

    def _write_given(self, slots: es.Array, mask: int, limit: int) -> bool:
        """Write the state of the pool just registered, as far as there is room; whether it is written."""
        number = min(len(self._given), max(limit - self.next_sequence, 0))
        first = self.next_sequence
        sequences = np.arange(first, first + number)
        ready, self._given = self._given[:number], self._given[number:]
        ready.view("<i8")[:, 0] = sequences
        slots[sequences & mask] = ready
        np.add.at(self._stream["types"], ready.view("<u2")[:, 12], 1)
        self._stream["sequence"] = first + number
        return not len(self._given)

    def _next_chunk(self) -> bool:
        while self._queue:
            chunk = next(self._queue[0], None)
            if chunk is not None:
                self._entries, self._candidates = chunk
                self._next_candidate = 0
                return True
            self._queue.popleft()
        return False

    def _raise(self, status: int, batch: LogBatch, i: int, files: Sequence[Path | str]) -> NoReturn:
        row, stream = batch.rows[i], self._stream
        place = _place(files, int(row["file"]), int(row["position"]))
        if status == es.REMOVED_FOUND:
            raise RemovedLogsFound(f"{place}: a removed log; removed logs take a first pass over the input")
        reason = _STATUS_ERRORS[status].format(
            block=int(row["block_number"]),
            index=int(row["log_index"]),
            last_block=int(stream["block_number"]),
            last_index=int(stream["log_index"]),
        )
        raise InputError(f"{place}: {reason}", place=place, block=int(row["block_number"]))


def _place(files: Sequence[Path | str], file: int, position: int) -> str:
    name = files[file] if file < len(files) else "input"
    return f"{name}:{position}"
