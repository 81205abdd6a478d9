"""Status codes: how a compiled kernel says what happened.

Kernels never raise (raising inside compiled code leaks references); they return an int64. `OK` is 0.
Codes below `USER_STATUS` belong to the engine, codes from there on to users' handlers. At the Python edge
`disruptor.errors` turns a code into an exception.
"""

from __future__ import annotations

OK = 0
#: A sliced handler has more work for the same event: call it again after checking room.
AGAIN = 1
#: Nothing more to read at the moment.
IDLE = 2
#: The control word asked the loop to return.
STOPPED = 3
#: No room in the ring (of the producer) or in the output ring (of the processor).
RING_FULL = 4
#: A table has no room for the inserts that the next event may need.
TABLE_FULL = 5
#: A row index outside its table (reported by the checked row accessor).
ROW_OUT_OF_BOUNDS = 6
#: A handler emitted more outputs than it declared.
TOO_MANY_OUTPUTS = 7
#: A handler inserted more rows than it declared.
TOO_MANY_INSERTS = 8
#: A sequence smaller than one already seen.
SEQUENCE_REGRESSED = 9
#: A handler ran more slices for one event than the loop allows.
TOO_MANY_SLICES = 10
#: The slot's type is not known to this loop.
UNKNOWN_TYPE = 11
#: Stored bytes contradict themselves.
CORRUPT = 12

#: First status code that users' handlers may return.
USER_STATUS = 1000

NAMES: dict[int, str] = {
    value: name for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
}


def describe(status: int) -> str:
    """Name of a status code.

    >>> describe(5)
    'TABLE_FULL'
    >>> describe(1000)
    'handler status 1000'
    """
    if status >= USER_STATUS:
        return f"handler status {status}"
    return NAMES.get(status, f"status {status}")
