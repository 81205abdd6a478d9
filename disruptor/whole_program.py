"""Machine code only for what Python calls: a loop of a hundred functions is optimised once, as one program.

Left to itself numba finishes every function that a kernel reaches: it links in what that function calls, optimises
the whole and makes machine code of it, then does so again one level up. The built-in loop reaches some 300 functions,
a dozen levels deep, and nobody calls any but the outermost. Within `whole_program()` the inner ones stop at LLVM's
function-level passes, get no wrappers for Python, and are linked and optimised in the outermost alone.

    usual          f: link, optimise, assemble     g -> f: link both, optimise both, assemble both     ...
    here           f: IR                           g: IR                       loop: link all, optimise, assemble

If Python later calls an inner function itself, it is compiled again, in full: `Dispatcher.compile` outside of a
whole program takes an unfinished overload for none.

INVARIANT: what the outermost function computes does not depend on this; `tests/disruptor/test_whole_program.py` holds
both ways against each other.

The hooks below are on numba's own classes, for want of public ones. They do nothing outside of `whole_program()`, but
for the two cases named. A numba that lacks what they hook is left alone: compiling takes longer then.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from numba.core import codegen, cpu, dispatcher

_PARTS = (
    (dispatcher.Dispatcher, "compile"),
    (dispatcher.Dispatcher, "add_overload"),
    (dispatcher._FunctionCompiler, "_customize_flags"),  # type: ignore[attr-defined]
    (cpu.CPUContext, "get_executable"),
    (codegen.CPUCodeLibrary, "finalize"),
)
#: Whether this numba has everything that is hooked.
SUPPORTED = all(hasattr(owner, name) for owner, name in _PARTS)


class _Unfinished:
    """Stands for the entry point of a function without machine code; numba finds functions by it."""


class _Program:
    """How deep the compiler is. Numba's global compiler lock makes one enough for all threads."""

    active = False
    depth = 0


@contextlib.contextmanager
def whole_program() -> Iterator[None]:
    """Compile what is compiled in this block as whole programs. Not to be nested in another compilation."""
    before = _Program.active
    _Program.active = SUPPORTED and _Program.depth == 0
    try:
        yield
    finally:
        _Program.active = before


def _is_inner() -> bool:
    return _Program.active and _Program.depth > 1


def _compile(original: Any, self: Any, sig: Any) -> Any:
    """Count levels; outside of a whole program an unfinished overload is none."""
    if _Program.depth == 0:
        for args in [a for a, c in self.overloads.items() if isinstance(c.entry_point, _Unfinished)]:
            del self.overloads[args]
    _Program.depth += 1
    try:
        return original(self, sig)
    finally:
        _Program.depth -= 1


def _add_overload(original: Any, self: Any, cres: Any) -> None:
    """Keep an unfinished function from Python's callers; other kernels find it in `overloads`."""
    if isinstance(cres.entry_point, _Unfinished):
        self.overloads[tuple(cres.signature.args)] = cres
    else:
        original(self, cres)


def _customize_flags(original: Any, self: Any, flags: Any) -> Any:
    """No wrappers for callers that there can't be."""
    flags = original(self, flags)
    if _is_inner():
        flags.no_cpython_wrapper = True
        flags.no_cfunc_wrapper = True
    return flags


def _get_executable(original: Any, self: Any, library: Any, fndesc: Any, env: Any) -> Any:
    if _is_inner():
        library.unfinished = True
        return _Unfinished()
    return original(self, library, fndesc, env)


def _finalize(original: Any, self: Any) -> None:
    """An inner library is done when its functions are; the outermost links everything that any of them needs."""
    if getattr(self, "unfinished", False):
        self._finalize_dynamic_globals()
        self._finalized = True
        return
    self._linking_libraries = _reached(self._linking_libraries)
    original(self)


def _reached(libraries: list[Any]) -> list[Any]:
    """The libraries and, through the unfinished ones, those that they link to: each once, and callers before callees.

    The order matters: LLVM's linker leaves out a function that nothing linked so far has asked for.
    """
    done: dict[Any, None] = {}
    waiting = [(library, False) for library in libraries]
    while waiting:
        library, callees_done = waiting.pop()
        if callees_done:
            done[library] = None
        elif library not in done:
            waiting.append((library, True))
            if getattr(library, "unfinished", False):
                waiting += [(callee, False) for callee in library._linking_libraries]
    return list(reversed(done))


def _install() -> None:
    """Put the hooks in place, once."""
    hooks = (_compile, _add_overload, _customize_flags, _get_executable, _finalize)
    for (owner, name), hook in zip(_PARTS, hooks, strict=True):
        original = getattr(owner, name)

        def hooked(*args: Any, hook: Any = hook, original: Any = original, **kwargs: Any) -> Any:
            return hook(original, *args, **kwargs)

        setattr(owner, name, functools.wraps(original)(hooked))


if SUPPORTED:
    _install()
