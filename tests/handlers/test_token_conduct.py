"""Token conduct against tokens and contracts in plain Python: good tokens are never flagged, bad ones are."""

from __future__ import annotations

import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.compile_cache import entry_uncounted
from disruptor.config.loader import load_settings
from disruptor.feeds.topics import EVENTS
from disruptor.handler_set import HandlerSet
from disruptor.handlers import messages as m
from disruptor.handlers import tracking
from disruptor.handlers.pools import pools
from disruptor.handlers.token_conduct import TOKEN_CONDUCT
from disruptor.handlers.token_conduct_tables import (
    CLEAN,
    REBASING,
    TAXED,
    UNKNOWN,
    account0,
    account1,
    conduct_in,
    conduct_of,
    token_conduct,
)
from disruptor.processor import Processor
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.replay.events import Inputs, open_events
from disruptor.replay.program import INPUTS, Memory
from disruptor.replay.session import Session
from tests.handlers.conftest import Event, fill
from tests.harness import EXAMPLE, SMALL
from tests.support.token_traders import ODD, ORDINARY, World, trade
from tests.support.token_world import (
    BurnTaxed,
    FeeFirst,
    Log,
    Mute,
    Overstated,
    Pair,
    PayerTaxed,
    Pool,
    Pool3,
    Rebasing,
    SilentlyTaxed,
    Token,
)

ALL = (*ORDINARY, *ODD)
KINDS = {"uniswap_v2": m.KIND_UNISWAP_V2, "uniswap_v3": m.KIND_UNISWAP_V3}
MESSAGES = {
    "uniswap_v2": {
        "Sync": m.UniswapV2Sync,
        "Swap": m.UniswapV2Swap,
        "Mint": m.UniswapV2Mint,
        "Burn": m.UniswapV2Burn,
    },
    "uniswap_v3": {
        "Swap": m.UniswapV3Swap,
        "Mint": m.UniswapV3Mint,
        "Collect": m.UniswapV3Collect,
        "Flash": m.UniswapV3Flash,
        "CollectProtocol": m.UniswapV3CollectProtocol,
    },
}
TABLES = [pools, account0, account1, token_conduct]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
HANDLERS = (
    tracking.on_block_start,
    tracking.on_token_registered,
    tracking.on_pool_seen,
    tracking.on_pool_registered,
    tracking.on_pool_incomplete,
    *TOKEN_CONDUCT,
)


@entry_uncounted
def look(tables, of_token, of_pool):  # type: ignore[no-untyped-def]
    """The conduct of the first tokens, and in the first pools."""
    state = bind_state(LAYOUT, tables)
    for token in range(len(of_token)):
        of_token[token] = conduct_of(state, token)
    for pool in range(len(of_pool)):
        of_pool[pool] = conduct_in(state, pool)


class Watch:
    """A processor of nothing but token conduct, told of what happens in a world."""

    def __init__(self) -> None:
        capacities = {"pools": 1024, "tokens": 2048, "pairs": 1024}
        self.processor = Processor(HandlerSet(HANDLERS, inputs=INPUTS), capacities=capacities)
        self.block = 0

    def feed(self, events: Iterable[Event]) -> None:
        first, events = self.processor.next_sequence, list(events)
        slots = np.zeros((len(events), 192), np.uint8)
        for k, (message, fields) in enumerate(events):
            record = slots[k].view(message.slot_dtype())[0]
            record["sequence"], record["type_id"] = first + k, message.type_id
            for name, value in fields.items():
                fill(record, name, value)
        self.processor.process(slots, first, first + len(events), lambda _: None, base=first)

    def register(self, world: World, *, born: bool = False) -> None:
        for token in world.tokens:
            self.feed([(m.TokenRegistered, {"token": token.number, "address": name_of(token.number)})])
        for pool in world.pools:
            self.feed([registration(pool, born=born)])

    def tell(self, transactions: Sequence[Sequence[Log]], keep: Callable[[str], bool] = bool) -> None:
        """A block with these transactions; logs that are not kept are not in the stream."""
        self.block += 1
        told = ((log, index) for index, logs in enumerate(transactions) for log in logs if keep(log[0]))
        events = [event for log, index in told for event in events_of(log, index)]
        self.feed([(m.BlockStart, {"number": self.block}), *events])

    def verdicts(self) -> tuple[list[int], list[int]]:
        """The conduct of all tokens, and in all pools."""
        scan, arrays = self.processor.state.scan(), self.processor.state.arrays
        of_token, of_pool = np.zeros(scan["tokens"], np.int64), np.zeros(scan["pools"], np.int64)
        fault = np.zeros(1, np.int64)
        look(describe_tables([arrays[table.name] for table in TABLES], fault), of_token, of_pool)
        return of_token.tolist(), of_pool.tolist()

    def score(self, token: int) -> dict[str, int]:
        row = self.processor.state.rows("token_conduct")[token]
        return {name: int(row[name]) for name in row.dtype.names}


