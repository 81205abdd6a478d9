"""The manifest: every byte counts, and contradictions are refused even with a good checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.errors import JournalError
from disruptor.journal.layout import canonical_json
from disruptor.journal.manifest import Manifest, decode_manifest, encode_manifest, load_manifest


def test_it_comes_back(tiny: Path) -> None:
    content = (tiny / "journal.json").read_bytes()
    assert encode_manifest(decode_manifest(content, "m")) == content


def test_every_flipped_byte_is_noticed(tiny: Path) -> None:
    content = (tiny / "journal.json").read_bytes()
    for offset in range(len(content)):
        changed = bytearray(content)
        changed[offset] ^= 1 << offset % 8
        with pytest.raises(JournalError, match=r"m\.json"):
            decode_manifest(bytes(changed), "m.json")


def test_other_formatting_is_noticed(tiny: Path) -> None:
    fields = json.loads((tiny / "journal.json").read_bytes())
    with pytest.raises(JournalError, match="checksum"):
        decode_manifest(json.dumps(fields).encode(), "m")


@given(st.binary())
def test_any_bytes_are_an_error(content: bytes) -> None:
    with pytest.raises(JournalError, match="damaged"):
        decode_manifest(content, "m")


@pytest.mark.parametrize(
    "content", [b"[" * 200000, b'{"checksum":' + b"9" * 5000 + b"}", b"[]", b"null", b"{}"]
)
def test_hostile_json_is_an_error(content: bytes) -> None:
    with pytest.raises(JournalError, match="damaged"):
        decode_manifest(content, "m")


def forge(manifest: Manifest, change: dict[str, Any]) -> bytes:
    """A manifest with changed fields and a checksum that matches."""
    fields = {**msgspec.to_builtins(manifest), **change}
    checksum = hashlib.sha256(canonical_json(fields)).hexdigest()
    return canonical_json({**fields, "checksum": checksum}, indent=1) + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "other"},
        {"status": "Complete"},
        {"slot_size": 65},
        {"frame_slots": 10**12},
        {"frame_slots": 3},
        {"header_size": 0},
        {"header_size": 1 << 40},
        {"first_sequence": -1},
        {"last_sequence": 30},
        {"slot_count": 29},
        {"frame_count": 7},
        {"running_hash": "0" * 64},
        {"segments": []},
        {"segments": "none"},
        {"extra": 1},
    ],
)
def test_numbers_that_contradict_each_other_are_refused(tiny: Path, change: dict[str, Any]) -> None:
    manifest = load_manifest(tiny)
    decode_manifest(forge(manifest, {}), "m")
    with pytest.raises(JournalError):
        decode_manifest(forge(manifest, change), "m")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc/passwd"},
        {"size": 1},
        {"slot_count": -12},
        {"slot_count": 11},
        {"running_hash": "zz"},
        {"first_sequence": 1},
    ],
)
def test_segments_that_do_not_follow_are_refused(tiny: Path, change: dict[str, Any]) -> None:
    manifest = load_manifest(tiny)
    segments = msgspec.to_builtins(manifest.segments)
    segments[0] = {**segments[0], **change}
    with pytest.raises(JournalError):
        decode_manifest(forge(manifest, {"segments": segments}), "m")
