"""Quotes at given blocks of a stream: which state they see, what is refused, and what the contracts answered."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.handlers.messages import NO_ID, BlockStart, PoolIncomplete, UniswapV2Sync
from disruptor.handlers.quote_kernels import ANSWER_DTYPE, PATH, QUERY_DTYPE
from disruptor.replay.importer import import_logs
from disruptor.replay.queries import answer_lines, read_queries
from disruptor.replay.quote import AskedBlocks, quote
from disruptor.replay.request import RunRequest
from disruptor.replay.slots import Run
from tests.harness import EXAMPLE, SMALL, Row, log, write_lines
from tests.model import CREATED, TOPICS
from tests.support.uniswap_oracle import v2_amount_in, v2_amount_out

TOPIC = {(kind, name): topic for (kind, topic), (name, _, _) in TOPICS.items()}
PAIR_CREATED = next(t for t, k in CREATED.items() if k == "uniswap_v2")
FACTORY, A, B = "0x" + "fa" * 20, "0x" + "0a" * 20, "0x" + "0b" * 20
POOLS = ["0x" + f"{k}" * 40 for k in range(1, 6)]
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "quotes.jsonl"
FEE = 3000


def ask(source: Any, queries: list[Row], folder: Path, *sets: str, **options: Any) -> list[Row]:
    """The answers to queries, as `disruptor quote` gives them."""
    asked, refused = read_queries(str(write_lines(folder / "queries.jsonl", queries)))
    assert not refused.any()
    answers = quote(request(source, *sets, **options), asked)
    return [json.loads(line) for line in answer_lines(asked, answers)]


def request(source: Any, *sets: str, **options: Any) -> RunRequest:
    settings, _ = load_settings("quote", [*SMALL, *sets])
    return RunRequest(sources=(str(source),), settings=settings, **options)


def single(block: int, pool: str = POOLS[0], amount: int = 1000, **more: Any) -> Row:
    return {"block": block, "pool": pool, "zero_for_one": True, "exact": "in", "amount": amount, **more}


def create(block: int, index: int, pool: str) -> Row:
    return log(block, index, FACTORY, [PAIR_CREATED, A, B], [pool, 1])


def sync(block: int, index: int, pool: str, reserve0: int, reserve1: int) -> Row:
    return log(block, index, pool, [TOPIC["uniswap_v2", "Sync"]], [reserve0, reserve1])


def stream() -> list[Row]:
    """Two pairs from block 10 on; the first trades in 12 and 15, the second is told of in 15; a third comes in 20."""
    return [
        create(10, 0, POOLS[0]),
        create(10, 1, POOLS[1]),
        sync(12, 0, POOLS[0], 10**6, 2 * 10**6),
        sync(15, 0, POOLS[0], 10**6, 3 * 10**6),
        sync(15, 1, POOLS[1], 5 * 10**6, 10**6),
        create(20, 0, POOLS[2]),
    ]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("stream") / "logs.jsonl", stream())


# --- which block ---


def slots(events: list[int | None]) -> Run:
    """A run of slots: a number is the start of that block, 0 says that blocks are missing, None is anything else."""
    found = np.zeros((len(events), 192), np.uint8)
    for k, event in enumerate(events):
        message = BlockStart if event else UniswapV2Sync if event is None else PoolIncomplete
        record = found[k].view(message.slot_dtype())[0]
        record["type_id"] = message.type_id
        if event:
            record["number"] = event
        elif event == 0:
            record["pool"] = NO_ID
    return Run(found, 100)


def answered_at(events: list[int | None], asked: list[int], cuts: list[int]) -> list[int]:
    """For each asked block how many events are processed by then, the stream coming in runs cut at `cuts`."""
    run, blocks = slots(events), AskedBlocks(np.array(asked, np.uint64))
    found: list[int] = []
    done = 0
    bounds = [0, *sorted(cuts), len(events)]
    for begin, end in itertools.pairwise(bounds):
        for piece in blocks.pieces(Run(run.slots[begin:end], 100 + begin)):
            assert piece.run.first == 100 + done
            done += len(piece.run.slots)
            found += [done] * (piece.ready - len(found))
    assert done == len(events)
    return found + [done] * (blocks.up_to_end() - len(found))


def expected_at(events: list[int | None], asked: list[int]) -> list[int]:
    """The same by definition: before the first start above, if the block has begun, else right behind that start."""
    found = []
    for block in asked:
        above = next((k for k, e in enumerate(events) if e and e > block), len(events))
        begun = [e for e in events[:above] if e]
        if above == len(events):
            if begun and block <= begun[-1]:
                found.append(len(events))
        elif begun and begun[-1] == block:
            found.append(above)
        else:
            found.append(above + 1 + (events[above + 1 : above + 2] == [0]))
    return found


BLOCKS = st.lists(
    st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 2)).map(
        lambda t: (t[0], [0] * t[1] + [None] * t[2])
    ),
    max_size=8,
)


@given(
    BLOCKS, st.lists(st.integers(0, 26), max_size=10).map(sorted), st.lists(st.integers(0, 40), max_size=6)
)
def test_queries_are_answered_where_their_block_ends_however_the_stream_is_split(
    blocks: list[tuple[int, list[int | None]]], asked: list[int], cuts: list[int]
) -> None:
    events: list[int | None] = [None]
    number = 0
    for step, rest in blocks:
        number += step
        events += [number, *rest]
    cuts = [min(c, len(events)) for c in cuts]
    assert answered_at(events, asked, cuts) == expected_at(events, asked)


def test_a_quote_sees_the_state_after_its_block(logs: Path, tmp_path: Path) -> None:
    found = ask(logs, [single(b) for b in (15, 11, 12, 20, 13, 14, 16)], tmp_path)
    before, after = (v2_amount_out(1000, 10**6, r * 10**6, FEE) for r in (2, 3))
    assert [a.get("amount") for a in found] == [
        str(v) if v else None for v in (after, None, before, after, before, before, after)
    ]
    assert found[1] == {"error": "UniswapV2Library: INSUFFICIENT_LIQUIDITY"}


def test_blocks_and_pools_that_there_are_not_are_named(logs: Path, tmp_path: Path) -> None:
    asked = [single(9), single(21), single(19, POOLS[2]), single(20, POOLS[2]), single(12, POOLS[3])]
    said = [a["error"] for a in ask(logs, asked, tmp_path)]
    assert said == [
        "pool not created yet",
        "block after the end of the stream",
        "pool not created yet",
        "UniswapV2Library: INSUFFICIENT_LIQUIDITY",
        "unknown pool",
    ]
    # An answer does not depend on what else is asked.
    assert [ask(logs, [q], tmp_path)[0]["error"] for q in asked] == said


def test_pools_that_are_not_the_chains_are_named(tmp_path: Path) -> None:
    record = {"kind": "uniswap_v2", "token0": A, "token1": B}
    pools = write_lines(tmp_path / "pools.jsonl", [{"address": p, **record} for p in POOLS[:2]])
    source = write_lines(
        tmp_path / "l.jsonl", [sync(5, 0, POOLS[1], 10**6, 10**6), sync(6, 0, POOLS[2], 1, 1)]
    )
    found = ask(source, [single(6, p) for p in POOLS[:3]], tmp_path, pools=(str(pools),))
    assert found[0] == {"error": "incomplete pool"}
    assert found[1] == {"amount": str(v2_amount_out(1000, 10**6, 10**6, FEE)), "partial": False}
    assert found[2] == {"error": "unknown pool"}  # it emits, and nobody registered it


def test_blocks_that_may_be_missing_are_not_answered(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "l.jsonl", [*stream()[:3], sync(17, 0, POOLS[1], 10**6, 10**6)])
    headers = [
        {
            "number": n,
            "hash": "0x" + f"{n + 10**6:064x}",
            "parentHash": "0x" + f"{n + 10**6 - 1:064x}",
            "timestamp": n,
        }
        for n in (10, 11, 12, 13, 17)
    ]
    blocks = write_lines(tmp_path / "blocks.jsonl", headers)
    asked = [*(single(b) for b in (12, 13, 16, 17)), single(17, POOLS[1])]
    found = ask(source, asked, tmp_path, blocks=(str(blocks),))
    amount = str(v2_amount_out(1000, 10**6, 2 * 10**6, FEE))
    refused = {"error": "incomplete pool"}
    assert [a.get("amount", a) for a in found] == [amount, refused, refused, refused, str(996)]


def test_neither_a_journal_nor_the_size_of_runs_changes_an_answer(logs: Path, tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    settings, _ = load_settings(None, [*SMALL])
    import_logs([str(logs)], journal, pools=[], blocks=[], sort=False, strict=False, settings=settings)
    asked = [single(b, p) for b in (9, 12, 14, 15, 20, 30) for p in POOLS[:4]]
    found = ask(logs, asked, tmp_path)
    assert ask(journal, asked, tmp_path) == found
    assert ask(logs, asked, tmp_path, "ring_slots=64", "max_batch=64") == found
    assert sum("amount" in a for a in found) == 6


def test_a_removal_found_later_takes_its_log_out_of_earlier_answers(tmp_path: Path) -> None:
    many = [sync(k, 0, POOLS[1], 10**6, k) for k in range(16, 60)]
    removed = {**stream()[3], "removed": True}
    source = write_lines(tmp_path / "l.jsonl", [*stream()[:5], *many, removed])
    found = ask(source, [single(59), single(15)], tmp_path, "ring_slots=64", "max_batch=64")
    amount = str(v2_amount_out(1000, 10**6, 2 * 10**6, FEE))
    assert [a["amount"] for a in found] == [amount, amount]


def test_bad_sources_are_errors_even_without_queries(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        quote(request(tmp_path / "nowhere"), np.zeros(0, QUERY_DTYPE))


def test_arrays_of_another_form_are_refused(logs: Path) -> None:
    queries = np.zeros(2, QUERY_DTYPE)
    for bad in (queries.view("<u8"), queries.reshape(1, 2), queries):
        with pytest.raises(ValueError, match="queries: expected"):
            quote(request(logs), bad)
    queries["hops"], queries["form"] = 2, [PATH, 0]
    with pytest.raises(ValueError, match="1 hop"):
        quote(request(logs), queries)


# --- what pairs answer ---


def test_pairs_answer_as_the_library_does(logs: Path, tmp_path: Path) -> None:
    rising = [single(15, amount=10**k) for k in range(0, 40, 3)]
    asked = [
        q | {"zero_for_one": z, "exact": e} for q in rising for z in (True, False) for e in ("in", "out")
    ]
    for q, a in zip(asked, ask(logs, asked, tmp_path), strict=True):
        reserves = (10**6, 3 * 10**6) if q["zero_for_one"] else (3 * 10**6, 10**6)
        if q["exact"] == "in":
            assert a == {"amount": str(v2_amount_out(q["amount"], *reserves, FEE)), "partial": False}
        elif q["amount"] < reserves[1]:
            assert a == {"amount": str(v2_amount_in(q["amount"], *reserves, FEE)), "partial": False}
        elif q["amount"] == reserves[1]:
            assert a == {"error": "division by zero"}
        else:
            assert a == {"error": "ds-math-sub-underflow"}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (single(15, amount=0), "UniswapV2Library: INSUFFICIENT_INPUT_AMOUNT"),
        (single(15, amount=0, exact="out"), "UniswapV2Library: INSUFFICIENT_OUTPUT_AMOUNT"),
        (single(14, POOLS[1]), "UniswapV2Library: INSUFFICIENT_LIQUIDITY"),
        (single(14, POOLS[1], exact="out"), "UniswapV2Library: INSUFFICIENT_LIQUIDITY"),
        (single(15, amount=2**256 - 1), "ds-math-mul-overflow"),
        (single(15, amount=2**256 - 1, exact="out"), "ds-math-mul-overflow"),
        (single(15, sqrt_price_limit_x96=2**96), "price limit on other than one Uniswap V3 pool"),
    ],
)
def test_what_pairs_refuse_has_the_librarys_words(
    logs: Path, tmp_path: Path, query: Row, reason: str
) -> None:
    assert ask(logs, [query], tmp_path) == [{"error": reason}]


def test_no_limit_may_be_said_as_zero(logs: Path, tmp_path: Path) -> None:
    with_zero, without = ask(logs, [single(15, sqrt_price_limit_x96="0"), single(15)], tmp_path)
    assert with_zero == without and "amount" in without


# --- pools that are not what they are declared to be ---


def test_answers_of_a_pool_that_failed_its_audit_say_so(tmp_path: Path) -> None:
    """In block 16 the first pair pays more than K allows at the declared fee; the second is as declared."""
    swapped = log(16, 1, POOLS[0], [TOPIC["uniswap_v2", "Swap"], A, B], [1000, 0, 0, 2999])
    logs = write_lines(
        tmp_path / "logs.jsonl",
        [
            *stream()[:-1],
            sync(16, 0, POOLS[0], 10**6 + 1000, 3 * 10**6 - 2999),
            swapped,
            create(17, 0, POOLS[2]),
        ],
    )
    there_and_on = walk(16, 1000, (POOLS[0], True), (POOLS[1], False))
    not_asked = walk(16, 1000, (POOLS[1], True), (POOLS[1], True), (POOLS[0], True))
    asked = [single(15), single(16), single(16, amount=0), there_and_on, not_asked, single(16, POOLS[1])]
    before, after, refused, path, stopped, other = ask(logs, asked, tmp_path)
    out = v2_amount_out(1000, 10**6 + 1000, 3 * 10**6 - 2999, FEE)
    assert after == {"amount": str(out), "partial": False, "unverified": True}
    assert refused == {"error": "UniswapV2Library: INSUFFICIENT_INPUT_AMOUNT", "unverified": True}
    assert path["outs"][0] == str(out) and path["unverified"]
    assert stopped == {"error": "hop takes another token than the one before pays", "hop": 1}
    assert "unverified" not in before | other


# --- paths ---


def walk(block: int, amount_in: int, *hops: tuple[str, bool]) -> Row:
    path = [{"pool": pool, "zero_for_one": way} for pool, way in hops]
    return {"block": block, "amount_in": amount_in, "path": path}


def test_a_hop_takes_what_the_hop_before_paid(logs: Path, tmp_path: Path) -> None:
    first = v2_amount_out(1000, 10**6, 3 * 10**6, FEE)
    second = v2_amount_out(first, 10**6, 5 * 10**6, FEE)
    (found,) = ask(logs, [walk(15, 1000, (POOLS[0], True), (POOLS[1], False))], tmp_path)
    assert found == {"outs": [str(first), str(second)], "profit": str(second - 1000), "partial": False}


def test_a_pool_that_comes_again_has_moved_and_is_back_for_the_next_query(logs: Path, tmp_path: Path) -> None:
    there = v2_amount_out(10**5, 10**6, 3 * 10**6, FEE)
    back = v2_amount_out(there, 3 * 10**6 - there, 10**6 + 10**5, FEE)
    again = v2_amount_out(back, 10**6 + 10**5 - back, 3 * 10**6, FEE)
    trip = walk(15, 10**5, (POOLS[0], True), (POOLS[0], False), (POOLS[0], True))
    first, second, alone = ask(logs, [trip, trip, single(15, amount=10**5)], tmp_path)
    assert first["outs"] == [str(there), str(back), str(again)]
    assert second == first and alone["amount"] == str(there)


def test_a_path_fails_as_a_whole_and_names_the_hop(logs: Path, tmp_path: Path) -> None:
    asked = [
        walk(15, 0, (POOLS[0], True)),
        walk(15, 1, (POOLS[1], True), (POOLS[0], True)),
        walk(15, 1000, (POOLS[0], True), (POOLS[3], True)),
        walk(15, 1000, (POOLS[0], True), (POOLS[2], True)),
        walk(15, 2**112, (POOLS[0], True)),
        walk(15, 1000, (POOLS[0], True), (POOLS[1], True)),
        single(15),
    ]
    *found, after = ask(logs, asked, tmp_path)
    assert found == [
        {"error": "UniswapV2Library: INSUFFICIENT_INPUT_AMOUNT", "hop": 0},
        {"error": "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT", "hop": 0},
        {"error": "unknown pool", "hop": 1},
        {"error": "pool not created yet", "hop": 1},
        {"error": "UniswapV2: OVERFLOW", "hop": 0},
        {"error": "hop takes another token than the one before pays", "hop": 1},
    ]
    assert after["amount"] == str(v2_amount_out(1000, 10**6, 3 * 10**6, FEE))


def test_a_failed_path_leaves_nothing_in_its_answer(logs: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", [walk(15, 1000, (POOLS[0], True), (POOLS[3], True))])
    answers = quote(request(logs), read_queries(str(path))[0])
    assert answers.dtype == ANSWER_DTYPE
    assert answers["hops"].tolist() == [1]
    assert not any(answers[name].any() for name in ("outs", "profit", "amount", "partial"))


# --- what the contracts answered ---


def differences(found: list[Row], answers: list[Row]) -> list[Any]:
    """Answers that lack or contradict something that the contracts said, with their places."""
    both = enumerate(zip(found, answers, strict=True))
    return [(k, a, want) for k, (a, want) in both if {name: a.get(name) for name in want} != want]


@pytest.mark.slow
def test_the_recorded_chain_answers_as_its_contracts_did(tmp_path: Path, lane: str) -> None:
    lines = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    if lane == "nojit":
        lines = [line for line in lines if line["query"]["block"] <= 88]
    found = ask(EXAMPLE, [line["query"] for line in lines], tmp_path)
    assert not differences(found, [line["answer"] for line in lines])
    assert len(lines) == (8 if lane == "nojit" else 60)


@pytest.mark.slow
@pytest.mark.compiled
def test_every_recorded_answer_of_the_contracts_is_given(data_dir: Path, tmp_path: Path) -> None:
    truth = json.loads((data_dir / "evm" / "quotes.json").read_text())
    queries = [
        {
            **{name: q[name] for name in ("block", "pool", "exact", "amount")},
            "zero_for_one": q["zeroForOne"],
            **({} if q["venue"] != "univ3" else {"sqrt_price_limit_x96": q["sqrtPriceLimitX96"]}),
        }
        for q in truth["quotes"]
    ]
    answers = [
        {"amount": q["result"]}
        | ({"sqrt_price_x96_after": q["sqrtPriceX96After"]} if "sqrtPriceX96After" in q else {})
        for q in truth["quotes"]
    ]
    for c in truth["cycles"]:
        queries.append(walk(c["block"], c["amountIn"], *((s["pool"], s["zeroForOne"]) for s in c["steps"])))
        answers.append({"outs": c["outs"], "profit": c["profit"]})
    found = ask(data_dir / "evm" / "logs.jsonl", queries, tmp_path)
    assert len(found) == 700 and not differences(found, answers)
