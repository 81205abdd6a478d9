"""How wide the vectors may be that LLVM turns a kernel's loops into.

For some processors with 512-bit units (Intel's, up to a few years ago) LLVM prefers half of that, because a wide
instruction slowed the clock of the whole core. A loop of multiplications over a few kilobytes is told otherwise here.
The preference belongs to a function, and is lost where the function is pasted into another: such a kernel says
`never_inlined()` too.
"""

from __future__ import annotations

from typing import Any

from llvmlite.binding import get_host_cpu_features
from numba.core import types

from disruptor.handlers.wide_type import lowered

#: UNITS: bits of the widest vector register by the feature that brings it, widest first.
_WIDTHS = (("avx512f", 512), ("avx2", 256), ("avx", 256))
_BASE_WIDTH = 128


def widest() -> int:
    """Bits of this machine's widest vector registers.

    >>> widest() in (128, 256, 512)
    True
    """
    features = get_host_cpu_features()
    return next((bits for name, bits in _WIDTHS if features.get(name)), _BASE_WIDTH)


def _statement() -> Any:
    return types.void()


def _prefer_widest(builder: Any, _sig: Any) -> None:
    # llvmlite knows LLVM's plain attributes by name but writes out whatever the set holds; its own `add` refuses
    # attributes with a value.
    attributes = builder.function.attributes
    set.add(attributes, f'"prefer-vector-width"="{widest()}"')


@lowered(_statement, _prefer_widest)
def widest_vectors() -> None:
    """Loops of this kernel use vectors as wide as the machine's registers."""
