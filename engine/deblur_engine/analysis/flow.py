# SPDX-License-Identifier: Apache-2.0
"""Optical flow at a reduced scale, and what is done with flows.

A flow is float32 [H, W, 2], (dx, dy) in pixels, backward: ``first(p) = second(p + flow(p))``.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops

__all__ = [
    "compose",
    "dense_flow",
    "eight_bit",
    "falling",
    "homography_flow",
    "homography_of",
    "moving",
    "reduced",
    "resize_flow",
    "size_by",
]

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_MOVES = (1.0, 0.25)  # pixels from which a place moves, or of what nearly all stays below
_MIN_SIDE = 32  # DIS needs a few of its 8-pixel patches in each direction


def eight_bit(luma: npt.NDArray[Any]) -> Bytes:
    """Luma as uint8 [H, W], for DIS: uint16 by its full scale, float32 as 0..1 (values outside are clipped)."""
    if luma.dtype == np.uint8:
        return luma
    if luma.dtype == np.uint16:
        return (luma >> 8).astype(np.uint8)
    return np.clip(luma * 255 + 0.5, 0, 255).astype(np.uint8)


def size_by(factor: float, width: int, height: int) -> tuple[int, int]:
    """The (width, height) of a picture whose sides are ``factor`` times as long, at least a pixel each."""
    return max(1, round(width * factor)), max(1, round(height * factor))


def reduced(picture: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """``picture`` at ``size`` (width, height), averaged where it shrinks so that nothing aliases."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    shrinks = size[0] <= picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_flow(flow: Array, size: tuple[int, int]) -> Array:
    """A flow for pictures of another ``size`` (width, height): resampled, and its vectors scaled with it."""
    height, width = flow.shape[:2]
    if (width, height) == size:
        return flow
    scaled = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)
    scaled *= np.array([size[0] / width, size[1] / height], np.float32)
    return scaled


def moving(length: Array) -> npt.NDArray[np.bool_]:
    """Where something moves, by the lengths of its vectors, [H, W] in pixels; at least where it moves most."""
    return length >= min(max(_MOVES[0], _MOVES[1] * np.percentile(length, 97)), length.max())


def falling(values: Array, limits: tuple[float, float]) -> Array:
    """1 up to the first limit, 0 from the second."""
    return np.clip((limits[1] - values) / (limits[1] - limits[0]), 0, 1)


def dense_flow(
    first: Bytes, second: Bytes, *, preset: int = cv2.DISOPTICAL_FLOW_PRESET_FAST, finest: int | None = None
) -> Array:
    """DIS flow (Kroeger et al., ECCV 2016) from ``first`` to ``second``, uint8 [H, W].

    ``finest``: how often the pictures are halved before the last refinement (None: as the preset has it, 2 for FAST
    and 1 for MEDIUM). Pictures too small for DIS are enlarged first.
    """
    height, width = first.shape
    if min(height, width) < _MIN_SIDE:
        factor = -(-_MIN_SIDE // min(height, width))
        size = (width * factor, height * factor)
        large = dense_flow(cv2.resize(first, size), cv2.resize(second, size), preset=preset, finest=finest)
        return resize_flow(large, (width, height))
    # A fresh one each time: on small pictures DIS changes its own scales and keeps them, so that what a used one finds
    # would depend on what it was used for before. Making one costs nothing beside the flow.
    dis = cv2.DISOpticalFlow_create(preset)
    if finest is not None:
        dis.setFinestScale(finest)
    flow = dis.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)
    return np.ascontiguousarray(flow, np.float32)


def compose(first: Array, second: Array) -> Array:
    """One flow for two in a row: ``p -> p + first(p)``, and from there on by ``second``."""
    return first + ops.warp(second, first)


def homography_flow(homography: npt.NDArray[np.float64], height: int, width: int) -> Array:
    """The flow of a homography that takes pixel ``(x, y, 1)`` of one picture to where it lies in another."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    h = homography
    depth = h[2, 0] * x + h[2, 1] * y + h[2, 2]
    depth = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    flow = np.empty((height, width, 2), np.float32)
    flow[..., 0] = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / depth - x
    flow[..., 1] = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / depth - y
    return flow


def homography_of(flow: Array, step: int = 12) -> npt.NDArray[np.float64]:
    """The homography (3x3) that most of a flow agrees with, by RANSAC; a translation where none can be found."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    start = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
    end = start + flow[y.ravel(), x.ravel()]
    found = None
    if len(start) >= 8 and np.isfinite(end).all():
        cv2.setRNGSeed(0)  # RANSAC draws at random; the same clip must give the same analysis
        found, _ = cv2.findHomography(start, end, cv2.RANSAC, 1.5)
    if found is None or not np.isfinite(found).all() or abs(np.linalg.det(found)) < 1e-6:
        found = np.eye(3)
        found[:2, 2] = np.median(flow.reshape(-1, 2), axis=0)
    return np.asarray(found, np.float64)
