# SPDX-License-Identifier: Apache-2.0
"""Blur undone along a known motion, and what comes of it when the motion was longer or shorter than that.

Richardson and Lucy's method (1972, 1974). Each step's correction is squared, by which it goes about twice as far
(Meinel, J. Opt. Soc. Am. A 3, 1986, p. 787). A straight centred path is its own mirror image, so that the adjoint of
blurring is blurring again, but for how the motion differs between the ends of a path.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from .flow import moving

__all__ = ["estimated_change", "longest_exposure"]

Array = npt.NDArray[np.float32]

_STEPS = 5  # few, since each sharpens noise as well
_UNDONE = 0.8  # how much of a frame with its blur undone a plain blend takes
_LEAST = np.float32(1e-3)  # that is divided by
_TRIED = np.geomspace(0.15, 1.45, 11)
_TRIED_STEPS = 3
_RISE = 0.06  # by which detail grows at least up to a peak that means something
_NOTHING = 1e-4  # luma from pixel to pixel that is no detail
_AS_HIGH = 0.97  # of the highest peak: another one is as good
_BEYOND = 1.25  # the peak over the true fraction: 1.05 for blur of 20 pixels and more, 1.3 to 1.7 for shorter


def estimated_change(
    picture: Array, motion: Array, weight: Array, transfer: str | None, threads: int | None = None
) -> Array:
    """What undoing the blur of ``picture`` (R'G'B' [H, W, 3]) along ``motion`` [H, W, 2] changes in it, [H, W, 3].

    A few steps, of which the most part is taken, by ``weight`` [H, W].
    """
    change = _undone(np.maximum(picture, _LEAST), motion, transfer, threads, _STEPS) - picture
    change *= (np.float32(_UNDONE) * weight)[..., None]
    return change


def longest_exposure(luma: Array, interval: Array, transfer: str | None, threads: int | None = None) -> float:
    """The longest exposure fraction that a frame speaks for by itself, without a reference; infinite if for none.

    ``luma``: [h, w], 0..1; ``interval``: its motion per frame interval, [h, w, 2] in its pixels. Undoing blur along the
    motion brings detail back, the more the better the length fits; undoing more of it than there was makes less. The
    peak lies somewhat above the true length, as measured on footage blurred by known lengths. Where things are blurred
    into several copies (a strobe, or frames averaged) there is mostly no peak, or one that leaves more as it is.
    """
    length = np.hypot(interval[..., 0], interval[..., 1])
    there = moving(length)
    along = interval / np.maximum(length, np.float32(1e-3))[..., None]
    luma = np.maximum(luma, _LEAST)
    detail = []
    for fraction in _TRIED:
        undone = _undone(luma, interval * np.float32(fraction), transfer, threads, _TRIED_STEPS)
        slope = cv2.Sobel(undone, cv2.CV_32F, 1, 0, ksize=1) * along[..., 0]
        slope += cv2.Sobel(undone, cv2.CV_32F, 0, 1, ksize=1) * along[..., 1]
        detail.append(math.sqrt(float(np.mean(np.square(slope[there])))))
    peaks = [k for k in range(1, len(detail) - 1) if detail[k] >= max(detail[k - 1], detail[k + 1])]
    highest = max((detail[k] for k in peaks), default=0.0)
    if not (highest >= max(detail) and highest > (1 + _RISE) * detail[0] + _NOTHING):  # nor where values are no numbers
        return math.inf
    # Twice or half the true length peaks too where things repeat; too long a guess is the lesser claim.
    last = max(k for k in peaks if detail[k] >= _AS_HIGH * highest)
    return float(_TRIED[last]) / _BEYOND


def _undone(seen: Array, motion: Array, transfer: str | None, threads: int | None, steps: int) -> Array:
    """``seen``: positive, [H, W] or [H, W, 3]."""
    estimate = seen.copy()
    for _ in range(steps):
        blurred = ops.reblur(estimate, motion, transfer=transfer, threads=threads)  # type: ignore[arg-type]
        np.maximum(blurred, _LEAST, out=blurred)
        correction = ops.reblur(np.divide(seen, blurred, out=blurred), motion, threads=threads)
        np.clip(correction, 0.5, 2.0, out=correction)
        estimate *= np.square(correction, out=correction)
    return estimate