def name_of(number: int, of: int = 1) -> bytes:
    return bytes([of] * 18) + number.to_bytes(2, "big")


def registration(pool: Pool, *, born: bool) -> Event:
    token0, token1 = (token.number for token in pool.tokens)
    fields = {"pool": pool.number, "kind": KINDS[pool.kind], "token0": token0, "token1": token1}
    addresses = {"address": name_of(pool.number, 2), "token0_address": name_of(token0)}
    flags = m.FLAG_BORN if born else 0
    return m.PoolRegistered, {**fields, **addresses, "token1_address": name_of(token1), "flags": flags}


def events_of(log: Log, transaction: int) -> Iterable[Event]:
    """What the encoder makes of a log; nothing of a transfer between strangers."""
    name, fields = log
    if name != "Transfer":
        pool = fields["pool"]
        yield MESSAGES[pool.kind][name], {**fields, "pool": pool.number, "transaction_index": transaction}
        return
    sender, receiver = (p if isinstance(p, Pool) else None for p in (fields["from"], fields["to"]))
    if sender or receiver:
        direction = 1 if not sender else (2 if not receiver else 3)
        party = sender or receiver
        assert party is not None
        other = receiver.number if sender and receiver else m.NO_ID
        amounts = {"token": fields["token"], "amount": fields["amount"]}
        parties = {"pool": party.number, "other_pool": other, "direction": direction}
        yield m.Erc20Transfer, {**amounts, **parties, "transaction_index": transaction}


def market(seed: int, *kinds: type[Token]) -> World:
    """Every two tokens have two pairs and a V3 pool."""
    tokens = kinds or (Token, Token, Token)
    pairs = list(itertools.combinations(range(len(tokens)), 2))
    return World(seed, tokens, [(kind, a, b) for a, b in pairs for kind in (Pair, Pool3, Pair)])


def run(
    world: World, watch: Watch, steps: int, kinds: Sequence[str] = ALL
) -> Iterable[tuple[list[int], list[int]]]:
    """Let things happen, a few to a block; the verdicts after each block."""
    watch.tell(world.take())
    for _ in range(steps):
        for _ in range(world.random.randrange(1, 5)):
            world.step(kinds)
        watch.tell(world.take())
        yield watch.verdicts()


@pytest.mark.parametrize("born", [False, True])
def test_honest_tokens_are_never_flagged_and_end_clean(seed: int, lane: str, born: bool) -> None:
    for k in range(1 if lane == "nojit" else 2):
        world, watch = market(100 * seed + k), Watch()
        watch.register(world, born=born)
        for verdicts in run(world, watch, 100):
            assert max(map(max, verdicts)) <= UNKNOWN
        assert verdicts[0] == [CLEAN] * 3 and verdicts[1].count(CLEAN) >= 8
        assert watch.score(1)["in_full"] >= 4 and watch.score(1)["first_mismatch"] == 0


@pytest.mark.parametrize("kind", [BurnTaxed, FeeFirst, SilentlyTaxed, PayerTaxed, Overstated])
def test_a_taxed_token_is_never_clean_and_flagged_once_it_was_traded(
    kind: type[Token], seed: int, lane: str
) -> None:
    for k in range(1 if lane == "nojit" else 2):
        world, watch = market(100 * seed + k, Token, kind, Token), Watch()
        watch.register(world)
        for of_token, of_pool in run(world, watch, 60):
            assert of_token[1] != CLEAN and max(of_token[0], of_token[2]) <= UNKNOWN
            assert of_token[1] != TAXED or min(of_pool[:3] + of_pool[6:]) == TAXED
        assert of_token == [CLEAN, TAXED, CLEAN]
        assert max(of_pool[3:6]) <= UNKNOWN


