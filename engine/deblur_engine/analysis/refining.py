# SPDX-License-Identifier: Apache-2.0
"""A frame's motion made better by its own blur.

Half of what lies between its neighbours is the motion of a camera or a thing that moves evenly. A hand does not; but
a sharp picture of what the frame shows, aligned, tells by how it is smeared what moved while the shutter was open.
Gauss-Newton steps on the difference between the frame and the reblurred reference, as in Lucas and Kanade's
registration (IJCAI 1981), over the reference's place and the blur vectors together: each would pass for the other.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from .flow import reduced

__all__ = ["refined_motion"]

Array = npt.NDArray[np.float32]

_STEPS = 3
_WINDOW = 24.0  # sigma in pixels of what is taken to move alike
_SCALE = 4  # by which the sums over windows are made smaller
_NOISE = np.float32(2.0 / 255)
_LENGTH, _LEAST = 0.15, 0.3  # how far the motion is expected to be off: of its length, and pixels beside that
_PLACE = 0.5  # pixels that the reference is expected to lie off
_PROBE = np.float32(0.5)  # pixels to both sides, for slopes
_DAMPED = np.float32(
    1.001
)  # times the diagonal: stripes say nothing across, which rounding must not turn into something
_FARTHEST = 1.5  # pixels that one step changes a blur vector by
_WORTH = 0.98  # of what was unexplained, that may be left


def refined_motion(
    frame: Array,
    sharp: Array,
    motion: Array,
    trust: Array,
    reblur: Callable[[Array, Array], Array],
    slow: Callable[[Array], Array],
    threads: int | None = None,
) -> tuple[Array, Array] | None:
    """The blur vectors that explain ``frame`` best near ``motion``, and the flow by which ``sharp`` lies better in it.

    ``frame``, ``sharp``: luma [h, w], 0..1, the reference aligned; ``motion``: blur vectors [h, w, 2] in pixels;
    ``trust``: [h, w] 0..1, where the reference can be judged by. ``reblur(picture, motion)`` blurs;
    ``slow(picture)`` is what of a picture does not count. None where hardly more is explained.
    """
    height, width = frame.shape
    length = np.hypot(motion[..., 0], motion[..., 1])
    moves = np.minimum(length, 1)[..., None]
    judged = trust * moves[..., 0]
    # Prior precisions, for the mean over a window in place of the sum.
    window = np.float32(2 * np.pi * _WINDOW**2)
    motion_prior = _small(1 / (window * np.square(_LENGTH * length + _LEAST)))
    place_prior = np.float32(1 / (window * _PLACE**2))
    found, place = motion, np.zeros_like(motion)
    scale, first = np.float32(0), 0.0
    for step in range(_STEPS + 1):
        placed = ops.warp(sharp, place, "bicubic", threads=threads) if step else sharp
        blurred = reblur(placed, found)
        off = blurred - frame
        off -= slow(off)
        local = cv2.GaussianBlur(off * off, (0, 0), 3.0)
        if step == 0:
            scale = np.float32(np.median(local[judged > 0.5]) if (judged > 0.5).any() else 0) + _NOISE**2
        elif step == _STEPS:
            break
        # Outliers count less, as Geman and McClure have it; the first and the last step by the same measure.
        weight = judged / (scale * np.square(1 + local / (2 * scale)))
        if step == 0:
            start, first = weight, float((weight * off * off).sum())
        slopes = []
        for axis in np.eye(2, dtype=np.float32) * _PROBE:
            slope = reblur(placed, found + axis) - reblur(placed, found - axis)
            slope -= slow(slope)
            slopes.append(slope / (2 * _PROBE))
        slopes += [cv2.Sobel(blurred, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1))]
        normal = np.empty((*motion_prior.shape, 4, 4), np.float32)
        right = np.empty((*motion_prior.shape, 4), np.float32)
        for a, slope in enumerate(slopes):
            weighted = weight * slope
            right[..., a] = _window(weighted * off)
            for b in range(a, 4):
                normal[..., a, b] = normal[..., b, a] = _window(weighted * slopes[b])
        for a in range(4):
            normal[..., a, a] *= _DAMPED
        for a in (0, 1):
            normal[..., a, a] += motion_prior
            normal[..., 2 + a, 2 + a] += place_prior
            right[..., a] += motion_prior * _small((found - motion)[..., a])
            right[..., 2 + a] += place_prior * _small(place[..., a])
        change = -np.linalg.solve(normal, right[..., None])[..., 0].astype(np.float32)
        change = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
        far = np.hypot(change[..., 0], change[..., 1])[..., None]
        found = found + change[..., :2] * (moves * np.minimum(1, _FARTHEST / np.maximum(far, np.float32(1e-6))))
        place = place + np.clip(change[..., 2:], -1, 1) * moves
    last = float((start * off * off).sum())
    return (found, place) if last < _WORTH * first else None


def _small(field: Array) -> Array:
    height, width = field.shape
    return np.asarray(reduced(field, (-(-width // _SCALE), -(-height // _SCALE))), np.float32)


def _window(field: Array) -> Array:
    return cv2.GaussianBlur(_small(field), (0, 0), _WINDOW / _SCALE)
