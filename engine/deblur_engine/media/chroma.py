# SPDX-License-Identifier: Apache-2.0
"""Chroma between its own grid and the luma grid, where the tags say that its samples lie.

A chroma sample ``i`` of a plane subsampled by ``factor`` lies at luma position ``factor * i + offset``; cosited
samples have offset 0, interstitial ones ``(factor - 1) / 2``.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .types import Picture

__all__ = ["downsample", "offsets", "upsample"]

# H.273 / FFmpeg chroma locations: 1 left, 2 centre, 3 top-left, 4 top, 5 bottom-left, 6 bottom.
_LEFT = {1, 3, 5}
_TOP = {3, 4}
_BOTTOM = {5, 6}
_DEFAULT_LOCATION = 1  # MPEG-2, H.264 and HEVC place untagged 4:2:0 chroma left


def offsets(location: int, factor_x: int, factor_y: int) -> tuple[float, float]:
    """Horizontal and vertical offset of the first chroma sample, in luma samples, for an FFmpeg location code.

    4:2:2 and 4:1:1 chroma is cosited horizontally whatever an absent tag would mean for 4:2:0.
    """
    location = location or _DEFAULT_LOCATION
    x = 0.0 if location in _LEFT else (factor_x - 1) / 2
    if location in _TOP:
        y = 0.0
    elif location in _BOTTOM:
        y = float(factor_y - 1)
    else:
        y = (factor_y - 1) / 2
    return x, y


def upsample(plane: Picture, factor_x: int, factor_y: int, location: int, width: int, height: int) -> Picture:
    """A float32 chroma plane [h, w] linearly interpolated to ``height`` x ``width`` luma samples; edges repeat."""
    offset_x, offset_y = offsets(location, factor_x, factor_y)
    if factor_y > 1:
        plane = _interleave_rows(_phases(plane, factor_y, offset_y, axis=0))
    if factor_x > 1:
        phases = _phases(plane, factor_x, offset_x, axis=1)
        plane = np.asarray(cv2.merge(phases), np.float32).reshape(plane.shape[0], -1)
    return plane[:height, :width]


def _phases(plane: Picture, factor: int, offset: float, axis: int) -> list[Picture]:
    """The samples at luma positions ``factor * i + p`` for each phase p, as planes of the chroma grid's size."""
    result = []
    for phase in range(factor):
        position = (phase - offset) / factor
        whole = math.floor(position)
        weight = position - whole
        near = _shifted(plane, whole, axis)
        if weight == 0:
            result.append(near)
        else:
            far = _shifted(plane, whole + 1, axis)
            mixed = cv2.addWeighted(near, 1 - weight, far, weight, 0)
            result.append(np.asarray(mixed, np.float32).reshape(plane.shape))
    return result


def _shifted(plane: Picture, by: int, axis: int) -> Picture:
    """``plane[i + by]`` along ``axis``, the edge repeated; ``by`` is -1, 0 or 1 (or beyond for exotic sitings)."""
    if by == 0:
        return plane
    length = plane.shape[axis]
    indices = np.clip(np.arange(length) + by, 0, length - 1)
    return np.ascontiguousarray(np.take(plane, indices, axis=axis))


def _interleave_rows(phases: list[Picture]) -> Picture:
    rows, width = phases[0].shape
    out = np.empty((rows * len(phases), width), np.float32)
    for number, phase in enumerate(phases):
        out[number :: len(phases)] = phase
    return out


def downsample(plane: Picture, factor_x: int, factor_y: int, location: int) -> Picture:
    """A float32 full-size plane [H, W] filtered and sampled on the chroma grid (ceil(H/factor_y), ceil(W/factor_x)).

    Interstitial samples are the mean of the ``factor`` luma samples around them, cosited ones a triangle of twice
    that reach: both keep constants and are symmetric about the sample's place. Edges repeat.
    """
    offset_x, offset_y = offsets(location, factor_x, factor_y)
    plane = _filtered(plane, factor_y, offset_y, axis=0)
    return _filtered(plane, factor_x, offset_x, axis=1)


def _filtered(plane: Picture, factor: int, offset: float, axis: int) -> Picture:
    if factor == 1:
        return plane
    if offset == int(offset):
        taps = [(int(offset) + d, (factor - abs(d)) / factor**2) for d in range(1 - factor, factor)]
    else:
        taps = [(d, 1 / factor) for d in range(factor)]
    length = plane.shape[axis]
    count = -(-length // factor)
    before = max(0, -taps[0][0])
    after = max(0, (count - 1) * factor + taps[-1][0] - (length - 1))
    margins = [(before, after), (0, 0)]
    padded = np.pad(plane, margins if axis == 0 else margins[::-1], mode="edge")
    total: Picture | None = None
    for shift, weight in taps:
        first = before + shift
        steps = slice(first, first + (count - 1) * factor + 1, factor)
        part = padded[steps] if axis == 0 else padded[:, steps]
        total = part * np.float32(weight) if total is None else total + part * np.float32(weight)
    assert total is not None
    return total
