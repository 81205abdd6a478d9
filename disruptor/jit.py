"""The one decorator for kernels, so that every kernel is compiled under the same rules.

nopython, without the GIL, no fast-math and no parallel loops (both change results), integer division by zero
yields 0 instead of raising. Handlers and helpers are never cached on disk: numba's cache ignores edits in
imported modules. Kernels that Python calls are wrapped by `entry`, which caches under a key that covers all
code reached (see `disruptor.compile_cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])

#: True in the test lane that runs every kernel as plain Python.
JIT_DISABLED: bool = bool(getattr(numba.config, "DISABLE_JIT", 0))

COMPILE_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}
_UNCOUNTED_FLAGS: dict[str, Any] = {**COMPILE_FLAGS, "_nrt": False}


def jit(function: F) -> F:
    """Compile a kernel or handler: nopython, nogil, never cached on disk.

    >>> @jit
    ... def add(a, b):
    ...     return a + b
    >>> int(add(2, 3))
    5
    """
    compiled: F = numba.njit(**COMPILE_FLAGS)(function)
    return compiled


def jit_uncounted(function: F) -> F:
    """`jit` without reference counting, for a kernel and all that it reaches.

    Counting costs an atomic increment for each array of each call. Without it no function may return or keep
    an array, nor slice a nested one: numba refuses to compile what does.
    """
    compiled: F = numba.njit(**_UNCOUNTED_FLAGS)(function)
    return compiled


def inline(function: F) -> F:
    """Mark a helper that overload implementations may call; plain Python when called from Python."""
    marked: F = register_jitable(**COMPILE_FLAGS)(function)
    return marked
