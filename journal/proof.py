"""A proof: a small file that pins every byte of a journal, for a stranger to check offline.

It holds what the journal's hash chain ends in, segment by segment, with counts, identity and schema hash, and
the SHA-256 of the manifest. The running hash covers all that the journal says; `verify` holds every other byte
(checksums, padding, totals) against it. So a journal that passes `verify` and has these hashes is this journal:
one changed byte fails the first, another or a shorter chain fails the second, and nobody can make
one chain end in another's hash.

The digests and the code identity of a replay can be bound in: then the proof says that these handlers made these
outputs of this journal. The proof does not replay; whoever doubts it does, and gives the own report to `check`.

A proof without signature says nothing about who made it. With one (Ed25519), it does to those who know the
public key from elsewhere; the one in the file is only a name.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.layout import canonical_json
from disruptor.journal.manifest import MANIFEST_NAME, MAX_MANIFEST_SIZE, Manifest, load_complete_manifest
from disruptor.journal.signature import ALGORITHM, is_signed_by, sign
from disruptor.journal.verify import verify

FORMAT, VERSION = "disruptor-proof", 1
#: What of a replay's report a proof binds: what was run, and what came out. Not how long it took.
REPLAY_FIELDS = (
    "chain_id",
    "code_identity",
    "state_digest",
    "output_digest",
    "events",
    "slots",
    "outputs",
    "opportunities",
    "first_sequence",
    "last_sequence",
)
_JOURNAL_FIELDS = (
    "slot_size",
    "frame_slots",
    "segment_bytes",
    "header_size",
    "first_sequence",
    "last_sequence",
    "slot_count",
    "frame_count",
    "running_hash",
    "schema_hash",
    "identity",
    "settings",
    "segments",
)
#: Goes before what is signed, so that a signature on a proof is none on anything else.
_DOMAIN = b"disruptor-proof-1\n"


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a proof file says; see docs/format.md."""

    format: str
    version: int
    manifest: str
    journal: dict[str, Any]
    replay: dict[str, Any] | None
    signature: dict[str, str] | None