@pytest.mark.parametrize("scale", [10**9 + 1, 10**9 - 1])
@pytest.mark.parametrize("then", ["sync", "buy", "sell"])
def test_a_token_that_rebases_is_flagged_by_the_next_that_looks(scale: int, then: str, seed: int) -> None:
    world, watch = World(seed, [Token, Rebasing], [(Pair, 0, 1)]), Watch()
    pair: Any = world.pools[0]
    token: Any = world.tokens[1]
    watch.register(world)
    for side in range(2):
        assert world.do(functools.partial(trade, world, pair, side))
    watch.tell(world.take())
    assert watch.verdicts() == ([CLEAN, CLEAN], [CLEAN])
    token.scale = scale
    sell = (lambda: token.transfer("trader", pair, 10**20), lambda: pair.swap((10**6, 0), "trader"))
    actions = {"sync": (pair.sync,), "buy": (lambda: trade(world, pair, 0),), "sell": sell}
    assert world.do(*actions[then])
    watch.tell(world.take())
    fell_while_coming_in = then == "sell" and scale < 10**9
    assert watch.verdicts()[0] == [CLEAN, TAXED if fell_while_coming_in else REBASING]


def test_a_token_that_logs_nothing_stays_unknown(seed: int) -> None:
    world, watch = market(seed, Token, Mute), Watch()
    watch.register(world)
    for of_token, of_pool in run(world, watch, 40):
        assert of_token[1] == UNKNOWN and of_pool == [UNKNOWN] * 3
    assert of_token[0] == CLEAN


def test_a_stream_without_transfers_says_nothing_of_tokens(seed: int) -> None:
    world, watch = market(seed, Token, BurnTaxed, Rebasing), Watch()
    watch.register(world, born=True)
    for _ in range(30):
        world.step(ALL)
        watch.tell(world.take(), lambda name: name != "Transfer")
    assert watch.verdicts() == ([UNKNOWN] * 3, [UNKNOWN] * 9)


def test_transfers_that_stop_midway_flag_nobody(seed: int) -> None:
    world, watch = market(seed), Watch()
    watch.register(world)
    list(run(world, watch, 40))
    before = watch.verdicts()
    for _ in range(40):
        world.step(ORDINARY)
        watch.tell(world.take(), lambda name: name != "Transfer")
    assert watch.verdicts() == before and before[0] == [CLEAN] * 3


@pytest.mark.parametrize(("told", "kinds"), [(True, ALL), (False, ORDINARY)])
def test_blocks_that_are_missing_flag_nobody(
    told: bool, kinds: tuple[str, ...], seed: int, lane: str
) -> None:
    for k in range(1 if lane == "nojit" else 2):
        world, watch = market(100 * seed + k), Watch()
        watch.register(world)
        for _ in range(80):
            world.step(kinds)
            blocks = world.take()
            if world.random.random() < 0.3:
                if told:
                    watch.feed([(m.PoolIncomplete, {"pool": m.NO_ID})])
                continue
            watch.tell(blocks)
            assert max(map(max, watch.verdicts())) <= UNKNOWN
        assert watch.verdicts()[0] == [CLEAN] * 3


def test_a_pool_that_lost_an_event_starts_anew(seed: int) -> None:
    world, watch = World(seed, [Token, Token], [(Pair, 0, 1)]), Watch()
    pair: Any = world.pools[0]
    watch.register(world)
    for side in range(2):
        assert world.do(functools.partial(trade, world, pair, side))
    watch.tell(world.take())
    world.do(lambda: world.tokens[0].transfer("trader", pair, 5))
    world.take()
    watch.feed([(m.PoolIncomplete, {"pool": 0})])
    world.do(pair.sync)
    watch.tell(world.take())
    assert watch.verdicts() == ([CLEAN, CLEAN], [CLEAN])
    world.do(lambda: world.tokens[0].transfer("trader", pair, 5))
    world.take()
    world.do(pair.sync)
    watch.tell(world.take())
    assert watch.verdicts() == ([REBASING, CLEAN], [REBASING])


