"""Which process owns a region or a consumer's place, and whether it still lives.

A pid alone is no answer: after a crash it is soon given to another process, after a reboot at once. A process
is therefore named by pid, start time and boot, all three read from /proc. A pid of another pid namespace (a
container) can't be looked up, so such an owner counts as living: refusing wrongly costs a message, cleaning
wrongly costs memory under a running process.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.layout import OWNER_DTYPE


def start_time(pid: int) -> int | None:
    """Clock ticks after boot at which a process started; None if there is none, or only its corpse (a
    zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may itself hold spaces and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> bytes:
    """The 16 bytes that name this boot of the machine."""
    return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes


def pid_namespace() -> int:
    """The namespace in which this process's pids mean something."""
    return os.stat("/proc/self/ns/pid").st_ino


def this_process() -> np.void:
    """An OWNER_DTYPE record that names the calling process."""
    owner = np.zeros((), OWNER_DTYPE)
    owner["pid"] = os.getpid()
    owner["start_time"] = start_time(os.getpid())
    owner["boot_id"] = np.frombuffer(boot_id(), np.uint8)
    owner["pid_namespace"] = pid_namespace()
    record: np.void = owner[()]  # type: ignore[assignment]
    return record


def is_alive(owner: Any) -> bool:
    """Whether the process that an OWNER_DTYPE record names is still that process, and running."""
    if bytes(owner["boot_id"]) != boot_id():
        return False
    if int(owner["pid_namespace"]) != pid_namespace():
        return True
    return start_time(int(owner["pid"])) == int(owner["start_time"])
