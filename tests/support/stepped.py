"""A recorded stream encoded once and processed piece by piece: up to a log, or to a block's end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from disruptor.config.loader import load_settings
from disruptor.handlers.messages import BUILT_IN, BlockEnd, BlockStart
from disruptor.processor import plain_allocate
from disruptor.replay.events import Inputs, open_events
from disruptor.replay.program import Memory, build_handler_set, build_processor
from tests.harness import SMALL

#: Messages of logs begin alike: pool id, log index, transaction index.
_LOGGED = [m.type_id for m in BUILT_IN if m.type_id < 100 and "log_index" in m.fields and m.type_id > 10]
_START, _END = BlockStart.slot_dtype(192), BlockEnd.slot_dtype(192)
_PLACE = np.dtype(
    {"names": ["type_id", "log_index"], "formats": ["<u2", "<u4"], "offsets": [24, 36], "itemsize": 192}
)


def _no_outputs(outputs: npt.NDArray[np.uint8]) -> None:
    """Nobody asked for outputs."""


class Stepped:
    """All slots of a stream, and a processor that goes as far as it is told.

    Parameters
    ----------
    sources, pools, blocks : files, as the command line takes them
    sets : settings on top of `SMALL`
    consume : takes outputs, (n, 192) uint8
    """

    def __init__(
        self,
        sources: Sequence[Path],
        *sets: str,
        pools: Sequence[Path] = (),
        blocks: Sequence[Path] = (),
        consume: Callable[[npt.NDArray[np.uint8]], None] = _no_outputs,
    ) -> None:
        settings, _ = load_settings(None, [*SMALL, *sets])
        told = [tuple(map(str, paths)) for paths in (sources, pools, blocks)]
        events = open_events(Inputs(*told, False, False), settings, Memory(settings))
        self.slots = np.concatenate([run.slots.copy() for run in events.runs()])
        self.warnings = dict(events.warnings)
        self.processor = build_processor(
            build_handler_set(settings), settings, plain_allocate, events.chain_id
        )
        self.state, self._consume = self.processor.state, consume
        self._index()

    def _index(self) -> None:
        """Where each log is, and each block's end."""
        flat = self.slots.reshape(-1)
        places = flat.view(_PLACE)
        starts = places["type_id"] == BlockStart.type_id
        numbers = np.concatenate([[0], flat.view(_START)["number"][starts]])
        blocks = numbers[np.cumsum(starts)]
        logged = np.flatnonzero(np.isin(places["type_id"], _LOGGED))
        self.at = {(int(blocks[k]), int(places["log_index"][k])): int(k) for k in logged}
        ends = np.flatnonzero(places["type_id"] == BlockEnd.type_id)
        self.end_of = {int(blocks[k]): int(k) + 1 for k in ends}

    def run_to(self, end: int) -> None:
        """Process every event before slot `end`."""
        first = self.processor.next_sequence
        if first < end:
            self.processor.process(self.slots, first, end, self._consume, base=0)

    def counters(self, table: str) -> dict[str, int]:
        """The only row of a table."""
        row = self.state.arrays[table].rows[0]
        return {name: int(row[name]) for name in row.dtype.names}

    def pool_ids(self) -> dict[str, int]:
        """Pools that are registered, by address."""
        rows = self.state.rows("pool_directory")
        return {"0x" + row["address"].tobytes().hex(): k for k, row in enumerate(rows)}
