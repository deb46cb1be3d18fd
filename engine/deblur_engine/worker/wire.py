# SPDX-License-Identifier: Apache-2.0
"""The messages of docs/wire.md as dataclasses, and their bytes. Whatever comes in, the answer is one or ``WireError``.

A field's annotation names its form on the wire; the order of the fields is that of the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

__all__ = [
    "BAD_MESSAGE",
    "HEADER",
    "MAGIC",
    "MAX_PAYLOAD",
    "MAX_STR",
    "MESSAGES",
    "NO_JOB",
    "NO_SURFACE",
    "VERSION",
    "WRONG_VERSION",
    "Header",
    "Message",
    "WireError",
    "parse",
    "shortened",
]

VERSION = 1
MAGIC = 0x31574244  # "DBW1"
MAX_PAYLOAD = 1 << 20
MAX_STR = 4096  # bytes
MAX_LIST = 4096
HEADER = struct.Struct("<IHHIIQ")

BAD_MESSAGE, WRONG_VERSION, NO_SURFACE, NO_JOB = 100, 101, 102, 103

U32: TypeAlias = int
U64: TypeAlias = int
I64: TypeAlias = int
F32: TypeAlias = float
F64: TypeAlias = float
Str: TypeAlias = str
Frames: TypeAlias = tuple[int, ...]  # list of i64
Pictures: TypeAlias = tuple[tuple[int, int, int, int], ...]  # list of (i64 frame, u32 surface, u64 offset, u64 mark)


class WireError(Exception):
    """Bytes that are no message, or a value that has no place in one."""


@dataclass(frozen=True)
class Header:
    """What stands before a payload of ``length`` bytes."""

    version: int
    type: int
    length: int
    sequence: int

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview) -> Header:
        """Read 24 bytes; raises ``WireError`` unless they begin a message. The version is for the caller to judge."""
        if len(data) != HEADER.size:
            raise WireError(f"a header has {HEADER.size} bytes, not {len(data)}")
        magic, version, kind, length, reserved, sequence = HEADER.unpack(data)
        if magic != MAGIC:
            raise WireError("the bytes do not begin with DBW1")
        if version == VERSION and (length > MAX_PAYLOAD or reserved):
            raise WireError(f"a header announces {length} bytes, or its reserved field is not 0")
        return cls(version, kind, length, sequence)


_NUMBERS = {"U32": "<I", "U64": "<Q", "I64": "<q", "F32": "<f", "F64": "<d"}
_PICTURE = struct.Struct("<qIQQ")
_FRAME = struct.Struct("<q")
_COUNT = struct.Struct("<I")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        if self._at + form.size > len(self._data):
            raise WireError("a message is cut short")
        values = form.unpack_from(self._data, self._at)
        self._at += form.size
        return values

    def text(self) -> str:
        (length,) = self.unpack(_COUNT)
        if length > MAX_STR or self._at + length > len(self._data):
            raise WireError(f"a text of {length} bytes runs past its end or is too long")
        raw = self._data[self._at : self._at + length]
        self._at += length
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError("a text is not UTF-8") from error
        if "\0" in text:
            raise WireError("a text holds a NUL")
        return text

    def list(self, form: struct.Struct) -> tuple[tuple[Any, ...], ...]:
        (count,) = self.unpack(_COUNT)
        if count > MAX_LIST or self._at + count * form.size > len(self._data):
            raise WireError(f"a list of {count} runs past its end or is too long")
        return tuple(self.unpack(form) for _ in range(count))

    def end(self) -> None:
        if self._at != len(self._data):
            raise WireError(f"a message has {len(self._data) - self._at} bytes too many")


def _write_text(value: str) -> bytes:
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise WireError("a text is not Unicode") from error
    if len(raw) > MAX_STR or b"\0" in raw:
        raise WireError("a text is too long or holds a NUL")
    return _COUNT.pack(len(raw)) + raw


def _write_list(rows: tuple[Any, ...], write: Callable[[Any], bytes]) -> bytes:
    if len(rows) > MAX_LIST:
        raise WireError(f"a list of {len(rows)} is too long")
    return _COUNT.pack(len(rows)) + b"".join(write(row) for row in rows)


def _number(code: str) -> tuple[Callable[[_Reader], Any], Callable[[Any], bytes]]:
    form = struct.Struct(code)
    return (lambda reader: reader.unpack(form)[0]), form.pack


_FORMS: dict[str, tuple[Callable[[_Reader], Any], Callable[[Any], bytes]]] = {
    **{name: _number(code) for name, code in _NUMBERS.items()},
    "Str": (_Reader.text, _write_text),
    "Frames": (
        lambda reader: tuple(row[0] for row in reader.list(_FRAME)),
        lambda value: _write_list(value, _FRAME.pack),
    ),
    "Pictures": (
        lambda reader: reader.list(_PICTURE),
        lambda value: _write_list(value, lambda row: _PICTURE.pack(*row)),
    ),
}


MESSAGES: dict[int, type[Message]] = {}


class Message:
    """Base of all messages; ``kind`` is a message's number on the wire."""

    TYPE: ClassVar[int]

    def __init_subclass__(cls, kind: int) -> None:
        cls.TYPE = kind
        MESSAGES[kind] = cls

    def pack(self, sequence: int) -> bytes:
        """Header and payload; raises ``WireError`` for a value that does not fit its field."""
        try:
            payload = b"".join(
                _FORMS[str(f.type)][1](getattr(self, f.name))
                for f in fields(self)  # type: ignore[arg-type]
            )
            header = HEADER.pack(MAGIC, VERSION, self.TYPE, len(payload), 0, sequence)
        except (struct.error, OverflowError, TypeError) as error:
            raise WireError(f"{type(self).__name__} cannot be written: {error}") from error
        if len(payload) > MAX_PAYLOAD:
            raise WireError(f"{type(self).__name__} is too long")
        return header + payload