def prove(
    directory: str | os.PathLike[str],
    *,
    report: dict[str, Any] | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> Proof:
    """Make the proof of a finished journal, after checking all of it.

    Parameters
    ----------
    report : what `disruptor replay DIR --json` printed, to be bound in
    key_file : Ed25519 private key in PEM, to sign with

    Raises
    ------
    CorruptFrameError : damaged; the first problem is named.
    UnfinishedJournalError, JournalError : not finished, or no journal; a report that can't be of this
        journal; a key that can't be used.
    """
    manifest = load_complete_manifest(directory)
    found = verify(directory)
    if not found.ok:
        raise CorruptFrameError(
            f"{found.problems[0]} ({len(found.problems)} problems): no proof of a damaged journal"
        )
    if found.purged_before is not None:
        raise JournalError(
            f"{directory}: sequences before {found.purged_before} were purged: what is proven is a whole journal"
        )
    bound = None if report is None else bind_report(report, manifest)
    proof = Proof(
        format=FORMAT,
        version=VERSION,
        manifest=_file_hash(Path(directory) / MANIFEST_NAME),
        journal=_facts(manifest),
        replay=bound,
        signature=None,
    )
    if key_file is None:
        return proof
    public, signature = sign(signed_bytes(proof), key_file)
    return msgspec.structs.replace(
        proof, signature={"algorithm": ALGORITHM, "public_key": public, "value": signature}
    )


def check(
    proof: Proof,
    directory: str | os.PathLike[str],
    *,
    report: dict[str, Any] | None = None,
    public_key: str | None = None,
) -> list[str]:
    """Hold a journal against a proof, and a replay's report and a public key (hex) if they are given.

    Returns
    -------
    list of str : what does not match; empty if all does.

    Raises
    ------
    JournalError : no journal there; a signature that can't be checked because `cryptography` is missing.
    """
    problems = _signature_problems(proof, public_key)
    found = verify(directory)
    problems += found.problems
    if found.purged_before is not None:
        problems.append(
            f"sequences before {found.purged_before} were purged: nothing can be said of those bytes"
        )
    if found.problems and found.status != "complete":
        return problems
    manifest = load_complete_manifest(directory)
    facts = _facts(manifest)
    problems += _segment_problems(proof.journal, facts)
    problems += [
        f"{name}: the proof says {_short(proof.journal.get(name))}, the journal {_short(facts[name])}"
        for name in _JOURNAL_FIELDS
        if name != "segments" and proof.journal.get(name) != facts[name]
    ]
    if _file_hash(Path(directory) / MANIFEST_NAME) != proof.manifest:
        problems.append(f"{MANIFEST_NAME}: its SHA-256 is not the one of the proof")
    if report is not None:
        problems += _report_problems(proof, report)
    return problems


def bind_report(report: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """What a proof keeps of a report.

    Raises
    ------
    JournalError : not the report of a replay, or not of this journal as far as it says.
    """
    missing = [name for name in REPLAY_FIELDS if name not in report]
    if missing:
        raise JournalError(f"report: no {missing[0]}; expected what `disruptor replay --json` printed")
    last, chain = report["last_sequence"], manifest.identity.get("chain_id")
    if not isinstance(last, int) or last > manifest.last_sequence or report["chain_id"] not in (None, chain):
        raise JournalError(
            f"report: chain {report['chain_id']}, last sequence {last}: not of this journal, which is of chain "
            f"{chain} and ends at {manifest.last_sequence}"
        )
    bound = {name: report[name] for name in REPLAY_FIELDS}
    canonical_json(bound)
    return bound


def encode_proof(proof: Proof) -> bytes:
    """The file's bytes: canonical JSON, indented by one, with the SHA-256 of its fields among them."""
    fields = msgspec.to_builtins(proof)
    checksum = hashlib.sha256(canonical_json(fields)).hexdigest()
    return canonical_json({**fields, "checksum": checksum}, indent=1) + b"\n"


def write_proof(proof: Proof, path: str | os.PathLike[str]) -> None:
    """Put a proof in a file: whole, or not at all. An earlier file is replaced."""
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(encode_proof(proof))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_proof(path: str | os.PathLike[str]) -> Proof:
    """The proof in a file.

    Raises
    ------
    JournalError : unreadable, no proof, of another version, or not byte for byte what `prove` writes.
    """
    fields = load_json(path)
    try:
        fields.pop("checksum", None)
        proof = msgspec.convert(fields, Proof)
        same = encode_proof(proof) == Path(path).read_bytes()
    except (msgspec.ValidationError, JournalError, RecursionError) as error:
        raise JournalError(f"{path}: no proof: {error}") from error
    if not same:
        raise JournalError(f"{path}: the proof is damaged: its checksum does not match its content")
    if (proof.format, proof.version) != (FORMAT, VERSION):
        raise JournalError(f"{path}: {proof.format} {proof.version}; this program reads {FORMAT} {VERSION}")
    return proof


def load_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A file with one JSON object."""
    try:
        if os.stat(path).st_size > MAX_MANIFEST_SIZE:
            raise JournalError(f"{path}: larger than {MAX_MANIFEST_SIZE} bytes")
        value = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise JournalError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise JournalError(f"{path}: expected one JSON object")
    return value


def signed_bytes(proof: Proof) -> bytes:
    """What a signature covers: all of the proof but the signature."""
    return _DOMAIN + canonical_json(msgspec.to_builtins(msgspec.structs.replace(proof, signature=None)))


def _facts(manifest: Manifest) -> dict[str, Any]:
    fields = msgspec.to_builtins(manifest)
    return {name: fields[name] for name in _JOURNAL_FIELDS}


def _signature_problems(proof: Proof, public_key: str | None) -> list[str]:
    signature = proof.signature
    if signature is None:
        return [] if public_key is None else ["signature: the proof has none"]
    own = signature.get("public_key", "")
    if public_key is not None and own != public_key:
        return [f"signature: by the key {own}, not by {public_key}"]
    known = signature.get("algorithm") == ALGORITHM
    if not known or not is_signed_by(signed_bytes(proof), own, signature.get("value", "")):
        return ["signature: it is not one over this proof"]
    return []


def _segment_problems(proven: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """The first segment at which the two part, by its sequences."""
    theirs, ours = proven.get("segments"), facts["segments"]
    if not isinstance(theirs, list) or theirs == ours:
        return [] if theirs == ours else ["segments: the proof names none"]
    same = 0
    while same < min(len(theirs), len(ours)) and theirs[same] == ours[same]:
        same += 1
    if same == len(theirs) or same == len(ours):
        return [f"segments: the proof has {len(theirs)}, the journal {len(ours)}"]
    name = ours[same]["name"]
    return [f"{name}: the journals part in this segment, from sequence {ours[same]['first_sequence']} on"]


def _report_problems(proof: Proof, report: dict[str, Any]) -> list[str]:
    if proof.replay is None:
        return ["report: the proof binds no replay"]
    return [
        f"report: {name}: the proof says {_short(value)}, the report {_short(report.get(name))}"
        for name, value in proof.replay.items()
        if report.get(name) != value
    ]


def _file_hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
