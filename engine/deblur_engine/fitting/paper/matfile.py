# SPDX-License-Identifier: Apache-2.0
"""Reading MATLAB's MAT files of level 5, as far as network weights need it.

After "MAT-File Format" (The MathWorks): a header of 128 bytes, then elements of a tag (type, bytes) and their data.
Read are numbers, text, cells and structures, compressed or not; whatever else a file holds is passed over. The file is
taken to be hostile: every length is checked against what is there before anything is made of it.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError

__all__ = ["MAX_BYTES", "read_mat"]

MAX_BYTES = 1 << 30  # VGG-19 with its fully connected layers has 576 MB
_MAX_ELEMENTS = 200_000
_MAX_DEPTH = 12
_LEAST_RATIO = 16  # weights hardly shrink by compression: what unpacks to much more than this is a bomb

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)  # double, single, and integers of 8 to 64 bits


def read_mat(path: Path, wanted: frozenset[str]) -> dict[str, Any]:
    """The variables of ``wanted`` that the file holds.

    Numbers come as arrays in MATLAB's own order of axes, text as ``str``, cells as lists (by columns), a structure as
    a dictionary (of its first element), anything else as None. Raises ``ModelError`` for a file that is damaged or not
    of this format, ``OSError`` for one that cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
    data = path.read_bytes()
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise ModelError(f"{path}: not a MAT file of level 5")
    reader = _Reader(path, "<" if data[126:128] == b"IM" else ">")
    found: dict[str, Any] = {}
    for kind, body in reader.elements(memoryview(data)[128:]):
        if kind == _COMPRESSED:
            [(kind, body)] = list(reader.elements(memoryview(reader.unpacked(body)), most=1))
        if kind == _MATRIX:
            name, value = reader.matrix(body, wanted)
            if name in wanted:
                found[name] = value
    return found


class _Reader:
    def __init__(self, path: Path, order: str) -> None:
        self.path, self.order = path, order
        self.count = 0

    def broken(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: the MAT file is damaged: {what}")

    def unpacked(self, body: memoryview) -> bytes:
        most = min(MAX_BYTES, max(1 << 20, _LEAST_RATIO * len(body)))
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(body, most)
        except zlib.error as problem:
            raise self.broken(str(problem)) from problem
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise self.broken("a compressed part is cut short or unpacks to far more than weights do")
        return data

    def elements(self, data: memoryview, most: int | None = None) -> Any:
        """(type, data) of each element that lies in ``data``."""
        at = found = 0
        while at < len(data) and (most is None or found < most):
            self.count += 1
            if self.count > _MAX_ELEMENTS:
                raise self.broken("too many elements")
            if len(data) - at < 8:
                raise self.broken("a tag is cut short")
            first = int.from_bytes(data[at : at + 4], "little" if self.order == "<" else "big")
            if first >> 16:  # a short element: its size stands in the type's upper half, its data in the tag
                kind, size, start = first & 0xFFFF, first >> 16, at + 4
                if size > 4:
                    raise self.broken("a short element is too long")
                after = at + 8
            else:
                kind, start = first, at + 8
                size = int.from_bytes(data[at + 4 : at + 8], "little" if self.order == "<" else "big")
                after = start + size
                if kind != _COMPRESSED:
                    after = start + -(-size // 8) * 8
            if start + size > len(data):
                raise self.broken("an element runs past its end")
            yield kind, data[start : start + size]
            found += 1
            at = after
        if most is not None and found < most:
            raise self.broken("an element is missing")

    def numbers(self, element: tuple[int, memoryview]) -> npt.NDArray[Any]:
        kind, body = element
        if kind not in _NUMBERS:
            raise self.broken(f"type {kind} is none of numbers")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if len(body) % dtype.itemsize:
            raise self.broken("numbers are cut short")
        return np.frombuffer(body, dtype)

    def matrix(self, body: memoryview, wanted: frozenset[str] | None = None, depth: int = 0) -> tuple[str, Any]:
        """Name and value of a matrix; the value is not looked at if the name is not ``wanted``."""
        if not len(body):
            return "", np.zeros((0, 0))
        if depth > _MAX_DEPTH:
            raise self.broken("it is nested too deeply")
        parts = self.elements(body)
        try:
            flags, shape, name = (next(parts) for _ in range(3))
            kind = int(self.numbers(flags)[0]) & 0xFF
            dims = [int(side) for side in self.numbers(shape)]
            text = bytes(name[1]).decode("latin-1")
            if wanted is not None and text not in wanted:
                return text, None
            if not 2 <= len(dims) <= 8 or min(dims) < 0:
                raise self.broken(f"a matrix has the shape {dims}")
            count = math.prod(dims)
            if kind == _CELL:
                return text, [self.matrix(self.inner(next(parts)), None, depth + 1)[1] for _ in range(count)]
            if kind == _STRUCT:
                return text, self.structure(parts, count, depth)
            if kind == _CHAR:
                return text, self.text(next(parts))
            if kind in _NUMERIC:
                values = self.numbers(next(parts))
                if values.size != count:
                    raise self.broken(f"a matrix of shape {dims} holds {values.size} numbers")
                return text, values.reshape(dims, order="F")
            return text, None
        except (StopIteration, IndexError, UnicodeDecodeError) as problem:
            raise self.broken("a matrix is cut short") from problem

    def structure(self, parts: Any, count: int, depth: int) -> dict[str, Any] | None:
        length = int(self.numbers(next(parts))[0])
        names = bytes(next(parts)[1])
        if not 1 <= length <= 256 or len(names) % length:
            raise self.broken("a structure's names are cut short")
        if count < 1:
            return None
        fields = [names[k : k + length].split(b"\0")[0].decode("latin-1") for k in range(0, len(names), length)]
        return {field: self.matrix(self.inner(next(parts)), None, depth + 1)[1] for field in fields}

    def text(self, element: tuple[int, memoryview]) -> str:
        kind, body = element
        if kind not in _TEXT:
            raise self.broken(f"type {kind} is none of text")
        coding = _TEXT[kind] + ({"<": "-le", ">": "-be"}[self.order] if _TEXT[kind] == "utf-16" else "")
        return bytes(body).decode(coding)

    def inner(self, element: tuple[int, memoryview]) -> memoryview:
        kind, body = element
        if kind != _MATRIX:
            raise self.broken(f"type {kind} stands where a matrix should")
        return body
