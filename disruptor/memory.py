"""Regions: one mapping with control block, ring, type table, counters and state, named or private.

Theory
------
A named region is a file on hugetlbfs or tmpfs, so it outlives `kill -9` of its owner: what was published can
still be journaled. (`multiprocessing.shared_memory` would unlink it; a memfd dies with its last descriptor.)

A file appears under its name only when complete: it is made under a temporary name and linked. Whoever finds
the name finds a valid header, with no window in which a half-made region looks like a dead one. Space is
allocated before it is mapped; on a full file system that is an error here and not SIGBUS in a kernel.

What a dead owner left is either cleaned by the next `create` (said in `notes`), or taken over with its
contents by `adopt`. Both hold a lock on the file while they look and act, and check that the name still means
the file that was looked at: of two cleaners one wins and the other sees a live owner.

MEMORY ORDER: the header is written before the link; after that only `adopt` writes it, under the lock.
Everything else that is shared goes through `disruptor.atomics`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor import layout as lay
from disruptor.errors import RegionError
from disruptor.layout import RegionLayout, align_up
from disruptor.mapping import MADV_POPULATE_READ, Mapping, map_file
from disruptor.owner import is_alive, this_process
from disruptor.pages import MIB_2, PLAIN_PAGE, Kind, PagePolicy, PagesObtained, allocate, huge_bytes, settle
from disruptor.region_file import TMPFS, candidates, check_header, clean, explain, find, opened, owned, paths
from disruptor.sequence import INITIAL, NOT_GATING


class Region:
    """The parts of one region, as arrays over the same memory.

    Made by `create`, `attach`, `adopt` or `private`. The memory stays mapped while any of the arrays is
    referenced.

    Attributes
    ----------
    layout : RegionLayout
    pages : PagesObtained
    notes : list of str, what happened on the way that a user should know
    path : Path or None, the file; None for a private region
    block : (512,) int64, the control block; words are indexed by the *_WORD constants of `disruptor.layout`
    slots : (capacity, slot_size) uint8
    types : (type_capacity,) TYPE_DTYPE, indexed by type id
    counters : (counter_capacity,) COUNTER_DTYPE
    state : (state_size,) uint8
    """

    def __init__(
        self, raw: npt.NDArray[np.uint8], layout: RegionLayout, pages: PagesObtained, path: Path | None = None
    ) -> None:
        check_aligned(raw, PLAIN_PAGE)
        self.layout, self.pages, self.path = layout, pages, path
        self.notes: list[str] = []
        self.unlink_on_close = False
        self._control = raw[: lay.CONTROL_SIZE].view(lay.CONTROL_DTYPE)[0]
        self.block = raw[: lay.CONTROL_SIZE].view(np.int64)
        ring = _part(raw, layout.ring_offset, layout.capacity * layout.slot_size)
        self.slots = ring.reshape(layout.capacity, layout.slot_size)
        types = _part(raw, layout.types_offset, layout.type_capacity * lay.TYPE_DTYPE.itemsize)
        self.types: npt.NDArray[Any] = types.view(lay.TYPE_DTYPE)
        counters = _part(raw, layout.counters_offset, layout.counter_capacity * lay.COUNTER_DTYPE.itemsize)
        self.counters: npt.NDArray[Any] = counters.view(lay.COUNTER_DTYPE)
        self.state = _part(raw, layout.state_offset, layout.state_size)

    @property
    def identity(self) -> np.void:
        """The IDENTITY_DTYPE record."""
        record: np.void = self._control["identity"]
        return record

    @property
    def owner(self) -> np.void:
        """The OWNER_DTYPE record."""
        record: np.void = self._control["owner"]
        return record

    def owner_is_alive(self) -> bool:
        """Whether the process that created or adopted the region still runs."""
        return is_alive(self.owner)

    @classmethod
    def private(
        cls, layout: RegionLayout, policy: PagePolicy | None = None, *, schema_hash: int = 0
    ) -> Region:
        """A region without a name, for one process. Raises MemoryPolicyError."""
        raw, pages = allocate(layout.size, policy)
        region = cls(raw, layout, pages)
        _initialise(region, schema_hash, layout.size)
        return region

    @classmethod
    def create(
        cls,
        name: str,
        layout: RegionLayout,
        *,
        schema_hash: int = 0,
        policy: PagePolicy | None = None,
        directory: Path | None = None,
        unlink_on_close: bool = True,
    ) -> Region:
        """Create a named region that only this user may open.

        Parameters
        ----------
        name : letters, digits, `.`, `_`, `-`
        schema_hash : of the messages in the ring, unsigned 64-bit; attachers may demand it
        directory : where to put the file if not on hugetlbfs; /dev/shm by default
        unlink_on_close : remove the file when this region is closed

        Raises
        ------
        RegionError : a living process owns the name, or a file there is no region.
        MemoryPolicyError : the pages demanded are not to be had, or memory is short.
        """
        policy, directory = policy or PagePolicy(), directory or TMPFS
        notes = [note for path in paths(name, directory) if (note := clean(path))]
        for path, page_size in candidates(name, layout.size, policy, directory):
            try:
                region = _make_file(path, page_size, layout, policy, schema_hash)
            except OSError as e:
                if page_size != PLAIN_PAGE and policy.huge_pages == "prefer" and e.errno != errno.EEXIST:
                    continue
                raise explain(e, path, page_size, layout, policy) from e
            region.notes, region.unlink_on_close = notes, unlink_on_close
            return region
        raise RegionError(
            f"region {name}: no place to put it"
        )  # pragma: no cover - the last candidate raises

    @classmethod
    def attach(
        cls,
        name: str,
        *,
        schema_hash: int | None = None,
        layout: RegionLayout | None = None,
        directory: Path | None = None,
    ) -> Region:
        """Map a region that another process created. Its owner may be dead: see `owner_is_alive`.

        Parameters
        ----------
        schema_hash, layout : what the region must have; None accepts what it says

        Raises
        ------
        RegionError : no such region, not a region, another version, schema or geometry, or cut short.
        """
        path = find(name, directory or TMPFS)
        with opened(path) as fd:
            return _map_existing(fd, path, schema_hash, layout)

    @classmethod
    def adopt(
        cls,
        name: str,
        *,
        schema_hash: int | None = None,
        layout: RegionLayout | None = None,
        directory: Path | None = None,
        unlink_on_close: bool = True,
    ) -> Region:
        """Take over a region whose owner died, contents and cursors included: recovery.

        Raises
        ------
        RegionError : as `attach`; or the owner lives.
        """
        path = find(name, directory or TMPFS)
        with opened(path) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            region = _map_existing(fd, path, schema_hash, layout)
            if region.owner_is_alive():
                raise owned(path, int(region.owner["pid"]))
            region.notes.append(f"took over {path} from process {int(region.owner['pid'])}, which is gone")
            region._control["owner"] = this_process()
            # A stop was meant for the dead owner's loops, and whoever waited there no longer does.
            region.block[lay.CONTROL_WORD] = region.block[lay.WAITERS_WORD] = 0
            region.unlink_on_close = unlink_on_close
            return region

    def close(self) -> None:
        """Remove the file if this process owns it and was to; arrays stay valid while they are referenced."""
        path, self.path = self.path, None
        if path is None or not self.unlink_on_close or self.owner != this_process():
            return
        path.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Leave a named region to whoever adopts it, also while this process lives. Only its owner may."""
        assert self.owner == this_process(), "give_up: another process owns this region"
        self._control["owner"] = np.zeros((), lay.OWNER_DTYPE)

    def __enter__(self) -> Region:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_aligned(words: npt.NDArray[Any], alignment: int) -> None:
    """Refuse memory that starts between lines or pages: compiled code would take it for aligned.

    Raises
    ------
    RegionError : the address is no multiple of `alignment`, or the array is not contiguous.
    """
    if words.ctypes.data % alignment or not words.flags.c_contiguous:
        raise RegionError(
            f"memory at {words.ctypes.data:#x} is not aligned to {alignment} bytes and contiguous"
        )


