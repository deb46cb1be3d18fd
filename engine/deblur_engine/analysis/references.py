# SPDX-License-Identifier: Apache-2.0
"""Sharp references that lie where a blurry frame shows the same things: how far each explains it, and all together.

At working size, luma. What a reference, blurred as the frame is, still differs by is the evidence for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from .flow import falling, reduced

__all__ = ["SHADED", "Aligned", "best_of", "fused_luma", "hearsay", "shares_of", "slow_part", "strangeness"]

Array = npt.NDArray[np.float32]

_NOISE = 2.0 / 255  # a residual that codec and sensor leave even where all is right
_CAUTION = 1.5  # how much worse than its residual a reference is taken to be
SHADED = 0.08  # luma that slow shading may be off by, here more and there less, in what is compared
_BENT = (0.25, 0.8)  # change of the flow from pixel to pixel: up to here real (zoom, parallax), from there torn
_PROVEN = (0.2, 0.4)  # unexplained, of what a reference changes (squared): up to here its motion is proven by that
_LOWPASS = 12.0  # sigma in working pixels of what is taken from the frame itself: exposure drift, shading


@dataclass(frozen=True)
class Aligned:
    """One reference at working size: luma warped to the frame, the flow, and how far it is off."""

    flow: Array
    warped: Array
    residual: Array  # [h, w], root of the local mean square of what reblurring leaves unexplained
    change: Array  # [h, w], the same of what the reference would change
    strange: Array  # [h, w], luma by which slow shading is off, here more and there less

    def where(self, here: npt.NDArray[np.bool_], other: Aligned) -> Aligned:
        """This one ``here``, [h, w], and the ``other`` elsewhere."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Aligned(*(np.where(here if a.ndim == 2 else here[..., None], a, b) for a, b in pairs))


def slow_part(picture: Array) -> Array:
    """What of a picture at working size changes slowly: a Gaussian of sigma ``_LOWPASS``, at a quarter of the size."""
    height, width = picture.shape[:2]
    small = reduced(picture, (-(-width // 4), -(-height // 4)))
    small = cv2.GaussianBlur(small, (0, 0), _LOWPASS / 4)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def strangeness(shading: Array) -> Array:
    """By how much the slow shading [h, w, ...] that a reference lacks differs from what it lacks mostly.

    Lamps and auto exposure change a picture much alike. Where it changes more, another thing lies there, which blurred
    has no more detail than what the frame shows (a fine grid where a hand is).
    """
    return np.abs(shading - np.median(shading, axis=(0, 1)))


def hearsay(frame: Array, flow: Array) -> Array:
    """What to add to a residual (squared, [h, w]) where it proves little.

    In flat or smeared places nearly anything fits, so agreement there says nothing; the error may be as large as what
    detail there is. And where the flow tears or folds the picture it has lost its way, however well the rest fits.
    """
    detail = frame - cv2.GaussianBlur(frame, (0, 0), 3.0)
    shown = cv2.GaussianBlur(detail * detail, (0, 0), 4.0)
    unproven = np.float32(_NOISE**2) * np.float32(_NOISE**2) / (shown + np.float32(_NOISE**2))
    smooth = cv2.GaussianBlur(flow, (0, 0), 1.5)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *way, ksize=1, scale=0.5) for way in ((1, 0), (0, 1)))
    # Not cv2.magnitude: what that rounds to depends on where its memory lies.
    bent = np.sqrt((across * across + down * down).sum(axis=2))
    torn = np.clip((bent - _BENT[0]) / (_BENT[1] - _BENT[0]), 0, 1)
    return cv2.GaussianBlur(unproven + np.square(torn) * np.float32(0.01), (0, 0), 2.0)


def best_of(flows: list[Array], off: list[Array]) -> Array:
    """Per pixel the flow that leaves less unexplained; one start holds where another has lost its way."""
    if len(flows) == 1:
        return flows[0]
    smooth = [cv2.GaussianBlur(error, (0, 0), 6.0) for error in off]
    choice = np.argmin(smooth, axis=0)
    result = flows[0].copy()
    for k in range(1, len(flows)):
        result[choice == k] = flows[k][choice == k]
    return result


def fused_luma(found: Mapping[int, Aligned], shares: list[Array]) -> Array:
    """The luma of all references together, each by its share, [h, w]."""
    fused = np.zeros_like(shares[0])
    for aligned, share in zip(found.values(), shares, strict=True):
        fused += aligned.warped * share
    return fused


def shares_of(aligned: list[Aligned]) -> tuple[list[Array], Array, Array]:
    """Each reference's share of every pixel (they add up to 1), the confidence in the whole, and how far it is proven.

    The best by residual takes nearly all: references that are off by a fraction of a pixel each would blur one
    another. The confidence is that of a Wiener filter: what the reference would change is signal plus error, what
    reblurring leaves unexplained is a measure of the error. Where next to nothing is left of a large change, reference
    and motion prove each other: no motion that was made up comes to that.
    """
    residual = np.stack([np.hypot(a.residual, np.maximum(a.strange - np.float32(SHADED), 0)) for a in aligned])
    least = residual.min(axis=0)
    shares = np.exp(-np.square(residual - least) / (2 * np.square(0.3 * least + 0.25 * _NOISE)))
    shares /= shares.sum(axis=0)
    left = (shares * residual).sum(axis=0)
    change = (shares * np.stack([a.change for a in aligned])).sum(axis=0)
    error = np.square(_CAUTION * np.maximum(left, 0.5 * _NOISE))
    confidence = np.clip(1 - error / (np.square(change) + 1e-9), 0, 1)
    proven = falling(np.square(left / (change + np.float32(1e-5))), _PROVEN).astype(np.float32)
    proven = cv2.GaussianBlur(proven, (0, 0), 2.0)
    return [np.ascontiguousarray(share, np.float32) for share in shares], confidence.astype(np.float32), proven
