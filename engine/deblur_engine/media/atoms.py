# SPDX-License-Identifier: Apache-2.0
"""The little that FFmpeg does not tell of a MOV or MP4 file, read from its atoms."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["MovFacts", "read_atoms"]

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_DEPTH = 8  # real files nest five deep; a hostile one must not nest for ever


@dataclass(frozen=True)
class MovFacts:
    """``tags``: the four-character code of each track by its ID; ``index_first``: the file begins with its index."""

    tags: dict[int, str]
    index_first: bool


def read_atoms(path: Path) -> MovFacts:
    """Walk the atoms of a file; whatever is broken or is no MOV gives empty facts rather than an error."""
    tags: dict[int, str] = {}
    order: list[bytes] = []
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            track = 0
            for kind, begin, end, depth in _walk(file, 0, size, 0):
                if depth == 0:
                    order.append(kind)
                if kind == b"tkhd":
                    file.seek(begin)
                    head = file.read(24)
                    track = struct.unpack_from(">I", head, 20 if head[0] == 1 else 12)[0]
                elif kind == b"stsd" and end - begin >= 16:
                    file.seek(begin + 12)
                    tags[track] = file.read(4).decode("latin-1")
    except (OSError, struct.error, IndexError):
        pass
    index_first = b"moov" in order and b"mdat" in order and order.index(b"moov") < order.index(b"mdat")
    return MovFacts(tags, index_first)


def _walk(file: BinaryIO, begin: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int, int]]:
    """(kind, start of contents, end, depth) of every atom in a span, parents before children."""
    position = begin
    while position + 8 <= end:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        elif size == 0:
            size = end - position
        if size < head:
            return
        yield kind, position + head, position + size, depth
        if kind in _CONTAINERS and depth < _DEPTH:
            yield from _walk(file, position + head, min(position + size, end), depth + 1)
        position += size
