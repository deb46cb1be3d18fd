# SPDX-License-Identifier: Apache-2.0
"""Cutting a picture into overlapping tiles so that the joined result is the one of the whole picture.

A tile is *read* with surroundings that are thrown away again: within them the network still notices the cut. What is
*kept* overlaps the neighbours' by a strip in which both are blended (feathered), which hides what little is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ALIGN", "Box", "Tile", "box_of", "plan_tiles", "smallest_tile", "tile_for_memory"]

ALIGN = 16
"""Tiles start at multiples of this many pixels, so that strided layers fall on the same pixels as in the whole."""

_BOX_STEP = 64  # boxes grow to multiples of this, so that few sizes occur


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows ``top`` up to but not including ``bottom``, columns ``left`` to ``right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def pixels(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def cut(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The rectangle's part of a picture [H, W, ...], as a view."""
        return picture[self.top : self.bottom, self.left : self.right]

    def around(self, height: int, width: int) -> tuple[tuple[slice, slice], ...]:
        """Rows and columns of the four parts of a picture of ``height`` x ``width`` pixels that lie outside."""
        inner = slice(self.top, self.bottom)
        return (
            (slice(0, self.top), slice(0, width)),
            (slice(self.bottom, height), slice(0, width)),
            (inner, slice(0, self.left)),
            (inner, slice(self.right, width)),
        )


@dataclass(frozen=True)
class Tile:
    """``read`` is what the network gets, ``kept`` the part of its result that is used."""

    read: Box
    kept: Box

    def inner(self, result: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The kept part of a result [H, W, ...] that covers ``read``, as a view."""
        top, left = self.kept.top - self.read.top, self.kept.left - self.read.left
        return result[top : top + self.kept.bottom - self.kept.top, left : left + self.kept.right - self.kept.left]


def box_of(weight: npt.NDArray[np.float32]) -> Box | None:
    """The smallest rectangle (grown to multiples of 64 pixels) with all weights that are not 0; None if all are 0."""
    rows, columns = np.flatnonzero(weight.any(axis=1)), np.flatnonzero(weight.any(axis=0))
    if not len(rows):
        return None
    height, width = weight.shape
    top, left = rows[0] // _BOX_STEP * _BOX_STEP, columns[0] // _BOX_STEP * _BOX_STEP
    bottom = min(height, -(-(rows[-1] + 1) // _BOX_STEP) * _BOX_STEP)
    right = min(width, -(-(columns[-1] + 1) // _BOX_STEP) * _BOX_STEP)
    return Box(int(top), int(bottom), int(left), int(right))


def plan_tiles(height: int, width: int, box: Box, *, tile: int, overlap: int, context: int) -> list[Tile]:
    """Tiles that cover ``box`` of a picture of ``height`` x ``width`` pixels.

    Read parts are at most ``tile`` pixels a side (``smallest_tile`` at least), with ``context`` pixels of
    surroundings; kept parts overlap by at least ``overlap`` pixels.
    """
    tile = max(tile, smallest_tile(overlap, context)) // ALIGN * ALIGN
    rows = _spans(height, box.top, box.bottom, tile, overlap, context)
    columns = _spans(width, box.left, box.right, tile, overlap, context)
    return [
        Tile(Box(row[0], row[1], column[0], column[1]), Box(row[2], row[3], column[2], column[3]))
        for row in rows
        for column in columns
    ]


def smallest_tile(overlap: int, context: int) -> int:
    """The smallest tile side that leaves something to keep, in pixels."""
    return -(-(2 * context + 2 * overlap + 4 * ALIGN) // ALIGN) * ALIGN


def tile_for_memory(free_bytes: int, bytes_per_pixel: int) -> int:
    """The side of a square tile that the network can work on in ``free_bytes``, pixels."""
    return int(math.sqrt(max(1, free_bytes) / bytes_per_pixel)) // ALIGN * ALIGN


def _spans(
    length: int, start: int, stop: int, tile: int, overlap: int, context: int
) -> list[tuple[int, int, int, int]]:
    """Along one axis: (read from, read to, keep from, keep to) of each tile."""

    def reading(keep_from: int, keep_to: int) -> tuple[int, int]:
        low = max(0, keep_from - context) // ALIGN * ALIGN
        high = min(length, -(-(keep_to + context) // ALIGN) * ALIGN)
        return low, high

    low, high = reading(start, stop)
    if high - low <= tile:
        return [(low, high, start, stop)]
    core = tile - 2 * (-(-context // ALIGN) * ALIGN) - ALIGN  # less what aligning may add at both ends
    count = math.ceil((stop - start - overlap) / (core - overlap))
    spans = []
    for number in range(count):
        # Spread evenly: no thin last tile, and the overlap is at least what was asked for.
        keep_from = start + (stop - start - core) * number // max(1, count - 1)
        keep_to = min(stop, keep_from + core)
        spans.append((*reading(keep_from, keep_to), keep_from, keep_to))
    return spans
