"""What a sink gets beside each opportunity: the route that follows it, and what the pools of the route are.

The layout of `ArbitrageOpportunity` is fixed and has room for two pools. The rest of what is to be said comes as the
output right after it, an `ArbitragePath`. Sinks are handed one type at a time, so the two are put together here, where
outputs still stand in their order. What does not change while a pool lives (kind, fee, tokens) is in no output: it is
looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.handlers.messages import ArbitragePath
from disruptor.handlers.path_tables import MAX_HOPS
from disruptor.message import header_dtype
from disruptor.state import State

Columns = dict[str, npt.NDArray[Any]]


def route_columns(outputs: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp]) -> Columns:
    """The fields of the `ArbitragePath` right after each of some outputs.

    Parameters
    ----------
    outputs : (n, slot size), in the order in which they were emitted
    rows : (m,) of the opportunities among them

    Returns
    -------
    Each field's name to its column of m rows. An opportunity that no path follows, as a user's handler may emit it,
    has zeros: 0 hops.
    """
    flat, slot_size = outputs.reshape(-1), outputs.shape[1]
    types = flat.view(header_dtype(slot_size))["type_id"]
    after = np.minimum(rows + 1, len(outputs) - 1)
    alone = types[after] != ArbitragePath.type_id
    paths = flat.view(ArbitragePath.slot_dtype(slot_size))[after]
    columns = {name: paths[name].copy() for name in ArbitragePath.fields}
    for column in columns.values():
        column[alone] = 0
    return columns


def pool_columns(state: State, route: Columns) -> Columns:
    """What the pools of routes are, each name with the number of the hop; hops that a route does not have are zeros.

    `kind` and `fee` (millionths) of every hop, and `token_in` (20 bytes) of the third and fourth: the first two tokens
    are the `token_pair` of the opportunity itself.
    """
    directory, pools = state.arrays["pool_directory"].rows, state.arrays["pools"].rows
    columns: Columns = {}
    for hop in range(MAX_HOPS):
        there = hop < route["hops"]
        pool = np.where(there, route[f"pool{hop}"], 0)
        names = directory[pool]
        columns[f"kind{hop}"] = np.where(there, names["kind"], 0).astype(np.uint32)
        columns[f"fee{hop}"] = np.where(there, pools[pool]["fee"], 0).astype(np.uint32)
        if hop >= 2:
            sells_token0 = (route["zero_for_one"] >> np.uint32(hop) & np.uint32(1)).astype(np.bool_)
            token = np.where(sells_token0[:, None], names["token0_address"], names["token1_address"])
            columns[f"token_in{hop}"] = np.where(there[:, None], token, 0).astype(np.uint8)
    return columns
