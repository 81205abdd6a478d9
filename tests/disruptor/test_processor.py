"""The processor against a ledger kept in a dict: however its input is cut, the bytes are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from disruptor.access import find, insert, read, remove, row
from disruptor.emit import emit
from disruptor.errors import CapacityError, HandlerError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.message import message, u32, u64
from disruptor.processor import Processor
from disruptor.status import ROW_OUT_OF_BOUNDS
from disruptor.table import Table

Deposit = message("Deposit", 1601, {"account": u32, "amount": u64})
Close = message("Close", 1602, {"account": u32})
Probe = message("Probe", 1603, {"index": u32, "status": u32})
Balance = message("Balance", 1604, {"account": u32, "total": u64})
Stranger = message("Stranger", 1699, {"a": u32})
ACCOUNTS = Table("accounts", {"account": u32, "total": u64}, key=("account",))
PROBES = Table("probes", {"hits": u64}, key="probes", capacity=4)


@handler(Deposit, tables=[ACCOUNTS], max_outputs=1, max_inserts=1)
def on_deposit(state, event, out):
    account = row(state.accounts, insert(state.accounts, event["account"], 0))
    account["account"] = event["account"]
    account["total"] += event["amount"]
    balance = emit(out, Balance)
    balance["account"] = event["account"]
    balance["total"] = account["total"]


@handler(Close, tables=[ACCOUNTS], max_outputs=1)
def on_close(state, event, out):
    at = find(state.accounts, event["account"], 0)
    if at >= 0:
        balance = emit(out, Balance)
        balance["account"] = event["account"]
        balance["total"] = read(state.accounts, at)["total"]
        remove(state.accounts, event["account"], 0)


@handler(Probe, tables=[PROBES])
def on_probe(state, event, out):
    row(state.probes, event["index"])["hits"] += np.uint64(1)
    return np.int64(event["status"])


Event = tuple[Any, tuple[int, ...]]


def slots_of(events: list[Event], first: int = 0) -> npt.NDArray[np.uint8]:
    slots = np.zeros((len(events), 192), np.uint8)
    for k, (declared, values) in enumerate(events):
        record = slots[k].view(declared.slot_dtype())[0]
        record["sequence"], record["type_id"] = first + k, declared.type_id
        for name, value in zip(declared.fields, values, strict=True):
            record[name] = value
    return slots


def stream(count: int, seed: int, accounts: int = 5) -> list[Event]:
    random = np.random.default_rng(seed)
    found: list[Event] = []
    for kind, account, amount in zip(
        random.integers(0, 4, count),
        random.integers(0, accounts, count),
        random.integers(0, 2**62, count),
        strict=True,
    ):
        if kind == 0:
            found.append((Close, (int(account),)))
        elif kind == 1 and amount % 3 == 0:
            found.append((Stranger, (1,)))
        else:
            found.append((Deposit, (int(account), int(amount))))
    return found


def ledger(events: list[Event]) -> tuple[list[tuple[int, int, int]], dict[int, int]]:
    """(sequence, account, total) of every balance, and what is open at the end."""
    totals: dict[int, int] = {}
    found = []
    for sequence, (declared, values) in enumerate(events):
        if declared is Deposit:
            account, amount = values
            totals[account] = (totals.get(account, 0) + amount) % 2**64
            found.append((sequence, account, totals[account]))
        elif declared is Close and values[0] in totals:
            found.append((sequence, values[0], totals.pop(values[0])))
    return found, totals


class Run:
    """A processor and the bytes that left it."""

    def __init__(
        self, *, accounts: int = 6, ring: int = 16, checked: bool = False, max_batch: int = 1024
    ) -> None:
        handlers = HandlerSet([on_deposit, on_close, on_probe])
        self.processor = Processor(
            handlers,
            capacities={"accounts": accounts},
            output_slots=ring,
            checked=checked,
            max_batch=max_batch,
        )
        self.left: list[bytes] = []

    def __call__(self, events: list[Event], first: int = 0, **options: Any) -> Run:
        self.processor.process(slots_of(events, first), first, first + len(events), self.keep, **options)
        return self

    def keep(self, slots: npt.NDArray[np.uint8]) -> None:
        self.left.append(slots.tobytes())

    @property
    def octets(self) -> bytes:
        return b"".join(self.left)

    def balances(self) -> list[tuple[int, int, int]]:
        view = np.frombuffer(self.octets, Balance.slot_dtype())
        return [(int(r["sequence"]), int(r["account"]), int(r["total"])) for r in view]

    def open(self) -> dict[int, int]:
        return {int(r["account"]): int(r["total"]) for r in self.processor.state.live("accounts")}


@pytest.fixture
def events(seed: int) -> list[Event]:
    return stream(150, seed)


@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
def test_outputs_state_and_counts_are_the_ledgers(events: list[Event], checked: bool) -> None:
    done = Run(checked=checked)(events)
    assert (done.balances(), done.open()) == ledger(events)
    kinds = [declared for declared, _ in events]
    assert done.processor.counts() == {
        "Deposit": kinds.count(Deposit),
        "Close": kinds.count(Close),
        "Probe": 0,
        "unknown": kinds.count(Stranger),
    }
    assert kinds.count(Stranger) > 0 and done.processor.next_sequence == len(events)


def whole(run: Run, events: list[Event]) -> None:
    run(events)


def in_frames(run: Run, events: list[Event]) -> None:
    """Slots of one frame after the other; the base is each frame's first sequence."""
    for start, end in cuts(len(events), (1, 7, 2, 40)):
        run(events[start:end], start, base=start, mask=-1)


