"""Where the files of named regions lie, who owns them, and whether a header is to be believed.

The names, the locks and the checks; `disruptor.memory` maps what is found here. Looking at a file and acting
on it happens under a lock on that file, and the name is compared with the file again: of two processes that
clean up after a dead owner one wins, and the other sees a living owner instead of removing his new file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from disruptor import layout as lay
from disruptor.errors import MemoryPolicyError, RegionError
from disruptor.layout import RegionLayout, plan_region
from disruptor.owner import is_alive
from disruptor.pages import PAGE_SIZES, PLAIN_PAGE, PagePolicy, hugetlbfs_mounts, refuse

TMPFS = Path("/dev/shm")
_PREFIX = "disruptor-"


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name):
        raise RegionError(f"region name {name!r}: use letters, digits, '.', '_' and '-'")
    return _PREFIX + name


def paths(name: str, directory: Path) -> list[Path]:
    """Everywhere a region of this name may lie."""
    mounts = [m for size in PAGE_SIZES for m in hugetlbfs_mounts(size)]
    return [place / _file_name(name) for place in (*mounts, directory)]


def find(name: str, directory: Path) -> Path:
    """The file of a region. Raises RegionError."""
    places = paths(name, directory)
    for path in places:
        if path.exists():
            return path
    searched = ", ".join(str(p.parent) for p in places)
    raise RegionError(f"no region named {name} in {searched}: start the process that creates it first")


def candidates(name: str, size: int, policy: PagePolicy, directory: Path) -> Iterator[tuple[Path, int]]:
    """Places to try, best first, each with the page size of its file system."""
    if policy.huge_pages != "off":
        mounts = [m for m in hugetlbfs_mounts(policy.page_size) if os.access(m, os.W_OK)]
        if not mounts and policy.huge_pages == "require":
            raise refuse("no hugetlbfs of that page size is mounted", size, policy.page_size)
        for mount in mounts:
            yield mount / _file_name(name), policy.page_size
    if policy.huge_pages != "require":
        yield directory / _file_name(name), PLAIN_PAGE


def explain(
    error: OSError, path: Path, page_size: int, layout: RegionLayout, policy: PagePolicy
) -> Exception:
    """The error that a user sees for a file that could not be made."""
    if error.errno == errno.EEXIST:
        return RegionError(f"{path} was created by another process at the same moment: choose another name")
    if page_size != PLAIN_PAGE:
        return refuse(f"{path.parent} is short of pages: {error.strerror}", layout.size, page_size)
    return MemoryPolicyError(
        f"can't create {path} of {layout.size} bytes: {error.strerror}; free space on {path.parent} "
        f"(`df -h {path.parent}`), enlarge it, or lower the capacities"
    )


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file descriptor of a region's file for the length of a `with`; a lock taken on it ends there.

    Unlocking is explicit, because a mapping keeps the open file and with it the lock. Raises RegionError.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as e:
        raise RegionError(f"can't open region {path}: {e.strerror}") from e
    try:
        yield fd
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)


def owned(path: Path, pid: int) -> RegionError:
    """The error for a region whose owner lives."""
    return RegionError(
        f"{path} is owned by the running process {pid}: stop it, or choose another name", pid=pid
    )


def clean(path: Path) -> str | None:
    """Remove what a dead owner left under this name, temporary files included; a note if there was a
    region."""
    for left in path.parent.glob(f".{path.name}.*.new"):
        pid = left.name.split(".")[-2]
        if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
            left.unlink(missing_ok=True)
    if not path.exists():
        return None
    with opened(path) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not path.exists() or path.stat().st_ino != os.fstat(fd).st_ino:
            raise RegionError(f"{path} is being replaced by another process: choose another name")
        owner = _read_control(fd, path)["owner"]
        if is_alive(owner):
            raise owned(path, int(owner["pid"]))
        path.unlink()
    return f"removed {path}, which process {int(owner['pid'])} left behind when it died"


def _read_control(fd: int, path: Path) -> np.void:
    """The control block of an open file, checked to be one."""
    raw = os.pread(fd, lay.CONTROL_SIZE, 0)
    if len(raw) < lay.CONTROL_SIZE or int.from_bytes(raw[:8], "little") != lay.MAGIC:
        raise RegionError(f"{path} is not a region of this program: remove it, or choose another name")
    record: np.void = np.frombuffer(raw, lay.CONTROL_DTYPE)[0]
    return record


def check_header(
    fd: int, path: Path, schema_hash: int | None, layout: RegionLayout | None
) -> tuple[RegionLayout, int, int]:
    """Check the header of an open file against this code and what the caller expects.

    Returns
    -------
    layout, bytes to map, page size of the file. Raises RegionError.
    """
    identity = _read_control(fd, path)["identity"]
    if identity["version"] != lay.VERSION or identity["control_size"] != lay.CONTROL_SIZE:
        raise RegionError(
            f"{path} has layout version {identity['version']}, this program {lay.VERSION}: "
            "run both ends from one version"
        )
    sizes = {n: int(identity[n]) for n in ("type_capacity", "counter_capacity", "state_size")}
    found = plan_region(int(identity["capacity"]), int(identity["slot_size"]), **sizes)
    size = int(identity["region_size"])
    if any(int(identity[n]) != v for n, v in found.facts().items()) or size < found.size:
        raise RegionError(f"{path}: offsets and sizes contradict each other; recreate the region")
    if os.fstat(fd).st_size < size:
        actual = os.fstat(fd).st_size
        raise RegionError(f"{path} is {actual} bytes long, its header says {size}: recreate the region")
    if layout is not None and layout != found:
        raise RegionError(f"{path} has another geometry: {found}, expected {layout}")
    if schema_hash is not None and int(identity["schema_hash"]) != schema_hash:
        raise RegionError(
            f"{path} holds messages of schema {int(identity['schema_hash']):016x}, "
            f"expected {schema_hash:016x}: run both ends with the same message types"
        )
    return found, size, int(identity["page_size"])
