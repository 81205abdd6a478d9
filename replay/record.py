"""What a run was and what came out of it, in a file: so that a later run can be held against it.

    record ──► identity     what was computed: code, messages, tables, settings, by name    another: refused, or allowed
           ──► environment  what it ran on                                                  another: a warning
           ──► results      digests and counts                                              others: the runs differ

`--record FILE` writes one, and a journal that a replay wrote beside its run carries one in its manifest. A record has
the fields of a replay's report under their own names, so `journal prove --report` takes it as well.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from disruptor.errors import InputError
from disruptor.identity_parts import changes, environment_parts
from disruptor.replay.line_file import write_lines
from disruptor.replay.request import BOUNDS, ReplayRequest

FORMAT, VERSION = "disruptor-record", 1
#: What two runs that computed the same have in common.
RESULTS = (
    "chain_id",
    "events",
    "slots",
    "outputs",
    "opportunities",
    "first_sequence",
    "last_sequence",
    "state_digest",
    "output_digest",
)
#: How many changes an error names; a report names all.
_NAMED = 3
_LARGEST = 1 << 26


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recorded run.

    Attributes
    ----------
    running_hash : of the journal that was replayed; null for logs, and in the record that a journal carries of itself
    bounds : `--from-*` and `--to-*` as given
    identity, environment : by name, see `disruptor.identity_parts`
    all others : results as a report has them; null where the run that was recorded did not count them
    """

    format: str
    version: int
    running_hash: str | None
    bounds: dict[str, int | None]
    code_identity: str
    identity: dict[str, str]
    environment: dict[str, str]
    chain_id: int | None
    events: int | None
    slots: int | None
    outputs: dict[str, int] | None
    opportunities: int | None
    first_sequence: int | None
    last_sequence: int
    state_digest: str
    output_digest: str | None

    def to_json(self) -> dict[str, Any]:
        """As an object, with the checksum of all else."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {**fields, "checksum": _checksum(fields)}


def make_record(
    report: dict[str, Any], identity: dict[str, str], bounds: dict[str, int | None], running_hash: str | None
) -> Record:
    """The record of a run that said this of itself (`ReplayResult.to_json`); what it left out is null."""
    results: dict[str, Any] = {name: report.get(name) for name in RESULTS}
    return Record(
        format=FORMAT,
        version=VERSION,
        running_hash=running_hash,
        bounds=bounds,
        code_identity=report["code_identity"],
        identity=identity,
        environment=environment_parts(),
        **results,
    )


def make_live_record(report: dict[str, Any], identity: dict[str, str], last_sequence: int) -> Record:
    """The record of a live run whose recording ends with `last_sequence`, for a replay of all of it.

    Of a run that went on with what an earlier one had recorded the outputs are not those of the whole, so only the
    state is expected again.
    """
    kept = ("chain_id", "code_identity", "state_digest", "outputs", "output_digest")
    found = {name: report[name] for name in kept if name in report}
    if report["resumed_at"] > 0:
        found = {k: v for k, v in found.items() if k not in ("outputs", "output_digest")}
    return make_record({**found, "last_sequence": last_sequence}, identity, dict.fromkeys(BOUNDS), None)


def write_record(record: Record, path: str) -> None:
    """Write a record to a file, replacing it in one step.

    Raises
    ------
    InputError : the file can't be written.
    """
    write_lines(path, "--record", [record.to_json()])


def load_record(path: str) -> Record:
    """Read a record.

    Raises
    ------
    InputError : not a record, or not as it was written.
    """
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = json.loads(file.read()) if size <= _LARGEST else None
    except OSError as error:
        raise InputError(f"--check {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    record = parse_record(found)
    if record is None:
        raise InputError(
            f"--check {path}: not a record as it was written: make one with `disruptor replay ... --record FILE`"
        )
    return record


def parse_record(fields: Any) -> Record | None:
    """A record out of an object such as `Record.to_json` gives; None for anything else."""
    if not isinstance(fields, dict):
        return None
    fields = dict(fields)
    checksum = fields.pop("checksum", None)
    try:
        record = msgspec.convert(fields, Record)
    except (msgspec.ValidationError, RecursionError):
        return None
    known = record.format == FORMAT and record.version == VERSION
    return record if known and checksum == _checksum(msgspec.to_builtins(record)) else None


def changed_since(record: Record, code_identity: str, identity: dict[str, str]) -> list[str]:
    """What of the code, schema and settings is another than when the run was recorded, by name."""
    if record.code_identity == code_identity:
        return []
    return changes(record.identity, identity) or ["code identity is another"]


def environment_since(record: Record) -> dict[str, list[str | None]]:
    """What the machine and its software were when recorded, and are now, where they differ."""
    now = environment_parts()
    names = sorted({*record.environment, *now})
    pairs = {name: [record.environment.get(name), now.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def differences(record: Record, report: dict[str, Any]) -> dict[str, list[Any]]:
    """Results that differ: by name what was recorded, and what came out now."""
    recorded = {name: getattr(record, name) for name in RESULTS}
    known = [name for name in RESULTS if recorded[name] is not None]
    return {name: [recorded[name], report[name]] for name in known if recorded[name] != report[name]}


def refuse_changes(changed: list[str], where: str) -> None:
    """Refuse a run whose code or settings are another than those recorded.

    Raises
    ------
    InputError : it names the first few.
    """
    more = f", and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    raise InputError(
        f"{where}: recorded with another code or settings: {'; '.join(changed[:_NAMED])}{more}: run what was recorded, "
        "or add --allow-code-change"
    )


def check_bounds(record: Record, request: ReplayRequest, where: str) -> None:
    """Refuse to hold a run against the record of another part of the stream.

    Raises
    ------
    InputError : the bounds differ.
    """
    if record.bounds != request.bounds():
        asked = " ".join(
            f"--{name.replace('_', '-')} {value}"
            for name, value in record.bounds.items()
            if value is not None
        )
        raise InputError(
            f"{where}: recorded {'with ' + asked if asked else 'without bounds'}: run with the same"
        )


def _checksum(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
