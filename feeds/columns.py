"""The one form in which every reader hands logs on: a structured array plus a blob of log data.

Readers differ (JSON, CSV, Parquet); behind this form everything is shared. A row has a fixed size, so a batch is two
allocations that are reused; `data` of a log is `blob[data_offset : data_offset + data_length]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Flags of a row.
REMOVED, HAS_BLOCK_HASH, HAS_TX_HASH = 1, 2, 4

LOG_DTYPE = np.dtype(
    [
        ("block_number", "<i8"),  # >= 0
        ("timestamp", "<i8"),  # seconds since the epoch; -1 unknown
        ("log_index", "<i8"),  # within the block, >= 0
        ("transaction_index", "<i8"),  # -1 unknown
        ("data_offset", "<i8"),  # into the batch's blob
        ("position", "<i8"),  # 1-based line (JSONL, CSV) or row (Parquet) or element (JSON array) in its file
        ("data_length", "<i4"),  # bytes
        ("file", "<i4"),  # index into LogSource.files
        ("topic_count", "u1"),  # 0..4
        ("flags", "u1"),  # REMOVED | HAS_BLOCK_HASH | HAS_TX_HASH
        ("address", "u1", (20,)),
        ("block_hash", "u1", (32,)),
        ("tx_hash", "u1", (32,)),
        ("topics", "u1", (4, 32)),
        ("padding", "u1", (2,)),
    ]
)
assert LOG_DTYPE.itemsize == 272


class LogBatch(NamedTuple):
    """A run of logs in the order of the input.

    rows : (n,) LOG_DTYPE, C-contiguous; n may be 0
    blob : (m,) uint8; the data of all rows
    Both may be reused by the reader once the next batch is asked for.
    """

    rows: npt.NDArray[Any]
    blob: npt.NDArray[np.uint8]
