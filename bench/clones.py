"""Which clone's transaction comes when, and the bodies of the logs that follow from it.

The plan holds some tens of bytes a transaction; bodies are built for a run of blocks at a time.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from bench.recording import Bytes, Ints, Recording


class Plan(NamedTuple):
    """Whose transaction is when: everything but the bodies. Arrays are by transaction of the large stream."""

    clone: Ints
    source: Ints  # transaction of the recording
    first_log: Ints  # one longer: where the logs begin
    block: Ints  # from 0, dense
    clones: int

    def rows(self, first_block: int, last_block: int) -> slice:
        """Transactions of blocks first_block <= block < last_block."""
        return slice(*np.searchsorted(self.block, [first_block, last_block]).tolist())


def spread(first: Ints, length: Ints) -> Ints:
    """Concatenated ranges first[i] .. first[i] + length[i]."""
    ends = np.cumsum(length)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - ends + length, length)


def zipf_draws(rng: np.random.Generator, count: int, ranks: int, exponent: float) -> Ints:
    """`count` clone numbers below `ranks`, Zipf-distributed; popularity is not in order of number."""
    weight = np.cumsum(np.arange(1, ranks + 1, dtype=np.float64) ** -exponent)
    order = rng.permutation(ranks)
    drawn: Ints = order[
        np.searchsorted(weight, rng.random(count) * weight[-1], side="right").clip(0, ranks - 1)
    ]
    return drawn


def count_before(values: Ints) -> Ints:
    """How often values[i] occurs before i."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    start = np.searchsorted(ordered, ordered)
    result = np.empty_like(values)
    result[order] = np.arange(len(values)) - start
    return result


def make_plan(
    recording: Recording, *, logs: int, pools: int, zipf: float, seed: int, logs_per_block: int
) -> Plan:
    """Decide the order of all transactions, until there are at least `logs` logs."""
    clones = -(-pools // max(1, recording.setup_pools))
    setup, size = recording.setup, np.diff(recording.first_log)
    missing = logs - clones * int(recording.first_log[setup])
    if missing < 0:
        raise SystemExit(
            f"enlarge: the set-up of {pools} pools takes {logs - missing} logs already: "
            "raise --logs or lower --pools"
        )
    rank = zipf_draws(np.random.default_rng(seed), missing // int(size.min()) + 1, clones, zipf)
    life, source = np.divmod(count_before(rank) + setup, recording.transactions)
    owner = np.concatenate([np.repeat(np.arange(clones), setup), life * clones + rank])
    source = np.concatenate([np.tile(np.arange(setup), clones), source])
    first_log = np.concatenate([[0], np.cumsum(size[source])])
    count = int(np.searchsorted(first_log, logs))
    # An owner is clone + clones * (how often that clone was succeeded): close the gaps in the numbers.
    owners, clone = np.unique(owner[:count], return_inverse=True)
    block = np.unique(first_log[:count] // logs_per_block, return_inverse=True)[1]
    return Plan(clone, source[:count], first_log[: count + 1], block, len(owners))


class Chunk(NamedTuple):
    """Logs of consecutive whole blocks, as columns."""

    block: Ints
    transaction: Ints  # row in `transaction_hash`
    transaction_index: Ints
    log_index: Ints
    transaction_hash: Bytes  # (transactions of the chunk, 32)
    address: Bytes
    topics: Bytes
    topic_count: Ints
    data: Bytes
    data_first: Ints


def index_within(group: Ints) -> Ints:
    """Position of each element in its run of equal values."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))


def build(recording: Recording, plan: Plan, names: Bytes, rows: slice, seed: int) -> Chunk:
    """The bodies of the plan's transactions `rows`; `names[clone, number]` are the clones' addresses."""
    source, clone, block = plan.source[rows], plan.clone[rows], plan.block[rows]
    length = recording.first_log[source + 1] - recording.first_log[source]
    log = spread(recording.first_log[source], length)
    owner = np.repeat(clone, length)
    address_column, topics = recording.address[log], recording.topics[log]
    emitter = recording.emitter[log]
    renamed = emitter >= 0
    address_column[renamed] = names[owner[renamed], emitter[renamed]]
    size = recording.data_first[log + 1] - recording.data_first[log]
    data = recording.data[spread(recording.data_first[log], size)]
    data_first = np.concatenate([[0], np.cumsum(size)])
    patches = recording.patch_first[log + 1] - recording.patch_first[log]
    patch = spread(recording.patch_first[log], patches)
    row = np.repeat(np.arange(len(log)), patches)
    place, new = recording.patch_place[patch], names[owner[row], recording.patch_number[patch]]
    in_topic = place < 4
    topics[row[in_topic], place[in_topic], 12:] = new[in_topic]
    at = (data_first[row] + place - 4 + 12)[~in_topic]
    data[at[:, None] + np.arange(20)] = new[~in_topic]
    hashes = b"".join(
        digest(seed, f"transaction:{c}:{t}") for c, t in zip(clone.tolist(), source.tolist(), strict=True)
    )
    transaction = np.repeat(np.arange(len(source)), length)
    return Chunk(
        np.repeat(block, length),
        transaction,
        index_within(block)[transaction],
        index_within(np.repeat(block, length)),
        np.frombuffer(hashes, np.uint8).reshape(-1, 32),
        address_column,
        topics,
        recording.topic_count[log],
        data,
        data_first,
    )


def digest(seed: int, what: str) -> bytes:
    return hashlib.sha256(f"{seed}:{what}".encode()).digest()
