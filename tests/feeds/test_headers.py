"""Block headers: every format gives the same table; contradictions are settled by the chain or refused."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from disruptor.errors import InputError
from disruptor.feeds.encode_state import HEADER_DTYPE
from disruptor.feeds.header_files import HAS_BASE_FEE, HAS_HASH, HAS_TIMESTAMP
from disruptor.feeds.headers import Headers, load_headers

Block = dict[str, Any]


def block_hash(number: int, branch: int = 0) -> str:
    return "0x" + bytes([branch, number] * 16).hex()


def make_block(number: int, branch: int = 0, parent_branch: int | None = None) -> Block:
    """As `eth_getBlockByNumber` answers, all numbers in hex; with transactions, which readers leave out."""
    return {
        "number": hex(number),
        "hash": block_hash(number, branch),
        "parentHash": block_hash(number - 1, branch if parent_branch is None else parent_branch),
        "timestamp": hex(1_700_000_000 + 12 * number),
        "baseFeePerGas": hex(10**9 + number),
        "gasUsed": hex(15_000_000),
        "gasLimit": hex(30_000_000),
        "transactions": [{"hash": "0x12"}],
    }


BLOCKS = [make_block(n) for n in range(10, 15)]


def write_lines(path: Path, blocks: list[Block]) -> Path:
    path.write_text("".join(json.dumps(block) + "\n" for block in blocks))
    return path


def check_blocks(headers: Headers, blocks: list[Block]) -> None:
    assert headers.rows.dtype == HEADER_DTYPE
    assert headers.rows["number"].tolist() == [int(b["number"], 16) for b in blocks]
    assert headers.rows["timestamp"].tolist() == [int(b["timestamp"], 16) for b in blocks]
    assert headers.rows["base_fee"].tolist() == [int(b["baseFeePerGas"], 16) for b in blocks]
    assert headers.rows["gas_used"].tolist() == [int(b["gasUsed"], 16) for b in blocks]
    assert headers.rows["gas_limit"].tolist() == [int(b["gasLimit"], 16) for b in blocks]
    for row, block in zip(headers.rows, blocks, strict=True):
        assert row["hash"].tobytes().hex() == block["hash"][2:]
        assert row["parent_hash"].tobytes().hex() == block["parentHash"][2:]
        assert row["has_hash"] == row["has_parent"] == 1


def flat(block: Block) -> Block:
    """The same under ethereum-etl's names, with plain numbers."""
    names = {
        "number": "number",
        "hash": "hash",
        "parentHash": "parent_hash",
        "timestamp": "timestamp",
        "baseFeePerGas": "base_fee_per_gas",
        "gasUsed": "gas_used",
        "gasLimit": "gas_limit",
    }
    return {name: block[key] if "ash" in key else int(block[key], 16) for key, name in names.items()}


def test_answers_of_a_node_are_read_line_by_line(tmp_path: Path) -> None:
    headers = load_headers([write_lines(tmp_path / "blocks", BLOCKS)])
    check_blocks(headers, BLOCKS)
    assert (headers.gaps, headers.without_hash, headers.duplicates, headers.orphaned) == ([], 0, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(BLOCKS),
        json.dumps(BLOCKS, indent=2),
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": BLOCKS}),
        json.dumps([{"jsonrpc": "2.0", "id": n, "result": b} for n, b in enumerate(BLOCKS)]),
        "\n".join(json.dumps({"jsonrpc": "2.0", "result": b}) for b in BLOCKS),
        "\n".join(json.dumps(flat(b)) for b in reversed(BLOCKS)),
        "\n".join([",".join(flat(BLOCKS[0])), *(",".join(map(str, flat(b).values())) for b in BLOCKS)]),
    ],
    ids=["array", "indented", "envelope", "batch", "envelopes", "etl json", "etl csv"],
)
def test_every_layout_gives_the_same_headers(text: str, tmp_path: Path) -> None:
    path = tmp_path / "blocks"
    path.write_text(text)
    check_blocks(load_headers([path]), BLOCKS)


@pytest.mark.parametrize("hexed", [False, True])
def test_cryo_blocks_are_read_raw_and_hex(hexed: bool, tmp_path: Path) -> None:
    columns = {name: [flat(b)[name] for b in BLOCKS] for name in flat(BLOCKS[0])}
    columns["block_number"], columns["block_hash"] = columns.pop("number"), columns.pop("hash")
    if not hexed:
        for name in ("block_hash", "parent_hash"):
            columns[name] = [bytes.fromhex(text[2:]) for text in columns[name]]
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    check_blocks(load_headers([tmp_path / "b.parquet"]), BLOCKS)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress])
def test_compressed_files_are_read(compress: Any, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "blocks", BLOCKS)
    path.write_bytes(compress(path.read_bytes()))
    check_blocks(load_headers([path]), BLOCKS)


def test_folders_and_patterns_are_joined_and_repetitions_counted(tmp_path: Path) -> None:
    write_lines(tmp_path / "b2.jsonl", BLOCKS[2:])
    write_lines(tmp_path / "b1.jsonl", BLOCKS[:3])
    headers = load_headers([tmp_path, str(tmp_path / "b1*")])
    check_blocks(headers, BLOCKS)
    assert headers.duplicates == 4


def test_missing_heights_are_named_as_gaps(tmp_path: Path) -> None:
    chosen = [BLOCKS[0], BLOCKS[2], make_block(20)]
    assert load_headers([write_lines(tmp_path / "b", chosen)]).gaps == [(11, 11), (13, 19)]


