"""A run: what every source of events gives and the processor takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Run(NamedTuple):
    """Consecutive events.

    slots : (n, slot_size) uint8, C-contiguous, valid until the next run is asked for
    first : sequence of the first slot
    """

    slots: npt.NDArray[np.uint8]
    first: int
