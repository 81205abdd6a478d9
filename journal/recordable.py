"""What may be recorded, and how much of it in whole frames: pure functions over slots."""

from __future__ import annotations

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.layout import FRAME_HEADER_SIZE, Bytes
from disruptor.journal.salvage import SECTOR_SIZE
from disruptor.message import header_dtype

_NUMBERS = np.arange(1 << 16)


def check_slots(slots: Bytes, next_sequence: int) -> None:
    """Refuse slots that are not the next ones, or that no reader could take for written.

    Raises
    ------
    JournalError : names the slot.
    """
    headers = slots.reshape(-1).view(header_dtype(slots.shape[1]))
    behind = headers["sequence"] - next_sequence
    wanted = _NUMBERS[: len(slots)] if len(slots) <= len(_NUMBERS) else np.arange(len(slots))
    if not ((behind == wanted).all() and headers["type_id"].all()):
        wrong = np.flatnonzero((behind != wanted) | (headers["type_id"] == 0))
        at = int(wrong[0])
        raise JournalError(
            f"journal: slot {at} of a batch is sequence {int(headers['sequence'][at])}, type "
            f"{int(headers['type_id'][at])}; expected sequence {next_sequence + at} and a type"
        )


def whole_frames(slots: Bytes, frame_slots: int) -> int:
    """How many whole frames these slots begin with that could be proven torn if they were.

    A frame's last sector may be partial, with nothing in it but the end of the last slot; where that is zero, nobody
    could tell whether it was written.
    """
    count = len(slots) // frame_slots
    partial = (FRAME_HEADER_SIZE + frame_slots * slots.shape[1]) % SECTOR_SIZE
    if not 0 < partial < slots.shape[1]:  # full, or with the last slot's header in it
        return count
    ends = slots[frame_slots - 1 : count * frame_slots : frame_slots, -partial:]
    unseen = np.flatnonzero(~ends.any(axis=1))
    return int(unseen[0]) if len(unseen) else count
