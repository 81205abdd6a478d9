"""Message layouts against a C compiler, and declarations that are refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor import message as m
from disruptor.errors import DefinitionError
from disruptor.handlers.messages import BUILT_IN, ArbitrageOpportunity, DeFiSwapEvent, HotMarketData

C_NAMES = {
    "u8": "uint8_t",
    "u16": "uint16_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "i8": "int8_t",
    "i16": "int16_t",
    "i32": "int32_t",
    "i64": "int64_t",
    "f32": "float",
    "f64": "double",
    "u128": "unsigned __int128",
    "i128": "__int128",
    "u256": "uint64_t[4]",
    "i256": "uint64_t[4]",
}
#: As the documents promise them, counted by hand.
PROMISED = {
    DeFiSwapEvent: (
        160,
        {
            "protocol_id": 0,
            "pool_address": 4,
            "token0": 24,
            "token1": 44,
            "amount0_in": 64,
            "amount1_out": 80,
            "gas_price": 96,
            "block_number": 104,
            "tx_hash": 112,
            "timestamp": 144,
        },
    ),
    ArbitrageOpportunity: (
        112,
        {
            "token_pair": 0,
            "venue_a": 40,
            "venue_b": 44,
            "price_diff": 48,
            "max_profit": 64,
            "gas_estimate": 80,
            "confidence": 88,
            "expires_at": 96,
        },
    ),
    HotMarketData: (
        64,
        {
            "bid": 0,
            "ask": 8,
            "last_price": 16,
            "volume": 24,
            "timestamp": 32,
            "sequence": 40,
            "venue_id": 48,
            "instrument_id": 52,
            "padding": 56,
        },
    ),
}
MIXED = m.message(
    "Mixed",
    1500,
    {
        "a": m.u8,
        "b": m.i128,
        "c": m.i8,
        "d": m.u16,
        "e": m.byte_string(3),
        "f": m.i32,
        "g": m.u256,
        "h": m.f32,
        "i": m.i256,
        "j": m.i16,
        "k": m.f64,
        "l": m.i64,
        "n": m.u8,
    },
)


@pytest.mark.parametrize("declared", PROMISED, ids=lambda d: d.name)
def test_offsets_are_the_promised_ones(declared: m.MessageType) -> None:
    size, offsets = PROMISED[declared]
    assert (declared.size, dict(declared.offsets)) == (size, offsets)
    assert declared.dtype.itemsize == size
    assert {name: declared.dtype.fields[name][1] for name in declared.dtype.names} == offsets


def c_member(name: str, kind: m.FieldType) -> str:
    if kind.name.startswith("bytes"):
        return f"uint8_t {name}[{kind.count}];"
    base, _, array = C_NAMES[kind.name].partition("[")
    return f"{base} {name}{'[' + array if array else ''};"


def c_program(declared: list[m.MessageType]) -> str:
    """Prints every offset and size, then writes each struct, its k-th byte of members set to k mod 251."""
    text = "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n"
    body = ""
    for d in declared:
        members = "\n".join(c_member(n, k) for n, k in d.fields.items())
        text += f"struct {d.name} {{ {members} }};\n"
        body += f"{{ struct {d.name} s; memset(&s, 0, sizeof s); int k = 0; unsigned char *p;\n"
        for n in d.fields:
            body += f'printf("%zu ", offsetof(struct {d.name}, {n}));\n'
            body += (
                f"p = (unsigned char *)&s.{n}; for (size_t i = 0; i < sizeof s.{n}; i++) p[i] = k++ % 251;\n"
            )
        body += 'printf("%zu ", sizeof s); p = (unsigned char *)&s;\n'
        body += 'for (size_t i = 0; i < sizeof s; i++) printf("%02x", p[i]); printf("\\n"); }\n'
    return f"{text}int main(void) {{ {body} return 0; }}\n"


def numbered(declared: m.MessageType) -> bytes:
    """The same struct by way of the numpy dtype."""
    record = np.zeros(1, declared.dtype)
    k = 0
    for name, kind in declared.fields.items():
        size = kind.dtype.itemsize
        filled = np.array([(k + i) % 251 for i in range(size)], np.uint8)
        record[name] = filled.view(kind.base)[0] if not kind.count else filled.view(kind.base)
        k += size
    return record.tobytes()


@pytest.mark.skipif(
    shutil.which("gcc") is None, reason="no gcc; the promised offsets are tested all the same"
)
def test_layouts_equal_a_c_compilers_byte_for_byte(tmp_path: Path) -> None:
    declared = [*PROMISED, MIXED]
    (tmp_path / "layout.c").write_text(c_program(declared))
    subprocess.run(["gcc", "-O0", "-o", str(tmp_path / "layout"), str(tmp_path / "layout.c")], check=True)
    printed = subprocess.run([str(tmp_path / "layout")], check=True, capture_output=True, text=True).stdout
    for d, line in zip(declared, printed.splitlines(), strict=True):
        *numbers, octets = line.split()
        assert [int(n) for n in numbers] == [*d.offsets.values(), d.size], d.name
        assert octets == numbered(d).hex(), d.name


def test_slot_is_header_then_payload() -> None:
    slot = DeFiSwapEvent.slot_dtype()
    assert slot.itemsize == 192 and slot.fields is not None
    header = {name: slot.fields[name][1] for name, _ in m.HEADER_FIELDS}
    assert header == {
        "sequence": 0,
        "source_sequence": 8,
        "event_time_ns": 16,
        "type_id": 24,
        "flags": 26,
        "source_id": 28,
    }
    assert {n: slot.fields[n][1] - 32 for n in DeFiSwapEvent.fields} == PROMISED[DeFiSwapEvent][1]


def test_payload_field_of_a_header_name_hides_the_header_field() -> None:
    fields = HotMarketData.slot_dtype().fields
    assert fields is not None
    assert (fields["sequence"][1], fields["header_sequence"][1]) == (32 + 40, 0)


def test_payload_that_exceeds_the_slot_is_refused() -> None:
    wide = m.message("Wide", 1501, {"text": m.byte_string(161)})
    assert wide.slot_dtype(256).itemsize == 256
    with pytest.raises(
        DefinitionError, match=r"161 bytes of payload do not fit a slot of 192 bytes \(at most 160\)"
    ):
        wide.slot_dtype()


@pytest.mark.parametrize(
    "name", ["", "a b", "1a", "class", "None", "_hidden", "cell", "words", "mask", 7, None]
)
def test_bad_message_name(name: Any) -> None:
    with pytest.raises(DefinitionError, match="name"):
        m.message(name, 1001, {"a": m.u8})


@pytest.mark.parametrize("name", ["", "a b", "2x", "def", "_x", "header_flags", "header_sequence", 3])
def test_bad_field_name(name: Any) -> None:
    with pytest.raises(DefinitionError, match="field"):
        m.message("Tick", 1001, {"ok": m.u8, name: m.u8})


@pytest.mark.parametrize("type_id", [True, False, 1001.0, "1001", None, 0, -1, 4096, 999, 1])
def test_bad_type_id(type_id: Any) -> None:
    with pytest.raises(DefinitionError, match="type id"):
        m.message("Tick", type_id, {"a": m.u8})


@pytest.mark.parametrize("kind", ["u8", np.uint8, np.dtype("u1"), None, 8])
def test_bad_field_type(kind: Any) -> None:
    with pytest.raises(DefinitionError, match=r"field a: .* is no field type"):
        m.message("Tick", 1001, {"a": kind})


@pytest.mark.parametrize("fields", [{}, None, ["a"]])
def test_no_fields(fields: Any) -> None:
    with pytest.raises(DefinitionError, match="at least one field"):
        m.message("Tick", 1001, fields)


@pytest.mark.parametrize("type_id", [1000, 4095])
def test_users_ids_reach_from_1000_to_the_last(type_id: int) -> None:
    assert m.message("Tick", type_id, {"a": m.u8}).type_id == type_id


def test_the_engines_ids_end_where_the_users_begin() -> None:
    assert m.built_in_message("Own", 999, {"a": m.u8}).type_id == 999
    with pytest.raises(DefinitionError, match="type id 1000 is a user's"):
        m.built_in_message("Own", 1000, {"a": m.u8})
    assert all(d.type_id < m.FIRST_USER_TYPE_ID for d in BUILT_IN)


@pytest.mark.parametrize("length", [0, -1])
def test_byte_string_of_no_bytes(length: int) -> None:
    with pytest.raises(DefinitionError, match="at least 1"):
        m.byte_string(length)


def test_fields_cannot_be_changed_from_outside() -> None:
    given_fields = {"a": m.u8}
    declared = m.message("Tick", 1001, given_fields)
    given_fields["b"] = m.u8
    assert list(declared.fields) == ["a"]
    with pytest.raises(TypeError):
        declared.fields["b"] = m.u8  # type: ignore[index]
    with pytest.raises(TypeError):
        declared.offsets["a"] = 8  # type: ignore[index]


def test_schema_hash_changes_with_everything_it_covers() -> None:
    base: dict[str, m.FieldType] = {"a": m.u32, "b": m.u32}
    variants = [
        m.message("Tick", 1001, base),
        m.message("Tock", 1001, base),
        m.message("Tick", 1002, base),
        m.message("Tick", 1001, base, counted=False),
        m.message("Tick", 1001, {"b": m.u32, "a": m.u32}),
        m.message("Tick", 1001, {"a": m.u32, "b": m.i32}),
        m.message("Tick", 1001, {"a": m.u32}),
    ]
    assert len({v.schema_hash for v in variants}) == len(variants)
    assert m.message("Tick", 1001, dict(base)).schema_hash == variants[0].schema_hash


def test_schema_tells_a_reader_enough_to_rebuild_the_dtype() -> None:
    schema = MIXED.schema()
    rebuilt = {name: (kind, offset) for name, kind, offset in schema["fields"]}
    assert rebuilt == {n: (k.name, MIXED.offsets[n]) for n, k in MIXED.fields.items()}
    assert (schema["size"], schema["counted"], int(schema["schema_hash"], 16)) == (
        MIXED.size,
        True,
        MIXED.schema_hash,
    )


def test_distinct_messages_may_not_share_an_id_or_a_name() -> None:
    tick, tock = m.message("Tick", 1001, {"a": m.u8}), m.message("Tock", 1001, {"a": m.u8})
    again, other = m.message("Tick", 1001, {"a": m.u8}), m.message("Tick", 1002, {"a": m.u8})
    m.check_distinct([tick, again])
    with pytest.raises(DefinitionError, match=r"Tick \(1001\) and Tock \(1001\) share a type id"):
        m.check_distinct([tick, tock])
    with pytest.raises(DefinitionError, match="share a name"):
        m.check_distinct([tick, other])


KINDS = [
    m.u8,
    m.u16,
    m.u32,
    m.u64,
    m.i32,
    m.f32,
    m.f64,
    m.u128,
    m.i128,
    m.u256,
    m.byte_string(20),
    m.byte_string(3),
]


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
def test_layout_is_aligned_ordered_and_tight(kinds: list[m.FieldType]) -> None:
    offsets, size, alignment = m.layout_c({f"f{k}": kind for k, kind in enumerate(kinds)})
    end = 0
    for offset, kind in zip(offsets.values(), kinds, strict=True):
        assert offset % kind.alignment == 0 and 0 <= offset - end < kind.alignment
        end = offset + kind.dtype.itemsize
    assert alignment == max(kind.alignment for kind in kinds)
    assert size % alignment == 0 and 0 <= size - end < alignment
