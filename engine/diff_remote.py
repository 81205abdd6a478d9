"""A side of a comparison that runs in another process, of another checkout: the `DiffSide` that asks its worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.engine.diff_worker import PROTOCOL
from disruptor.errors import InputError
from disruptor.replay.diff_side import Fields, Octets, Step

_WORKER = "disruptor.engine.diff_worker"


class RemoteSide:
    """A side run by the code of a checkout.

    Parameters
    ----------
    code : directory that `disruptor` is imported from
    option : how the user named it, for messages
    asked : `sources, profile, sets, handlers, pools` as on the command line

    Raises
    ------
    InputError : no checkout, or one that can't compare; whatever the other side can't be run with.
    """

    def __init__(self, code: str, option: str, asked: Mapping[str, Any]) -> None:
        folder = Path(code).resolve()
        self._where = f"{option} {code}"
        if not (folder / "disruptor" / "__init__.py").is_file():
            raise InputError(f"{self._where}: expected a checkout: the folder that holds disruptor/")
        if not (folder / "disruptor" / "engine" / "diff_worker.py").is_file():
            raise InputError(f"{self._where}: this version can't compare: it has no engine/diff_worker.py")
        self._process = subprocess.Popen(
            # -P: the current directory, which relative paths are in, must not be imported from.
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )
        made_of = {**asked, "sources": [os.path.abspath(path) for path in asked["sources"]]}
        if self._ask("start", **made_of)[0] != PROTOCOL:
            self.close()
            raise InputError(f"{self._where}: this version compares otherwise: take one that is nearer")

    def _ask(self, name: str, **arguments: Any) -> tuple[Any, bytes]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"do": name, **arguments}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            reply = json.loads(line)
            raw = process.stdout.read(reply["bytes"])
        except (OSError, ValueError):
            self.close()
            raise InputError(f"{self._where}: its process ended; what it said is above") from None
        if "error" in reply:
            self.close()
            raise InputError(f"{self._where}: {reply['error']}")
        return reply["value"], raw

    def fields(self) -> Fields:
        """See `DiffSide`."""
        found: Fields = self._ask("fields")[0]
        return found

    def open(self, covered: Mapping[str, Sequence[str]]) -> int:
        """See `DiffSide`."""
        return int(self._ask("open", covered=covered)[0])

    def advance(self) -> Step:
        """See `DiffSide`."""
        return Step(**self._ask("advance")[0])

    def sums(self) -> npt.NDArray[np.uint64]:
        """See `DiffSide`."""
        return np.frombuffer(self._ask("sums")[1], np.uint64).reshape(-1, 2)

    def changes(self, sequence: int) -> list[dict[str, Any]]:
        """See `DiffSide`."""
        found: list[dict[str, Any]] = self._ask("changes", sequence=sequence)[0]
        return found

    def outputs(self) -> tuple[Octets, list[str]]:
        """See `DiffSide`."""
        value, raw = self._ask("outputs")
        return np.frombuffer(raw, np.uint8).reshape(-1, value["slot_size"]), value["names"]

    def show_outputs(self, which: Sequence[int]) -> list[dict[str, Any]]:
        """See `DiffSide`."""
        found: list[dict[str, Any]] = self._ask("show_outputs", which=[int(k) for k in which])[0]
        return found

    def show_input(self, sequence: int) -> dict[str, Any]:
        """See `DiffSide`."""
        found: dict[str, Any] = self._ask("show_input", sequence=sequence)[0]
        return found

    def close(self) -> None:
        """End the process; its end of input is what it waits for."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
        self._process.wait()