def in_one_frame_by_parts(run: Run, events: list[Event]) -> None:
    slots = slots_of(events)
    for start, end in cuts(len(events), (3, 64)):
        run.processor.process(slots, start, end, run.keep, base=0, mask=-1)


def in_ring(run: Run, events: list[Event]) -> None:
    """A ring of 16 slots that is lapped again and again."""
    ring = np.zeros((16, 192), np.uint8)
    slots = slots_of(events)
    for start, end in cuts(len(events), (16, 5, 11, 1)):
        for sequence in range(start, end):
            ring[sequence & 15] = slots[sequence]
        run.processor.process(ring, start, end, run.keep, base=0, mask=15)


def cuts(total: int, lengths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    start, k = 0, 0
    while start < total:
        end = min(start + lengths[k % len(lengths)], total)
        yield start, end
        start, k = end, k + 1


@pytest.mark.parametrize("feed", [whole, in_frames, in_one_frame_by_parts, in_ring])
@pytest.mark.parametrize(("max_batch", "ring"), [(1, 1), (7, 64), (1024, 2)])
def test_bytes_do_not_depend_on_batches_addressing_or_ring(
    events: list[Event], feed: Callable[[Run, list[Event]], None], max_batch: int, ring: int
) -> None:
    one = Run(ring=256)(events)
    other = Run(max_batch=max_batch, ring=ring, accounts=50)
    feed(other, events)
    assert other.octets == one.octets
    assert other.processor.state.digest() == one.processor.state.digest()
    assert other.processor.counts() == one.processor.counts()


def test_slots_may_be_read_only(events: list[Event]) -> None:
    slots = slots_of(events)
    slots.flags.writeable = False
    run = Run()
    run.processor.process(slots, 0, len(events), run.keep)
    assert run.octets == Run()(events).octets


def test_full_table_names_its_setting_and_poisons() -> None:
    run = Run(accounts=2)
    events: list[Event] = [(Deposit, (k, 1)) for k in range(4)]
    with pytest.raises(
        CapacityError, match=r"accounts is full \(2 rows\) at sequence 2: raise capacity\.accounts"
    ) as caught:
        run(events)
    assert caught.value.facts == {"sequence": 2, "table": "accounts", "capacity": 2}
    assert run.balances() == ledger(events[:2])[0], "what came before has left"
    assert run.open() == {0: 1, 1: 1} and run.processor.next_sequence == 2
    with pytest.raises(CapacityError, match="sequence 2"):
        run([(Close, (0,))], 2)


@pytest.mark.parametrize("status", [1000, 1007])
def test_failing_handler_is_named_with_its_sequence_and_poisons(status: int) -> None:
    run = Run()
    events: list[Event] = [(Deposit, (1, 5)), (Probe, (2, 0)), (Probe, (2, status)), (Deposit, (1, 5))]
    with pytest.raises(
        HandlerError, match=f"handler on_probe failed at sequence 2 with handler status {status}"
    ) as caught:
        run(events)
    assert caught.value.facts == {"sequence": 2, "handler": "on_probe", "status": status}
    assert run.balances() == [(0, 1, 5)] and run.processor.next_sequence == 2
    with pytest.raises(HandlerError, match="sequence 2"):
        run([(Deposit, (1, 5))], 2)
    assert run.balances() == [(0, 1, 5)]


def test_index_outside_a_table_fails_the_checked_variant() -> None:
    fits: list[Event] = [(Probe, (3, 0)), (Probe, (0, 0)), (Probe, (3, 0))]
    for checked in (False, True):
        assert Run(checked=checked)(fits).processor.state.arrays["probes"].rows["hits"].tolist() == [
            1,
            0,
            0,
            2,
            0,
        ]
    with pytest.raises(HandlerError, match="on_probe failed at sequence 3 with ROW_OUT_OF_BOUNDS") as caught:
        Run(checked=True)([*fits, (Probe, (4, 0))])
    assert caught.value.facts["status"] == ROW_OUT_OF_BOUNDS


def test_variants_are_different_modules() -> None:
    assert Run().processor.key == Run().processor.key != Run(checked=True).processor.key


def test_stop_request_returns_and_is_then_forgotten(events: list[Event]) -> None:
    run = Run()
    run.processor.request_stop()
    run(events)
    assert run.processor.next_sequence == 0 and not run.left
    run(events)
    assert run.octets == Run()(events).octets


def test_stop_request_amid_a_run_leaves_whole_events(events: list[Event]) -> None:
    run, slots = Run(ring=4), slots_of(events)

    def consume(outputs: npt.NDArray[np.uint8]) -> None:
        run.keep(outputs)
        if len(run.left) == 3:
            run.processor.request_stop()

    run.processor.process(slots, 0, len(events), consume)
    reached = run.processor.next_sequence
    assert 0 < reached < len(events)
    assert run.balances() == ledger(events[:reached])[0]
    run.processor.process(slots, reached, len(events), consume)
    assert run.octets == Run()(events).octets


def test_processor_starts_where_it_is_told(events: list[Event]) -> None:
    run = Run()
    run.processor.start_at(1000)
    run(events, 1000, base=1000)
    assert run.balances() == [(1000 + s, a, t) for s, a, t in ledger(events)[0]]
    with pytest.raises(AssertionError, match="already processed"):
        run.processor.start_at(5)


def test_sequences_are_taken_in_order_only() -> None:
    run = Run()
    with pytest.raises(AssertionError, match="expected sequence 0, got 1"):
        run([(Close, (1,))], 1)


def test_compiling_processes_nothing() -> None:
    run = Run()
    run.processor.compile()
    assert run.processor.next_sequence == 0 and set(run.processor.counts().values()) == {0}


@handler(Probe, tables=[PROBES])
def claims_a_full_ring(state, event, out):
    """Says RING_FULL at its first call, which is the engine's word and not a handler's."""
    probe = row(state.probes, 0)
    probe["hits"] += np.uint64(1)
    return 4 if probe["hits"] == 1 else 0


def test_handler_that_returns_a_status_of_the_engine_fails() -> None:
    processor = Processor(HandlerSet([claims_a_full_ring]), capacities={}, output_slots=8)
    with pytest.raises(HandlerError, match="claims_a_full_ring failed at sequence 0"):
        processor.process(slots_of([(Probe, (0, 0))]), 0, 1, lambda slots: None)
