"""Compiling as one program: the same results, inner functions that stay callable, programs that share them."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor import whole_program as module
from disruptor.jit import JIT_DISABLED, jit
from disruptor.whole_program import whole_program

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled with the JIT off")


def make():
    """A diamond of kernels: both middle ones call the lowest."""

    @jit
    def lowest(x):
        return x * 3 + 1

    @jit
    def left(x):
        return lowest(x) - 2

    @jit
    def right(x):
        return lowest(lowest(x))

    @jit
    def outermost(xs):
        total = 0
        for x in xs:
            total += left(x) * right(x)
        return total

    return lowest, left, right, outermost


def expected(xs):
    return sum((3 * x + 1 - 2) * (3 * (3 * x + 1) + 1) for x in xs)


XS = np.arange(10)


def test_supported_by_this_numba():
    assert module.SUPPORTED


def test_gives_what_separate_compilation_gives():
    *_, usual = make()
    *_, whole = make()
    with whole_program():
        whole.compile((module_typeof(XS),))
    assert whole(XS) == usual(XS) == expected(range(10))


def test_inner_functions_have_no_code_until_python_calls_them():
    lowest, left, right, outermost = make()
    with whole_program():
        outermost.compile((module_typeof(XS),))
    for inner in (lowest, left, right):
        (result,) = inner.overloads.values()
        assert isinstance(result.entry_point, module._Unfinished)
    assert (lowest(4), left(4), right(4)) == (13, 11, 40)
    (result,) = right.overloads.values()
    assert not isinstance(result.entry_point, module._Unfinished)
    assert outermost(XS) == expected(range(10))


def test_a_second_program_shares_unfinished_functions():
    lowest, left, _, outermost = make()

    @jit
    def other(xs):
        return left(xs[0]) + lowest(xs[1])

    with whole_program():
        outermost.compile((module_typeof(XS),))
        other.compile((module_typeof(XS),))
    assert (outermost(XS), other(XS)) == (expected(range(10)), -1 + 4)


def test_a_kernel_compiled_as_usual_may_call_unfinished_ones():
    _, left, _, outermost = make()
    with whole_program():
        outermost.compile((module_typeof(XS),))

    @jit
    def usual(x):
        return left(x) + 1

    assert usual(5) == 15


def module_typeof(value):
    from numba import typeof

    return typeof(value)
