"""`--from-snapshot`: a replay that begins behind a snapshot of its journal instead of at the first event.

State is that of a run from the start. Outputs are those of the events that are replayed: with a lower bound
(`--from-*`) all that count, because only a snapshot before the bound is used; without one, those behind the snapshot.
Where no snapshot may be used the run begins at the start, and says why.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from disruptor.errors import InputError
from disruptor.journal.snapshot_layout import SnapshotFacts
from disruptor.replay.request import ReplayRequest
from disruptor.replay.restore import Restored, RunIdentity
from disruptor.replay.session import Session

_SECOND_NS = 1_000_000_000


class Beginning(NamedTuple):
    """Where a replay begins.

    Attributes
    ----------
    restored : what became of the snapshots; None: none was asked for
    block : the block that is open before the first event
    partial : whether outputs of earlier events count, and are not there
    """

    restored: Restored | None
    block: int
    partial: bool

    def to_json(self) -> dict[str, Any] | None:
        """What the report says as `snapshot`."""
        if self.restored is None:
            return None
        return {
            "sequence": self.restored.sequence,
            "changed": list(self.restored.changed),
            "problems": [problem.to_json() for problem in self.restored.problems],
        }


def check_request(request: ReplayRequest) -> None:
    """Refuse what a part of the outputs is not enough for.

    Raises
    ------
    InputError : an option that needs the whole stream.
    """
    if not request.from_snapshot:
        return
    if request.write_journal is not None:
        raise InputError("--from-snapshot: --write-journal needs all events: leave one out")
    if not _has_lower_bound(request):
        for option, value in (("--record", request.record), ("--check", request.check)):
            if value is not None:
                raise InputError(
                    f"--from-snapshot: {option} needs all outputs that count: add --from-seq, --from-block or "
                    "--from-time, or leave one out"
                )


def begin(session: Session, request: ReplayRequest, identity: RunIdentity) -> Beginning:
    """Restore the newest snapshot that leaves out nothing within the request's bounds, if one is asked for.

    Raises
    ------
    InputError : the source is not a journal as it is. CapacityError : a table is too small for the snapshot.
    """
    if not request.from_snapshot:
        return Beginning(None, 0, partial=False)
    ends = [request.to_seq] if request.to_seq is not None else []
    ends += [request.from_seq - 1] if request.from_seq is not None else []
    restored = session.restore(
        identity,
        min(ends, default=None),
        accept=lambda facts: leaves_out_nothing(facts, request),
        allow_code_change=request.allow_code_change,
    )
    chain = session.processor.state.arrays.get("chain")
    block = 0 if chain is None else int(chain.rows[0]["block_number"])
    return Beginning(restored, block, partial=restored.sequence is not None and not _has_lower_bound(request))


def _has_lower_bound(request: ReplayRequest) -> bool:
    return (request.from_seq, request.from_block, request.from_time) != (None, None, None)


def leaves_out_nothing(facts: SnapshotFacts, request: ReplayRequest) -> bool:
    """Whether the first block that counts begins behind a snapshot, and the last one does not end before it."""
    if request.from_block is not None or request.to_block is not None:
        if facts.block is None:
            return False
        if request.from_block is not None and facts.block >= request.from_block:
            return False
        if request.to_block is not None and facts.block > request.to_block:
            return False
    seconds = facts.event_time_ns // _SECOND_NS
    if request.from_time is not None and not 0 < seconds < request.from_time:
        return False
    return request.to_time is None or 0 < seconds <= request.to_time
