"""A file of JSON lines that is there whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from disruptor.errors import InputError


class LineFile:
    """Writes one JSON object a line; the file takes the place of an earlier one when the `with` ends well.

    Parameters
    ----------
    option : what the user gave the path with, for messages

    Attributes
    ----------
    count : lines written so far

    Raises
    ------
    InputError : the file can't be written.
    """

    def __init__(self, path: str, option: str) -> None:
        self._path, self._option, self.count = Path(path), option, 0
        try:
            handle, self._temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        except OSError as error:
            raise InputError(f"{option} {path}: {error.strerror}") from None
        self._file = os.fdopen(handle, "w")

    def write(self, line: dict[str, Any]) -> None:
        """Write one object."""
        try:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError as error:
            raise InputError(f"{self._option} {self._path}: {error.strerror}") from None
        self.count += 1

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place, or remove what was written."""
        try:
            self._file.close()
            if kind is None:
                os.chmod(self._temporary, 0o644)
                os.replace(self._temporary, self._path)
        except OSError as failed:
            raise InputError(f"{self._option} {self._path}: {failed.strerror}") from None
        finally:
            Path(self._temporary).unlink(missing_ok=True)


def write_lines(path: str, option: str, lines: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line to `path`, replacing it in one step; returns the number of lines.

    Parameters
    ----------
    option : what the user gave the path with, for the message

    Raises
    ------
    InputError : the file can't be written.
    """
    with LineFile(path, option) as file:
        for line in lines:
            file.write(line)
    return file.count
