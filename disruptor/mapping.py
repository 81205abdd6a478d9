"""One memory mapping, made through libc, because Python's `mmap` can neither choose an address nor bind a
node.

Huge pages map only where the address is a multiple of their size. So address space is reserved first, larger
than needed, and the mapping is put on the aligned address within it. The mapping lives as long as any array
over it: nothing that still reads a slot can have it pulled from under its feet, and there is no close to call
too early.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

MADV_HUGEPAGE = 14
MADV_POPULATE_READ = 22
MADV_POPULATE_WRITE = 23
MADV_COLLAPSE = 25
_MAP_FIXED = 0x10
_MAP_HUGETLB = 0x40000
_MAP_HUGE_SHIFT = 26
_MPOL_BIND = 2
_MPOL_MF_STRICT_MOVE = 3
_FAILED = ctypes.c_void_p(-1).value

#: System call numbers; a machine not listed lacks the feature, and asking for it says so.
_MBIND = {"x86_64": 237, "aarch64": 235}.get(platform.machine())

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


#: Bytes that the kernel is asked to fault in by one call: meanwhile no other thread of the process can map memory.
_POPULATED_AT_ONCE = 16 << 20


class Mapping:
    """A readable and writable mapping of `size` bytes at `address`; unmapped when its last array is gone."""

    def __init__(self, address: int, size: int) -> None:
        buffer = (ctypes.c_uint8 * size).from_address(address)
        weakref.finalize(buffer, _libc.munmap, address, size).atexit = False
        self.address, self.size = address, size
        self.bytes: npt.NDArray[np.uint8] = np.ctypeslib.as_array(buffer)

    def advise(self, advice: int) -> int:
        """Give the kernel advice on the whole mapping; 0, or the errno with which it declined."""
        return _outcome(_libc.madvise(self.address, self.size, advice))

    def populate(self) -> int:
        """Fault in every page for writing, contents untouched; 0 or an errno. For a mapping nobody else
        writes yet.

        A page that can't be had is an error here, where a later touch would be SIGBUS. Kernels before 5.14 do
        not know the advice: there one byte a page is rewritten with itself.
        """
        for start in range(0, self.size, _POPULATED_AT_ONCE):
            part = min(_POPULATED_AT_ONCE, self.size - start)
            failure = _outcome(_libc.madvise(self.address + start, part, MADV_POPULATE_WRITE))
            if failure:
                break
        if failure == errno.EINVAL:
            first_bytes = self.bytes[:: mmap.PAGESIZE]
            np.bitwise_or(first_bytes, 0, out=first_bytes)
            return 0
        return failure

    def lock(self) -> int:
        """Keep the pages in memory; 0 or an errno."""
        return _outcome(_libc.mlock(self.address, self.size))

    def bind(self, node: int) -> int:
        """Put the pages on a NUMA node, and only there; 0 or an errno (ENOSYS where there is no such
        call)."""
        if _MBIND is None:
            return errno.ENOSYS
        words = node // 64 + 1
        mask = (ctypes.c_uint64 * words)()
        mask[node // 64] = 1 << (node % 64)
        arguments = (ctypes.c_void_p(self.address), ctypes.c_size_t(self.size), _MPOL_BIND, mask)
        # The kernel reads one bit fewer than it is told.
        limits = (ctypes.c_ulong(words * 64 + 1), ctypes.c_uint(_MPOL_MF_STRICT_MOVE))
        return _outcome(_libc.syscall(ctypes.c_long(_MBIND), *arguments, *limits))


def _outcome(result: int) -> int:
    return ctypes.get_errno() if result != 0 else 0


def map_file(fd: int, size: int, alignment: int) -> Mapping:
    """Map an open file, shared, on an aligned address.

    Raises
    ------
    OSError : the kernel refused.
    """
    return _map_aligned(size, alignment, mmap.MAP_SHARED, fd)


def map_private(size: int, alignment: int) -> Mapping:
    """Map fresh zeroed memory on an aligned address. Raises OSError."""
    return _map_aligned(size, alignment, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)


def map_private_huge(size: int, page_size: int) -> Mapping:
    """Map fresh zeroed memory from the kernel's pool of huge pages, or raise OSError where the pool is
    short."""
    kind = _MAP_HUGETLB | ((page_size.bit_length() - 1) << _MAP_HUGE_SHIFT)
    return Mapping(_map(None, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | kind, -1), size)


def _map_aligned(size: int, alignment: int, flags: int, fd: int) -> Mapping:
    """Reserve too much address space, map over the aligned middle, give the rest back."""
    reserved = size + alignment
    start = _map(None, reserved, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, protection=0)
    address = -(-start // alignment) * alignment
    try:
        _map(address, size, flags | _MAP_FIXED, fd)
    except OSError:
        _libc.munmap(start, reserved)
        raise
    for edge, length in ((start, address - start), (address + size, start + reserved - address - size)):
        if length:
            _libc.munmap(edge, length)
    return Mapping(address, size)


def _map(address: int | None, size: int, flags: int, fd: int, protection: int = 3) -> int:
    result: Any = _libc.mmap(address, size, protection, flags, fd, 0)
    if result == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
