"""A live engine over a ledger: deposits in, balances out. Small, deterministic, and its answer is known by heart."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from disruptor.access import insert, row
from disruptor.emit import emit
from disruptor.engine.live import LiveEngine, Position
from disruptor.engine.live_ring import LiveRing
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.journal.journaler import Durability
from disruptor.journal.recorder import Recorder
from disruptor.message import header_dtype, message, u32, u64
from disruptor.pages import PagePolicy
from disruptor.processor import Processor
from disruptor.replay.pipeline import RingWriter
from disruptor.table import Table

Deposit = message("Deposit", 1621, {"account": u32, "amount": u64})
Balance = message("Balance", 1622, {"account": u32, "total": u64})
ACCOUNTS = Table("ledger_accounts", {"account": u32, "total": u64}, key=("account",))
SLOT = 192
Slots = npt.NDArray[np.uint8]


@handler(Deposit, tables=[ACCOUNTS], max_outputs=2, max_inserts=1)
def on_deposit(state, event, out):
    account = row(state.ledger_accounts, insert(state.ledger_accounts, event["account"], 0))
    account["account"] = event["account"]
    account["total"] += event["amount"]
    balance = emit(out, Balance)
    balance["account"] = event["account"]
    balance["total"] = account["total"]
    if event["amount"] % np.uint64(3) == np.uint64(0):
        again = emit(out, Balance)
        again["account"] = event["account"]
        again["total"] = event["amount"]


def deposits(count: int) -> Slots:
    """The whole stream."""
    chance = np.random.default_rng(7)
    slots = np.zeros((count, SLOT), np.uint8)
    rows = slots.reshape(-1).view(Deposit.slot_dtype(SLOT))
    rows["sequence"], rows["type_id"] = np.arange(count), Deposit.type_id
    rows["account"] = chance.integers(0, 9, count)
    rows["amount"] = chance.integers(0, 2**50, count)
    return slots


def balances(slots: Slots) -> list[tuple[int, int, int]]:
    """(sequence, account, total) of every output, by a dict."""
    totals: dict[int, int] = {}
    found = []
    for sequence, deposit in enumerate(slots.reshape(-1).view(Deposit.slot_dtype(SLOT))):
        account, amount = int(deposit["account"]), int(deposit["amount"])
        totals[account] = totals.get(account, 0) + amount
        found.append((sequence, account, totals[account]))
        if amount % 3 == 0:
            found.append((sequence, account, amount))
    return found


class FileReceiver:
    """Appends outputs to a file, each with its incarnation, and knows from it what it has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        size = os.fstat(self._fd).st_size
        os.ftruncate(self._fd, size // (SLOT + 8) * (SLOT + 8))  # a record in part was not received

    def last(self) -> Position | None:
        outputs, _ = read_received(self.path)
        if not len(outputs):
            return Position(0, 0)
        sequences = outputs.reshape(-1).view(header_dtype(SLOT))["sequence"]
        return Position(int(sequences[-1]), int(np.count_nonzero(sequences == sequences[-1])))

    def receive(self, outputs: Slots, incarnation: int) -> None:
        records = np.empty((len(outputs), SLOT + 8), np.uint8)
        records[:, :SLOT] = outputs
        records[:, SLOT:] = np.frombuffer(incarnation.to_bytes(8, "little"), np.uint8)
        os.write(self._fd, records.tobytes())


def read_received(path: Path) -> tuple[Slots, npt.NDArray[np.int64]]:
    """All whole records: outputs, incarnations."""
    content = np.fromfile(path, np.uint8) if path.exists() else np.empty(0, np.uint8)
    records = content[: len(content) // (SLOT + 8) * (SLOT + 8)].reshape(-1, SLOT + 8)
    incarnations = np.ascontiguousarray(records[:, SLOT:]).view("<i8").reshape(-1)
    return np.ascontiguousarray(records[:, :SLOT]), incarnations


def new_processor() -> Processor:
    """One that has processed nothing."""
    processor = Processor(HandlerSet([on_deposit]), capacities={"ledger_accounts": 64}, output_slots=64)
    processor.compile()
    return processor


OPTIONS = {
    "slot_size": SLOT,
    "frame_slots": 64,
    "segment_bytes": 128 << 10,
    "messages": [Deposit],
    "identity": {"source": "test"},
    "settings": {},
}


def run_engine(folder: Path, durability: Durability, stream: Slots, seed: int, pause: float = 0.0002) -> str:
    """Record and process what is not there yet of a stream; the state digest at its end."""
    recorder = Recorder(str(folder / "journal"), **OPTIONS)  # type: ignore[arg-type]
    live = LiveRing(
        str(folder / "journal"),
        recorder,
        512,
        SLOT,
        policy=PagePolicy("off"),
        wait_strategy="sleeping",
        schema_hash=1,
        directory=folder,
    )
    processor = new_processor()
    receiver = FileReceiver(folder / "received")
    engine = LiveEngine(str(folder / "journal"), recorder, live, processor, receiver, durability)
    (folder / "resumed").write_text(str(recorder.next_sequence))
    chance, at = random.Random(seed), recorder.next_sequence

    def produce(writer: RingWriter) -> None:
        nonlocal at
        while at < len(stream):
            end = min(len(stream), at + chance.choice((1, 2, 7, 30)))
            while writer.limit() < end:
                pass
            for sequence in range(at, end):
                writer.slots[sequence & writer.mask] = stream[sequence]
            writer.publish(end)
            at = end
            if chance.random() < 0.2:
                time.sleep(pause)

    engine.run(produce, 32)
    return processor.state.digest()
