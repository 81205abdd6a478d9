"""Compiled entry points that survive a restart and never survive an edit. (Being filled in; `entry` is stable API.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from disruptor.jit import jit


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a kernel callable from Python, cached on disk under a key that covers all code it reaches.

    Not to be called from other kernels: they call the `@jit` function itself.
    """
    return jit(function)
