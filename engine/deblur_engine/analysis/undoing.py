# SPDX-License-Identifier: Apache-2.0
"""Blur undone along a known motion, and what comes of it when the motion was longer or shorter than that; and the
detail along it that blur has taken.

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
from .flow import falling, moving, reduced, resize_flow, size_by

__all__ = ["agreed_change", "estimated_change", "exposure_by_detail", "longest_exposure", "looks_blurred", "undone"]

Array = npt.NDArray[np.float32]

_STEPS = 5  # few, since each sharpens noise as well
_UNDONE = 0.8  # how much of a frame with its blur undone a plain blend takes
_LEAST = np.float32(1e-3)  # that is divided by
_AGREED_STEPS = 2  # from a picture that is nearly right already
_BLURRED_ALREADY = (0.15, 0.45)  # how much like blurred errors what is left looks: up to here noise, from here errors
_TRIED = np.geomspace(0.15, 1.45, 11)
_TRIED_STEPS = 3
_RISE = 0.06  # by which detail grows at least up to a peak that means something
_NOTHING = 1e-4  # luma from pixel to pixel that is no detail
_AS_HIGH = 0.97  # of the highest peak: another one is as good
_BLURRED = np.append(0, np.geomspace(0.08, 1.0, 10)).astype(np.float32)  # fractions that a reference is blurred by
_AFAR = 240  # longest side of a picture from afar: there even blur in a few discrete steps is smooth
_AROUND = 0.025  # of its longest side: sigma of what is looked at together
_UNSEEN = (1.5 / 255) ** 2  # slope, squared, that is no detail there
_FINER = (1.4, 1.8)  # times the slope that is left by blurring once more: up to here blurred, from here not
_BEYOND = 1.25  # the peak over the true fraction: 1.05 for blur of 20 pixels and more, 1.3 to 1.7 for shorter


def estimated_change(
    picture: Array, motion: Array, weight: Array, transfer: str | None, threads: int | None = None
) -> Array:
    """What undoing the blur of ``picture`` (R'G'B' [H, W, 3]) along ``motion`` [H, W, 2] changes in it, [H, W, 3].

    A few steps, of which the most part is taken, by ``weight`` [H, W]. Luma at full size, colour at half: most footage
    has no more of it, and its noise is sharpened less.
    """
    height, width = picture.shape[:2]
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    change = undone(luma, motion, transfer, threads) - luma
    half = (max(1, width // 2), max(1, height // 2))
    small = reduced(picture, half)
    small = undone(small, resize_flow(motion, half), transfer, threads) - small
    small -= cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[..., None]
    coloured = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    coloured += change[..., None]
    coloured *= (np.float32(_UNDONE) * weight)[..., None]
    return coloured


def agreed_change(
    picture: Array, restored: Array, motion: Array, trusted: Array, transfer: str | None, threads: int | None = None
) -> Array:
    """What makes ``restored``, once it is blurred along ``motion`` [H, W, 2], agree better with ``picture``, [H, W, 3].

    Both are R'G'B' [H, W, 3]. What ``restored`` has that blur takes stays as it is; the rest is the picture's to tell
    (as in Yuan et al., "Image deblurring with blurred/noisy image pairs", SIGGRAPH 2007, but from a picture made of
    others). It is taken by how the two differ where ``trusted`` [H, W] is above 0: errors that were blurred with the
    picture look much the same when they are blurred once more, while of noise, and of blur by another path, little
    remains.
    """
    seen, wrong = np.maximum(picture, _LEAST), np.maximum(restored, _LEAST)
    left, along = _correction(seen, wrong, motion, transfer, threads)
    # In green, which luma mostly is.
    ratio, again = left[..., 1] - 1, along[..., 1] - 1
    counted = trusted * np.square(seen[..., 1])
    length = np.maximum(np.hypot(motion[..., 0], motion[..., 1]), 1)
    alike = (counted * ratio * again).sum() / ((counted * ratio * ratio).sum() + np.float32(1e-12))
    by_chance = (counted / length).sum() / (counted.sum() + np.float32(1e-12))  # the same of white noise
    share = 1 - falling((alike - by_chance) / (1 - by_chance + np.float32(1e-6)), _BLURRED_ALREADY)
    if not (share > 0 and counted.any()):
        return np.zeros_like(picture)
    right = wrong * along
    for _ in range(1, _AGREED_STEPS):
        right *= _correction(seen, right, motion, transfer, threads)[1]
    right -= wrong
    right *= np.float32(share)
    return right


def undone(picture: Array, motion: Array, transfer: str | None, threads: int | None = None) -> Array:
    """``picture`` ([H, W] or [H, W, 3]) with its blur along ``motion`` [H, W, 2] undone, as far as a few steps do."""
    return _undone(np.maximum(picture, _LEAST), motion, transfer, threads, _STEPS)


def looks_blurred(luma: Array, motion: Array, transfer: str | None, threads: int | None = None) -> Array:
    """0..1, [h, w]: how far each place of ``luma`` can be blurred along ``motion`` [h, w, 2], by its own looks.

    What is blurred changes little if it is blurred in the same way once more (Crété et al., "The blur effect", SPIE
    6492, 2007): slopes along the motion become 1.2 times less steep. Those of what is sharp become as many times less
    steep as the root of how much longer the blur is than an edge is wide. Flat places and short blur say nothing: 1.
    """
    height, width = luma.shape
    factor = min(1.0, _AFAR / max(height, width))
    size = size_by(factor, width, height)
    small, vectors = reduced(luma, size), resize_flow(motion, size)
    along = _directions(vectors)

    def steepness(picture: Array) -> Array:
        slope = _slope(picture, along)
        return cv2.GaussianBlur(slope * slope, (0, 0), _AROUND * max(size)) + np.float32(_UNSEEN)

    once_more = ops.reblur(small, vectors, transfer=transfer, threads=threads)  # type: ignore[arg-type]
    finer = np.sqrt(steepness(small) / steepness(once_more))
    return cv2.resize(falling(finer, _FINER), (width, height), interpolation=cv2.INTER_LINEAR)


def longest_exposure(luma: Array, interval: Array, transfer: str | None, threads: int | None = None) -> float:
    """The longest exposure fraction that a frame speaks for by itself, without a reference; infinite if for none.

    ``luma``: [h, w], 0..1; ``interval``: its motion per frame interval, [h, w, 2] in its pixels. Undoing blur along the
    motion brings detail back, the more the better the length fits; undoing more of it than there was makes less. The
    peak lies somewhat above the true length, as measured on footage blurred by known lengths. Where things are blurred
    into several copies (a strobe, or frames averaged) there is mostly no peak, or one that leaves more as it is.
    """
    length = np.hypot(interval[..., 0], interval[..., 1])
    there = moving(length)
    along = _directions(interval)
    luma = np.maximum(luma, _LEAST)
    detail = []
    for fraction in _TRIED:
        undone = _undone(luma, interval * np.float32(fraction), transfer, threads, _TRIED_STEPS)
        slope = 2 * _slope(undone, along)[there]
        detail.append(math.sqrt(float(np.mean(np.square(slope)))))
    peaks = [k for k in range(1, len(detail) - 1) if detail[k] >= max(detail[k - 1], detail[k + 1])]
    highest = max((detail[k] for k in peaks), default=0.0)
    if not (highest >= max(detail) and highest > (1 + _RISE) * detail[0] + _NOTHING):  # nor where values are no numbers
        return math.inf
    # Twice or half the true length peaks too where things repeat; too long a guess is the lesser claim.
    last = max(k for k in peaks if detail[k] >= _AS_HIGH * highest)
    return float(_TRIED[last]) / _BEYOND


def exposure_by_detail(
    luma: Array,
    sharp: Array,
    flow: Array,
    interval: Array,
    where: npt.NDArray[np.bool_],
    transfer: str | None,
    threads: int | None = None,
) -> float:
    """The exposure fraction, 0..1, by which ``sharp`` has to be blurred to show as little detail as a frame does.

    ``luma``, ``interval``: as above; ``sharp``: [h, w], lies in the frame by ``flow``; ``where``: what is compared. It
    is the finest detail along the motion that counts. Where pictures are subtracted, what is aligned a little wrong
    passes for blur; but it is as fine as it was.
    """
    # At twice the size, and by Lanczos: softer interpolation, of the reference or in blurring it, takes detail too.
    height, width = luma.shape
    x, y = np.meshgrid(*(np.arange(0, side, 0.5, dtype=np.float32) for side in (width, height)))
    flow, twice = (
        cv2.resize(vectors, x.shape[::-1], interpolation=cv2.INTER_LINEAR) for vectors in (flow, 2 * interval)
    )
    warped = cv2.remap(sharp, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    along = _directions(interval)

    def detail(picture: Array) -> float:
        across, down = (cv2.Sobel(picture, cv2.CV_32F, *order, ksize=1) for order in ((2, 0), (0, 2)))
        both = cv2.Sobel(picture, cv2.CV_32F, 1, 1, ksize=3, scale=0.5)
        bend = across * along[..., 0] ** 2 + down * along[..., 1] ** 2 + both * along[..., 0] * along[..., 1]
        return math.log(float(np.mean(np.square(bend[where]))) + _NOTHING**2)

    blurred = (ops.reblur(warped, twice * f, transfer=transfer, threads=threads) for f in _BLURRED)  # type: ignore[arg-type]
    left = np.array([detail(picture[::2, ::2]) for picture in blurred])
    lost = np.maximum.accumulate(left[0] - left)
    return float(np.interp(left[0] - detail(luma), lost + 1e-6 * np.arange(len(lost)), _BLURRED))


def _directions(vectors: Array) -> Array:
    """Vectors [H, W, 2] of length 1, those of next to nothing shorter."""
    return vectors / np.maximum(np.hypot(vectors[..., 0], vectors[..., 1]), np.float32(1e-3))[..., None]


def _slope(picture: Array, along: Array) -> Array:
    """What ``picture`` [H, W] changes by from pixel to pixel in the directions ``along`` [H, W, 2]."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    return across * along[..., 0] + down * along[..., 1]


def _undone(seen: Array, motion: Array, transfer: str | None, threads: int | None, steps: int) -> Array:
    """``seen``: positive, [H, W] or [H, W, 3]."""
    estimate = seen.copy()
    for _ in range(steps):
        _, correction = _correction(seen, estimate, motion, transfer, threads)
        estimate *= np.square(correction, out=correction)
    return estimate


def _correction(
    seen: Array, estimate: Array, motion: Array, transfer: str | None, threads: int | None
) -> tuple[Array, Array]:
    """What ``seen`` is over the blurred ``estimate``, and that along the motion: by what a step multiplies."""
    blurred = ops.reblur(estimate, motion, transfer=transfer, threads=threads)  # type: ignore[arg-type]
    np.maximum(blurred, _LEAST, out=blurred)
    ratio = np.divide(seen, blurred, out=blurred)
    correction = ops.reblur(ratio, motion, threads=threads)
    return ratio, np.clip(correction, 0.5, 2.0, out=correction)
