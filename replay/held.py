"""What a replay is held against: the journal's own schema and settings, and runs that were recorded.

Before the run: the layouts of the messages, which must be those that the handlers read; bounds, code and settings of
each record. After it: the results. A journal that a replay wrote beside its run carries the record of that run, whose
results are only expected again where nothing was changed and the whole of it is replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.identity_parts import setting_parts
from disruptor.journal.reader import JournalReader
from disruptor.journal.recording_reader import open_journal
from disruptor.message import MessageType
from disruptor.replay import record as records
from disruptor.replay.events import is_journal
from disruptor.replay.program import code_identity
from disruptor.replay.record import Record
from disruptor.replay.request import ReplayRequest


class _Held(NamedTuple):
    """A record, what it is called, and whether the results are expected again."""

    record: Record
    where: str
    results: bool


class HeldAgainst:
    """All that one run is held against. Refuses what can't be or may not be compared when it is made.

    Attributes
    ----------
    code_identity, identity : of this run, as one hash and by name
    changed : what is another than in some record, one line each
    environment : by name, what it was and is
    import_settings : settings that were others when the journal was imported, which counts
    running_hash : of the journal that is replayed, None for logs

    Raises
    ------
    InputError : a record of another part of the stream or of another journal, a change that was not allowed, messages
        of other layouts.
    """

    def __init__(self, request: ReplayRequest, handlers: HandlerSet) -> None:
        semantic = request.settings.semantic()
        self.code_identity = code_identity(handlers, semantic)
        self.identity = {**handlers.identity_parts(), **setting_parts(semantic)}
        self.import_settings: dict[str, list[Any]] = {}
        self.running_hash: str | None = None
        self._held: list[_Held] = []
        if len(request.sources) == 1 and is_journal(request.sources[0]):
            self._hold_journal(open_journal(request.sources[0]), request, handlers.inputs)
        if request.check is not None:
            self._hold_file(request.check, request)
        self.changed: list[str] = []
        self.environment: dict[str, list[str | None]] = {}
        for held in self._held:
            found = records.changed_since(held.record, self.code_identity, self.identity)
            if found and not request.allow_code_change:
                records.refuse_changes(found, held.where)
            self.changed += [line for line in found if line not in self.changed]
            self.environment |= records.environment_since(held.record)

    def _hold_journal(
        self, journal: JournalReader, request: ReplayRequest, inputs: Sequence[MessageType]
    ) -> None:
        check_layouts(journal, inputs)
        self.running_hash = journal.running_hash
        semantic = request.settings.semantic()
        for name, value in journal.settings.items():
            now = semantic.get(name)
            if now != value and not (name == "chain_id" and None in (now, value)):
                self.import_settings[name] = [value, now]
        record = records.parse_record(journal.summary.get("recorded"))
        if record is not None:
            whole = record.bounds == request.bounds() and not request.pools
            self._held.append(_Held(record, str(journal.directory), whole))

    def _hold_file(self, path: str, request: ReplayRequest) -> None:
        record, where = records.load_record(path), f"--check {path}"
        records.check_bounds(record, request, where)
        if record.running_hash is not None and self.running_hash not in (None, record.running_hash):
            raise InputError(
                f"{where}: recorded of a journal with running hash {record.running_hash[:16]}…, "
                f"this one has {str(self.running_hash)[:16]}…: give the journal that it was recorded of"
            )
        self._held.append(_Held(record, where, True))

    def identity_report(self) -> dict[str, Any]:
        """What is another than recorded; empty where nothing is."""
        found = {
            "changed": self.changed,
            "environment": self.environment,
            "import_settings": self.import_settings,
        }
        return {name: value for name, value in found.items() if value}

    def verdict(self, report: dict[str, Any], *, explicit: bool) -> dict[str, Any]:
        """What the results were held against, and which differ; empty where nothing was recorded.

        Parameters
        ----------
        report : what the run says of itself
        explicit : whether results are expected again although code or settings are others
        """
        against = [h for h in self._held if h.results and (not self.changed or explicit)]
        differ: dict[str, Any] = {}
        for held in against:
            differ |= records.differences(held.record, report)
        return {"against": [h.where for h in against], "differences": differ} if against else {}


def check_layouts(journal: JournalReader, inputs: Sequence[MessageType]) -> None:
    """Refuse a journal whose messages the handlers would misread: same type id, other layout.

    Raises
    ------
    InputError : it names the message and the first field that differs.
    """
    stored = {message["type_id"]: message for message in journal.messages}
    for message in inputs:
        own = message.schema()
        there = stored.get(message.type_id, own)
        if there["schema_hash"] != own["schema_hash"]:
            raise InputError(
                f"{journal.directory}: message {there['name']} (type {message.type_id}) is laid out otherwise than the "
                f"handlers read it: {_first_field(there, own)}: run the version that wrote it, or give the changed "
                "message a type id of its own"
            )


def _first_field(there: dict[str, Any], own: dict[str, Any]) -> str:
    for stored, read in zip(there["fields"], own["fields"], strict=False):
        if list(stored) != list(read):
            return (
                f"field {stored[0]} {stored[1]} at {stored[2]} there, {read[0]} {read[1]} at {read[2]} here"
            )
    if len(there["fields"]) != len(own["fields"]):
        return f"{len(there['fields'])} fields there, {len(own['fields'])} here"
    return f"named {there['name']} there, {own['name']} here"
