"""Which snapshot a run goes on from, and which it passes over and why. Handlers are those of the processor's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import CapacityError
from disruptor.handlers.path_tables import base_tokens, native_pools, path_settings
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.processor import plain_allocate
from disruptor.replay.path_setup import SETTING_TABLES, set_up_paths
from disruptor.replay.restore import RunIdentity, changed_since, facts_of, identity_of, restore_newest
from disruptor.state import State
from disruptor.state_image import copy_rows
from tests.disruptor.test_processor import Run, slots_of, stream

EVENTS = stream(150, 3)
SLOTS = slots_of(EVENTS)
OWN = RunIdentity("c0de", {"function f": "1", "setting a": "5"})
OTHER = RunIdentity("0ther", {"function f": "2", "setting a": "6"})
CUTS = (40, 90, 120)


def event_at(sequence: int) -> bytes | None:
    return SLOTS[sequence].tobytes() if sequence < len(SLOTS) else None


@pytest.fixture(scope="module")
def whole() -> Run:
    return Run(ring=256)(EVENTS)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Snapshots of one run before its events 40, 90 and 120."""
    made, run, done = SnapshotStore(tmp_path), Run(ring=256), 0
    for cut in CUTS:
        run(EVENTS[done:cut], done, base=done)
        made.write(copy_rows(run.processor.state), facts_of(run.processor, OWN, SLOTS[cut - 1]))
        done = cut
    return made


def flip(store: SnapshotStore, sequence: int, at: int) -> None:
    path = store.directory / f"{sequence:020d}.dss"
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("at_most", "expected"), [(None, 119), (119, 119), (118, 89), (89, 89), (40, 39), (38, None)]
)
def test_the_newest_up_to_a_sequence_is_gone_on_from(
    store: SnapshotStore, whole: Run, at_most: int | None, expected: int | None
) -> None:
    run = Run(accounts=30)
    found = restore_newest(store, run.processor, OWN, at_most, event_at=event_at)
    assert found == (expected, (), ())
    begin = 0 if expected is None else expected + 1
    assert run.processor.next_sequence == begin
    run(EVENTS[begin:], begin, base=begin)
    assert run.processor.state.digest() == whole.processor.state.digest()
    assert whole.octets.endswith(run.octets) and run.octets


def test_damaged_ones_are_passed_over_and_told(store: SnapshotStore, whole: Run) -> None:
    flip(store, 119, 20)  # the header
    flip(store, 89, -40)  # a row
    run = Run()
    found = restore_newest(store, run.processor, OWN)
    assert found.sequence == 39
    assert [(p.segment, p.sequence) for p in found.problems] == [
        ("snapshots/00000000000000000119.dss", 119),
        ("snapshots/00000000000000000089.dss", 89),
    ]
    run(EVENTS[40:], 40, base=40)
    assert run.processor.state.digest() == whole.processor.state.digest()


def test_one_of_another_journal_is_passed_over(store: SnapshotStore) -> None:
    def other(sequence: int) -> bytes | None:
        return None if sequence == 119 else b"x" if sequence == 89 else event_at(sequence)

    found = restore_newest(store, Run().processor, OWN, event_at=other)
    assert found.sequence == 39
    assert all("of another journal" in p.what for p in found.problems) and len(found.problems) == 2


def test_one_of_the_end_of_another_journal_is_passed_over_by_its_running_hash(store: SnapshotStore) -> None:
    run = Run(ring=256)(EVENTS)
    store.write(copy_rows(run.processor.state), facts_of(run.processor, OWN, SLOTS[149], "ab" * 32))
    for end, expected in (((149, "cd" * 32), 119), ((149, "ab" * 32), 149), ((150, "cd" * 32), 149)):
        found = restore_newest(store, Run().processor, OWN, event_at=event_at, end=end)
        assert (found.sequence, len(found.problems)) == (expected, int(expected == 119))


def test_one_of_other_code_is_passed_over_by_name_or_allowed_and_told(store: SnapshotStore) -> None:
    fresh = Run().processor
    found = restore_newest(store, fresh, OTHER)
    assert (found.sequence, len(found.problems), fresh.next_sequence) == (None, 3, 0)
    assert "function f is another; setting a: 5 when recorded, 6 now" in found.problems[0].what
    assert "--allow-code-change" in found.problems[0].what
    allowed = restore_newest(store, Run().processor, OTHER, allow_code_change=True)
    assert (allowed.sequence, allowed.problems) == (119, ())
    assert allowed.changed == ("function f is another", "setting a: 5 when recorded, 6 now")


