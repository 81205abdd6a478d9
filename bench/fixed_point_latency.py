"""Nanoseconds an operation of `disruptor.handlers.fixed_point` takes, beside Python's own integers in the same run.

    python -m bench.fixed_point_latency [--json] [--turns N]

Each operation runs in a loop inside one kernel, and each turn's operand depends on the result before it, as in a swap:
what is measured is latency, the load of three operands included. Operands have the widths named. The median of the runs
counts, in processor time, so that what else runs on the machine shows less. The compile seconds are those of a kernel
with one call of mul_div, everything it needs included, and of another with ten.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from disruptor.handlers.fixed_point import divide, mul_div, sqrt256, sqrt512
from disruptor.handlers.wide import add, load, low64, mul, mul_wide, narrow, pair, split256, to_f64, u256
from disruptor.jit import jit, jit_uncounted

ROWS = 64
ONE = np.uint64(1)
RUNS = 9
LIMBS = ("<u8", (4,))
OPERANDS = np.dtype([(name, *LIMBS) for name in ("a", "b", "d")])


class Case(NamedTuple):
    """An operation on operands of so many bits, and what it is in Python."""

    name: str
    bits: tuple[int, int, int]
    kernel: Any
    python: Callable[[int, int, int], Any]


@jit
def _product(a, b, d):  # type: ignore[no-untyped-def]
    return narrow(mul_wide(a, b))


@jit
def _quotient(a, b, d):  # type: ignore[no-untyped-def]
    return divide(mul(a, b), d)[0]


@jit
def _v2_quote(amount_in, reserve_out, reserve_in):  # type: ignore[no-untyped-def]
    kept = mul(amount_in, u256(997))
    return divide(mul(kept, reserve_out), add(mul(reserve_in, u256(1000)), kept))[0]


@jit
def _mul_div(a, b, d):  # type: ignore[no-untyped-def]
    return mul_div(a, b, d)[1]


@jit
def _sqrt256(a, b, d):  # type: ignore[no-untyped-def]
    return sqrt256(mul(a, b))


@jit
def _sqrt512(a, b, d):  # type: ignore[no-untyped-def]
    return sqrt512(pair(a, b))


@jit
def _float(a, b, d):  # type: ignore[no-untyped-def]
    return u256(np.int64(to_f64(mul(a, b)) > 1e30))


def _python_quote(amount_in: int, reserve_out: int, reserve_in: int) -> int:
    kept = amount_in * 997
    return kept * reserve_out // (reserve_in * 1000 + kept)


CASES = (
    Case("product to 512 bits", (256, 256, 1), _product, lambda a, b, d: a * b),
    Case("V2 quote", (80, 112, 112), _v2_quote, _python_quote),
    Case("quotient by 120 bits", (80, 112, 120), _quotient, lambda a, b, d: a * b // d),
    Case("quotient by 160 bits", (128, 127, 160), _quotient, lambda a, b, d: a * b // d),
    Case("mul_div by 100 bits", (90, 110, 100), _mul_div, lambda a, b, d: a * b // d),
    Case("mul_div by 160 bits", (224, 100, 160), _mul_div, lambda a, b, d: a * b // d),
    Case("mul_div by 160 bits", (224, 160, 160), _mul_div, lambda a, b, d: a * b // d),
    Case("mul_div by 224 bits", (224, 160, 224), _mul_div, lambda a, b, d: a * b // d),
    Case("mul_div by 256 bits", (255, 256, 256), _mul_div, lambda a, b, d: a * b // d),
    Case("root of 256 bits", (128, 128, 1), _sqrt256, lambda a, b, d: math.isqrt(a * b)),
    Case("root of 512 bits", (256, 256, 1), _sqrt512, lambda a, b, d: math.isqrt(a << 256 | b)),
    Case("nearest float", (128, 128, 1), _float, lambda a, b, d: float(a * b)),
)


def chained(operation: Any) -> Any:
    """A kernel that runs `operation` over the rows, each operand `b` changed by the result before."""

    @jit_uncounted
    def kernel(rows, turns):  # type: ignore[no-untyped-def]
        last = u256(0)
        for turn in range(turns):
            row = rows[turn & (ROWS - 1)]
            w3, w2, w1, w0 = split256(last)
            bit = u256((w3 ^ w2 ^ w1 ^ w0) & ONE)
            last = operation(load(row["a"]), load(row["b"]) ^ bit, load(row["d"]))
        return low64(last)

    return kernel


def operands(bits: tuple[int, int, int], source: random.Random) -> list[tuple[int, int, int]]:
    """Numbers of exactly these widths."""

    def number(width: int) -> int:
        return source.getrandbits(width) | 1 << (width - 1)

    return [(number(bits[0]), number(bits[1]), number(bits[2])) for _ in range(ROWS)]


def packed(numbers: list[tuple[int, int, int]]) -> Any:
    """The numbers as records of limbs."""
    rows = np.zeros(len(numbers), OPERANDS)
    for at, triple in enumerate(numbers):
        for name, number in zip("abd", triple, strict=True):
            rows[name][at] = np.frombuffer(number.to_bytes(32, "little"), "<u8")
    return rows


def median_ns(work: Callable[[], Any], turns: int) -> float:
    """Median over the runs of the time of one turn."""
    work()
    spent = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        work()
        spent.append(time.thread_time_ns() - began)
    return statistics.median(spent) / turns


def measure(case: Case, turns: int) -> dict[str, Any]:
    """One line of the table."""
    numbers = operands(case.bits, random.Random(1))
    rows, kernel, python = packed(numbers), chained(case.kernel), case.python
    python_turns = max(1, turns // 20 // ROWS)

    def by_python() -> None:
        for _ in range(python_turns):
            for a, b, d in numbers:
                python(a, b, d)

    return {
        "operation": case.name,
        "bits": list(case.bits),
        "kernel_ns": round(median_ns(lambda: kernel(rows, turns), turns), 1),
        "python_ns": round(median_ns(by_python, python_turns * ROWS), 1),
    }


def compile_seconds() -> dict[str, float]:
    """Seconds to compile a kernel that calls mul_div once, cold, and then one that calls it ten times."""

    def seconds(calls: int) -> float:
        source = "def kernel(a, b, d):\n" + "    a = mul_div(a, b, d)[1]\n" * calls + "    return a\n"
        scope: dict[str, Any] = {"mul_div": mul_div}
        exec(source, scope)
        operation = jit(scope["kernel"])
        rows = packed(operands((90, 110, 100), random.Random(1)))
        began = time.thread_time()
        chained(operation)(rows, 1)
        return round(time.thread_time() - began, 2)

    return {"one_call": seconds(1), "ten_calls": seconds(10)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Latency of exact 256-bit arithmetic in kernels.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--turns", type=int, default=100_000, help="operations in a run (default 100000)")
    options = parser.parse_args(arguments)
    compiled = compile_seconds()
    found = [measure(case, options.turns) for case in CASES]
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    if options.json:
        print(json.dumps({"machine": machine, "compile_seconds": compiled, "operations": found}))
        return 0
    print(f"{'operation':24}{'bits':>16}{'kernel ns':>12}{'Python ns':>12}")
    for line in found:
        bits = "/".join(map(str, line["bits"]))
        print(f"{line['operation']:24}{bits:>16}{line['kernel_ns']:12}{line['python_ns']:12}")
    print(f"compile: {compiled['one_call']} s with one mul_div, {compiled['ten_calls']} s more with ten")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
