"""Uniswap's arithmetic as cases: Python integers in, status and Python integers out. One kernel for all functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers import reverts
from disruptor.handlers.fixed_point import DIVISION_BY_ZERO, OVERFLOW, UNDERFLOW
from disruptor.handlers.sqrt_price_math import (
    amount0_delta,
    next_price_from_amount0,
    next_price_from_amount1,
    next_price_from_input,
    next_price_from_output,
    signed_amount0_delta,
    signed_amount1_delta,
    token1_between,
)
from disruptor.handlers.swap_math import add_delta, compute_swap_step, less_fee
from disruptor.handlers.uniswap_v2 import amount_received, get_amount_in, get_amount_out, k_holds
from disruptor.handlers.wide import load, store
from disruptor.jit import jit
from disruptor.status import OK
from tests.support.uniswap_oracle import Revert
from tests.support.wide_records import CASE, filled, number

FUNCTIONS = (
    "amount0Delta",
    "amount1Delta",
    "signedAmount0Delta",
    "signedAmount1Delta",
    "nextPriceFromInput",
    "nextPriceFromOutput",
    "nextPriceFromAmount0",
    "nextPriceFromAmount1",
    "swapStep",
    "addDelta",
    "lessFee",
    "getAmountOut",
    "getAmountIn",
    "kHolds",
)
(
    _AMOUNT0,
    _AMOUNT1,
    _SIGNED0,
    _SIGNED1,
    _FROM_INPUT,
    _FROM_OUTPUT,
    _FROM0,
    _FROM1,
    _STEP,
    _ADD_DELTA,
    _LESS_FEE,
    _V2_OUT,
    _V2_IN,
    _K,
) = range(len(FUNCTIONS))
#: How many results a function has, the first ones of these fields.
_RESULTS = {"swapStep": 4, "kHolds": 2}
_SIGNED_RESULTS = {"signedAmount0Delta", "signedAmount1Delta"}
_FIELDS = ("p", "q", "r", "s")
#: Statuses that an oracle's reason may be: where Solidity refuses, kernels say more precisely why.
STATUSES = {
    "overflow": {OVERFLOW, reverts.PRICE_OVERFLOW},
    "underflow": {UNDERFLOW},
    "division by zero": {DIVISION_BY_ZERO, reverts.NO_LIQUIDITY},
    "price": {reverts.PRICE_OVERFLOW, reverts.PRICE_OUT_OF_RANGE, reverts.NO_LIQUIDITY},
    "fee": {reverts.FEE_OUT_OF_RANGE},
    **{reason: {status} for status, reason in reverts.REASONS.items()},
}


@entry_uncounted
def run_maths(cases):  # type: ignore[no-untyped-def]
    """Compute each case."""
    for k in range(len(cases)):
        case = cases[k]
        if case["function"] >= _V2_OUT:
            _pair(case)
        elif case["function"] >= _STEP:
            _swap_math(case)
        else:
            _price_math(case)


@jit
def _price_math(case):  # type: ignore[no-untyped-def]
    function, flag = case["function"], case["flag"] != 0
    a, b, c = load(case["a"]), load(case["b"]), load(case["c"])
    status = np.int64(OK)
    if function == _AMOUNT0:
        status, found = amount0_delta(a, b, c, flag)
    elif function == _AMOUNT1:
        found = token1_between(a, b, c, flag)
    elif function == _SIGNED0:
        status, found = signed_amount0_delta(a, b, c)
    elif function == _SIGNED1:
        found = signed_amount1_delta(a, b, c)
    elif function == _FROM_INPUT:
        status, found = next_price_from_input(a, b, c, flag)
    elif function == _FROM_OUTPUT:
        status, found = next_price_from_output(a, b, c, flag)
    elif function == _FROM0:
        status, found = next_price_from_amount0(a, b, c, flag)
    else:
        status, found = next_price_from_amount1(a, b, c, flag)
    case["status"] = status
    store(case["p"], found)


@jit
def _swap_math(case):  # type: ignore[no-untyped-def]
    function = case["function"]
    a, b, c, d = load(case["a"]), load(case["b"]), load(case["c"]), load(case["d"])
    if function == _STEP:
        found = compute_swap_step(a, b, c, d, case["flag"] != 0, case["number"])
        case["status"] = found[0]
        store(case["p"], found[1])
        store(case["q"], found[2])
        store(case["r"], found[3])
        store(case["s"], found[4])
    elif function == _ADD_DELTA:
        case["status"], total = add_delta(a, b)
        store(case["p"], total)
    else:
        store(case["p"], less_fee(a, case["number"]))


@jit
def _pair(case):  # type: ignore[no-untyped-def]
    a, b, c = load(case["a"]), load(case["b"]), load(case["c"])
    if case["function"] == _V2_OUT:
        case["status"], found = get_amount_out(a, b, c, case["number"])
        store(case["p"], found)
    elif case["function"] == _V2_IN:
        case["status"], found = get_amount_in(a, b, c, case["number"])
        store(case["p"], found)
    else:
        d, e, f = load(case["d"]), load(case["e"]), load(case["f"])
        case["status"] = k_holds(a, b, c, d, e, f, case["number"])
        store(case["p"], amount_received(a, c, e))
        store(case["q"], amount_received(b, d, f))


def computed(function: str, arguments: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """(status, results...) of a function for each of its argument lists, in the oracle's order of arguments."""
    cases = filled(CASE, (_case(function, list(given)) for given in arguments))
    run_maths(cases)
    names = _FIELDS[: _RESULTS.get(function, 1)]
    signed = function in _SIGNED_RESULTS
    return [(int(case["status"]), *(number(case[n], signed=signed) for n in names)) for case in cases]


def _case(function: str, given: list[Any]) -> dict[str, int]:
    fields: dict[str, Any] = {"function": FUNCTIONS.index(function)}
    if function == "swapStep":
        fields |= {"flag": given[3] >= 0, "number": given[4]}
        given = [*given[:3], abs(given[3])]
    elif function in ("getAmountOut", "getAmountIn", "kHolds", "lessFee"):
        fields["number"] = given.pop()
    elif given and isinstance(given[-1], bool):
        fields["flag"] = given.pop()
    return fields | dict(zip("abcdef", given, strict=False))


def agrees(function: str, oracle: Callable[..., Any], arguments: Sequence[Sequence[int]]) -> None:
    """Hold a function against the oracle's, reverts against statuses."""
    for given, (status, *found) in zip(arguments, computed(function, arguments), strict=True):
        try:
            expected = oracle(*given)
        except Revert as refused:
            assert status in STATUSES[str(refused)], (function, given, status, refused)
            continue
        assert status == OK, (function, given, status)
        assert found == list(expected if isinstance(expected, tuple) else (expected,)), (function, given)
