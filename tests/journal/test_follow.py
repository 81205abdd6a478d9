"""Following a journal: every slot once, in order, as it becomes readable; it ends when the journal does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import JournalError
from disruptor.journal.follow import MAX_MISSED, Follower
from disruptor.journal.layout import Bytes
from disruptor.journal.problem import Problem
from disruptor.journal.writer import JournalWriter


class Script:
    """What happens between looks, step by step; running out of steps would be an endless wait."""

    def __init__(self, *steps: Callable[[], Any]) -> None:
        self._steps = list(steps)

    def __call__(self) -> None:
        self._steps.pop(0)()


@pytest.fixture
def writer(tmp_path: Path, options: dict[str, Any], chain_messages: list[Any]) -> Iterator[JournalWriter]:
    with JournalWriter(tmp_path / "live", **{**options, "messages": chain_messages}) as made:
        yield made


def settled(writer: JournalWriter) -> None:
    """Return when every full frame is in its file."""
    done = threading.Event()
    writer._helper.submit(done.set)
    assert done.wait(10)


def sequences(found: list[Any]) -> list[int]:
    return [row["sequence"] for row in found if not isinstance(row, Problem)]


def test_every_slot_is_given_once_as_it_is_written(
    writer: JournalWriter, tmp_path: Path, chain_slots: Callable[..., Bytes]
) -> None:
    slots = chain_slots()
    writer.append(slots[:9], 0)
    settled(writer)
    seen: list[int] = []
    at_waits: list[int] = []

    def more(start: int, end: int) -> None:
        at_waits.append(len(seen))
        writer.append(slots[start:end], start)
        settled(writer)

    def finish() -> None:
        at_waits.append(len(seen))
        writer.finish({})

    script = Script(lambda: more(9, 11), lambda: more(11, 30), lambda: more(30, 40), finish)
    follower = Follower(tmp_path / "live", from_sequence=0, wait=script)
    for row in follower.rows():
        assert isinstance(row, dict)
        seen.append(row["sequence"])
    assert seen == list(range(40)) and follower.problems == []
    # Frames are four slots: what is not a whole one is not readable yet.
    assert at_waits == [8, 8, 28, 40]


@pytest.mark.parametrize(("last", "first"), [(0, 40), (3, 37), (100, 0)])
def test_last_counts_from_the_end(chain: Path, last: int, first: int) -> None:
    assert sequences(list(Follower(chain, last=last).rows())) == list(range(first, 40))


def test_last_counts_from_the_present_end_of_one_being_written(
    writer: JournalWriter, tmp_path: Path, chain_slots: Callable[..., Bytes]
) -> None:
    slots = chain_slots()
    writer.append(slots[:27], 0)
    settled(writer)
    script = Script(lambda: writer.append(slots[27:], 27), lambda: writer.finish({}))
    assert sequences(list(Follower(tmp_path / "live", last=2, wait=script).rows())) == list(range(22, 40))


def test_types_are_chosen(chain: Path) -> None:
    assert sequences(list(Follower(chain, from_sequence=5, types=("BlockStart",)).rows())) == list(
        range(8, 40, 4)
    )
    with pytest.raises(JournalError, match="no message Trade in this journal; there are BlockStart, Tick"):
        Follower(chain, types=("Trade",))


def test_damage_is_told_once_and_the_rest_is_given(tmp_path: Path, chain: Path, unfinish: Any) -> None:
    second = sorted(chain.glob("*.dsj"))[1]
    content = bytearray(second.read_bytes())
    content[2 * 4096 + 100] ^= 1
    second.write_bytes(content)
    unfinish(chain)
    follower = Follower(
        chain, from_sequence=10, wait=Script(*[lambda: None] * 3, (chain / "journal.json").unlink)
    )
    found = list(follower.rows())
    assert sequences(found) == [10, 11, 12, 13, 14, 15, *range(20, 40)]
    assert [p.sequence for p in follower.problems if p.segment == second.name] == [16]
    assert found[6] in follower.problems


def test_a_frame_seen_half_written_is_no_damage(chain: Path, unfinish: Any) -> None:
    """Seen with an import at full speed: the frame that was being written when it was read, the next one whole."""
    second = sorted(chain.glob("*.dsj"))[1]
    whole, manifest = second.read_bytes(), (chain / "journal.json").read_bytes()
    second.write_bytes(whole[: 2 * 4096 + 90] + bytes(4006) + whole[3 * 4096 :])
    unfinish(chain)

    def written() -> None:
        second.write_bytes(whole)

    def complete() -> None:
        (chain / "journal.json").write_bytes(manifest)

    follower = Follower(chain, from_sequence=0, wait=Script(written, complete))
    assert sequences(list(follower.rows())) == list(range(40)) and follower.problems == []


def test_another_journal_in_its_place_is_told(
    tmp_path: Path,
    options: dict[str, Any],
    chain_slots: Callable[..., Bytes],
    chain_messages: list[Any],
    write: Callable[..., None],
) -> None:
    live, slots = tmp_path / "live", chain_slots()
    begun = {**options, "messages": chain_messages}
    first = JournalWriter(live, **begun)
    first.append(slots[:20], 0)
    settled(first)

    def start_over() -> None:
        first.close()
        write(live, slots[:12], messages=chain_messages, identity={"source": "other"}, restart=True)

    found = list(Follower(live, from_sequence=0, wait=Script(start_over)).rows())
    assert sequences(found) == [*range(20), *range(12)]
    assert isinstance(found[20], Problem) and "another journal was begun" in found[20].what


def test_a_journal_that_goes_away_is_an_error(chain: Path, tmp_path: Path, unfinish: Any) -> None:
    unfinish(chain)
    steps = [lambda: chain.rename(tmp_path / "gone"), *[lambda: None] * MAX_MISSED]
    with pytest.raises(JournalError, match="no such directory"):
        list(Follower(chain, wait=Script(*steps)).rows())
