"""Atomic access to words that several threads or processes share, and a few processor hints.

Theory
------
A plain read in a compiled loop may be hoisted out of it (`while cursor[0] < n` becomes an endless empty loop)
and a plain write may sink below a later one. Every word that another thread or process may write or read is
therefore reached only through the functions here. In kernels they become LLVM atomic instructions with the
order in their name; on x86-64 an acquire load and a release store are ordinary moves, so the price is only
what the compiler may not do.

Each name is also a plain Python function, the twin, which runs when Python calls it and when the JIT is off.
MEMORY ORDER: a twin reads or writes one aligned 8-byte word through numpy, which x86-64 neither tears nor
reorders against other loads (stores); the interpreter adds nothing weaker. The read-modify-write twins hold a
lock: atomic among the threads of one process, not between processes. Anything that must be atomic between
processes is called through a compiled kernel.

Indexes are not checked in compiled code (unless NUMBA_BOUNDSCHECK is set): validate at the edge.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy.typing as npt
from llvmlite import binding, ir
from numba import extending, types
from numba.core import cgutils as untyped_cgutils
from numba.core.errors import TypingError
from numba.extending import overload

# numba's own annotations describe the undecorated functions.
cgutils: Any = untyped_cgutils
intrinsic: Any = extending.intrinsic

_ON_X86 = binding.get_process_triple().startswith(("x86_64", "i686"))
_WORD = ir.IntType(64)
_HINT = ir.IntType(32)
_twin_lock = threading.Lock()


# --- the functions, as Python runs them ---------------------------------------------------------------------


def load_acquire(words: npt.NDArray[Any], index: int) -> int:
    """Read `words[index]`.

    MEMORY ORDER: acquire. No later load or store of this thread happens before it; what the writer did before
    its `store_release` of the value read is visible.
    """
    return words[index]  # type: ignore[no-any-return]


def store_release(words: npt.NDArray[Any], index: int, value: int) -> None:
    """Write `words[index] = value`.

    MEMORY ORDER: release. No earlier load or store of this thread happens after it.
    """
    words[index] = value


def load_relaxed(words: npt.NDArray[Any], index: int) -> int:
    """Read a word that this thread alone writes, or whose age does not matter.

    MEMORY ORDER: monotonic. Never torn, never hoisted out of a loop; orders nothing else.
    """
    return words[index]  # type: ignore[no-any-return]


def store_relaxed(words: npt.NDArray[Any], index: int, value: int) -> None:
    """Write a word whose readers draw no conclusion about other memory: counters.

    MEMORY ORDER: monotonic. Never torn; orders nothing else.
    """
    words[index] = value


def fetch_add(words: npt.NDArray[Any], index: int, amount: int) -> int:
    """Add `amount` to `words[index]` and return the value before.

    MEMORY ORDER: sequentially consistent; a full fence on x86-64.
    """
    with _twin_lock:
        before = words[index]
        words[index] = before + amount
    return before  # type: ignore[no-any-return]


def compare_and_swap(words: npt.NDArray[Any], index: int, expected: int, desired: int) -> bool:
    """Write `desired` if `words[index]` is `expected`; True if it was written.

    MEMORY ORDER: sequentially consistent, whether it writes or not.
    """
    with _twin_lock:
        if words[index] != expected:
            return False
        words[index] = desired
    return True


def fence() -> None:
    """Order everything before against everything after, a store against a later load included.

    MEMORY ORDER: sequentially consistent fence. The twin takes and frees a lock, which is a full fence on
    x86-64.
    """
    with _twin_lock:
        pass


def pause() -> None:
    """Tell the processor that this is a spin loop: `pause` on x86, nothing elsewhere and in Python."""


def cycle_counter() -> int:
    """Return a count of processor cycles, for measuring; the twin counts nanoseconds.

    DETERMINISM: never in a handler. The count differs between runs, and between sockets.
    """
    return time.perf_counter_ns()


def prefetch(rows: npt.NDArray[Any], index: int) -> None:
    """Bring the first cache line of `rows[index]` close, for reading; nothing in Python.

    `rows` is one-dimensional of any dtype. An index outside the array is harmless.
    """


# --- the same, as LLVM sees them ----------------------------------------------------------------------------


def _check_words(words: Any, index: Any) -> None:
    if not (isinstance(words, types.Array) and words.ndim == 1 and words.dtype == types.int64):
        raise TypingError(f"atomics work on one-dimensional int64 arrays, not {words}")
    if not isinstance(index, types.Integer | types.IntegerLiteral):
        raise TypingError(f"atomics take an integer index, not {index}")


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index_type: Any, index: Any) -> Any:
    """Address of one element, honouring strides and NUMBA_BOUNDSCHECK."""
    view = context.make_array(array_type)(context, builder, array)
    position = context.cast(builder, index, index_type, types.intp)
    checked = None if array_type.dtype != types.int64 else context.enable_boundscheck
    return cgutils.get_item_pointer(
        context, builder, array_type, view, [position], wraparound=False, boundscheck=bool(checked)
    )


def _load(ordering: str) -> Any:
    @intrinsic
    def load(typing_context: Any, words: Any, index: Any) -> Any:
        _check_words(words, index)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
            return builder.load_atomic(pointer, ordering, 8, typ=_WORD)

        return types.int64(words, index), codegen

    return load


def _store(ordering: str) -> Any:
    @intrinsic
    def store(typing_context: Any, words: Any, index: Any, value: Any) -> Any:
        _check_words(words, index)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
            builder.store_atomic(args[2], pointer, ordering, 8)
            return context.get_dummy_value()

        return types.void(words, index, types.int64), codegen

    return store


_load_acquire, _load_relaxed = _load("acquire"), _load("monotonic")
_store_release, _store_relaxed = _store("release"), _store("monotonic")


@intrinsic
def _fetch_add(typing_context: Any, words: Any, index: Any, amount: Any) -> Any:
    _check_words(words, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.int64(words, index, types.int64), codegen


@intrinsic
def _compare_and_swap(typing_context: Any, words: Any, index: Any, expected: Any, desired: Any) -> Any:
    _check_words(words, index)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
        outcome = builder.cmpxchg(pointer, args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(outcome, 1)

    return types.boolean(words, index, types.int64, types.int64), codegen


@intrinsic
def _fence(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _pause(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _ON_X86:
            hint = ir.FunctionType(ir.VoidType(), ())
            builder.call(cgutils.get_or_insert_function(builder.module, hint, "llvm.x86.sse2.pause"), ())
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _cycle_counter(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        counter = ir.FunctionType(_WORD, ())
        return builder.call(
            cgutils.get_or_insert_function(builder.module, counter, "llvm.readcyclecounter"), ()
        )

    return types.int64(), codegen


@intrinsic
def _prefetch(typing_context: Any, rows: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        position = context.cast(builder, args[1], signature.args[1], types.intp)
        address = builder.add(
            builder.ptrtoint(view.data, _WORD), builder.mul(position, builder.extract_value(view.strides, 0))
        )
        byte_pointer = ir.IntType(8).as_pointer()
        target = builder.inttoptr(address, byte_pointer)
        hint = ir.FunctionType(ir.VoidType(), (byte_pointer, _HINT, _HINT, _HINT))
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0")
        # read, keep in all levels, data cache
        builder.call(function, (target, _HINT(0), _HINT(3), _HINT(1)))
        return context.get_dummy_value()

    return types.void(rows, index), codegen


# --- which name means what inside a kernel ------------------------------------------------------------------
# strict=False because numba compares annotations as well, and a lambda has none.


@overload(load_acquire, strict=False)
def _overload_load_acquire(words: Any, index: Any) -> Any:
    return lambda words, index: _load_acquire(words, index)


@overload(load_relaxed, strict=False)
def _overload_load_relaxed(words: Any, index: Any) -> Any:
    return lambda words, index: _load_relaxed(words, index)


@overload(store_release, strict=False)
def _overload_store_release(words: Any, index: Any, value: Any) -> Any:
    return lambda words, index, value: _store_release(words, index, value)


@overload(store_relaxed, strict=False)
def _overload_store_relaxed(words: Any, index: Any, value: Any) -> Any:
    return lambda words, index, value: _store_relaxed(words, index, value)


@overload(fetch_add, strict=False)
def _overload_fetch_add(words: Any, index: Any, amount: Any) -> Any:
    return lambda words, index, amount: _fetch_add(words, index, amount)


@overload(compare_and_swap, strict=False)
def _overload_compare_and_swap(words: Any, index: Any, expected: Any, desired: Any) -> Any:
    return lambda words, index, expected, desired: _compare_and_swap(words, index, expected, desired)


@overload(fence)
def _overload_fence() -> Any:
    return lambda: _fence()


@overload(pause)
def _overload_pause() -> Any:
    return lambda: _pause()


@overload(cycle_counter)
def _overload_cycle_counter() -> Any:
    return lambda: _cycle_counter()


@overload(prefetch, strict=False)
def _overload_prefetch(rows: Any, index: Any) -> Any:
    if isinstance(rows, types.Array) and rows.ndim == 1:
        return lambda rows, index: _prefetch(rows, index)
    return None
