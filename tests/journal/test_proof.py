"""Proofs: what is proven checks, and nothing else does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from disruptor.errors import JournalError, UnfinishedJournalError
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import MANIFEST_NAME
from disruptor.journal.proof import REPLAY_FIELDS, Proof, check, encode_proof, load_proof, prove, write_proof

REPORT = {
    **{name: name for name in REPLAY_FIELDS},
    **{"chain_id": None, "first_sequence": 0, "last_sequence": 29, "seconds": 0.5},
}


def test_a_proof_is_of_its_journal_and_survives_its_file(tiny: Path, tmp_path: Path) -> None:
    proof = prove(tiny, report=REPORT)
    write_proof(proof, tmp_path / "proof.json")
    again = load_proof(tmp_path / "proof.json")
    assert again == proof and check(again, tiny, report=REPORT) == []
    assert proof.replay == {name: REPORT[name] for name in REPLAY_FIELDS}
    assert [path.name for path in tmp_path.iterdir() if "proof" in path.name] == ["proof.json"]


@pytest.mark.slow
def test_a_changed_byte_of_any_file_is_noticed(tiny: Path) -> None:
    proof = prove(tiny)
    for path in sorted(tiny.iterdir()):
        content = path.read_bytes()
        step = 1021 if path.suffix == ".dsj" else 97
        for at in range(0, len(content), step):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert check(proof, tiny), (path.name, at)
        path.write_bytes(content)
    assert check(proof, tiny) == []


def test_a_journal_cut_at_any_frame_and_finished_anew_is_noticed(
    tiny: Path, tmp_path: Path, write: Callable[..., None], slots: Bytes
) -> None:
    proof = prove(tiny)
    for count in range(0, 30, 4):
        write(tmp_path / f"{count}", slots[:count])
        problems = check(proof, tmp_path / f"{count}")
        assert any(p.startswith("slot_count: the proof says 30") for p in problems)
        assert any(p.startswith("running_hash") for p in problems)


def test_another_journal_parts_in_a_named_segment(
    tiny: Path, tmp_path: Path, write: Callable[..., None], slots: Bytes
) -> None:
    other = slots.copy()
    other[13, 5] ^= 1
    write(tmp_path / "other", other)
    problems = check(prove(tiny), tmp_path / "other")
    assert f"{12:020d}.dsj: the journals part in this segment, from sequence 12 on" in problems


def test_what_is_not_finished_and_whole_is_not_proven(
    tiny: Path, unfinish: Callable[..., None], tmp_path: Path
) -> None:
    proof = prove(tiny)
    unfinish(tiny)
    with pytest.raises(UnfinishedJournalError):
        prove(tiny)
    assert "unfinished" in check(proof, tiny)[0]
    (tiny / MANIFEST_NAME).unlink()
    assert check(proof, tiny)
    with pytest.raises(JournalError, match="no journal"):
        check(proof, tmp_path)


def test_a_damaged_journal_is_not_proven(tiny: Path) -> None:
    os.truncate(tiny / f"{0:020d}.dsj", 8192)
    with pytest.raises(JournalError, match="no proof of a damaged journal"):
        prove(tiny)


def test_a_report_must_be_of_the_journal_and_of_the_proof(tiny: Path) -> None:
    for change in ({"last_sequence": 30}, {"chain_id": 5}):
        with pytest.raises(JournalError, match="not of this journal"):
            prove(tiny, report={**REPORT, **change})
    with pytest.raises(JournalError, match="no code_identity"):
        prove(tiny, report={"chain_id": None})
    proof = prove(tiny, report=REPORT)
    problems = check(proof, tiny, report={**REPORT, "state_digest": "other", "seconds": 9})
    assert problems == ["report: state_digest: the proof says state_digest, the report other"]
    assert check(prove(tiny), tiny, report=REPORT) == ["report: the proof binds no replay"]


@pytest.mark.slow
def test_a_changed_proof_is_refused(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    content = encode_proof(prove(tiny))
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(JournalError):
            load_proof(path)
    for wrong in (content[:-1], content + b" ", b"[]", b"{}", b"[" * 100_000, b""):
        path.write_bytes(wrong)
        with pytest.raises(JournalError):
            load_proof(path)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public one, in PEM."""
    pytest.importorskip("cryptography", reason="signatures need the extra `sign`")
    from cryptography.hazmat.primitives import serialization as kinds
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    pem, pkcs8 = kinds.Encoding.PEM, kinds.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, kinds.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem, kinds.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_signature_is_checked_and_binds_everything(tiny: Path, keys: tuple[Path, Path]) -> None:
    from disruptor.journal.signature import load_public_key

    proof, public = prove(tiny, report=REPORT, key_file=keys[0]), load_public_key(keys[1])
    assert check(proof, tiny, public_key=public) == check(proof, tiny) == []
    keys[1].write_text(public + "\n")
    assert load_public_key(keys[1]) == public
    assert "not by" in check(proof, tiny, public_key="00" * 32)[0]
    assert check(prove(tiny), tiny, public_key=public) == ["signature: the proof has none"]
    forged: list[dict[str, Any]] = [
        {"replay": {**REPORT, "state_digest": "forged"}},
        {"manifest": "00" * 32},
        {"signature": {**(proof.signature or {}), "value": "00" * 64}},
        {"signature": {**(proof.signature or {}), "algorithm": "none"}},
        {"signature": {}},
    ]
    for change in forged:
        lie: Proof = msgspec.structs.replace(proof, **change)
        assert check(lie, tiny)[0] == "signature: it is not one over this proof"


def test_keys_that_are_none_are_errors(tiny: Path, keys: tuple[Path, Path]) -> None:
    for path in (keys[1], tiny / MANIFEST_NAME, tiny / "absent"):
        with pytest.raises(JournalError, match=str(path)):
            prove(tiny, key_file=path)


def test_the_file_is_plain_json(tiny: Path) -> None:
    fields = json.loads(encode_proof(prove(tiny)))
    assert fields["journal"]["slot_count"] == 30 and len(fields["journal"]["segments"]) == 3
