"""What pages memory gets: the policy asked for, the ways to satisfy it, and what was really obtained.

Theory
------
Tables of hundreds of megabytes are read at random; with 4 KiB pages every access also misses the TLB. So:

    require   pages from the kernel's huge page pool (hugetlbfs for what has a name), or an error that says
              which commands provide them. Never anything weaker.
    prefer    the pool if it has room, else transparent huge pages, else plain pages. Never an error.
    off       plain pages.

Advice to the kernel is no evidence. Transparent huge pages are counted in /proc/self/smaps after the pages
were touched, and the report says how many bytes are really huge. Reserving pages changes the machine, so
nothing here does it unasked: `reserve_pool` is an explicit call. The package `hugepages` reads and sets the
pools; its public interface is its command line, which is run as a child process.
"""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from disruptor.errors import MemoryPolicyError
from disruptor.layout import align_up
from disruptor.mapping import MADV_COLLAPSE, MADV_HUGEPAGE, Mapping, map_private, map_private_huge

MIB_2 = 2 << 20
GIB_1 = 1 << 30
PAGE_SIZES = (MIB_2, GIB_1)
PLAIN_PAGE = mmap.PAGESIZE

HugePages = Literal["require", "prefer", "off"]
Kind = Literal["hugetlbfs", "hugetlb", "thp", "plain"]
_HUGE_FIELDS = ("AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:")


@dataclass(frozen=True)
class PagePolicy:
    """What is asked for.

    huge_pages : require, prefer or off
    page_size : bytes of a huge page, 2 MiB or 1 GiB
    prefault : touch every page at once, so that no later access waits for the kernel
    lock : keep the pages in memory (mlock)
    numa_node : bind the pages to this node; None leaves the choice to the kernel
    """

    huge_pages: HugePages = "prefer"
    page_size: int = MIB_2
    prefault: bool = True
    lock: bool = False
    numa_node: int | None = None

    def __post_init__(self) -> None:
        if self.huge_pages not in ("require", "prefer", "off"):
            raise MemoryPolicyError(f"huge_pages: {self.huge_pages!r} is none of require, prefer, off")
        if self.page_size not in PAGE_SIZES:
            raise MemoryPolicyError(
                f"page_size: {self.page_size} is neither 2 MiB ({MIB_2}) nor 1 GiB ({GIB_1})"
            )