# --- by hand: what the world above would never do

WORDS = {
    "uniswap_v2": {
        "Sync": ("reserve0", "reserve1"),
        "Swap": ("amount0_in", "amount1_in", "amount0_out", "amount1_out", "flags"),
        "Mint": ("amount0", "amount1"),
    },
    "uniswap_v3": {"Swap": ("amount0", "amount1"), "Mint": ("amount0", "amount1")},
}


class Hand(Watch):
    """Honest pairs of tokens 0 and 1, which are clean, and one more pool whose logs are made up one by one."""

    def __init__(self, kind: type[Pool] = Pair, *, honest: int = 2, born: bool = False) -> None:
        super().__init__()
        self.world = World(1, [Token, Token], [(Pair, 0, 1)] * honest)
        self.register(self.world)
        for pair in self.world.pools:
            for side in range(2):
                assert self.world.do(functools.partial(trade, self.world, pair, side))
        self.tell(self.world.take())
        self.pool = kind([], honest, (self.world.tokens[0], self.world.tokens[1]))
        self.feed([registration(self.pool, born=born)])
        assert self.verdicts() == ([CLEAN, CLEAN], [CLEAN] * honest + [UNKNOWN])

    def logs(self, *logs: tuple[Any, ...], more: bool = False) -> tuple[list[int], int]:
        """A transaction, or more of it: (token, amount into or out of the pool) or (name of a log, its numbers).

        Returns the conduct of both tokens, and in the pool.
        """
        written: list[Log] = []
        for first, *rest in logs:
            if isinstance(first, str):
                words = WORDS[self.pool.kind][first]
                written.append((first, {"pool": self.pool, **dict(zip(words, rest, strict=False))}))
            else:
                sender, receiver = ("you", self.pool) if rest[0] > 0 else (self.pool, "you")
                fields = {"token": first, "from": sender, "to": receiver, "amount": abs(rest[0])}
                written.append(("Transfer", fields))
        if more:
            self.feed(event for log in written for event in events_of(log, 0))
        else:
            self.tell([written])
        of_token, of_pool = self.verdicts()
        return of_token, of_pool[-1]


BOTH = [CLEAN, CLEAN]
OPEN = ((0, 100), (1, 100), ("Sync", 100, 100), ("Mint", 100, 100))


def test_reserves_that_no_transfer_brought_bar_a_pair_born_in_the_stream() -> None:
    hand = Hand(born=True)
    assert hand.logs(("Sync", 10**6, 10**9)) == (BOTH, REBASING)


def test_a_swap_of_such_a_pair_explains_nothing() -> None:
    hand = Hand(born=True)
    assert hand.logs(("Sync", 10**6, 10**9), ("Swap", 1, 0, 0, 1)) == (BOTH, REBASING)


def test_the_same_of_a_pair_whose_transfers_may_be_missing_proves_nothing() -> None:
    hand = Hand()
    assert hand.logs(("Sync", 10**6, 10**9)) == (BOTH, UNKNOWN)
    assert hand.logs(("Sync", 10**7, 10**9)) == (BOTH, UNKNOWN)


def test_a_pair_that_never_told_the_truth_bars_itself_alone() -> None:
    hand = Hand()
    assert hand.logs(*OPEN) == (BOTH, UNKNOWN)
    assert hand.logs(("Sync", 10**6, 10**9)) == (BOTH, REBASING)


def test_what_a_pair_noticed_counts_once_it_is_a_witness() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    assert hand.logs(("Sync", 100, 99)) == (BOTH, REBASING)
    swap = ((0, 10), (1, -5), ("Sync", 110, 94), ("Swap", 10, 0, 0, 5))
    assert hand.logs(*swap) == ([CLEAN, REBASING], REBASING)
    assert hand.score(1) == {
        "matched_in": 2,
        "matched_out": 2,
        "in_full": 2,
        "taxed": 0,
        "rebasing": 1,
        "unpaid": 0,
        "first_mismatch": hand.processor.next_sequence,
    }