def parse(kind: int, payload: bytes) -> Message:
    """The message of type ``kind`` in ``payload``; raises ``WireError``."""
    if kind not in MESSAGES:
        raise WireError(f"messages of type {kind} are unknown")
    reader = _Reader(payload)
    form = MESSAGES[kind]
    message = form(*(_FORMS[str(f.type)][0](reader) for f in fields(form)))  # type: ignore[arg-type]
    reader.end()
    return message


@dataclass(frozen=True)
class Hello(Message, kind=1):
    pid: U32
    engine: Str
    host: Str


@dataclass(frozen=True)
class Welcome(Message, kind=2):
    pid: U32
    engine: Str
    device: Str
    log: Str


@dataclass(frozen=True)
class Error(Message, kind=3):
    code: U32
    message: Str
    hint: Str


@dataclass(frozen=True)
class Alive(Message, kind=4):
    pass


@dataclass(frozen=True)
class Done(Message, kind=5):
    pass


@dataclass(frozen=True)
class Attach(Message, kind=10):
    surface: U32
    bytes: U64


@dataclass(frozen=True)
class Detach(Message, kind=11):
    surface: U32


@dataclass(frozen=True)
class AttachNamed(Message, kind=12):
    surface: U32
    bytes: U64
    name: Str


@dataclass(frozen=True)
class Model(Message, kind=20):
    model: Str
    clip: Str


@dataclass(frozen=True)
class ModelInfo(Message, kind=21):
    model: Str
    clip: Str
    width: U32
    height: U32
    frames: I64
    transfer: U32
    route: U32
    generation: U64
    note: Str


@dataclass(frozen=True)
class Needs(Message, kind=22):
    model: Str
    clip: Str
    frame: I64


@dataclass(frozen=True)
class Needed(Message, kind=23):
    route: U32
    frames: Frames


@dataclass(frozen=True)
class Render(Message, kind=30):
    PROTECT: ClassVar[int] = 1
    INTERACTIVE: ClassVar[int] = 2
    ALONE: ClassVar[int] = 4

    model: Str
    clip: Str
    frame: I64
    width: U32
    height: U32
    strength: F32
    flags: U32
    view: U32
    scale: F64
    pictures: Pictures
    out_surface: U32
    out_offset: U64


@dataclass(frozen=True)
class Rendered(Message, kind=31):
    UNCHANGED: ClassVar[int] = 1
    NOTED: ClassVar[int] = 2
    WANTED: ClassVar[int] = 4
    FORSAKEN: ClassVar[int] = 8

    flags: U32
    references: U32
    route: U32
    waited: U32
    aligned: U32
    restored: U32
    total: U32
    note: Str


@dataclass(frozen=True)
class Fit(Message, kind=40):
    OVERWRITE: ClassVar[int] = 1
    FRAMES_FOLLOW: ClassVar[int] = 2

    clip: Str
    out: Str
    preset: Str
    minutes: F64
    flags: U32


@dataclass(frozen=True)
class Job(Message, kind=41):
    job: U64


@dataclass(frozen=True)
class FitFrame(Message, kind=42):
    job: U64
    frame: I64
    width: U32
    height: U32
    fps: F64
    surface: U32
    offset: U64


@dataclass(frozen=True)
class FitStart(Message, kind=43):
    job: U64


@dataclass(frozen=True)
class FitStatus(Message, kind=44):
    job: U64


@dataclass(frozen=True)
class FitState(Message, kind=45):
    WAITS: ClassVar[int] = 0
    RUNS: ClassVar[int] = 1
    DONE: ClassVar[int] = 2
    FAILED: ClassVar[int] = 3
    CANCELLED: ClassVar[int] = 4

    state: U32
    share: F32
    code: U32
    stage: Str
    model: Str
    message: Str


@dataclass(frozen=True)
class FitCancel(Message, kind=46):
    job: U64


@dataclass(frozen=True)
class Status(Message, kind=50):
    pass


@dataclass(frozen=True)
class State(Message, kind=51):
    clients: U32
    models: U32
    jobs: U32
    resident: U64
    seconds: F64
    rendered: U64


@dataclass(frozen=True)
class Stop(Message, kind=52):
    pass


def shortened(text: str) -> str:
    """A text as it may go into a message: at most ``MAX_STR`` bytes, without NUL and lone surrogates."""
    raw = text.replace("\0", "").encode("utf-8", "replace")
    return raw[:MAX_STR].decode("utf-8", "ignore")
