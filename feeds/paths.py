"""Which files a user means by a path, a folder or a pattern."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from disruptor.errors import InputError


def expand_paths(paths: Iterable[str | Path], what: str) -> list[Path]:
    """The files that paths, folders and patterns name, each group in order of name.

    Parameters
    ----------
    paths : files, folders (all files directly in them, hidden ones left out) or glob patterns
    what : what they should hold, for messages

    Raises
    ------
    InputError : nothing is there.

    >>> expand_paths(["no/such/*.csv"], "pools")
    Traceback (most recent call last):
    ...
    disruptor.errors.InputError: no/such/*.csv: no such file: expected pools there
    """
    files: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
            if not found:
                raise InputError(f"{given}: a folder without files: expected {what} there", file=str(given))
        elif path.exists():
            found = [path]
        else:
            found = sorted(file for name in glob.glob(str(given)) if (file := Path(name)).is_file())
            if not found:
                raise InputError(f"{given}: no such file: expected {what} there", file=str(given))
        files += found
    return files
