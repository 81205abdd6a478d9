"""`--opportunities-out`: the opportunities open at the end of a run, one JSON line each.

Amounts are decimal strings in raw units of their tokens, addresses lower-case hex. Lines come in the order of the
paths' numbers, which is that of their entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from disruptor.handlers.path_visit import FORWARD
from disruptor.replay.line_file import write_lines
from disruptor.state import State


def write_opportunities(state: State, path: str) -> int:
    """Write what is open to `path`, replacing it in one step; returns the number of lines.

    Raises
    ------
    InputError : the file can't be written.
    """
    return write_lines(path, "--opportunities-out", opportunity_lines(state))


def opportunity_lines(state: State) -> Iterator[dict[str, Any]]:
    """What is open, as plain objects. `profit` is gross; `gas_cost_wei` is 0 where gas is not counted or not known."""
    block = int(state.rows("chain")[0]["block_number"])
    count = int(state.rows("path_cursor")[0]["path_count"])
    paths, answers = state.rows("paths")[:count], state.rows("path_state")
    for number in paths["open"].nonzero()[0]:
        answer, hops = answers[number], _hops(state, paths[number])
        token = "token0" if hops[0][1] else "token1"
        yield {
            "block": block,
            "opened_block": int(answer["opened_block"]),
            "amount_in": _integer(answer["amount_in"]),
            "token_in": _hex(state.rows("pool_directory")[hops[0][0]][f"{token}_address"]),
            "profit": _integer(answer["profit"]),
            "gas_cost_wei": str(int(answer["gas_cost_wei"])),
            "path": [
                {
                    "pool": _hex(state.rows("pool_directory")[pool]["address"]),
                    "zero_for_one": zero_for_one,
                    "amount_out": _integer(answer[f"out{k}"]),
                }
                for k, (pool, zero_for_one) in enumerate(hops)
            ],
        }


def _hops(state: State, path: Any) -> list[tuple[int, bool]]:
    """(pool id, zero_for_one) in the order of the swaps."""
    hops = int(path["hops"])
    stored = [(int(path[f"pool{k}"]), bool(path["zero_for_one"] >> k & 1)) for k in range(hops)]
    if path["open"] == FORWARD:
        return stored
    return [(pool, not zero_for_one) for pool, zero_for_one in reversed(stored)]


def _integer(limbs: npt.NDArray[Any]) -> str:
    return str(int.from_bytes(limbs.tobytes(), "little"))


def _hex(octets: npt.NDArray[Any]) -> str:
    return "0x" + octets.tobytes().hex()
