# SPDX-License-Identifier: Apache-2.0
"""What deblur-engine is measured against: sharpening, deconvolution, and its own alignment without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from skimage.filters import unsharp_mask

from deblur_engine import ops
from deblur_engine.analysis.flow import dense_flow, eight_bit, reduced, resize_flow

from .light import linear_to_srgb, srgb_to_linear

if TYPE_CHECKING:
    from deblur_engine.rendering.contracts import AlignmentLike

__all__ = ["fourier_burst", "plain_blend", "richardson_lucy", "unsharp"]

Floats = npt.NDArray[np.float32]

_POWER = 11  # of the Fourier magnitudes that frames are weighed by
_BURST_TILE = 128  # pixels, overlapping by half
_CONSISTENT = 1.0  # pixels at full size that the flows there and back may miss each other by


def unsharp(picture: Floats, radius: float = 2.0, amount: float = 1.0) -> Floats:
    """An unsharp mask of ``radius`` pixels (sigma); float32 [H, W, 3] 0..1, code values."""
    return np.asarray(unsharp_mask(picture, radius=radius, amount=amount, channel_axis=2), np.float32)


def richardson_lucy(picture: Floats, motion: Floats, iterations: int = 5) -> Floats:
    """Richardson-Lucy deconvolution along a blur vector per pixel, in linear light.

    ``picture`` [H, W, 3] 0..1 code values, ``motion`` [H, W, 2] in pixels, both float32. The blur operator stands
    in for its own transpose, which is exact where the motion is the same all over a neighbourhood. On the clips of
    the quality table five iterations serve it best (of 5, 15 and 30): an estimated motion is never quite right.
    """
    observed = srgb_to_linear(picture) + 1e-3  # a floor: the ratio below must not blow up where it is black
    estimate = observed.copy()
    for _ in range(iterations):
        predicted = np.maximum(ops.reblur(estimate, motion, transfer=None), 1e-4)
        estimate = estimate * ops.reblur(np.ascontiguousarray(observed / predicted), motion, transfer=None)
        estimate = np.clip(estimate, 0.0, 1.1).astype(np.float32)
    restored = linear_to_srgb(estimate - 1e-3)
    still = (np.hypot(motion[..., 0], motion[..., 1]) < 0.5)[..., None]
    return np.where(still, picture, restored).astype(np.float32)


def plain_blend(frame: Floats, alignment: AlignmentLike, *, guarded: bool) -> Floats:
    """``frame`` with what its alignment proposes to change in it, and no network.

    ``guarded`` honours the aligner's pass-through weight as well, as rendering does.
    """
    believed = alignment.confidence[..., :1]
    change = alignment.estimate + believed * (alignment.reference - alignment.estimate)
    share = alignment.weight[..., None] if guarded else 1.0
    return np.asarray(frame + share * change, np.float32)


def fourier_burst(picture: Floats, others: Sequence[Floats]) -> Floats:
    """Fourier burst accumulation of ``picture`` and its neighbours ``others``, R'G'B' [H, W, 3] each.

    Delbracio and Sapiro, "Hand-held Video Deblurring via Efficient Fourier Aggregation" (IEEE TCI 2015): the neighbours
    are registered by optical flow at a third of the size, since finer flow would follow the blur; where the flows there
    and back disagree the picture itself stands in; in tiles of 128 pixels each frequency is the mean of the frames
    weighed by their smoothed magnitude to the 11th power, so that whoever was blurred least there counts.
    """
    burst = [picture, *(_registered(picture, other) for other in others)]
    height, width = picture.shape[:2]
    total, weights = np.zeros((height, width, 3)), np.zeros((height, width, 1))
    for box in _boxes(height, width):
        tiles = [frame[box] for frame in burst]
        rows, columns = tiles[0].shape[:2]
        window = (np.hanning(rows + 2)[1:-1, None] * np.hanning(columns + 2)[None, 1:-1] + 1e-3)[..., None]
        total[box] += window * _accumulated(tiles)
        weights[box] += window
    return np.asarray(np.clip(total / weights, 0, 1), np.float32)


def _registered(picture: Floats, other: Floats) -> Floats:
    height, width = picture.shape[:2]
    size = (max(1, width // 3), max(1, height // 3))
    here, there = (eight_bit(reduced(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), size)) for p in (picture, other))
    forth, back = dense_flow(here, there), dense_flow(there, here)
    off = forth + ops.warp(back, forth)
    sure = np.hypot(off[..., 0], off[..., 1]) * (width / size[0]) < _CONSISTENT
    sure = cv2.GaussianBlur(cv2.erode(sure.astype(np.float32), np.ones((3, 3))), (0, 0), 1.5)
    share = cv2.resize(sure, (width, height))[..., None]
    warped = ops.warp(other, resize_flow(forth, (width, height)), "bicubic")
    return np.asarray(share * warped + (1 - share) * picture, np.float32)


def _boxes(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    def starts(length: int) -> list[int]:
        last = max(0, length - _BURST_TILE)
        return sorted({*range(0, last, _BURST_TILE // 2), last})

    for y in starts(height):
        for x in starts(width):
            yield slice(y, y + _BURST_TILE), slice(x, x + _BURST_TILE)


def _accumulated(tiles: Sequence[Floats]) -> npt.NDArray[np.float64]:
    spectra = np.fft.fft2(np.stack(tiles), axes=(1, 2))
    sigma = max(min(tiles[0].shape[:2]) / 50, 0.3)
    magnitudes = [
        cv2.GaussianBlur(np.fft.fftshift(np.abs(each).mean(2)), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        for each in spectra
    ]
    magnitude = np.fft.ifftshift(np.stack(magnitudes), axes=(1, 2))
    weight = (magnitude / np.maximum(magnitude.max(axis=0), 1e-12)) ** _POWER
    weight /= weight.sum(axis=0)
    return np.asarray(np.fft.ifft2((weight[..., None] * spectra).sum(axis=0), axes=(0, 1)).real)
