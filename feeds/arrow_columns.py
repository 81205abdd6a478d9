"""Arrow columns as the kernels see them: plain arrays, without a copy.

Arrow keeps a column of byte strings as one run of bytes plus n+1 offsets plus a bitmap of nulls. A
`ByteColumn` is that, seen as NumPy arrays, so a compiled loop can move a whole column and no Python object
is made of any value. Every string-like type (plain, large, view, dictionary, fixed size) is cast to the one
with 64-bit offsets first: Arrow does that without touching the bytes, and the kernels compile once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from disruptor.errors import InputError
from disruptor.feeds.column_kernels import PLACE_DTYPE, gather_fixed, parse_number_column, parse_time_column
from disruptor.feeds.utc import seconds_of

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
#: Makes the error for a row of the batch and a text.
Fail = Callable[[int, str], InputError]

_SHOWN_BYTES = 24


class ByteColumn(NamedTuple):
    """A column of n byte strings: value i is `values[offsets[i] : offsets[i + 1]]`.

    offsets : (n + 1,) int64
    values : (m,) uint8
    validity : (v,) uint8 bitmap, least significant bit first; empty when no value is null
    first_bit : index of the first row's bit
    textual : whether the Arrow type is text
    """

    offsets: Int64s
    values: Bytes
    validity: Bytes
    first_bit: int
    textual: bool


class _BufferView:
    """Lets NumPy view an Arrow buffer, which it keeps alive.

    NumPy's own view of it would be read-only, another type to numba and so a second compile of every kernel.
    The promise that nobody writes through it is the readers'.
    """

    def __init__(self, buffer: Any, dtype: str, first: int, count: int) -> None:
        self._buffer = buffer
        size = np.dtype(dtype).itemsize
        assert (first + count) * size <= buffer.size
        self.__array_interface__ = {
            "version": 3,
            "shape": (count,),
            "typestr": dtype,
            "data": (buffer.address + first * size, False),
        }


def byte_column(array: Any) -> ByteColumn:
    """View an Arrow array of any string-like type as arrays for the kernels, without copying values."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    textual = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    textual = textual or pa.types.is_string_view(array.type)
    if pa.types.is_null(array.type):
        array = pa.array([None] * len(array), pa.large_binary())
    array = array.cast(pa.large_binary())
    bitmap, offsets, values = array.buffers()
    if not len(array):
        return ByteColumn(np.zeros(1, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.uint8), 0, textual)
    validity = np.zeros(0, np.uint8)
    if array.null_count:
        validity = np.asarray(_BufferView(bitmap, "|u1", 0, bitmap.size))
    return ByteColumn(
        np.asarray(_BufferView(offsets, "<i8", array.offset, len(array) + 1)),
        np.zeros(0, np.uint8) if values is None else np.asarray(_BufferView(values, "|u1", 0, values.size)),
        validity,
        array.offset,
        textual,
    )


def integer_column(array: Any, name: str, fail: Fail, *, required: bool = False) -> Int64s:
    """A column of counts as int64, -1 where there is none; text is read as decimal or 0x-hex."""
    if is_bytes(array.type):
        numbers = _parse_numbers(byte_column(array), name, fail)
    else:
        try:
            numbers = array.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            raise fail(0, f"{name}: here or further on, not a whole number below 2^63 ({problem})") from None
        given = array.is_valid().to_numpy(zero_copy_only=False)
        negative = (numbers < 0) & given
        if negative.any():
            row = int(np.argmax(negative))
            raise fail(row, f"{name}: {numbers[row]} is negative")
    if required and (numbers < 0).any():
        raise fail(int(np.argmax(numbers < 0)), f"{name}: missing")
    return np.asarray(numbers, np.int64)


def timestamp_column(array: Any, fail: Fail) -> Int64s:
    """Seconds since the epoch, -1 unknown, from integers, Arrow timestamps or text.

    Text is a number or a time in UTC such as `2023-11-14 22:13:20 UTC`; see `utc`.
    """
    if is_bytes(array.type):
        return _parse_times(byte_column(array), fail)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("s", tz=array.type.tz), safe=False).cast(pa.int64())
    return integer_column(array, "timestamp", fail)


def fixed_column(array: Any, width: int, name: str, fail: Fail) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """A column of byte strings of one width, raw or hex: (n, width) uint8 and (n,) whether there is one."""
    target = np.zeros((len(array), width), np.uint8)
    present = np.zeros(len(array), np.uint8)
    check_gathered(byte_column(array), target, 0, width, present, name, fail)
    return target, present.astype(np.bool_)


def is_bytes(kind: Any) -> bool:
    """Whether an Arrow type holds text or bytes, directly or by a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(test(kind) for test in tests)


def _parse_numbers(column: ByteColumn, name: str, fail: Fail) -> Int64s:
    numbers = np.zeros(len(column.offsets) - 1, np.int64)
    row = parse_number_column(column.offsets, column.values, column.validity, place_of(column), numbers)
    if row < len(numbers):
        raise fail(row, f"{name}: expected a whole number below 2^63, found {shown(column, row)}")
    return numbers


def _parse_times(column: ByteColumn, fail: Fail) -> Int64s:
    """Times by the kernel; a row in another ISO form takes the slow path, then the kernel goes on."""
    seconds = np.zeros(len(column.offsets) - 1, np.int64)
    place, row = place_of(column), 0
    while row < len(seconds):
        row = int(parse_time_column(column.offsets, column.values, column.validity, place, seconds, row))
        if row < len(seconds):
            try:
                seconds[row] = seconds_of(value_at(column, row).decode())
            except ValueError:
                expected = "expected seconds since the epoch or a time in UTC"
                raise fail(row, f"timestamp: {expected}, found {shown(column, row)}") from None
            row += 1
    return seconds


def value_at(column: ByteColumn, row: int) -> bytes:
    """One value, for error messages and slow paths."""
    return column.values[int(column.offsets[row]) : int(column.offsets[row + 1])].tobytes()


def shown(column: ByteColumn, row: int) -> str:
    """One value for an error message, cut short."""
    value = value_at(column, row)
    start, more = value[:_SHOWN_BYTES], "…" if len(value) > _SHOWN_BYTES else ""
    text = start.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        text = "0x" + start.hex()
    return f"{text + more!r} ({len(value)} bytes)"


def check_gathered(
    column: ByteColumn, target: Bytes, at: int, width: int, present: Bytes, name: str, fail: Fail
) -> None:
    """Run `gather_fixed` to target[:, at : at + width]; raises what `fail` makes of a bad value.

    target : (n, stride) uint8, C-contiguous, mutated. present : (n,) uint8, mutated.
    """
    place = place_of(column, width, at, target.shape[1])
    row = gather_fixed(column.offsets, column.values, column.validity, place, target.reshape(-1), present)
    if row < len(present):
        expected = f"expected {width} bytes, or 0x and {2 * width} hex digits"
        raise fail(row, f"{name}: {expected}, found {shown(column, row)}")


def place_of(column: ByteColumn, width: int = 0, at: int = 0, stride: int = 0) -> npt.NDArray[Any]:
    """The scalars of a gathering kernel, see `column_kernels.PLACE_DTYPE`."""
    return np.array([(width, at, stride, column.first_bit)], PLACE_DTYPE)
