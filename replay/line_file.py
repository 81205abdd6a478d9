"""A file of JSON lines that is there whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from disruptor.errors import InputError


def write_lines(path: str, option: str, lines: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line to `path`, replacing it in one step; returns the number of lines.

    Parameters
    ----------
    option : what the user gave the path with, for the message

    Raises
    ------
    InputError : the file can't be written.
    """
    target = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        count = 0
        with os.fdopen(handle, "w") as file:
            for line in lines:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
                count += 1
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{option} {path}: {error.strerror}") from None
    return count
