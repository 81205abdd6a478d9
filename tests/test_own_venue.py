"""Users' venues, run as a user runs them: `examples/own_venue.py` beside a V2 pair, and a fork of V2 on V2's topics.

With the JIT the market runs through a loop of only the handlers that it needs: compiling all of them shows no more.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from disruptor.config.loader import load_settings
from disruptor.engine.cli import app
from disruptor.handler_set import HandlerSet
from disruptor.handlers import messages as m
from disruptor.handlers.moved_rows import moved_dtype
from disruptor.handlers.quote_entry import layout_of, queries_kernel
from disruptor.handlers.quote_kernels import (
    ANSWER_DTYPE,
    EXACT_IN,
    EXACT_OUT,
    MAX_HOPS,
    PATH,
    QUERY_DTYPE,
    QUOTE_TABLES,
)
from disruptor.handlers.quoting import REASONS
from disruptor.handlers.reverts import INSUFFICIENT_LIQUIDITY
from disruptor.references import describe_tables
from disruptor.replay.outputs import Collector, last_block
from disruptor.replay.program import build_handler_set
from disruptor.replay.request import RunRequest
from disruptor.replay.session import Session, run_session
from disruptor.replay.state_out import pool_lines
from disruptor.replay.user_code import load_user_code, venues_in
from disruptor.state import State
from tests.harness import ROOT, SMALL, Rows, log, write_lines
from tests.support.peg_pool import PAIR, PEG, SYNC, TOKENS, Peg, births, profit, stated
from tests.support.uniswap_oracle import v2_amount_out

MODULE = str(ROOT / "examples" / "own_venue.py")
FORK_MODULE = str(ROOT / "tests" / "support" / "fork_venue.py")
FORK, FORK_FACTORY = "0x" + "cc" * 20, "0x" + "fc" * 20
SETS = (*SMALL, "normalised_swaps=false", "arbitrage.gas=off")
FULL = Peg(500_000, 400_000, 0, 400, 400)
#: By block from 2 on: the pair's reserves, the peg. The best input lies within the near part, at its end, in the far
#: part, at the end of all that there is; nothing pays; it pays the other way round; and in large numbers.
MARKET = [
    ((1_000_000, 1_030_000), FULL),
    ((1_000_000, 1_030_000), Peg(500_000, 400_000, 494_000, 400, 30_000)),
    ((1_000_000, 1_030_000), Peg(500_000, 400_000, 497_000, 400, 3000)),
    ((1_000_000, 1_030_000), Peg(5_000, 400_000, 0, 400, 3000)),
    ((1_000_000, 1_003_000), FULL),
    ((1_030_000, 1_000_000), Peg(500_000, 400_000, 397_000, 400, 3000)),
    ((10**24, 107 * 10**22), Peg(5 * 10**23, 4 * 10**23, 49 * 10**22, 100, 2500)),
]
#: Rounding: a unit of the pair's output, and one of each of the peg's two pieces.
BOUND = 3
#: What the market needs, with the JIT.
_NEEDED = {m.BlockStart, m.BlockEnd, m.TokenRegistered, m.PoolRegistered, m.PoolIncomplete, m.UniswapV2Sync}
_NEEDED |= {m.UniswapV2Swap, m.UniswapV3TickState}


@dataclass
class Ran:
    """What a run over the market left."""

    rows: Rows
    state: State
    pools: dict[str, Any]


def market_logs() -> list[dict[str, Any]]:
    told = [entry for k, (reserves, peg) in enumerate(MARKET, 2) for entry in stated(k, reserves, peg)]
    return [*births(), *told]


def market_handlers(settings: Any, lane: str) -> HandlerSet:
    """All handlers, or with the JIT those that see an event of the market and those whose tables they read."""
    full = build_handler_set(settings, load_user_code([MODULE]))
    if lane == "nojit":
        return full
    needed = _NEEDED | {message for venue in venues_in(full) for message in venue.messages}
    some = [h for h in full.handlers if h.message in needed]
    return HandlerSet(some, extra_tables=QUOTE_TABLES, inputs=full.inputs, extensions=full.extensions)


@pytest.fixture(scope="module")
def market(lane: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    logs = write_lines(tmp_path_factory.mktemp("market") / "logs.jsonl", market_logs())
    settings, _ = load_settings(None, SETS)
    handlers, rows = market_handlers(settings, lane), Rows()

    def attempt(session: Session) -> Ran:
        rows.open(handlers.outputs, session.pool_address)
        collector, block = Collector(handlers.outputs, rows, handlers.outputs, session.processor.state), 0
        with closing(session.runs()) as runs:
            for run in runs:
                session.process(run, collector.consume)
                collector.end_run(run, block)
                block = last_block(run, block)
        state = session.processor.state
        return Ran(rows, state, {line["pool"]: line for line in pool_lines(state, venues_in(handlers))})

    return run_session(RunRequest(sources=(str(logs),), settings=settings), handlers, attempt, None)


@pytest.mark.own_loop
@pytest.mark.slow
def test_the_state_is_what_the_pools_said_last(market: Ran) -> None:
    reserves, peg = MARKET[-1]
    found = market.pools[PEG]
    told = {"reserve0": str(peg.reserve0), "reserve1": str(peg.reserve1), "floor": str(peg.floor)}
    assert found["kind"] == "peg" and found["complete"] and found["verified"]
    assert {name: found[name] for name in told} == told
    assert (found["near"], found["far"], found["fee"]) == (peg.near, peg.far, 0)
    assert market.pools[PAIR]["reserve1"] == str(reserves[1])


@pytest.mark.own_loop
@pytest.mark.slow
def test_cycles_pay_what_they_say_and_no_input_pays_more_than_the_bound_beyond(market: Ran) -> None:
    found = {row["block"]: row for row in market.rows.of("ArbitragePath")}
    assert set(found) == {2, 3, 4, 5, 7, 8}  # block 6 is the one in which nothing pays
    for block, row in found.items():
        reserves, peg = MARKET[block - 2]
        if block == 7:  # the same market with the tokens' names exchanged: token0 is bought from the pair
            reserves, peg = reserves[::-1], Peg(peg.reserve1, peg.reserve0, peg.floor, peg.near, peg.far)
            paid = cycle_from_token1(*MARKET[block - 2], row)
        else:
            paid = profit(reserves, peg, row["amount_in"])
        assert paid == row["profit"] > 0
        assert best_profit(reserves, peg, row["amount_in"]) - row["profit"] <= BOUND


def cycle_from_token1(reserves: tuple[int, int], peg: Peg, row: dict[str, Any]) -> int | None:
    """Profit of the other direction: token0 to the peg first, what it pays to the pair."""
    bought = peg.amount_out(True, row["amount_in"])
    assert bought is not None and bought == row["amount_out0"]
    return v2_amount_out(bought, reserves[1], reserves[0], 3000) - row["amount_in"]


def best_profit(reserves: tuple[int, int], peg: Peg, near: int) -> int:
    """The best of every input in a small market; in a large one of many, closer and closer to the one found."""
    if near < 10**6:
        tried: Any = range(1, 40_000)
    else:
        tried = {
            near + sign * near * k // 10**power
            for power in range(1, 24)
            for k in range(1, 9)
            for sign in (-1, 1)
        }
    return max(profit(reserves, peg, amount) or 0 for amount in tried if amount > 0)


def query(form: int, amount: int, *hops: tuple[str, bool]) -> Any:
    q = np.zeros(1, QUERY_DTYPE)
    q["form"], q["hops"] = form, len(hops)
    q["amount"][0] = [amount >> (64 * k) & (2**64 - 1) for k in range(4)]
    for k, (pool, zero_for_one) in enumerate(hops):
        q["pool"][0, k] = list(bytes.fromhex(pool[2:]))
        q["zero_for_one"][0, k] = zero_for_one
    return q[0]


def ask(state: State, queries: list[Any]) -> Any:
    """Answers at a state, by the kernel that is compiled for the venue."""
    extensions = load_user_code([MODULE]).extensions
    layout = layout_of(extensions)
    ids = {row["address"].tobytes(): k for k, row in enumerate(state.rows("pool_directory"))}
    asked = np.array(queries, QUERY_DTYPE)
    pools = [[ids.get(asked["pool"][i, k].tobytes(), -1) for k in range(MAX_HOPS)] for i in range(len(asked))]
    answers = np.zeros(len(asked), ANSWER_DTYPE)
    tables = describe_tables([state.arrays[name] for name in layout.names], np.zeros(8, np.int64))
    kept = np.zeros(MAX_HOPS, moved_dtype(layout.extensions))
    with np.errstate(over="ignore"):
        queries_kernel(extensions)(tables, asked, np.array(pools, np.int64), answers, kept)
    return answers


def integer(limbs: Any) -> int:
    return int.from_bytes(limbs.tobytes(), "little")


@pytest.mark.own_loop
@pytest.mark.slow
def test_quotes_are_those_of_the_oracle_and_leave_no_trace(market: Ran, seed: int) -> None:
    rng, (reserves, peg) = random.Random(seed), MARKET[-1]
    amounts = [0, 1, 10**22 - 1, 10**22 + 1, 5 * 10**23, 5 * 10**23 + 1]
    amounts += [rng.randrange(1, 10 ** rng.randint(1, 25)) for _ in range(40)]
    cases = [
        (form, amount, way) for amount in amounts for form in (EXACT_IN, EXACT_OUT) for way in (True, False)
    ]
    before = market.state.digest()
    answers = ask(market.state, [query(form, amount, (PEG, way)) for form, amount, way in cases])
    for (form, amount, way), answer in zip(cases, answers, strict=True):
        expected = peg.amount_out(way, amount) if form == EXACT_IN else peg.amount_in(way, amount)
        if expected is None:
            assert answer["status"] == INSUFFICIENT_LIQUIDITY and INSUFFICIENT_LIQUIDITY in REASONS
        else:
            assert (answer["status"], integer(answer["amount"])) == (0, expected)
    paths = [(PAIR, True), (PEG, False), (PEG, True), (PEG, False)]
    first = v2_amount_out(10**21, *reserves, 3000)
    outs, pool = [first], peg
    for way in (False, True, False):
        paid = pool.amount_out(way, outs[-1])
        assert paid is not None
        pool = pool.moved(way, outs[-1])
        outs.append(paid)
    (answer,) = ask(market.state, [query(PATH, 10**21, *paths)])
    assert [integer(answer["outs"][k]) for k in range(4)] == outs
    assert market.state.digest() == before


# What follows runs the command line; compiling for it would show nothing that the tests above do not.


@pytest.fixture
def interpreted(lane: str) -> Iterator[None]:
    if lane != "nojit":
        pytest.skip("the lane without the JIT runs the commands with venues: nothing to compile")
    yield


def command(*words: str, fails: bool = False) -> str:
    sets = [word for name in SETS for word in ("--set", name)] if words[0] != "import" else []
    result = CliRunner().invoke(app, [*words, *sets])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def fork_logs() -> list[dict[str, Any]]:
    """A pool of the fork, born of its own factory with V2's topics, and a V2 pair; 103 for 100 between them."""
    topic = "0x" + "0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
    return [
        *births()[:1],
        log(1, 1, FORK_FACTORY, [topic, *TOKENS], [FORK, 2]),
        log(2, 0, PAIR, [SYNC], [1_000_000, 1_000_000]),
        log(2, 1, FORK, [SYNC], [1_000_000, 1_030_000]),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_a_fork_on_v2s_topics_is_its_own_venue_by_its_factory(tmp_path: Path) -> None:
    logs = write_lines(tmp_path / "logs.jsonl", fork_logs())
    state, opened = tmp_path / "state.jsonl", tmp_path / "open.jsonl"
    out = ["--state-out", str(state), "--opportunities-out", str(opened)]
    command("replay", str(logs), "--handlers", FORK_MODULE, *out)
    pools = {line["pool"]: line for line in lines(state)}
    assert (pools[FORK]["kind"], pools[FORK]["fee"], pools[FORK]["reserve1"]) == ("fork", 2500, "1030000")
    assert (pools[PAIR]["kind"], pools[PAIR]["fee"], pools[PAIR]["reserve1"]) == (
        "uniswap_v2",
        3000,
        "1000000",
    )
    (cycle,) = lines(opened)
    assert [hop["pool"] for hop in cycle["path"]] == [FORK, PAIR]
    assert int(cycle["path"][0]["amount_out"]) == v2_amount_out(
        int(cycle["amount_in"]), 1_000_000, 1_030_000, 2500
    )
    best = max(round_trip(amount) for amount in range(1, 30_000))
    assert best - 2 <= int(cycle["profit"]) == round_trip(int(cycle["amount_in"]))


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_a_scan_names_the_venue(tmp_path: Path) -> None:
    logs = write_lines(tmp_path / "logs.jsonl", fork_logs())
    scanned = json.loads(command("scan", str(logs), "--handlers", FORK_MODULE, "--json"))
    assert {hop["kind"] for hop in scanned["best"][0]["path"]} == {"fork", "uniswap_v2"}


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "setting", ["arbitrage.evaluate=log", "arbitrage.evaluate=transaction", "enable_bounds_checking=true"]
)
def test_cycles_open_at_every_boundary_and_with_checked_tables(tmp_path: Path, setting: str) -> None:
    logs, opened = write_lines(tmp_path / "logs.jsonl", market_logs()[:6]), tmp_path / "open.jsonl"
    out = ["--opportunities-out", str(opened), "--json", "--set", setting]
    report = json.loads(command("replay", str(logs), "--handlers", MODULE, *out))
    assert report["paths"] == 1 and report["opportunities"] > 0
    (cycle,) = lines(opened)
    assert profit(*MARKET[1], int(cycle["amount_in"])) == int(cycle["profit"]) > 0


