"""Records of runs: written, read back, held against; whatever was altered is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.config.schema import Settings
from disruptor.errors import InputError
from disruptor.replay import record as records
from disruptor.replay.request import ReplayRequest

REPORT: dict[str, Any] = {
    "chain_id": 1,
    "events": 7,
    "slots": 9,
    "outputs": {"Swap": 3},
    "opportunities": 0,
    "first_sequence": 0,
    "last_sequence": 8,
    "state_digest": "5" * 32,
    "output_digest": "a" * 32,
    "code_identity": "c0de",
}
IDENTITY = {"function f": "1", "setting x": "1"}
NO_BOUNDS = ReplayRequest(sources=("x",), settings=Settings()).bounds()


def made(**changed: Any) -> records.Record:
    return records.make_record({**REPORT, **changed}, IDENTITY, NO_BOUNDS, "ab" * 32)


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = str(tmp_path / "record.json")
    records.write_record(made(), path)
    assert records.load_record(path) == made()
    assert records.differences(records.load_record(path), REPORT) == {}


@pytest.mark.parametrize("name", [*records.RESULTS, "code_identity", "identity", "running_hash"])
def test_an_altered_field_is_noticed(tmp_path: Path, name: str) -> None:
    fields = made().to_json()
    fields[name] = {"function f": "2"} if isinstance(fields[name], dict) else fields[name] * 2 + fields[name]
    if fields[name] == made().to_json()[name]:
        fields[name] = 99
    path = tmp_path / "record.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(InputError, match="not a record as it was written"):
        records.load_record(str(path))


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return
    assert records.parse_record(found) is None


def test_deep_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not a record"):
        records.load_record(str(path))
    with pytest.raises(InputError, match="No such file"):
        records.load_record(str(tmp_path / "none.json"))


def test_results_that_differ_are_named_with_both_values() -> None:
    found = records.differences(made(), {**REPORT, "events": 8, "output_digest": "b" * 32})
    assert found == {"events": [7, 8], "output_digest": ["a" * 32, "b" * 32]}


def test_changes_are_named_and_the_same_identity_has_none() -> None:
    assert records.changed_since(made(), "c0de", {}) == []
    assert records.changed_since(made(), "other", {**IDENTITY, "function g": "1"}) == ["function g is new"]
    assert records.changed_since(made(), "other", IDENTITY) == ["code identity is another"]
    with pytest.raises(InputError, match=r"a; b; c, and 2 more: .*--allow-code-change"):
        records.refuse_changes(["a", "b", "c", "d", "e"], "J")


def test_another_environment_is_told_by_name() -> None:
    assert records.environment_since(made()) == {}
    older = records.parse_record(made().to_json())
    assert older is not None
    older.environment["numba"] = "0.1"
    assert list(records.environment_since(older)) == ["numba"]
    assert records.environment_since(older)["numba"][0] == "0.1"


def test_other_bounds_are_refused_with_those_to_give() -> None:
    bounded = ReplayRequest(sources=("x",), settings=Settings(), from_block=3, to_seq=8)
    record = records.make_record(REPORT, IDENTITY, bounded.bounds(), None)
    records.check_bounds(record, bounded, "R")
    with pytest.raises(InputError, match="with --from-block 3 --to-seq 8: run with the same"):
        records.check_bounds(record, ReplayRequest(sources=("x",), settings=Settings()), "R")


@pytest.mark.parametrize("resumed_at", [0, 5])
def test_a_live_run_that_went_on_with_a_recording_only_expects_its_state_again(resumed_at: int) -> None:
    live = {**REPORT, "resumed_at": resumed_at}
    record = records.make_live_record(live, IDENTITY, 8)
    assert record.bounds == NO_BOUNDS and records.parse_record(record.to_json()) == record
    assert records.differences(record, REPORT) == {}
    other = {**REPORT, "state_digest": "6" * 32, "output_digest": "b" * 32, "outputs": {}, "events": 1}
    expected = {"state_digest"} if resumed_at else {"state_digest", "output_digest", "outputs"}
    assert set(records.differences(record, other)) == expected
    assert set(records.differences(record, {**REPORT, "last_sequence": 9})) == {"last_sequence"}