@pytest.mark.parametrize(("honest", "verdict"), [(4, TAXED), (5, CLEAN)])
@pytest.mark.parametrize("well_known", [False, True])
def test_one_pool_is_outvoted_by_more_than_four_others(honest: int, verdict: int, well_known: bool) -> None:
    hand = Hand(honest=honest)
    hand.logs(*OPEN)
    if well_known:
        assert hand.logs((0, 5), (1, -5), ("Sync", 105, 95), ("Swap", 5, 0, 0, 5)) == (BOTH, CLEAN)
        assert hand.logs((1, 5), (0, -5), ("Sync", 100, 100), ("Swap", 0, 5, 5, 0)) == (BOTH, CLEAN)
        assert hand.score(1)["in_full"] == honest + 1
    swap = ((0, 10), (1, -4), ("Sync", 110, 96), ("Swap", 10, 0, 0, 5))
    assert hand.logs(*swap) == ([CLEAN, verdict], TAXED)


def test_a_sync_is_provisional_until_its_swap_tells_of_a_gap() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    for side in range(2):
        pay, take = (
            (10, 0, 0, 10) if side == 0 else (0, 10, 10, 0),
            (100 + 10, 90) if side == 0 else (100, 100),
        )
        hand.logs((side, 10), (1 - side, -10), ("Sync", *take), ("Swap", *pay))
    before = hand.score(0), hand.score(1)
    # Meanwhile, in blocks that nobody missed, the reserves became 200 and 60.
    assert hand.logs((0, 10), (1, -5), ("Sync", 210, 55)) == ([REBASING, REBASING], REBASING)
    assert hand.logs(("Swap", 10, 0, 0, 5), more=True) == (BOTH, CLEAN)
    assert (hand.score(0), hand.score(1)) == before


def test_a_gap_that_only_the_side_that_pays_out_can_tell_of() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    # Meanwhile somebody borrowed token 0 and paid a fee of 3.
    swap = ((1, 10), (0, -5), ("Sync", 98, 110), ("Swap", 0, 10, 5, 0))
    assert hand.logs(*swap) == (BOTH, CLEAN)


def test_missed_blocks_end_a_window() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    hand.logs((0, 5))
    hand.feed([(m.PoolIncomplete, {"pool": m.NO_ID})])
    assert hand.logs((0, 5), ("Sync", 200, 100)) == (BOTH, UNKNOWN)


def test_a_later_transaction_takes_nothing_back() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    hand.logs(("Sync", 999, 100))
    assert hand.logs(("Mint", 1, 1)) == (BOTH, REBASING)


@pytest.mark.parametrize("sync", [(), (("Sync", 100, 97),)])
def test_a_token_that_helps_itself_is_flagged(sync: tuple[Any, ...]) -> None:
    hand = Hand()
    hand.logs(*OPEN)
    assert hand.logs((1, -3), *sync) == (BOTH, UNKNOWN)
    assert hand.logs((1, 5)) == (BOTH, TAXED)


MOST = 2**128 - 1


@pytest.mark.parametrize(
    "logs",
    [
        ((0, 2**200), ("Sync", 100, 100)),
        ((0, 2**200), (0, 5), ("Sync", 100, 100)),
        ((1, -(2**127)), (1, -(2**127) - 5), ("Swap", 10, 0, 0, 5)),
        ((0, 10), (1, -5), ("Swap", 10, 0, 0, MOST, m.FLAG_AMOUNT_OVERFLOW)),
    ],
)
def test_amounts_beyond_128_bits_prove_nothing(logs: tuple[Any, ...]) -> None:
    hand = Hand()
    hand.logs(*OPEN)
    assert hand.logs(*logs) == (BOTH, UNKNOWN)
    hand.logs(("Sync", 100, 100))
    assert hand.logs((0, 10), (1, -5), ("Sync", 110, 95), ("Swap", 10, 0, 0, 5)) == (BOTH, CLEAN)


