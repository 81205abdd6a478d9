"""What the encoder's kernels share: statuses, counters, the stream's state, what is known of pools.

Everything lives in arrays that Python owns: one record, `STREAM_DTYPE`, of all that has a fixed
size, `Tables`, which Python may enlarge between two calls, and `Chain`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.feeds.columns import LOG_DTYPE
from disruptor.feeds.topics import MAX_EVENTS, MAX_WORDS, OP_DTYPE, PLACES, SPEC_DTYPE, TopicTables
from disruptor.handlers.messages import FLAG_TIME_UNKNOWN
from disruptor.message import DEFAULT_SLOT_SIZE, MAX_TYPE_ID

# What a call of a kernel ended with.
OK = 0
NO_ROOM = 101  # the next log might exceed the sequence limit
GROW = 102  # a table must be enlarged first
DISORDER = 103  # a log below one already seen
TWO_HASHES = 104  # two block hashes at one height, and no header that decides
REMOVED_FOUND = 105  # a `removed` row, and the removed identities were not collected
UNDECODABLE = 106  # strict, and a log of a known pool or factory is malformed
OUT_OF_RANGE = 107  # block number, log index or transaction index can't be
STATE_FOLLOWS = 108  # registration only: the state of the pool just registered comes next
#: What admission says about a log that is to be left out.
DROPPED = 109
#: What admission says about a log at the place of the one before: the same again, or a conflict.
REPEATED = 110
CONFLICT = 111  # strict, and two different logs at one place

#: Slots that one log can cause: transaction end, block end, block start, gap; two tokens and a pool.
MAX_SLOTS_PER_LOG = 8

# Row of the counters, by the name in reports. The order is the order of reports.
COUNTER_NAMES = (
    "ignored_logs",
    "duplicate_logs",
    "orphaned_logs",
    "missing_header",
    "missing_blocks",
    "block_hashes_absent",
    "removed_logs",
    "removed_unmatched",
    "undecodable_logs",
    "foreign_topics",
    "unknown_pool_logs",
    "pool_conflicts",
    "duplicate_pools",
    "skipped_before_state",
    "log_conflicts",
    "undecodable_unknown",
)
(
    IGNORED,
    DUPLICATE,
    ORPHANED,
    MISSING_HEADER,
    MISSING_BLOCKS,
    HASHES_ABSENT,
    REMOVED_LOGS,
    REMOVED_UNMATCHED,
    UNDECODABLE_LOGS,
    FOREIGN_TOPICS,
    UNKNOWN_POOL,
    POOL_CONFLICTS,
    DUPLICATE_POOLS,
    BEFORE_STATE,
    LOG_CONFLICTS,
    UNDECODABLE_UNKNOWN,
) = range(len(COUNTER_NAMES))

MAX_TYPES = 1 + MAX_TYPE_ID

STREAM_DTYPE = np.dtype(
    [
        ("sequence", "<i8"),  # of the next slot
        ("limit", "<i8"),  # exclusive
        ("mask", "<i8"),
        ("ordinal", "<i8"),  # of the next row of the source
        ("status", "<i8"),  # why the last call came back
        ("chain_id", "<i8"),
        ("strict", "<i8"),
        ("pools", "<i8"),  # ids given out
        ("tokens", "<i8"),
        ("last_pool", "<i8"),  # id of the last pool registered
        ("default_fee", "<i8"),
        ("has_headers", "<i8"),
        ("has_removed", "<i8"),
        ("header_number", "<i8"),  # block last looked up in the headers
        ("header_row", "<i8"),  # its row, or -1
        ("gap", "<i8"),  # next gap that the stream has not passed
        ("first_block", "<i8"),  # -1: none yet
        ("block_number", "<i8"),  # of the last block; -1: none yet
        ("block_open", "<i8"),
        ("block_time_ns", "<i8"),
        ("block_flags", "<i8"),  # FLAG_TIME_UNKNOWN or 0
        ("block_has_hash", "<i8"),
        ("block_logs", "<i8"),
        ("block_transactions", "<i8"),
        ("log_index", "<i8"),  # of the last log
        ("transaction_open", "<i8"),
        ("transaction_index", "<i8"),
        ("transaction_has_hash", "<i8"),
        ("transaction_logs", "<i8"),
        ("transaction_slots", "<i8"),  # written for its logs
        ("kept_row", "<i8"),  # of this call, with the last log admitted; -1: see the next two
        ("kept_address", "<u8", (3,)),  # its emitter (top, mid, low), once `kept_row` is -1
        ("kept_fingerprint", "<u8"),  # of its content, likewise
        ("block_hash", "<u8", (4,)),
        ("tx_hash", "<u8", (4,)),
        ("counts", "<i8", (len(COUNTER_NAMES),)),
        ("first_file", "<i8", (len(COUNTER_NAMES),)),  # of the first one counted
        ("first_position", "<i8", (len(COUNTER_NAMES),)),
        ("types", "<i8", (MAX_TYPES,)),  # slots written, by type id
        # The logs that are understood, as `feeds.topics.TopicTables`. Here, because a record is handed down as one
        # address: three arrays more in `Tables` cost 11 ns a log.
        ("places", "<i8", (PLACES,)),
        ("specs", SPEC_DTYPE, (MAX_EVENTS,)),
        ("ops", OP_DTYPE, (MAX_WORDS,)),
    ]
)

POOL_DTYPE = np.dtype(
    [
        ("kind", "<i8"),  # 0: seen, not registered
        ("token0", "<i8"),
        ("token1", "<i8"),
        ("fee", "<i8"),
        ("tick_spacing", "<i8"),
        ("state_block", "<i8"),  # state was given as of this log; -1: not given
        ("state_log_index", "<i8"),
        ("active", "<i4"),  # what was written of it: 0 nothing, 1 an event of its own, 2 only its birth
        ("padding", "<i4"),
    ]
)

HEADER_DTYPE = np.dtype(
    [
        ("number", "<i8"),
        ("timestamp", "<i8"),  # seconds; -1 unknown
        ("base_fee", "<u8"),
        ("gas_used", "<u8"),
        ("gas_limit", "<u8"),
        ("has_hash", "<i4"),
        ("has_parent", "<i4"),
        ("hash", "<u8", (4,)),  # little-endian words, as slots store them
        ("parent_hash", "<u8", (4,)),
    ]
)

REMOVED_DTYPE = np.dtype(
    [
        ("hash", "<u8", (4,)),  # zero where absent
        ("block_number", "<i8"),
        ("log_index", "<i8"),
        ("last_ordinal", "<i8"),  # of the last row that removes it; -1: free entry
        ("matched", "<i8"),  # its log was met
    ]
)

#: A pool to register: from a creation log or from a pools file. Addresses as (top, mid, low).
CANDIDATE_DTYPE = np.dtype(
    [
        ("address", "<u8", (3,)),
        ("token0", "<u8", (3,)),
        ("token1", "<u8", (3,)),
        ("factory", "<u8", (3,)),
        ("kind", "<i8"),
        ("fee", "<i8"),  # -1: nobody said
        ("default_fee", "<i8"),  # what the venue has then; -1: none
        ("tick_spacing", "<i8"),  # -1: nobody said
        ("state_block", "<i8"),  # -1: without state
        ("state_log_index", "<i8"),
        ("birth", "<i8"),  # the creation log is in the stream
    ]
)

#: A row of a batch with its topics as plain bytes: what kernels see of `LOG_DTYPE`.
ROW_DTYPE = np.dtype(
    {
        "names": list(LOG_DTYPE.names or ()),
        "formats": [
            ("u1", (128,)) if name == "topics" else field[0]
            for name, field in (LOG_DTYPE.fields or {}).items()
        ],
        "offsets": [field[1] for field in (LOG_DTYPE.fields or {}).values()],
        "itemsize": LOG_DTYPE.itemsize,
    }
)

#: A slot of the ring: a record, because passing one is passing an address.
SLOT_DTYPE = np.dtype([("words", "<u8", (DEFAULT_SLOT_SIZE // 8,))])

Array = npt.NDArray[Any]


class Tables(NamedTuple):
    """What is known of pools and tokens, as kernels take it.

    pool_table, token_table : address tables (`feeds/address_map.py`)
    pools : (capacity,) POOL_DTYPE by pool id
    factories : (n, 4) uint64; top, mid, low, fee of V2 factories
    candidate : (1,) CANDIDATE_DTYPE; scratch for creation logs
    """

    pool_table: Array
    token_table: Array
    pools: Array
    factories: Array
    candidate: Array


class Chain(NamedTuple):
    """What is known of the chain beside the logs, as kernels take it.

    headers : (n,) HEADER_DTYPE, ascending
    gaps : (n, 2) int64; first and last missing block, ascending
    removed : (power of two,) REMOVED_DTYPE, open addressing
    """

    headers: Array
    gaps: Array
    removed: Array


def new_stream(*, chain_id: int, strict: bool, default_fee: int, topics: TopicTables) -> Array:
    """The state before the first log, (1,) STREAM_DTYPE."""
    stream = np.zeros(1, STREAM_DTYPE)
    stream["places"][0] = topics.places
    stream["specs"][0, : len(topics.specs)] = topics.specs
    stream["ops"][0, : len(topics.ops)] = topics.ops
    for name in ("header_number", "header_row", "first_block", "block_number", "log_index", "kept_row"):
        stream[name] = -1
    stream["chain_id"], stream["strict"], stream["default_fee"] = chain_id, int(strict), default_fee
    stream["block_flags"] = FLAG_TIME_UNKNOWN
    return stream
