"""Watchers of a small handler set: where `--until` ends, what `--step` shows, when `--speed` lets a block go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.handlers.messages import BlockStart
from disruptor.processor import Processor
from disruptor.replay.bounds import Part
from disruptor.replay.condition import parse
from disruptor.replay.pace import Pace
from disruptor.replay.slots import Run
from disruptor.replay.stepper import Console, Stepper
from disruptor.replay.until import Until, causes
from disruptor.replay.watch import Watched, Watcher, watch
from tests.disruptor.test_processor import (
    Close,
    Deposit,
    Event,
    Probe,
    ledger,
    on_close,
    on_deposit,
    on_probe,
    slots_of,
    stream,
)

HANDLERS = HandlerSet([on_deposit, on_close, on_probe])


class Driven:
    """A processor run over events in parts, with watchers looking on."""

    def __init__(self) -> None:
        self.processor = Processor(HANDLERS, capacities={"accounts": 6}, output_slots=16)
        self.watched, self.pieces = Watched(), list[tuple[int, int]]()

    def run(self, events: list[Event], *watchers: Watcher, size: int = 7, counted_from: int = 0) -> None:
        slots = slots_of(events)
        for first in range(0, len(events), size):
            part = Part(Run(slots[first : first + size], first), first >= counted_from)
            for piece in watch(watchers, self.watched, part):
                run = piece.run
                end = run.first + len(run.slots)
                self.pieces.append((run.first, end))
                consume = self.watched.take(lambda _: None)
                self.processor.process(run.slots, run.first, end, consume, base=run.first)
            if self.watched.stopped is not None:
                return

    def until(self, text: str, events: list[Event], **options: int) -> int | None:
        condition = parse(text, HANDLERS)
        self.run(events, Until(condition, HANDLERS, self.processor.state, self.watched), **options)
        return None if self.watched.stopped is None else int(self.watched.stopped["sequence"])


def first_where(events: list[Event], holds: Any) -> int | None:
    """The first sequence after which `holds(totals, outputs of the event)`, by the ledger."""
    for sequence in range(len(events)):
        outputs, totals = ledger(events[: sequence + 1])
        if holds(totals, [total for at, _, total in outputs if at == sequence]):
            return sequence
    return None


HALF = 2**63


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("accounts[3].total > 9223372036854775808", lambda t, o: t.get(3, 0) > HALF),
        ("accounts[3].total>0x8000000000000000", lambda t, o: t.get(3, 0) > HALF),
        ("accounts[2].account == 2 and accounts[4].account == 4", lambda t, o: 2 in t and 4 in t),
        ("output.Balance.total <= 1e18", lambda t, o: any(x <= 10**18 for x in o)),
        (
            "output.Balance.total > 9e18 and accounts[1].total < 1e18",
            lambda t, o: any(x > 9 * 10**18 for x in o) and t.get(1, 10**19) < 10**18,
        ),
        (
            "accounts[0].total < 5e17 or accounts[1].total < 5e17",
            lambda t, o: any(t.get(k, 10**19) < 5 * 10**17 for k in (0, 1)),
        ),
        ("accounts[77].total >= 0", lambda t, o: False),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 200])
def test_a_run_ends_with_the_first_event_that_makes_it_hold(
    text: str, holds: Any, size: int, seed: int
) -> None:
    events = stream(200, seed)
    driven = Driven()
    assert driven.until(text, events, size=size) == first_where(events, holds)
    assert driven.processor.next_sequence == driven.pieces[-1][1]


def test_only_events_that_can_matter_are_looked_at_one_by_one() -> None:
    [one] = parse("probes[1].hits > 0", HANDLERS).comparisons
    assert causes(one, HANDLERS) == {Probe.type_id}
    [two] = parse("output.Balance.total > 0", HANDLERS).comparisons
    assert causes(two, HANDLERS) == {Deposit.type_id, Close.type_id}
    driven = Driven()
    events: list[Event] = [(Deposit, (1, 1))] * 5 + [(Probe, (1, 0))] + [(Deposit, (1, 1))] * 5
    assert driven.until("probes[1].hits > 1", events, size=20) is None
    assert driven.pieces == [(0, 6), (6, 11)]


def test_events_are_counted_from_where_they_count() -> None:
    events: list[Event] = [(Deposit, (1, 1))] * 30
    assert Driven().until("events >= 10", events) == 9
    assert Driven().until("events == 10", events, counted_from=14) == 23


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a comparison"),
        ("events", "expected a comparison"),
        ("events > 5 xor events < 3", "expected a comparison"),
        ("__import__('os')", "expected a comparison"),
        ("event > 5", "did you mean events"),
        ("accounts > 5", "of which field"),
        ("account[1].total > 5", "no table account; did you mean accounts"),
        ("accounts[1].totl > 5", "no field of accounts totl; did you mean total"),
        ("accounts.total > 5", r"written accounts\[KEY\].FIELD"),
        ("output.Balence.total > 5", "did you mean Balance"),
        ("output.Balance.amount > 5", "no field of Balance amount"),
        ("output.Balance > 5", "no field of Balance named"),
        ("events > five", "expected a number"),
        ("events > 1e99999", "expected a number"),
        ("events > 1 and", "expected a comparison"),
    ],
)
def test_what_can_not_be_read_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse(text, HANDLERS)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("--until")


def stepped(
    commands: str, events: list[Event], pause_at: int | None = None, size: int = 7
) -> tuple[Driven, list[str]]:
    driven, told = Driven(), list[str]()
    console = Console(iter(commands.splitlines()), told.append)
    driven.run(
        events, Stepper(console, HANDLERS, driven.processor.state, driven.watched, pause_at), size=size
    )
    return driven, told


EVENTS: list[Event] = [
    (Deposit, (1, 5)),
    (Deposit, (2, 6)),
    (Close, (1,)),
    (Deposit, (3, 7)),
    (Probe, (0, 0)),
]


def test_each_event_is_shown_with_what_it_emitted() -> None:
    driven, told = stepped("n\ns accounts\nn 2\ns accounts 1\nq\n", EVENTS, size=2)
    assert told == [
        "before sequence 0",
        "0 Deposit account=1 amount=5",
        "  -> Balance handler=on_deposit account=1 total=5",
        "before sequence 1",
        "accounts[1] account=1 total=5",
        "1 Deposit account=2 amount=6",
        "  -> Balance handler=on_deposit account=2 total=6",
        "2 Close account=1",
        "  -> Balance handler=on_close account=1 total=5",
        "before sequence 3",
        "no such row",
    ]
    assert driven.watched.stopped == {"step": "quit", "sequence": 2}
    assert driven.processor.next_sequence == 3


def test_a_pause_comes_after_its_sequence_and_going_on_reaches_the_end() -> None:
    driven, told = stepped("s probes\nc\n", EVENTS, pause_at=3)
    assert told == ["before sequence 4", "no such row"]
    assert driven.processor.next_sequence == 5 and driven.watched.stopped is None


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("pause_at", range(5))
def test_a_pause_is_where_it_was_asked_for_however_the_run_is_cut(size: int, pause_at: int) -> None:
    driven, told = stepped("q\n", EVENTS, pause_at=pause_at, size=size)
    assert driven.processor.next_sequence == pause_at + 1
    assert told == ([f"before sequence {pause_at + 1}"] if pause_at < 4 else [])


def test_commands_that_make_no_sense_are_told_and_asked_again() -> None:
    _, told = stepped("x\nn many\nn 0\ns\ns acounts\ns accounts 1,2\nb 3\n\nq\n", EVENTS)
    errors = [line for line in told if line.startswith("error: ")]
    assert len(errors) == 6 and "did you mean accounts" in errors[3]
    assert len(told) == 7


def test_the_end_of_the_commands_ends_the_run() -> None:
    driven, _ = stepped("n 2", EVENTS)
    assert driven.watched.stopped == {"step": "quit", "sequence": 1}


def blocks(times: list[int], first: int = 0, per_block: int = 3) -> Run:
    """Blocks of a start and two other slots each; time 0 is unknown."""
    slots = np.zeros((per_block * len(times), 192), np.uint8)
    for k, seconds in enumerate(times):
        record = slots[per_block * k].view(BlockStart.slot_dtype())[0]
        record["type_id"], record["number"], record["timestamp"] = BlockStart.type_id, k + 1, seconds
    return Run(slots, first)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 0.2
        self.now += seconds


def paced(factor: float, *parts: Part) -> Iterator[tuple[float, int, int]]:
    """When each piece came, from when to when."""
    clock = Clock()
    pace = Pace(factor, clock, clock.sleep)
    for part in parts:
        for piece in pace.pieces(part):
            yield clock.now - 100, piece.run.first, piece.run.first + len(piece.run.slots)


@pytest.mark.parametrize("factor", [1.0, 12.0, 0.5])
def test_a_block_comes_when_its_time_has_come(factor: float) -> None:
    found = list(
        paced(factor, Part(blocks([1000, 1012, 0, 1024]), True), Part(blocks([1024, 1000], 12), True))
    )
    assert [piece[1:] for piece in found] == [(0, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18)]
    expected = [0, 12, 12, 24, 24, 24]
    assert [when for when, *_ in found] == pytest.approx([t / factor for t in expected])


def test_what_does_not_count_is_not_waited_for() -> None:
    found = list(paced(1.0, Part(blocks([1000, 2000]), False), Part(blocks([3000, 3005], 6), True)))
    assert [begin for _, begin, _ in found] == [0, 6, 9]
    assert [when for when, *_ in found] == pytest.approx([0, 0, 5])


def test_a_stream_without_times_has_no_pace() -> None:
    with pytest.raises(InputError, match=r"--speed: the source does not say when block 1 was.*--blocks"):
        list(paced(1.0, Part(blocks([0, 5]), True)))
