"""One side of a comparison in a process of its own; `engine.diff_remote` starts it and asks.

It runs the code of the checkout that it is imported from, so two versions can be held side by side. Requests
come on stdin, one JSON object a line; each is answered by one line on stdout, followed by as many raw bytes as its
`bytes` says. What handlers print goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from disruptor.errors import DisruptorError

#: What both processes must agree on.
PROTOCOL = 1

Answer = tuple[Any, bytes]


def serve(commands: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    served: dict[str, Callable[..., Answer]] = {}
    for line in commands:
        request = json.loads(line)
        name = request.pop("do")
        try:
            if name == "start":
                side = _start(request)
                served = _answers_of(side)
                value: Any = PROTOCOL
                raw = b""
            else:
                value, raw = served[name](**request)
            reply = {"value": value, "bytes": len(raw)}
        except DisruptorError as error:
            reply, raw = {"error": str(error), "exit_code": error.exit_code, "bytes": 0}, b""
        answers.write(json.dumps(reply, allow_nan=False).encode() + b"\n" + raw)
        answers.flush()


def _start(asked: dict[str, Any]) -> Any:
    from disruptor.config.loader import load_settings
    from disruptor.replay.diff_side import LocalSide
    from disruptor.replay.request import RunRequest

    settings: Any = load_settings(asked["profile"], asked["sets"])[0]
    return LocalSide(
        RunRequest(
            sources=tuple(asked["sources"]),
            settings=settings,
            handlers=tuple(asked["handlers"]),
            pools=tuple(asked["pools"]),
        )
    )


def _answers_of(side: Any) -> dict[str, Callable[..., Answer]]:
    def outputs() -> Answer:
        slots, names = side.outputs()
        return {"slot_size": slots.shape[1], "names": names}, slots.tobytes()

    return {
        "fields": lambda: (side.fields(), b""),
        "open": lambda covered: (side.open(covered), b""),
        "advance": lambda: (side.advance()._asdict(), b""),
        "sums": lambda: (None, np.ascontiguousarray(side.sums()).tobytes()),
        "changes": lambda sequence: (side.changes(sequence), b""),
        "outputs": outputs,
        "show_outputs": lambda which: (side.show_outputs(which), b""),
        "show_input": lambda sequence: (side.show_input(sequence), b""),
    }


def main() -> None:
    """Serve on stdin and stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # whoever asked has ended, and says so
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
