"""What to do while nothing is available: spin in compiled code for a bounded time, then idle in Python.

    name        in the kernel      in Python                       wakes within       an idle core
    busy_spin   polls              nothing                         a cache miss       burns
    pausing     polls and pauses   nothing                         about the same     burns, a little less
    yielding    polls briefly      yields to other threads         a scheduler turn   burns if nobody wants it
    sleeping    polls briefly      yields, then sleeps up to 1 ms  up to 1 ms         a few percent
    blocking    polls briefly      waits on a futex                some 50 us         nothing

Every strategy returns to Python at least every millisecond or so, where Ctrl-C is seen. `sleeping` is the
default: it does not burn an idle core, and needs no help from the other end.

Why no wake-up is lost with `blocking`: the waiter announces itself, reads the wake count, looks once more
whether it still has to wait, and only then sleeps, on condition that the count is unchanged. Whoever
publishes first publishes, then raises the count, then looks for waiters. Either the waiter's last look sees
what was published, or its sleep is refused because the count moved, or the publisher sees the waiter and
wakes it. A waiter that was killed leaves its announcement behind: that costs publishers a system call,
nothing else. A sleep lasts 100 ms at most in any case. The count lies in the ring's control block, so all
this also works between processes.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable
from typing import Any

from disruptor.atomics import fetch_add, load_acquire
from disruptor.compile_cache import entry
from disruptor.errors import SettingError
from disruptor.jit import JIT_DISABLED, jit
from disruptor.layout import WAITERS_WORD, WAKE_WORD, WORD_SIZE
from disruptor.sequence import Words

_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_EVERYBODY = 2**31 - 1
_LONGEST_BLOCK_S = 0.1
_FIRST_SLEEP_S, _LONGEST_SLEEP_S = 50e-6, 1e-3
_YIELDS_BEFORE_SLEEP = 10
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


# --- kernels ------------------------------------------------------------------------------------------------


@jit
def signal(block: Any) -> Any:
    """Raise the wake count after something became available; returns how many wait.

    MEMORY ORDER: the addition is a full fence: it orders the caller's release store of a sequence before the
    read of the waiters. Without it the publisher could miss a waiter who misses the publication.
    """
    fetch_add(block, WAKE_WORD, 1)
    return load_acquire(block, WAITERS_WORD)


@entry
def _signal(block: Any) -> Any:
    return signal(block)


@entry
def _announce(block: Any, change: Any) -> Any:
    """Count a waiter in or out and return the wake count. MEMORY ORDER: the addition comes first, as a full
    fence."""
    fetch_add(block, WAITERS_WORD, change)
    return load_acquire(block, WAKE_WORD)


# --- strategies ---------------------------------------------------------------------------------------------


class WaitStrategy:
    """How to wait. Stateless between waits, so one may serve several threads.

    Attributes
    ----------
    name : the setting that selects it
    spins : how often a compiled loop polls before it returns to Python; 1 with the JIT off
    pauses : `pause` instructions between two polls
    """

    name = ""
    spins = 50
    pauses = 1

    def __init__(self, block: Words) -> None:
        self.block = block
        if JIT_DISABLED:
            self.spins = 1

    def idle(self, rounds: int, ready: Callable[[], bool], longest: float) -> None:
        """Spend a moment, after `rounds` fruitless ones of this wait; never more than `longest` seconds."""

    def wait_until(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `ready()`, which polls in compiled code for a bounded time; False on timeout.

        timeout : seconds; None waits for ever (Ctrl-C interrupts), 0 looks once
        ready : may be asked again after it said True, and must then say so again
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        rounds = 0
        while not ready():
            longest = (
                _LONGEST_BLOCK_S if deadline is None else min(_LONGEST_BLOCK_S, deadline - time.monotonic())
            )
            if longest <= 0:
                return False
            self.idle(rounds, ready, longest)
            rounds += 1
        return True


class BusySpinWait(WaitStrategy):
    """Lowest latency; burns its core."""

    name, spins, pauses = "busy_spin", 50_000, 0


class PausingWait(WaitStrategy):
    """As busy-spin, with a pause between polls: frees pipeline slots for a sibling thread."""

    name, spins, pauses = "pausing", 5_000, 1


class YieldingWait(WaitStrategy):
    """Gives the core to whoever else can run."""

    name = "yielding"

    def idle(self, rounds: int, ready: Callable[[], bool], longest: float) -> None:
        os.sched_yield()


class SleepingWait(WaitStrategy):
    """Yields at first, then sleeps, each time twice as long up to 1 ms."""

    name = "sleeping"

    def idle(self, rounds: int, ready: Callable[[], bool], longest: float) -> None:
        if rounds < _YIELDS_BEFORE_SLEEP:
            os.sched_yield()
            return
        doublings = min(rounds - _YIELDS_BEFORE_SLEEP, 10)
        time.sleep(min(_FIRST_SLEEP_S * 2**doublings, _LONGEST_SLEEP_S, longest))


class BlockingWait(WaitStrategy):
    """Sleeps in the kernel until somebody publishes: see the top of this file."""

    name = "blocking"

    def __init__(self, block: Words) -> None:
        super().__init__(block)
        if _FUTEX is None:
            raise SettingError(
                f"wait_strategy: blocking is not available on {platform.machine()}: use sleeping"
            )

    def idle(self, rounds: int, ready: Callable[[], bool], longest: float) -> None:
        count = _announce(self.block, 1)
        try:
            if not ready():
                limit = _Timespec(0, int(longest * 1e9))
                _futex(self.block, _FUTEX_WAIT, int(count) & 0xFFFFFFFF, ctypes.byref(limit))
        finally:
            _announce(self.block, -1)


_STRATEGIES: dict[str, type[WaitStrategy]] = {
    kind.name: kind for kind in (BusySpinWait, PausingWait, YieldingWait, SleepingWait, BlockingWait)
}
WAIT_STRATEGIES: tuple[str, ...] = tuple(_STRATEGIES)
DEFAULT_WAIT_STRATEGY = "sleeping"


def make_wait_strategy(name: str, block: Words) -> WaitStrategy:
    """The strategy that a setting names, over the control block of the ring that is waited on.

    Raises
    ------
    SettingError : no such strategy; the message lists them.
    """
    if name not in _STRATEGIES:
        raise SettingError(f"wait_strategy: {name!r} is none of {', '.join(WAIT_STRATEGIES)}")
    return _STRATEGIES[name](block)


def wake(block: Words) -> None:
    """Tell blocked waiters of a ring to look again; call after publishing or committing from compiled code.

    Costs a system call only while somebody waits.
    """
    if _signal(block) > 0:
        wake_waiters(block)


def wake_waiters(block: Words) -> None:
    """The system call half of `wake`, for a caller whose kernel already ran `signal`."""
    if _FUTEX is not None:
        _futex(block, _FUTEX_WAKE, _EVERYBODY, None)


def _futex(block: Words, operation: int, value: int, limit: Any) -> None:
    """A futex on the low half of the wake count. Its errors (changed, interrupted, timed out) all mean: look
    again."""
    word = ctypes.c_void_p(block.ctypes.data + WAKE_WORD * WORD_SIZE)
    _libc.syscall(
        ctypes.c_long(_FUTEX or 0),
        word,
        ctypes.c_int(operation),
        ctypes.c_uint(value),
        limit,
        None,
        ctypes.c_int(0),
    )
