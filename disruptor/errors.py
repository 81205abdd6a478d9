"""Exceptions of the engine: one class for each thing that a caller would handle differently.

Every message says what happened, where, and what to do next; the facts are attributes as well.
`exit_code` is what the command line exits with.
"""

from __future__ import annotations

from typing import Any


class DisruptorError(Exception):
    """Base of all errors that the engine reports. Keyword facts become attributes."""

    exit_code = 1

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts
        for name, value in facts.items():
            setattr(self, name, value)


class InputError(DisruptorError):
    """Input that can't be used: file, position and expectation are in the message."""

    exit_code = 2


class SettingError(DisruptorError):
    """An unknown setting or a bad value; the message starts with the setting's path."""

    exit_code = 2


class RingFullError(DisruptorError):
    """No room in a ring, and the caller asked not to wait."""


class CapacityError(DisruptorError):
    """A table or ring is too small for the stream; the message names the setting to raise."""


class MemoryPolicyError(DisruptorError):
    """Pages of the demanded kind are not to be had; the message has the command that provides them."""

    exit_code = 2


class RegionError(DisruptorError):
    """A shared region that does not fit: other layout, other version, or still owned."""


class HandlerError(DisruptorError):
    """A handler returned an error status; `handler`, `sequence` and `status` say which, where and what."""


class DefinitionError(DisruptorError):
    """A message, table or handler declaration that can't work."""

    exit_code = 2


class JournalError(DisruptorError):
    """A journal that can't be written or read."""

    exit_code = 2


class CorruptFrameError(JournalError):
    """Stored bytes contradict their checksum; `segment`, `offset` and `sequence` say where."""

    exit_code = 1


class UnfinishedJournalError(JournalError):
    """A journal whose import did not finish."""


class SnapshotError(DisruptorError):
    """A snapshot that does not fit what it is to be loaded into; the message names table and field."""

    exit_code = 2


class CorruptSnapshotError(SnapshotError):
    """A snapshot whose bytes contradict their checksums."""

    exit_code = 1


class DivergenceError(DisruptorError):
    """Two runs that must agree did not."""
