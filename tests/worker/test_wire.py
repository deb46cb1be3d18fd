# SPDX-License-Identifier: Apache-2.0
"""Messages and their bytes: whatever comes in, the answer is a message or ``WireError``."""

from __future__ import annotations

import re
import struct
import tracemalloc
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.worker import wire
from deblur_engine.worker.wire import HEADER, MESSAGES, Header, WireError, parse

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")

u32, u64, i64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
FORMS = {
    "U32": u32,
    "U64": u64,
    "I64": i64,
    "F32": st.floats(width=32, allow_nan=False),
    "F64": st.floats(allow_nan=False),
    "Str": text,
    "Frames": st.lists(i64, max_size=9).map(tuple),
    "Pictures": st.lists(st.tuples(i64, u32, u64, u64), max_size=9).map(tuple),
}
messages = st.one_of(
    *(st.builds(form, **{f.name: FORMS[str(f.type)] for f in fields(form)}) for form in MESSAGES.values())
)


@given(messages, u64)
def test_what_is_written_is_read(message: wire.Message, sequence: int) -> None:
    data = message.pack(sequence)
    header = Header.unpack(data[: HEADER.size])
    assert (header.version, header.type, header.sequence) == (wire.VERSION, message.TYPE, sequence)
    assert header.length == len(data) - HEADER.size
    assert parse(header.type, data[HEADER.size :]) == message


@given(messages, st.integers(1, 40), st.binary(min_size=1, max_size=9))
def test_too_short_and_too_long_are_refused(message: wire.Message, cut: int, more: bytes) -> None:
    payload = message.pack(1)[HEADER.size :]
    with pytest.raises(WireError):
        parse(message.TYPE, payload + more)
    if payload:
        with pytest.raises(WireError):
            parse(message.TYPE, payload[:-cut])


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=200))
def test_arbitrary_bytes_give_a_message_or_wire_error(kind: int, payload: bytes) -> None:
    try:
        message = parse(kind, payload)
    except WireError:
        return
    assert message.pack(0)[HEADER.size :] == payload or any("F" in str(f.type) for f in fields(message))


@given(st.binary(max_size=40))
def test_arbitrary_headers_too(data: bytes) -> None:
    try:
        header = Header.unpack(data)
    except WireError:
        return
    assert header.version != wire.VERSION or header.length <= wire.MAX_PAYLOAD


@pytest.mark.parametrize("count", [4097, 2**31, 2**32 - 1])
def test_a_count_is_believed_only_as_far_as_there_are_bytes(count: int) -> None:
    lying = struct.pack("<I", count)
    for kind, payload in (
        (wire.Needed.TYPE, struct.pack("<I", 1) + lying + bytes(64)),
        (wire.Model.TYPE, lying + bytes(64)),
    ):
        tracemalloc.start()
        with pytest.raises(WireError):
            parse(kind, payload)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a\0b", b"x" * 4097])
def test_texts_are_utf8_without_nul_and_not_too_long(raw: bytes) -> None:
    with pytest.raises(WireError):
        parse(wire.Model.TYPE, struct.pack("<I", len(raw)) + raw + bytes(4))


def test_values_that_have_no_place_cannot_be_written() -> None:
    for message in (
        wire.Detach(-1),
        wire.Detach(2**32),
        wire.Model("x" * 4097, ""),
        wire.Model("\0", ""),
        wire.Model("\udcff", ""),
        wire.Needed(1, tuple(range(4097))),
    ):
        with pytest.raises(WireError):
            message.pack(1)
    assert len(wire.shortened("ü" * 5000 + "\0\udcff").encode()) <= wire.MAX_STR


def test_the_magic_spells_its_name() -> None:
    assert wire.Done().pack(1)[:4] == b"DBW1"


def test_the_messages_are_those_of_the_page() -> None:
    """Number, name and the fields' forms, read from the table in docs/wire.md."""
    written = {}
    for number, name, payload in re.findall(r"^\| (\d+) ([A-Z_]+) \| . \| (.*) \|$", PAGE, re.M):
        pattern = (
            r"list of \(i64 frame, u32 surface, u64 offset, u64 mark\)|list of i64|\b(?:u32|u64|i64|f32|f64|str)\b"
        )
        written[int(number)] = (name, re.findall(pattern, payload.partition(";")[0]))
    names = {"str": "Str", "list of i64": "Frames"} | {
        each: each.upper() for each in ("u32", "u64", "i64", "f32", "f64")
    }
    assert set(written) == set(MESSAGES)
    for number, (name, forms) in written.items():
        form = MESSAGES[number]
        assert re.sub(r"(?<!^)([A-Z])", r"_\1", form.__name__).upper() == name
        assert [str(f.type) for f in fields(form)] == [names.get(each, "Pictures") for each in forms], name