def test_what_is_missing_is_flagged_unknown(tmp_path: Path) -> None:
    path = tmp_path / "blocks.csv"
    path.write_text("block_number,n_logs\n7,1\n8,2\n")
    headers = load_headers([path])
    assert headers.without_hash == 2
    assert headers.known.tolist() == [0, 0]
    assert headers.rows["timestamp"].tolist() == [-1, -1]
    assert headers.rows["has_hash"].tolist() == headers.rows["has_parent"].tolist() == [0, 0]


def test_two_files_fill_in_each_other(tmp_path: Path) -> None:
    bare = [{"number": 10, "timestamp": 1_700_000_120}, {"number": 11}]
    hashes = [{k: b[k] for k in ("number", "hash", "baseFeePerGas")} for b in BLOCKS[:2]]
    headers = load_headers([write_lines(tmp_path / "a", bare), write_lines(tmp_path / "b", hashes)])
    bits = HAS_HASH | HAS_BASE_FEE
    assert headers.known.tolist() == [bits | HAS_TIMESTAMP, bits]
    assert headers.rows["timestamp"].tolist() == [1_700_000_120, -1]
    assert headers.rows["hash"][1].tobytes().hex() == BLOCKS[1]["hash"][2:]


def test_the_header_above_decides_between_two_hashes(tmp_path: Path) -> None:
    fork = [make_block(12, branch=7, parent_branch=0), make_block(13, branch=7)]
    headers = load_headers([write_lines(tmp_path / "b", fork + BLOCKS)])
    check_blocks(headers, BLOCKS)
    assert headers.orphaned == 2


def test_two_hashes_without_a_child_are_an_error(tmp_path: Path) -> None:
    fork = make_block(14, branch=7, parent_branch=0)
    with pytest.raises(
        InputError, match=r"two hashes at height 14: block 14 0x.*b:5\) and block 14 0x.*b:6\)"
    ):
        load_headers([write_lines(tmp_path / "b", [*BLOCKS, fork])])


def test_two_times_of_one_block_are_an_error(tmp_path: Path) -> None:
    other = BLOCKS[1] | {"timestamp": "0x1"}
    with pytest.raises(InputError, match=r"block 11 has two values of timestamp: .*b:2 and .*b:6"):
        load_headers([write_lines(tmp_path / "b", [*BLOCKS, other])])


def test_a_broken_parent_names_both_blocks_and_hashes(tmp_path: Path) -> None:
    blocks = [*BLOCKS[:3], make_block(13, branch=9), make_block(14, branch=9)]
    expected = rf"block 13 {block_hash(13, 9)}.* has parent {block_hash(12, 9)}, .* block 12 {block_hash(12)}"
    with pytest.raises(InputError, match=expected):
        load_headers([write_lines(tmp_path / "b", blocks)])


def test_parents_across_a_gap_are_not_compared(tmp_path: Path) -> None:
    blocks = [BLOCKS[0], make_block(12, branch=3)]
    assert len(load_headers([write_lines(tmp_path / "b", blocks)])) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "0xzz"}, "line 3: number: expected a whole number"),
        ({"number": None}, "line 3: number: missing"),
        ({"number": -1}, "line 3: number: expected a whole number"),
        ({"hash": "0x12"}, "line 3: hash: expected 32 bytes, or 0x and 64"),
        ({"hash": "0x" + "g" * 64}, "line 3: hash: expected 32 bytes, or 0x and 64"),
        ({"timestamp": 1.5}, "line 3: can't be read as a block header"),
        ({"baseFeePerGas": "1e9"}, "line 3: base_fee: expected a whole number"),
        ({"logIndex": "0x1"}, "line 3: is a log"),
    ],
)
def test_a_bad_value_is_named_with_its_line(change: Block, message: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "b", [*BLOCKS[:2], BLOCKS[2] | change])
    with pytest.raises(InputError, match=message):
        load_headers([path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hash,parent\n0x,0x\n", "column number missing; found hash, parent"),
        ("block_number,log_index\n1,2\n", "holds logs"),
        ("number,hash\n1\n", "line 2: expected 2 columns"),
        ("number,hash\n1,0x12\n", "line 2: hash: expected 32 bytes"),
        ("number,hash\nx,\n", "line 2: number: expected a whole number"),
        ("number,hash\n", "no block headers there"),
        ('{"number": 1', "can't be read as block headers"),
        ("", "empty"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "blocks"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_headers([path])


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "b", BLOCKS[:2])
    path.write_bytes(path.read_bytes() + b'{"number": 12, "hash": "\xff"}\n')
    with pytest.raises(InputError, match="line 3: can't be read as a block header"):
        load_headers([path])


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_headers([tmp_path / "none"])


def test_the_table_is_what_the_encoder_takes(tmp_path: Path) -> None:
    headers = load_headers([write_lines(tmp_path / "b", BLOCKS)])
    assert np.asarray(headers) is headers.rows
    assert len(headers) == len(BLOCKS)


@pytest.mark.skipif("DISRUPTOR_DATA" not in os.environ, reason="DISRUPTOR_DATA is not set")
def test_headers_of_a_whole_chain_are_read() -> None:
    path = Path(os.environ["DISRUPTOR_DATA"]) / "evm/blocks.jsonl"
    headers = load_headers([path])
    assert len(headers) == len(path.read_text().splitlines())
    assert headers.gaps == [] and headers.without_hash == 0
