"""What a run executes: the handler set that settings and users' modules make, its processor, its identity."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.chain_keeper import Covered
from disruptor.errors import CapacityError, SettingError
from disruptor.handler import Handler
from disruptor.handler_set import HandlerSet
from disruptor.handlers import opportunities, swaps, token_conduct, tracking
from disruptor.handlers.messages import BUILT_IN
from disruptor.handlers.path_legs import leg_capacities
from disruptor.handlers.path_tables import MAX_HOPS
from disruptor.handlers.venue_state import settling_handlers
from disruptor.pages import PagePolicy, PagesObtained, reserve
from disruptor.processor import Processor
from disruptor.replay.path_setup import set_up_paths
from disruptor.replay.settings import RunSettings
from disruptor.replay.user_code import UserCode
from disruptor.ring_buffer import RingBuffer

#: Built-in messages that come in; what handlers emit has ids from 100 on.
INPUTS = tuple(m for m in BUILT_IN if m.type_id < 100)
_NOBODY = UserCode()


class Memory:
    """Hands out memory by the settings' page policy, up to `memory_pool_size`, and remembers what it got."""

    def __init__(self, settings: RunSettings) -> None:
        self.policy = PagePolicy(
            settings.huge_pages, settings.huge_page_size, True, settings.mlock, settings.numa_node
        )
        self.limit, self.taken = settings.memory_pool_size, 0
        self.obtained: list[PagesObtained] = []
        self._helper = ThreadPoolExecutor(1, "fault-in")
        self._pending: list[Future[PagesObtained]] = []

    def allocate(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Zeroed private memory; refuses what would exceed the limit. It is faulted in meanwhile: see `settle`."""
        self._count(nbytes)
        memory, finish = reserve(nbytes, self.policy)
        self._pending.append(self._helper.submit(finish))
        return memory

    def settle(self) -> None:
        """Wait until all memory is there, as the policy wants it; to be called before it is used in earnest.

        Raises
        ------
        MemoryPolicyError : it can't be had.
        """
        pending, self._pending = self._pending, []
        self.obtained += [future.result() for future in pending]

    def ring(self, capacity: int, slot_size: int, wait_strategy: str) -> RingBuffer:
        """An input ring, counted like all other memory."""
        self._count(capacity * slot_size)
        ring = RingBuffer.private(capacity, slot_size, policy=self.policy, wait_strategy=wait_strategy)
        self.obtained.append(ring.region.pages)
        return ring

    def _count(self, nbytes: int) -> None:
        if self.taken + nbytes > self.limit:
            raise CapacityError(
                f"memory: rings and tables need {self.taken + nbytes:,} bytes, memory_pool_size is "
                f"{self.limit:,}: raise it, or lower capacity.* and *_slots"
            )
        self.taken += nbytes

    def report(self) -> dict[str, Any]:
        """What was asked for and what was obtained, for `pages` in reports."""
        self.settle()
        kinds = sorted({f"{p.kind} {p.page_size}" for p in self.obtained})
        return {
            "asked": self.policy.huge_pages,
            "kinds": kinds,
            "bytes": sum(p.size for p in self.obtained),
            "huge_bytes": sum(p.huge_bytes for p in self.obtained),
            "locked": all(p.locked for p in self.obtained),
            "numa_node": self.policy.numa_node,
        }


def pin(cores: tuple[int, ...]) -> None:
    """Bind this process to the given cores."""
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise SettingError(f"cpu_cores: can't pin to {list(cores)}: {error.strerror}") from None


def build_handler_set(settings: RunSettings, user: UserCode = _NOBODY) -> HandlerSet:
    """The handlers that a run needs: tracking always, swaps and arbitrage as set, users' last.

    What keeps the state of users' venues (handlers of the venues' own messages) is tracking too, and comes before the
    search.
    """
    venues = user.venues
    own = {message.type_id for venue in venues for message in venue.messages}
    handlers: list[Handler] = [*tracking.TRACKING, *settling_handlers(venues)]
    handlers += [h for h in user.handlers if h.message.type_id in own]
    if settings.normalised_swaps:
        handlers += swaps.SWAPS
    if settings.arbitrage.enabled:
        handlers += token_conduct.TOKEN_CONDUCT
        handlers += opportunities.opportunity_handlers(settings.arbitrage.evaluate, venues)
    handlers += [h for h in user.handlers if h.message.type_id not in own]
    inputs = [*INPUTS, *(message for venue in venues for message in venue.messages)]
    return HandlerSet(handlers, inputs=inputs, extensions=user.extensions)


def build_processor(
    handlers: HandlerSet,
    settings: RunSettings,
    allocate: Callable[[int], Any],
    chain_id: int | None = None,
    covered: Covered | None = None,
) -> Processor:
    """A processor with the settings' capacities and what the handlers need to know of the settings.

    `chain_id` is the stream's, where it is known; it tells the native token where the settings do not. `covered` makes
    it keep a hash chain (`disruptor.chain_keeper`).
    """
    capacity = settings.capacity
    names = ("pools", "tokens", "pairs", "ticks", "tick_bitmap", "paths")
    processor = Processor(
        handlers,
        capacities={
            **{name: getattr(capacity, name) for name in names},
            "hops": MAX_HOPS,
            **leg_capacities(capacity.paths),
        },
        output_slots=settings.output_slots,
        checked=settings.enable_bounds_checking,
        ahead=settings.cache_prefetch,
        max_batch=settings.max_batch,
        allocate=allocate,
        covered=covered,
    )
    if settings.arbitrage.enabled:
        set_up_paths(processor.state, settings, settings.chain_id or chain_id)
    return processor


def code_identity(handlers: HandlerSet, semantic_settings: dict[str, Any]) -> str:
    """Hash of what the handlers compute and of the settings that change it."""
    return handlers.semantic_identity(f"setting {k}={v!r}" for k, v in sorted(semantic_settings.items()))