@pytest.mark.parametrize(
    ("logs", "verdict"),
    [
        (((1, -5), (0, 10), ("Swap", 10, -5)), CLEAN),
        (((1, -5), (0, 12), ("Swap", 10, -5)), UNKNOWN),
        (((1, -5), (0, 7), ("Swap", 10, -5)), REBASING),
        (((1, -4), (0, 10), ("Swap", 10, -5)), TAXED),
        (((1, -5), (1, -1), (0, 10), ("Swap", 10, -5)), TAXED),
        (((1, -5), (0, 10), ("Swap", 10, -5), ("Swap", 20, -6)), CLEAN),  # the second has no transfers
        (((1, -5), ("Swap", 10, -(2**128) - 5)), UNKNOWN),
        (((0, 5), ("Swap", 2**128 + 9, -5)), UNKNOWN),
    ],
)
def test_a_v3_swap_is_held_against_the_transfers_of_its_call(logs: tuple[Any, ...], verdict: int) -> None:
    assert Hand(Pool3).logs(*logs)[1] == verdict


def test_a_v3_pool_is_counted_by_transaction() -> None:
    hand = Hand(Pool3)
    hand.logs((1, -5))
    assert hand.logs(("Swap", 10, -6)) == (BOTH, UNKNOWN)
    hand.logs((0, 3))
    assert hand.logs((1, -5), (0, 10), ("Swap", 10, -5)) == (BOTH, CLEAN)


@pytest.mark.parametrize(
    ("born", "logs", "verdict"),
    [
        (True, (("Mint", 100, 0),), REBASING),
        (True, (("Mint", 0, 100),), REBASING),
        (True, (("Mint", 0, 0),), UNKNOWN),
        (True, ((0, 100), ("Mint", 100, 0)), UNKNOWN),
        (False, (("Mint", 100, 100),), UNKNOWN),
    ],
)
def test_a_v3_pool_whose_first_liquidity_nobody_paid_is_a_fake(
    born: bool, logs: tuple[Any, ...], verdict: int
) -> None:
    hand = Hand(Pool3, born=born)
    assert hand.logs(*logs) == (BOTH, verdict)
    assert hand.logs((0, 7), (1, 7)) == (BOTH, UNKNOWN)  # somebody moved them after all


def test_what_turns_against_a_pool_is_counted() -> None:
    hand = Hand()
    hand.logs(*OPEN)
    counter = hand.processor.state.rows("conduct_counters")
    before = int(counter[0]["verdicts"])
    hand.logs((0, 10), (1, -4), ("Sync", 110, 96), ("Swap", 10, 0, 0, 5))
    assert counter[0]["verdicts"] > before


def test_strangers_tokens_and_unregistered_pools_are_nobodys_business() -> None:
    hand = Hand()
    hand.feed([(m.TokenRegistered, {"token": 2, "address": name_of(2)})])
    hand.feed([(m.PoolSeen, {"pool": 3, "address": name_of(3, 2)})])
    hand.feed([(m.UniswapV2Sync, {"pool": 3, "reserve0": 5}), (m.UniswapV2Burn, {"pool": 3, "amount0": 5})])
    hand.feed([(m.Erc20Transfer, {"pool": 2, "token": 2, "direction": 1, "amount": 5})])
    for name in ("account0", "account1"):
        rows = hand.processor.state.rows(name)
        assert not rows[2:].view(np.uint8).any()


def test_the_state_digest_does_not_depend_on_transfers(seed: int) -> None:
    world, watches = market(seed, Token, BurnTaxed), (Watch(), Watch())
    transactions = [*world.take()]
    for _ in range(20):
        world.step(ALL)
    transactions += world.take()
    for watch, kept in zip(watches, (True, False), strict=True):
        watch.register(world)
        watch.tell(transactions, lambda name, kept=kept: kept or name != "Transfer")  # type: ignore[misc]
    assert watches[0].verdicts() != watches[1].verdicts()
    assert watches[0].processor.state.digest() == watches[1].processor.state.digest()


def test_an_account_is_one_cache_line() -> None:
    assert account0.row_size == account1.row_size == 64


# --- recorded streams


def replayed(logs: Path, pools_file: Path | None = None, *sets: str) -> dict[str, int]:
    """The conduct of every token at the end of a stream, by address."""
    settings, _ = load_settings(None, [*SMALL, *sets])
    memory = Memory(settings)
    inputs = Inputs((str(logs),), (str(pools_file),) if pools_file else (), (), False, False)
    watch = Watch()
    session = Session(open_events(inputs, settings, memory), watch.processor, memory, None)
    for part in session.runs():
        session.process(part, lambda _: None)
    addresses = watch.processor.state.rows("tokens")["address"]
    return {"0x" + a.tobytes().hex(): c for a, c in zip(addresses, watch.verdicts()[0], strict=True)}


