"""What `describe` and `stats` say of whole and of damaged journals."""

from __future__ import annotations

from pathlib import Path

from disruptor.journal.describe import describe, stats
from disruptor.journal.manifest import load_manifest


def test_describe_says_what_the_manifest_says(chain: Path) -> None:
    answer, manifest = describe(chain), load_manifest(chain)
    assert answer["ok"] and answer["state"] == "complete" and answer["problems"] == []
    for name in ("slot_size", "frame_slots", "segment_bytes", "header_size", "first_sequence"):
        assert answer[name] == getattr(manifest, name)
    for name in ("last_sequence", "running_hash", "identity", "settings", "summary"):
        assert answer[name] == getattr(manifest, name)
    assert (answer["slots"], answer["frames"]) == (manifest.slot_count, manifest.frame_count)
    assert [s["running_hash"] for s in answer["segments"]] == [s.running_hash for s in manifest.segments]
    assert [m["name"] for m in answer["messages"]] == ["Tick", "BlockStart"]


def test_describe_needs_no_manifest(chain: Path) -> None:
    before = describe(chain)
    (chain / "journal.json").write_bytes(b"{}")
    after = describe(chain)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"state", "ok", "summary", "problems"} and len(after["problems"]) == 1


def test_describe_needs_no_header(chain: Path) -> None:
    for path in chain.glob("*.dsj"):
        content = path.read_bytes()
        path.write_bytes(b"\0" * 8 + content[8:])
    answer = describe(chain)
    assert answer["slots"] == 40 and answer["messages"] == [] and len(answer["problems"]) == 4


def test_stats_count_types_and_blocks(chain: Path) -> None:
    answer = stats(chain)
    assert answer["types"] == {
        "Tick": {"slots": 30, "first_sequence": 1, "last_sequence": 39},
        "BlockStart": {"slots": 10, "first_sequence": 0, "last_sequence": 36},
    }
    assert (answer["slots"], answer["events"], answer["blocks"], answer["slots_per_block"]) == (
        40,
        40,
        10,
        4.0,
    )
    assert (answer["first_block"], answer["last_block"]) == (100, 109)
    assert (answer["first_time"], answer["last_time"]) == (1000, 1108)
    assert answer["ok"] and answer["slots_lost"] == 0


def test_stats_count_what_is_lost(chain: Path) -> None:
    (chain / f"{12:020d}.dsj").unlink()
    answer = stats(chain)
    assert (answer["slots"], answer["slots_lost"], answer["ok"]) == (28, 12, False)