def test_a_change_that_was_allowed_once_stays_told(store: SnapshotStore) -> None:
    run = Run()
    allowed = restore_newest(store, run.processor, OTHER, 39, allow_code_change=True)
    run(EVENTS[40:130], 40, base=40)
    store.write(copy_rows(run.processor.state), facts_of(run.processor, OTHER, SLOTS[129], restored=allowed))
    found = restore_newest(store, Run().processor, OTHER)
    assert found.sequence is None
    line = "up to sequence 39: function f is another; setting a: 5 when recorded, 6 now"
    assert line in found.problems[0].what and found.problems[0].sequence == 129
    again = restore_newest(store, Run().processor, OTHER, allow_code_change=True)
    assert (again.sequence, again.changed) == (129, (line,))


def test_other_code_without_a_name_is_still_told(store: SnapshotStore) -> None:
    facts = store.candidates().snapshots[0].facts
    assert changed_since(facts, OWN._replace(code="x")) == ("code identity is another",)


def test_what_the_run_has_no_use_for_is_no_problem(store: SnapshotStore) -> None:
    found = restore_newest(store, Run().processor, OWN, accept=lambda facts: facts.sequence < 100)
    assert found == (89, (), ())


def test_too_little_room_is_an_error_that_names_snapshot_and_setting(store: SnapshotStore) -> None:
    with pytest.raises(CapacityError, match=r"119\.dss: table accounts: .* raise capacity\.accounts"):
        restore_newest(store, Run(accounts=1).processor, OWN)


def test_no_snapshot_is_taken_after_a_failure() -> None:
    run = Run(accounts=1)
    with pytest.raises(CapacityError):
        run(EVENTS)
    assert not run.processor.between_events
    with pytest.raises(AssertionError, match="between two events"):
        facts_of(run.processor, OWN, SLOTS[0])


def test_facts_are_of_the_event_processed_last() -> None:
    run = Run()(EVENTS[:7])
    assert facts_of(run.processor, OWN, SLOTS[6]).sequence == 6
    with pytest.raises(AssertionError, match="not the event"):
        facts_of(run.processor, OWN, SLOTS[5])


def test_settings_in_tables_are_this_runs_but_paths_are_screened_as_before(tmp_path: Path) -> None:
    class Holder:
        """All that is asked of a processor here."""

        def __init__(self, *sets: str) -> None:
            settings, _ = load_settings(None, list(sets))
            self.state = State([path_settings, base_tokens, native_pools], {}, plain_allocate)
            set_up_paths(self.state, settings, 1)
            self.next_sequence, self.between_events = 7, True

        def start_at(self, sequence: int) -> None:
            self.next_sequence = sequence

    store = SnapshotStore(tmp_path)
    before, after = Holder("enable_simd=false", "arbitrage.min_bps=1"), Holder("arbitrage.min_bps=9")
    image = copy_rows(before.state)
    store.write(image, facts_of(Run()(EVENTS[:7]).processor, OWN, SLOTS[6]))
    after.state.arrays["path_settings"].rows[0]["simd"] = 0
    expected = {name: after.state.arrays[name].rows.tobytes() for name in SETTING_TABLES}
    after.state.arrays["path_settings"].rows[0]["simd"] = 1
    found = restore_newest(store, after, OTHER, allow_code_change=True)  # type: ignore[arg-type]
    assert (found.sequence, after.next_sequence) == (6, 7)
    assert {name: after.state.arrays[name].rows.tobytes() for name in SETTING_TABLES} == expected


def test_an_identity_names_settings_and_handlers() -> None:
    settings, _ = load_settings(None, [])
    handlers = Run().processor.handlers
    found = identity_of(handlers, settings)
    assert found.parts["setting arbitrage.min_bps"] == "0.0" and "handler on_deposit" in found.parts
    assert found.code != identity_of(handlers, load_settings(None, ["arbitrage.min_bps=1"])[0]).code