def round_trip(amount: int) -> int:
    bought = v2_amount_out(amount, 1_000_000, 1_030_000, 2500)
    return (v2_amount_out(bought, 1_000_000, 1_000_000, 3000) if bought else 0) - amount


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_a_journal_of_a_venue_replays_like_its_logs_and_one_without_it_is_refused(tmp_path: Path) -> None:
    logs = str(write_lines(tmp_path / "logs.jsonl", market_logs()))
    with_it, without, again = str(tmp_path / "with"), str(tmp_path / "without"), str(tmp_path / "again")
    command("import", logs, "--journal", with_it, "--handlers", MODULE)
    command("import", logs, "--journal", without)
    told = [
        json.loads(command("replay", source, "--handlers", MODULE, "--json")) for source in (logs, with_it)
    ]
    assert [told[0][name] for name in ("state_digest", "output_digest", "events")] == [
        told[1][name] for name in ("state_digest", "output_digest", "events")
    ]
    refusal = command("replay", without, "--handlers", MODULE, fails=True)
    assert "imported without venue peg" in refusal and len(refusal.strip().splitlines()) <= 2
    unread = json.loads(command("replay", with_it, "--json"))
    assert unread["warnings"]["unknown_types"] == len(MARKET)
    assert "give the --handlers" in command("replay", with_it, "--write-journal", again, fails=True)


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_given_state_is_read_back_from_a_state_file(tmp_path: Path) -> None:
    logs = str(write_lines(tmp_path / "logs.jsonl", market_logs()))
    later = str(write_lines(tmp_path / "later.jsonl", stated(20, *MARKET[2])[:1]))
    state, first, second = (tmp_path / f"{name}.jsonl" for name in ("state", "first", "second"))
    command("replay", logs, "--handlers", MODULE, "--state-out", str(state))
    queries = [
        {"block": block, "pool": PEG, "zero_for_one": True, "exact": "in", "amount": 10**23}
        for block in (8, 20)
    ]
    write_lines(first, queries[:1])
    write_lines(second, queries[1:])
    asked = ["--handlers", MODULE, "--queries"]
    told = command("quote", logs, *asked, str(first))
    assert told == command("quote", later, "--pools", str(state), *asked, str(second))
    assert json.loads(told)["amount"] == str(MARKET[-1][1].amount_out(True, 10**23))


@pytest.mark.slow
@pytest.mark.usefixtures("interpreted")
def test_a_journal_replayed_with_more_pools_of_a_venue_knows_what_it_kept_of_them(tmp_path: Path) -> None:
    logs = str(write_lines(tmp_path / "logs.jsonl", market_logs()[2:]))
    journal = str(tmp_path / "journal")
    token0, token1 = TOKENS
    names = {"token0": token0, "token1": token1}
    pools = [{"address": PAIR, "kind": "v2", **names}, {"address": PEG, "kind": "peg", **names}]
    known = ["--pools", str(write_lines(tmp_path / "pools.jsonl", pools)), "--handlers", MODULE, "--json"]
    command("import", logs, "--journal", journal, "--handlers", MODULE)
    from_logs, from_journal = (json.loads(command("replay", source, *known)) for source in (logs, journal))
    assert from_journal["state_digest"] == from_logs["state_digest"]
    assert from_journal["output_digest"] == from_logs["output_digest"]
    assert from_journal["opportunities"] == from_logs["opportunities"] > 0
