"""Logs and block headers in the forms that others write: cryo's Parquet and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.clones import Chunk, digest
from bench.recording import Bytes, Flags

SECONDS_PER_BLOCK = 12
FIRST_TIMESTAMP = 1_700_000_000
BASE_FEE = 1_000_000_000
CHAIN_ID = 1


class Chain(NamedTuple):
    """Block headers, derived from the number."""

    seed: int
    first_block: int

    def hash(self, block: int) -> bytes:
        return digest(self.seed, f"block:{self.first_block + block}")

    def timestamp(self, block: int) -> int:
        return FIRST_TIMESTAMP + SECONDS_PER_BLOCK * block


def binary(values: Bytes, present: Flags | None = None) -> pa.Array:
    """An Arrow binary column of fixed-size rows, null where not present."""
    count, width = values.shape
    size = np.full(count, width, np.int64) if present is None else present * np.int64(width)
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
    body = np.ascontiguousarray(values if present is None else values[present])
    mask = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), count, [mask, pa.py_buffer(offsets), pa.py_buffer(body)])


def write_parquet(folder: Path, chunk: Chunk, chain: Chain, first: int, last: int) -> None:
    """One file of cryo's `logs` data set (its columns, its file name, its default compression)."""
    count = len(chunk.block)
    sizes = np.diff(chunk.data_first)
    offsets = pa.py_buffer(chunk.data_first.astype(np.int32))
    columns = {
        "block_number": (chunk.block + chain.first_block).astype(np.uint32),
        "transaction_index": chunk.transaction_index.astype(np.uint32),
        "log_index": chunk.log_index.astype(np.uint32),
        "transaction_hash": binary(chunk.transaction_hash[chunk.transaction]),
        "address": binary(chunk.address),
        **{f"topic{t}": binary(chunk.topics[:, t], chunk.topic_count > t) for t in range(4)},
        "data": pa.Array.from_buffers(pa.binary(), count, [None, offsets, pa.py_buffer(chunk.data)]),
        "n_data_bytes": sizes.astype(np.uint32),
        "chain_id": np.full(count, CHAIN_ID, np.uint64),
    }
    numbers = f"{chain.first_block + first:08d}_to_{chain.first_block + last:08d}"
    pq.write_table(pa.table(columns), folder / f"ethereum__logs__{numbers}.parquet", compression="lz4")


def json_lines(chunk: Chunk, chain: Chain) -> Iterator[str]:
    """The logs as `eth_getLogs` answers them, a line each."""
    addresses, topics, body = (column.tobytes().hex() for column in (chunk.address, chunk.topics, chunk.data))
    hashes = ["0x" + row.tobytes().hex() for row in chunk.transaction_hash]
    first = (chunk.data_first * 2).tolist()
    blocks = {
        b: f'"blockHash":"0x{chain.hash(b).hex()}","blockNumber":"{chain.first_block + b:#x}",'
        f'"blockTimestamp":"{chain.timestamp(b):#x}"'
        for b in np.unique(chunk.block).tolist()
    }
    columns = (chunk.block, chunk.transaction, chunk.transaction_index, chunk.log_index, chunk.topic_count)
    for i, (b, t, t_index, index, count) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        at = 256 * i
        listed = ",".join([f'"0x{topics[k : k + 64]}"' for k in range(at, at + 64 * count, 64)])
        yield (
            f'{{"address":"0x{addresses[40 * i : 40 * i + 40]}","topics":[{listed}],'
            f'"data":"0x{body[first[i] : first[i + 1]]}",{blocks[b]},"transactionHash":"{hashes[t]}",'
            f'"transactionIndex":"{t_index:#x}","logIndex":"{index:#x}","removed":false}}\n'
        )


def write_headers(folder: Path, chain: Chain, transactions: list[int], formats: list[str]) -> None:
    """Headers of all blocks; `transactions` counts the transactions of each."""
    rows: list[dict[str, Any]] = [
        {
            "number": chain.first_block + b,
            "hash": chain.hash(b),
            "parentHash": chain.hash(b - 1),
            "timestamp": chain.timestamp(b),
            "txs": count,
            "baseFeePerGas": BASE_FEE,
        }
        for b, count in enumerate(transactions)
    ]
    if "parquet" in formats:
        columns = {
            "block_number": pa.array([r["number"] for r in rows], pa.uint32()),
            "block_hash": pa.array([r["hash"] for r in rows], pa.binary()),
            "parent_hash": pa.array([r["parentHash"] for r in rows], pa.binary()),
            "timestamp": pa.array([r["timestamp"] for r in rows], pa.uint32()),
            "base_fee_per_gas": pa.array([r["baseFeePerGas"] for r in rows], pa.uint64()),
            "chain_id": pa.array([CHAIN_ID] * len(rows), pa.uint64()),
        }
        pq.write_table(pa.table(columns), folder / "blocks.parquet", compression="lz4")
    if "jsonl" in formats:
        with (folder / "blocks.jsonl").open("w") as file:
            for row in rows:
                named = {k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in row.items()}
                file.write(json.dumps(named) + "\n")