@pytest.mark.slow
@pytest.mark.compiled
def test_of_the_example_streams_tokens_one_is_taxed_and_five_are_clean() -> None:
    named = json.loads((EXAMPLE.parent / "uniswap_v2_v3.tokens.json").read_text())["tokens"]
    symbols = {token["address"].lower(): token["symbol"] for token in named}
    found = {symbols[a]: conduct for a, conduct in replayed(EXAMPLE).items() if a in symbols}
    assert found == dict.fromkeys(("WETH", "USDC", "DAI", "WBTC", "UNI"), CLEAN) | {"DTT": TAXED}


def underpaid_by(lines: list[str], pools_: list[dict[str, str]]) -> set[str]:
    """Tokens of which some swap's output was not one transfer of that amount, by the plain rows of the logs."""
    tokens_of = {r["address"]: (r["token0"], r["token1"]) for r in pools_ if r["token0"] and r["token1"]}
    topics = {"0x" + event.topic: LOGS[event.message] for event in EVENTS if event.message in LOGS}
    outs: dict[str, list[tuple[str, int]]] = {}  # transfers out by pool, since its last log but Sync
    found, transaction = set(), None
    for row in csv.DictReader(lines):
        if row["tx_hash"] != transaction:
            transaction = row["tx_hash"]
            outs.clear()
        name, emitter = topics.get(row["topic0"], ""), row["address"]
        words = [int(row["data"][k : k + 64], 16) for k in range(2, len(row["data"]) - 63, 64)]
        if name == "Created" and not row["topic3"]:
            tokens_of[f"0x{words[0]:040x}"] = ("0x" + row["topic1"][26:], "0x" + row["topic2"][26:])
        elif name == "Transfer" and words:
            outs.setdefault("0x" + row["topic1"][26:], []).append((emitter, words[0]))
        elif emitter in tokens_of and name != "Sync":
            left = outs.pop(emitter, [])
            asked = {"Swap2": words[2:4], "Swap3": [(2**256 - w) % 2**256 for w in words[:2]]}.get(name, [])
            for token, amount in zip(tokens_of[emitter], asked, strict=False):
                paid = [a for t, a in left if t == token]
                if 0 < amount < 2**255 and paid and paid != [amount]:
                    found.add(token)
    return found


LOGS = {
    m.UniswapV2Sync: "Sync",
    m.UniswapV2Swap: "Swap2",
    m.UniswapV3Swap: "Swap3",
    m.Erc20Transfer: "Transfer",
}
LOGS[m.PoolRegistered] = "Created"
GOOD = ("WETH", "USDC", "USDT", "DAI")


@pytest.mark.slow
@pytest.mark.compiled
def test_of_whole_mainnet_blocks_the_tokens_that_pay_out_less_are_flagged_and_no_others(
    data_dir: Path, tmp_path: Path
) -> None:
    folder = data_dir / "mainnet" / "blocks"
    with (folder / "blocks.csv").open() as file:  # of two blocks the log indices are those of receipts
        numbered = {
            r["block_number"] for r in csv.DictReader(file) if r["log_index_contiguous_from_0"] == "True"
        }
    with (folder / "pools.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (folder / "logs.csv").open() as file:
        head, *lines = file.read().splitlines()
    kept = [head, *(line for line in lines if line.split(",", 1)[0] in numbered)]
    (tmp_path / "logs.csv").write_text("\n".join(kept) + "\n")
    found = replayed(tmp_path / "logs.csv", folder / "pools.csv")
    symbols = {r[f"token{k}"]: r[f"symbol{k}"] for r in rows for k in (0, 1) if r[f"symbol{k}"]}
    assert {symbols[a]: c for a, c in found.items() if symbols.get(a) in GOOD} == dict.fromkeys(GOOD, CLEAN)
    flagged = {a for a, conduct in found.items() if conduct > UNKNOWN}
    assert flagged == underpaid_by(kept, rows) and len(flagged) > 20
