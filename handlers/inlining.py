"""What LLVM is told about a kernel: whether its calls may be replaced by its body, and what seldom runs.

Every function that a kernel reaches is optimised again inside it, so a division that is pasted into dozens of places
costs seconds of compile time; left to itself LLVM also leaves small steps of it as calls, which pass wide integers
through memory. Each function here is a statement in the body of a kernel, about that kernel; it costs nothing at run
time, and does nothing with the JIT off.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from disruptor.handlers.wide_type import lowered


def _statement() -> Any:
    return types.void()


def _attribute_ir(name: str) -> Any:
    def emit(builder: Any, _sig: Any) -> None:
        builder.function.attributes.add(name)

    return emit


def _seldom_ir(builder: Any, _sig: Any) -> None:
    """A side effect without code: LLVM may not run the branch's body ahead of the branch."""
    nothing = ir.FunctionType(ir.VoidType(), [])
    builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.sideeffect"), [])


@lowered(_statement, _attribute_ir("noinline"))
def never_inlined() -> None:
    """This kernel stays one function, however many places call it."""


@lowered(_statement, _attribute_ir("alwaysinline"))
def always_inlined() -> None:
    """Calls of this kernel are replaced by its body."""


@lowered(_statement, _seldom_ir)
def seldom() -> None:
    """The branch that says so is hardly ever taken: keep it a branch, do not compute both ways and select.

    A branch that goes as predicted costs nothing; a selection waits for its condition.
    """
