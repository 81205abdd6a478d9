"""Runs something in a process of its own, and kills that at a chosen moment, as a power cut or `kill -9` would."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def killed(run: Callable[[Callable[[], int]], None], steps: int) -> bool:
    """Run in a child process that is killed once `run` has reported `steps` times; whether it was, or had ended."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run(lambda: os.write(tell, b"."))
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, "rb", buffering=0) as reports:
        seen = 0
        while seen < steps and reports.read(1):
            seen += 1
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
