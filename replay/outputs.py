"""What leaves a run: counted, digested in order, and handed to a sink with where each output came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from disruptor.handlers.messages import FLAG_OPENING, ArbitrageOpportunity, TransactionEnd
from disruptor.message import HEADER_SIZE, MAX_TYPE_ID, MessageType, header_dtype
from disruptor.replay.request import OutputContext, OutputSink
from disruptor.replay.routes import pool_columns, route_columns
from disruptor.replay.slots import Run, block_starts
from disruptor.state import State

_FIRST_LOG_TYPE, _LAST_LOG_TYPE = 20, 39
_REGISTERED = 11
_TX_HASH = slice(HEADER_SIZE + 16, HEADER_SIZE + 48)
_LOG_INDEX = slice(HEADER_SIZE + 4, HEADER_SIZE + 8)
_END_TX_HASH = HEADER_SIZE + TransactionEnd.offsets["tx_hash"]


class Collector:
    """Consumes a processor's outputs run by run.

    Parameters
    ----------
    messages : types that may come out
    sink : where records go, or None
    types : the types that the sink wants
    state : where the pools of routes are looked up; None leaves their tokens and fees out
    """

    def __init__(
        self,
        messages: Sequence[MessageType],
        sink: OutputSink | None,
        types: Sequence[MessageType],
        state: State | None = None,
    ) -> None:
        self._messages = {m.type_id: m for m in messages}
        self._wanted = [m for m in messages if m in types]
        self._sink, self._state = sink, state
        self._hash = xxhash.xxh3_128()
        self._counts = np.zeros(MAX_TYPE_ID + 1, np.int64)
        self._pieces: list[npt.NDArray[np.uint8]] = []
        self.opportunities = 0
        self.enabled = True

    def consume(self, slots: npt.NDArray[np.uint8]) -> None:
        """Take outputs in order; the processor's `OutputConsumer`."""
        if not self.enabled:
            return
        self._hash.update(slots.data)
        headers = slots.reshape(-1).view(header_dtype(slots.shape[1]))
        type_ids = headers["type_id"]
        self._counts += np.bincount(type_ids, minlength=len(self._counts))
        found = type_ids == ArbitrageOpportunity.type_id
        if found.any():
            self.opportunities += int(np.count_nonzero(headers["flags"][found] & FLAG_OPENING))
        if self._sink is not None:
            self._pieces.append(slots.copy())

    @property
    def has_sink(self) -> bool:
        """Whether records are wanted, not only counts and digest."""
        return self._sink is not None

    def end_run(self, run: Run, block: int) -> None:
        """Hand what this run caused to the sink. `block` is the block that was open when the run began."""
        if self._sink is None or not self._pieces:
            return
        outputs = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)
        self._pieces = []
        flat = outputs.reshape(-1)
        headers = flat.view(header_dtype(outputs.shape[1]))
        cause = headers["sequence"] - run.first
        origin = _Origin(run, block)
        for message in self._wanted:
            rows = np.flatnonzero(headers["type_id"] == message.type_id)
            if len(rows):
                records = flat.view(message.slot_dtype(outputs.shape[1]))[rows]
                extra = self._beside(outputs, rows) if message is ArbitrageOpportunity else {}
                self._sink.write(records, origin.context(message, cause[rows], extra))
        self._sink.end_batch()

    def _beside(self, outputs: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp]) -> dict[str, Any]:
        """The columns that go with the opportunities at `rows`."""
        route = route_columns(outputs, rows)
        return route if self._state is None else route | pool_columns(self._state, route)

    @property
    def digest(self) -> str:
        """XXH3-128 over all outputs taken so far, 32 hex digits."""
        return self._hash.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Outputs taken by type name."""
        return {m.name: int(self._counts[t]) for t, m in sorted(self._messages.items()) if self._counts[t]}


class _Origin:
    """Answers where the events of one run came from."""

    def __init__(self, run: Run, block: int) -> None:
        self._slots = run.slots
        headers = run.slots.reshape(-1).view(header_dtype(run.slots.shape[1]))
        self._types = headers["type_id"]
        self._starts, numbers = block_starts(run)
        self._blocks = np.concatenate([np.array([block], np.uint64), numbers.astype(np.uint64)])

    def context(self, message: MessageType, cause: npt.NDArray[Any], extra: dict[str, Any]) -> OutputContext:
        """Block, transaction and log of the events at the run's slots `cause`."""
        types = self._types[cause]
        slots = self._slots[cause]
        is_log = ((types >= _FIRST_LOG_TYPE) & (types <= _LAST_LOG_TYPE)) | (types == _REGISTERED)
        ends = types == TransactionEnd.type_id
        tx_hash = np.where(ends[:, None], slots[:, _END_TX_HASH : _END_TX_HASH + 32], slots[:, _TX_HASH])
        log_index = np.ascontiguousarray(slots[:, _LOG_INDEX]).view("<u4").reshape(-1).astype(np.int64)
        return OutputContext(
            message=message,
            block=self._blocks[np.searchsorted(self._starts, cause, side="right")],
            tx_hash=np.ascontiguousarray(tx_hash),
            has_tx=(is_log | ends) & tx_hash.any(axis=1),
            log_index=np.where(is_log, log_index, -1),
            extra=extra,
        )


def last_block(run: Run, block: int) -> int:
    """The block that is open at the end of a run."""
    _, numbers = block_starts(run)
    return int(numbers[-1]) if len(numbers) else block


__all__ = ["Collector", "last_block"]
