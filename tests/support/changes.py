"""Changes to the files of a directory, for tests that look at every reader over any bytes."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("DISRUPTOR_FUZZ", "30"))
#: Where headers have their fields, and anywhere.
PLACES = st.one_of(
    st.integers(0, 21_000),
    st.builds(lambda block, at: 4096 * block + at, st.integers(0, 5), st.integers(0, 130)),
)
FILES = st.integers(0, 6)
#: The directory is laid out anew for each example.
SHARED = [HealthCheck.function_scoped_fixture]
Change = tuple[Any, ...]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), FILES, PLACES, st.integers(0, 7)),
        st.tuples(st.just("put"), FILES, PLACES, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("zero"), FILES, PLACES, st.sampled_from([8, 512, 4096])),
        st.tuples(st.just("cut"), FILES, PLACES),
        st.tuples(st.just("extend"), FILES, st.binary(min_size=1, max_size=40), st.sampled_from([0, 4000])),
        st.tuples(st.just("move"), FILES, st.integers(0, 5), FILES, st.integers(0, 5)),
        st.tuples(st.just("exchange"), FILES, FILES),
        st.tuples(st.just("remove"), FILES),
    ),
    min_size=1,
    max_size=4,
)


def changed(files: dict[str, bytes], changes: list[Change]) -> dict[str, bytes]:
    """The files after some changes."""
    found, names = dict(files), sorted(files)
    for what, target, *rest in changes:
        name = names[target % len(names)]
        content = bytearray(found.get(name, b""))
        if what == "flip" and content:
            content[rest[0] % len(content)] ^= 1 << rest[1]
        elif what == "put":
            content[rest[0] : rest[0] + len(rest[1])] = rest[1]
        elif what == "zero":
            content[rest[0] : rest[0] + rest[1]] = bytes(len(content[rest[0] : rest[0] + rest[1]]))
        elif what == "cut":
            del content[rest[0] :]
        elif what == "extend":
            content += bytes(rest[1]) + rest[0]
        elif what == "move":
            there = found.get(names[rest[1] % len(names)], b"")
            content[4096 * rest[0] : 4096 * rest[0] + 4096] = there[4096 * rest[2] : 4096 * rest[2] + 4096]
        elif what == "exchange":
            other = names[rest[0] % len(names)]
            found[other], content = bytes(content), bytearray(found.get(other, b""))
        found[name] = bytes(content)
        if what == "remove":
            del found[name]
    return found