def _part(raw: npt.NDArray[np.uint8], offset: int, size: int) -> npt.NDArray[np.uint8]:
    return raw[offset : offset + size]


def _initialise(region: Region, schema_hash: int, region_size: int) -> None:
    """Fill a fresh, zeroed control block; the magic comes last."""
    block, identity = region.block, region.identity
    block[lay.CURSOR_WORD] = block[lay.CLAIMED_WORD] = block[lay.CACHED_GATE_WORD] = INITIAL
    block[lay.GATING_WORD : lay.GATING_WORD + lay.MAX_CONSUMERS * lay.CELL_WORDS : lay.CELL_WORDS] = (
        NOT_GATING
    )
    region._control["owner"] = this_process()
    for field, value in region.layout.facts().items():
        identity[field] = value
    identity["version"], identity["control_size"] = lay.VERSION, lay.CONTROL_SIZE
    identity["schema_hash"], identity["region_size"] = np.uint64(schema_hash), region_size
    identity["page_size"] = region.pages.page_size if region.pages.kind == "hugetlbfs" else PLAIN_PAGE
    identity["magic"] = np.uint64(lay.MAGIC)


# --- files --------------------------------------------------------------------------------------------------


def _make_file(
    path: Path, page_size: int, layout: RegionLayout, policy: PagePolicy, schema_hash: int
) -> Region:
    """Make the file complete under a temporary name, then give it its own. Raises OSError."""
    transparent = page_size == PLAIN_PAGE and policy.huge_pages == "prefer" and layout.size >= MIB_2
    alignment = MIB_2 if transparent else page_size
    size = align_up(layout.size, alignment)
    kind: Kind = "thp" if transparent else "plain" if page_size == PLAIN_PAGE else "hugetlbfs"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if policy.numa_node is None:
            os.posix_fallocate(fd, 0, size)
        else:
            os.ftruncate(fd, size)  # pages that exist already can't be placed: allocate after binding
        mapping = map_file(fd, size, alignment)
        pages = settle(mapping, kind, policy)
        os.posix_fallocate(fd, 0, size)
        region = Region(mapping.bytes, layout, pages, path)
        _initialise(region, schema_hash, size)
        os.link(temporary, path)
        return region
    finally:
        temporary.unlink()
        os.close(fd)


def _map_existing(fd: int, path: Path, schema_hash: int | None, layout: RegionLayout | None) -> Region:
    """Map an open file whose header passes the checks."""
    found, size, page_size = check_header(fd, path, schema_hash, layout)
    mapping = map_file(fd, size, page_size if page_size > PLAIN_PAGE else MIB_2)
    return Region(mapping.bytes, found, _found_pages(mapping, page_size), path)


def _found_pages(mapping: Mapping, page_size: int) -> PagesObtained:
    """What an existing file gives this process; its pages exist, so mapping them all is cheap."""
    prefaulted = mapping.advise(MADV_POPULATE_READ) == 0
    if page_size > PLAIN_PAGE:
        return PagesObtained("hugetlbfs", page_size, mapping.size, mapping.size, prefaulted, False, None)
    huge = huge_bytes(mapping)
    kind: Kind = "thp" if huge else "plain"
    return PagesObtained(kind, MIB_2 if huge else PLAIN_PAGE, mapping.size, huge, prefaulted, False, None)