@dataclass(frozen=True)
class PagesObtained:
    """What there is.

    kind : hugetlbfs (a named file on that file system), hugetlb (private, from the same pool), thp, or plain
    page_size : bytes of a page of that kind
    size : bytes mapped
    huge_bytes : of those, how many huge pages really back, as the kernel counts them
    """

    kind: Kind
    page_size: int
    size: int
    huge_bytes: int
    prefaulted: bool
    locked: bool
    numa_node: int | None

    @property
    def text(self) -> str:
        """One line for reports.

        >>> PagesObtained("thp", 2 << 20, 4 << 20, 4 << 20, True, False, None).text
        'thp 2 MiB pages, 4.0 of 4.0 MiB huge, prefaulted'
        """
        parts = [f"{self.kind} {format_size(self.page_size)} pages"]
        if self.kind != "plain":
            so_far = "" if self.prefaulted or self.kind != "thp" else " so far"
            parts.append(f"{self.huge_bytes / 2**20:.1f} of {self.size / 2**20:.1f} MiB huge{so_far}")
        parts += ["prefaulted"] * self.prefaulted + ["locked"] * self.locked
        if self.numa_node is not None:
            parts.append(f"node {self.numa_node}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Pool:
    """The kernel's pool of huge pages of one size."""

    page_size: int
    total: int
    free: int
    reserved: int


def format_size(size: int) -> str:
    """A page size as people write it.

    >>> format_size(2 << 20), format_size(4096)
    ('2 MiB', '4 KiB')
    """
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % one == 0:
            return f"{size // one} {unit}"
    return f"{size} bytes"


# --- the pools ----------------------------------------------------------------------------------------------


def inspect_pools() -> list[Pool]:
    """Pools of every huge page size that this kernel has, as the package `hugepages` reports them."""
    pattern = r"Size:\s*(\d+)kB\s+Total:\s*(\d+)\s+Free:\s*(\d+)\s+Reserved:\s*(\d+)"
    found = re.findall(pattern, _run_hugepages("info"))
    return [Pool(int(size) * 1024, int(total), int(free), int(held)) for size, total, free, held in found]


def reserve_pool(page_size: int, count: int) -> Pool:
    """Set the machine's pool of huge pages to `count` pages; needs root. 0 gives them back.

    Raises
    ------
    MemoryPolicyError : not permitted, or the kernel found fewer pages.
    """
    _run_hugepages("setup", "--size", str(page_size // 1024), "--count", str(count))
    pool = next(p for p in inspect_pools() if p.page_size == page_size)
    if pool.total < count:
        raise MemoryPolicyError(
            f"only {pool.total} of {count} huge pages of {format_size(page_size)} could be reserved: "
            f"memory is short or fragmented; reserve them at boot with the kernel argument hugepages={count}"
        )
    return pool


def _run_hugepages(*arguments: str) -> str:
    command = [sys.executable, "-m", "hugepages.hugepages", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.strip() or f"exit code {result.returncode}"
        raise MemoryPolicyError(f"hugepages {' '.join(arguments)}: {reason}")
    return result.stdout


def hugetlbfs_mounts(page_size: int, mounts: str | None = None) -> list[Path]:
    """Where file systems of huge pages of this size are mounted, by `mounts` in the form of /proc/mounts."""
    unit = f"{page_size >> 20}M"
    text = Path("/proc/mounts").read_text() if mounts is None else mounts
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[2] == "hugetlbfs":
            sizes = [o.removeprefix("pagesize=") for o in fields[3].split(",") if o.startswith("pagesize=")]
            if (sizes or ["2M"])[0].replace("1G", "1024M") == unit:
                found.append(Path(fields[1].encode().decode("unicode_escape")))
    return found


def commands_for(size: int, page_size: int, *, mount: bool) -> str:
    """The shell commands, for root, that make `size` more bytes of huge pages available."""
    needed = align_up(size, page_size) // page_size
    pool = next((p for p in inspect_pools() if p.page_size == page_size), Pool(page_size, 0, 0, 0))
    total = max(pool.total, pool.total - pool.free + pool.reserved + needed)
    sysfs = f"/sys/kernel/mm/hugepages/hugepages-{page_size // 1024}kB/nr_hugepages"
    lines = [f"echo {total} > {sysfs}"]
    if mount:
        where = "/dev/hugepages" if page_size == MIB_2 else "/dev/hugepages1G"
        options = f"pagesize={page_size >> 20}M,uid={os.getuid()},mode=0700"
        lines.append(f"mkdir -p {where} && mount -t hugetlbfs -o {options} hugetlbfs {where}")
    return "\n".join(lines)


def refuse(what: str, size: int, page_size: int) -> MemoryPolicyError:
    """The error for huge pages that are required and not there. Named regions need the mount as well."""
    command = commands_for(size, page_size, mount=not hugetlbfs_mounts(page_size))
    return MemoryPolicyError(
        f"huge_pages: require: {what} ({size} bytes in pages of {format_size(page_size)} are needed). "
        f"As root:\n{command}\nor set huge_pages to prefer.",
        command=command,
        page_size=page_size,
    )


# --- mappings -----------------------------------------------------------------------------------------------


def allocate(size: int, policy: PagePolicy | None = None) -> tuple[npt.NDArray[np.uint8], PagesObtained]:
    """Private zeroed memory under a page policy.

    Parameters
    ----------
    size : bytes, at least 1
    policy : what pages; the default prefers huge ones where `size` fills at least one

    Returns
    -------
    (size,) uint8 array, page-aligned, and what was obtained. The memory lives as long as an array over it.

    Raises
    ------
    MemoryPolicyError : `require`, `lock` or `numa_node` can't be satisfied; the message has the remedy.
    """
    memory, finish = reserve(size, policy or PagePolicy())
    return memory, finish()


def reserve(size: int, policy: PagePolicy) -> tuple[npt.NDArray[np.uint8], Callable[[], PagesObtained]]:
    """`allocate` in two halves: the memory, and what faults it in, locks it and says what was obtained.

    The second half takes a second for each few gigabytes, nearly all in the kernel, and may run on another thread
    while this one already uses the memory.
    """
    if size < 1:
        raise MemoryPolicyError(f"can't allocate {size} bytes")
    mapping = _from_pool(size, policy)
    if mapping is not None:
        place(mapping, "hugetlb", policy)
        return mapping.bytes[:size], lambda: fault_in(mapping, "hugetlb", policy)
    page = MIB_2 if policy.huge_pages == "prefer" and size >= MIB_2 else PLAIN_PAGE
    try:
        mapping = map_private(align_up(size, page), page)
    except OSError as e:
        raise MemoryPolicyError(f"can't allocate {size} bytes: {e.strerror}; lower the capacities") from e
    kind: Kind = "thp" if page == MIB_2 else "plain"
    place(mapping, kind, policy)
    return mapping.bytes[:size], lambda: fault_in(mapping, kind, policy)


def _from_pool(size: int, policy: PagePolicy) -> Mapping | None:
    """Memory from the huge page pool, or None where the policy allows less. A table below half a page is not
    worth one."""
    if policy.huge_pages == "off" or (policy.huge_pages == "prefer" and size < policy.page_size // 2):
        return None
    try:
        return map_private_huge(align_up(size, policy.page_size), policy.page_size)
    except OSError as e:
        if policy.huge_pages == "require":
            raise refuse(f"the pool of huge pages is short: {e.strerror}", size, policy.page_size) from e
        return None


def settle(mapping: Mapping, kind: Kind, policy: PagePolicy) -> PagesObtained:
    """Bind, advise, prefault and lock a fresh mapping in the only order that works, and count what came of it."""
    place(mapping, kind, policy)
    return fault_in(mapping, kind, policy)


def place(mapping: Mapping, kind: Kind, policy: PagePolicy) -> None:
    """Say where a fresh mapping's pages are to lie and how large they are wanted. Before the first touch, which is
    what places a page."""
    if policy.numa_node is not None:
        _bind(mapping, policy.numa_node)
    if kind == "thp":
        mapping.advise(MADV_HUGEPAGE)


def fault_in(mapping: Mapping, kind: Kind, policy: PagePolicy) -> PagesObtained:
    """Prefault and lock a mapping that has been placed.

    `thp` is a wish: where the kernel grants no huge page the report says plain. An unpopulated pool page on a bound
    node would be SIGBUS, so binding prefaults.
    """
    prefault = policy.prefault or (policy.numa_node is not None and kind.startswith("huge"))
    if prefault and (failure := mapping.populate()):
        raise MemoryPolicyError(
            f"can't fault in {mapping.size} bytes: {os.strerror(failure)}; the memory behind them is "
            "used up: free some, or lower the capacities"
        )
    if kind == "thp" and prefault:
        mapping.advise(MADV_COLLAPSE)
    if policy.lock and (failure := mapping.lock()):
        raise MemoryPolicyError(
            f"can't lock {mapping.size} bytes in memory: {os.strerror(failure)}; raise the limit with "
            f"`ulimit -l {mapping.size // 1024}` or turn locking off"
        )
    return _report(mapping, kind, policy, prefault)


def _report(mapping: Mapping, kind: Kind, policy: PagePolicy, prefaulted: bool) -> PagesObtained:
    """What a settled mapping has; transparent pages count only where the kernel says so."""
    page_size, huge = policy.page_size, mapping.size
    if kind == "thp":
        page_size, huge = MIB_2, huge_bytes(mapping)
        if prefaulted and not huge:
            kind = "plain"
    if kind == "plain":
        page_size, huge = PLAIN_PAGE, 0
    return PagesObtained(kind, page_size, mapping.size, huge, prefaulted, policy.lock, policy.numa_node)


def _bind(mapping: Mapping, node: int) -> None:
    nodes = sorted(int(p.name[4:]) for p in Path("/sys/devices/system/node").glob("node[0-9]*"))
    if node not in nodes:
        raise MemoryPolicyError(f"numa_node: {node} is not a node of this machine; it has {nodes or 'none'}")
    if failure := mapping.bind(node):
        raise MemoryPolicyError(
            f"numa_node: the kernel refused to bind memory to node {node}: {os.strerror(failure)}; "
            "leave it unset"
        )


def huge_bytes(mapping: Mapping, smaps: str | None = None) -> int:
    """Bytes of a mapping that huge pages back, by `smaps` in the form of /proc/self/smaps.

    The kernel joins neighbours of one kind into one entry, so the count is capped by the overlap.
    """
    text = Path("/proc/self/smaps").read_text() if smaps is None else smaps
    start, end = mapping.address, mapping.address + mapping.size
    total = overlap = in_entry = 0
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # an entry begins: "7f00-7f10 rw-p ..."
            total += min(in_entry, overlap)
            low, high = (int(part, 16) for part in name.split("-"))
            overlap, in_entry = max(0, min(high, end) - max(low, start)), 0
        elif name in _HUGE_FIELDS:
            in_entry += int(rest.split()[0]) * 1024
    return total + min(in_entry, overlap)
