"""`removed: true` rows: what a node says when it takes logs back.

A removal can come long after its log, so removals take two passes over the same stream in the same order:
the first collects them here, the second encodes and leaves out every log that a *later* row removes. A log
that comes again after its removal (the node returned to that block) is kept. Memory grows with the number
of removals only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from disruptor.feeds.columns import HAS_BLOCK_HASH, REMOVED, LogBatch
from disruptor.feeds.encode_admission import first_removal_index
from disruptor.feeds.encode_state import REMOVED_DTYPE, Array

_first_index = getattr(first_removal_index, "py_func", first_removal_index)


class RemovedSet:
    """Identities of removed logs, each with the ordinal of the last row that removes it.

    A log's identity is (block hash, log index), or (block number, log index) where hashes are absent.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, int, int], int] = {}
        self._rows_seen = 0

    def __len__(self) -> int:
        return len(self._last)

    def add(self, batch: LogBatch) -> None:
        """Note the removals of the next batch of the stream."""
        rows = batch.rows
        for i in np.nonzero(rows["flags"] & REMOVED)[0]:
            row = rows[i]
            block_hash = row["block_hash"].tobytes() if row["flags"] & HAS_BLOCK_HASH else bytes(32)
            identity = (block_hash, int(row["block_number"]), int(row["log_index"]))
            self._last[identity] = self._rows_seen + int(i)
        self._rows_seen += len(rows)

    def table(self) -> Array:
        """The identities as an open-addressing table for kernels; fresh, since encoding marks its entries."""
        capacity = 4
        while capacity < 2 * len(self._last):
            capacity *= 2
        table = np.zeros(capacity, REMOVED_DTYPE)
        table["last_ordinal"] = -1
        for (block_hash, number, log_index), ordinal in self._last.items():
            index = _first_index(number, log_index, capacity - 1)
            while table[index]["last_ordinal"] >= 0:
                index = (index + 1) & (capacity - 1)
            table[index] = (np.frombuffer(block_hash, "<u8"), number, log_index, ordinal, 0)
        return table


def collect_removed(batches: Iterable[LogBatch]) -> RemovedSet:
    """First pass over a whole stream: the set that `Encoder(removed=...)` needs to encode it."""
    removed = RemovedSet()
    for batch in batches:
        removed.add(batch)
    return removed
