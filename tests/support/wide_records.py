"""Cases for kernels that compute with wide integers: Python integers in and out of structured arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

#: What a case of a kernel under test takes and gives: as many wide numbers as its widest function.
CASE = np.dtype(
    [
        ("function", "<i8"),
        ("a", "<u8", (4,)),
        ("b", "<u8", (4,)),
        ("c", "<u8", (4,)),
        ("d", "<u8", (4,)),
        ("e", "<u8", (4,)),
        ("f", "<u8", (4,)),
        ("number", "<i8"),
        ("flag", "<i8"),
        ("status", "<i8"),
        ("p", "<u8", (4,)),
        ("q", "<u8", (4,)),
        ("r", "<u8", (4,)),
        ("s", "<u8", (4,)),
    ],
    align=True,
)


def filled(dtype: np.dtype[Any], rows: Iterable[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """Rows of Python integers as records; a wide field takes its limbs, negative numbers as two's complement."""
    listed = list(rows)
    records = np.zeros(len(listed), dtype)
    for record, fields in zip(records, listed, strict=True):
        for name, value in fields.items():
            put(record, name, value)
    return records


def put(record: Any, name: str, value: int) -> None:
    target = record[name]
    if isinstance(target, np.ndarray):
        octets = (int(value) % 2 ** (8 * target.nbytes)).to_bytes(target.nbytes, "little")
        target[:] = np.frombuffer(octets, np.uint64)
    else:
        record[name] = value


def number(field: Any, *, signed: bool = False) -> int:
    """A field as a Python integer."""
    if isinstance(field, np.ndarray):
        return int.from_bytes(field.tobytes(), "little", signed=signed)
    return int(field)


def numbers(bits: int, *edges: int, least: int = 0) -> st.SearchStrategy[int]:
    """Integers from `least` to below 2^bits of any length, often at the edges of words and at `edges`."""
    usual = {0, 1, 2, 2**bits - 1, 2**bits - 2}
    usual |= {2**k + d for k in (32, 63, 64, 96, 112, 127, 128, 160, 192, 255) for d in (-1, 0, 1)}
    wide = st.integers(least, 2**bits - 1)
    short = st.builds(lambda value, shift: max(least, value >> shift), wide, st.integers(0, bits - 1))
    return st.sampled_from(sorted({e for e in usual if least <= e < 2**bits} | set(edges))) | short | wide
