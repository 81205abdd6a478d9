"""`kill -9` at random moments, the ring kept or lost: what was acknowledged is there, in order, once.

`make crash` does this thousands of times; here some.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from disruptor.engine.live_ring import region_name
from disruptor.errors import DisruptorError
from disruptor.journal.incarnations import load_incarnations
from disruptor.journal.journaler import Durability, Mode
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.verify import verify
from disruptor.message import header_dtype
from disruptor.region_file import paths
from disruptor.watermarks import Watermarks, watermarks_of
from tests.support import ledger_engine as ledger

KILLS = int(os.environ.get("DISRUPTOR_KILLS", "12"))
STEP = 600


def watched(folder: Path) -> Watermarks | None:
    """The watermarks of an engine, alive or dead."""
    try:
        return watermarks_of(region_name(folder / "journal"), folder)
    except (DisruptorError, OSError):
        return None


def killed_run(folder: Path, durability: Durability, stream: ledger.Slots, seed: int, after: float) -> None:
    """Run the engine in a process, watch it, and kill that after a time unless it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ledger.run_engine(folder, durability, stream, seed)
            status = 0
        finally:
            os._exit(status)
    deadline, before = time.monotonic() + after, None
    while time.monotonic() < deadline and os.waitpid(child, os.WNOHANG) == (0, 0):
        marks = watched(folder)
        if marks is not None and before is not None and None not in (marks + before):
            assert marks.sequenced >= before.sequenced
        before = marks or before
        time.sleep(0.002)
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@pytest.mark.slow
@pytest.mark.own_loop
@pytest.mark.parametrize("mode", ["process", "group", "strict"])
def test_killed_again_and_again(tmp_path: Path, mode: Mode) -> None:
    chance, durability = random.Random(mode), Durability(mode, sync_us=500)
    ledger.new_processor()  # compiled before the first fork
    total = STEP * KILLS
    stream = ledger.deposits(total)
    synced = sure = -1
    for number in range(KILLS):
        end = min(total, STEP * (number + 1) + 4000)
        killed_run(tmp_path, durability, stream[:end], number, chance.uniform(0.02, 0.12))
        marks = watched(tmp_path)
        if marks is None:
            continue
        lost = mode != "process" and chance.random() < 0.4
        if lost:  # as a power loss takes tmpfs
            for path in paths(region_name(tmp_path / "journal"), tmp_path):
                path.unlink(missing_ok=True)
        synced = max(synced, -1 if marks.synced is None else marks.synced)
        sure = synced if lost else max(sure, marks.sequenced)
        assert open_journal(tmp_path / "journal").last_sequence >= synced
    digest = ledger.run_engine(tmp_path, durability, stream, 0, pause=0)
    assert int((tmp_path / "resumed").read_text()) > sure
    check_all(tmp_path, stream, digest)


def check_all(folder: Path, stream: ledger.Slots, digest: str) -> None:
    """Journal, outputs and state are those of a run that nobody disturbed."""
    report = verify(folder / "journal")
    assert report.ok and report.status == "stopped", report
    held = np.concatenate([frame.slots.copy() for frame in open_journal(folder / "journal").frames()])
    assert np.array_equal(held, stream)
    outputs, incarnations = ledger.read_received(folder / "received")
    rows = outputs.reshape(-1).view(ledger.Balance.slot_dtype(ledger.SLOT))
    received = [(int(r["sequence"]), int(r["account"]), int(r["total"])) for r in rows]
    assert received == ledger.balances(stream)
    assert (np.diff(incarnations) >= 0).all()
    assert int(incarnations[-1]) == load_incarnations(folder / "journal")[-1].number
    headers = outputs.reshape(-1).view(header_dtype(ledger.SLOT))
    columns = (headers[name].tolist() for name in ("sequence", "source_id", "source_sequence"))
    identities = set(zip(incarnations.tolist(), *columns, strict=True))
    assert len(identities) == len(outputs)
    undisturbed = ledger.new_processor()
    undisturbed.process(stream, 0, len(stream), lambda _: None, base=0)
    assert undisturbed.state.digest() == digest
