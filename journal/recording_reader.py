"""Reads a recording as a journal: of one that has stopped all of it, of one in use what was there when it was opened.

Every frame is checked, the running hash included, for no manifest vouches for a recording. What its writer's end left
torn was never acknowledged, and is not there; anything else that is wrong is an error, after all frames before it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.manifest import Manifest, load_manifest
from disruptor.journal.problem import Problem
from disruptor.journal.reader import Frame, JournalReader
from disruptor.journal.survey import Survey, survey

#: Behind the last slot of any journal: only where it ends is looked at.
_END = 1 << 62


class RecordingReader(JournalReader):
    """A recording, ready to be read any number of times up to where it came when it was opened.

    Parameters
    ----------
    directory : holds `journal.json` with status `recording`

    Attributes
    ----------
    As of `JournalReader`; `summary` is empty, and `running_hash` zeros: only a finished journal has those.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.manifest = manifest = load_manifest(directory)
        found = survey(directory)
        if found.header is None and found.names:
            raise JournalError(
                f"{directory}: no segment's header can be read: see `disruptor journal verify`"
            )
        self._take(manifest, found)
        for one in found.frames(_END):
            _refuse(found, one)
        end = max(self.first_sequence, found.end)
        self.last_sequence, self.slot_count = end - 1, end - self.first_sequence
        self.messages = [] if found.header is None else json.loads(found.header.schema)

    def _take(self, manifest: Manifest, found: Survey) -> None:
        self.head = found.head
        self.first_sequence = int(found.names[0][:20]) if found.names else manifest.first_sequence
        self.slot_size, self.frame_slots = manifest.slot_size, manifest.frame_slots
        self.identity, self.settings, self.summary = manifest.identity, manifest.settings, {}
        self.running_hash, self.schema_hash = manifest.running_hash, manifest.schema_hash

    def _frames(self, start: int) -> Generator[Frame]:
        """The frames from a sequence on, up to where the recording came when this was opened."""
        found, end = survey(self.directory), self.last_sequence + 1
        with closing(found.frames(start)) as frames:
            for one in frames:
                _refuse(found, one)
                if isinstance(one, Problem):
                    continue
                assert one.payload is not None
                first, last = max(start, one.first_sequence), min(end, one.first_sequence + one.count)
                if first < last:
                    slots = one.payload.reshape(one.count, self.slot_size)
                    part = slots[first - one.first_sequence : last - one.first_sequence]
                    part.flags.writeable = False
                    yield Frame(first, last - first, part)
                if one.first_sequence + one.count >= end:
                    return


def _refuse(found: Survey, one: object) -> None:
    """Raise what is damaged; what an interruption left torn is no part of the recording."""
    if isinstance(one, Problem) and not one.is_trace:
        raise CorruptFrameError(
            f"{found.directory}: {one}. The journal is damaged here: see `disruptor journal verify {found.directory}`",
            segment=one.segment,
            offset=one.offset,
            sequence=one.sequence,
        )


def open_journal(directory: str | os.PathLike[str]) -> JournalReader:
    """A journal's reader: of a finished one, or of a recording.

    Raises
    ------
    UnfinishedJournalError : an import that did not come to its end. JournalError : no journal, or a damaged one.
    """
    return RecordingReader(directory) if load_manifest(directory).recording else JournalReader(directory)
