"""What a replay is held against, on journals and records made by hand: no loop is compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.journal.writer import JournalWriter
from disruptor.message import message, u32, u64
from disruptor.replay import record as records
from disruptor.replay.held import HeldAgainst
from disruptor.replay.request import ReplayRequest
from tests.replay.test_record import REPORT

Ping = message("Ping", 1721, {"a": u32, "b": u64})
Moved = message("Ping", 1721, {"b": u64, "a": u32})


@handler(Ping)
def on_ping(state, event, out):
    return None


@handler(Ping)
def on_other(state, event, out):
    return 0


SETTINGS, _ = load_settings(None, [])
HANDLERS = HandlerSet([on_ping])


def journal(folder: Path, recorded: Any = None, declared: Any = Ping, **settings: Any) -> str:
    writer = JournalWriter(str(folder), messages=[declared], identity={}, settings=settings)
    with writer:
        slots = np.zeros((3, 192), np.uint8)
        slots.view(declared.slot_dtype())["sequence"][:, 0] = np.arange(3)
        slots.view(declared.slot_dtype())["type_id"] = declared.type_id
        writer.append(slots, 0)
        writer.finish({} if recorded is None else {"recorded": recorded.to_json()})
    return str(folder)


def asked(source: str, *sets: str, **options: Any) -> ReplayRequest:
    settings, _ = load_settings(None, list(sets))
    return ReplayRequest(sources=(source,), settings=settings, **options)


def recorded(held: HeldAgainst, **changed: Any) -> records.Record:
    report = {**REPORT, "code_identity": held.code_identity, **changed}
    return records.make_record(report, held.identity, asked("x").bounds(), None)


def report_of(held: HeldAgainst, **changed: Any) -> dict[str, Any]:
    return {**REPORT, "code_identity": held.code_identity, **changed}


def test_nothing_recorded_is_nothing_to_hold_against(tmp_path: Path) -> None:
    held = HeldAgainst(asked(journal(tmp_path / "j")), HANDLERS)
    assert held.identity_report() == {} and held.verdict(REPORT, explicit=False) == {}


def test_a_journal_with_a_record_expects_its_results_again(tmp_path: Path) -> None:
    bare = HeldAgainst(asked("logs.jsonl"), HANDLERS)
    path = journal(tmp_path / "j", recorded(bare))
    held = HeldAgainst(asked(path), HANDLERS)
    assert held.verdict(report_of(held), explicit=False) == {"against": [path], "differences": {}}
    other = held.verdict(report_of(held, state_digest="6" * 32), explicit=False)
    assert other["differences"] == {"state_digest": ["5" * 32, "6" * 32]}


def test_a_part_of_a_recorded_journal_is_not_expected_to_give_the_whole(tmp_path: Path) -> None:
    bare = HeldAgainst(asked("logs.jsonl"), HANDLERS)
    held = HeldAgainst(asked(journal(tmp_path / "j", recorded(bare)), to_seq=1), HANDLERS)
    assert held.verdict(report_of(held, events=1), explicit=False) == {}


@pytest.mark.parametrize(
    ("sets", "handlers", "named"),
    [
        (["default_v2_fee=17"], HANDLERS, "setting default_v2_fee: 3000 when recorded, 17 now"),
        ([], HandlerSet([on_ping, on_other]), "function tests.replay.test_held.on_other is new"),
    ],
)
def test_a_change_is_refused_by_name_unless_allowed(tmp_path: Path, sets, handlers, named) -> None:
    path = journal(tmp_path / "j", recorded(HeldAgainst(asked("logs.jsonl"), HANDLERS)))
    with pytest.raises(InputError, match=f"{named}.*--allow-code-change"):
        HeldAgainst(asked(path, *sets), handlers)
    held = HeldAgainst(asked(path, *sets, allow_code_change=True), handlers)
    assert named in held.identity_report()["changed"]
    assert held.verdict(report_of(held, events=0), explicit=False) == {}
    assert held.verdict(report_of(held, events=0), explicit=True)["differences"] == {"events": [7, 0]}


def test_another_environment_is_a_warning(tmp_path: Path) -> None:
    record = recorded(HeldAgainst(asked("logs.jsonl"), HANDLERS))
    record.environment["cpu"] = "z80"
    held = HeldAgainst(asked(journal(tmp_path / "j", record)), HANDLERS)
    assert held.identity_report()["environment"]["cpu"][0] == "z80"
    assert "changed" not in held.identity_report()


def test_the_record_of_another_journal_is_refused(tmp_path: Path) -> None:
    bare = HeldAgainst(asked("logs.jsonl"), HANDLERS)
    record = records.make_record(report_of(bare), bare.identity, asked("x").bounds(), "00" * 32)
    records.write_record(record, str(tmp_path / "r.json"))
    with pytest.raises(InputError, match="recorded of a journal with running hash 0000"):
        HeldAgainst(asked(journal(tmp_path / "j"), check=str(tmp_path / "r.json")), HANDLERS)
    # Of logs nobody knows the hash before they are encoded: the results decide.
    held = HeldAgainst(asked("logs.jsonl", check=str(tmp_path / "r.json")), HANDLERS)
    assert held.verdict(report_of(held), explicit=True)["differences"] == {}


def test_a_layout_that_would_be_misread_is_refused_by_field(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", declared=Moved)
    with pytest.raises(InputError, match=r"Ping .type 1721.*field b u64 at 0 there, a u32 at 0 here"):
        HeldAgainst(asked(path, allow_code_change=True), HANDLERS)


def test_settings_of_the_import_that_are_others_now_are_told(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", default_v2_fee=2500, chain_id=None)
    held = HeldAgainst(asked(path, "chain_id=5"), HANDLERS)
    assert held.identity_report() == {"import_settings": {"default_v2_fee": [2500, 3000]}}


def test_a_record_that_was_altered_in_a_manifest_is_none(tmp_path: Path) -> None:
    bare = HeldAgainst(asked("logs.jsonl"), HANDLERS)
    altered = json.loads(json.dumps(recorded(bare).to_json())) | {"events": 1}
    assert records.parse_record(altered) is None
