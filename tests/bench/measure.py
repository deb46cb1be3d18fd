# SPDX-License-Identifier: Apache-2.0
"""How near a result is to the truth, and whether it did harm: the figures that every claim about quality rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

__all__ = ["Figures", "change", "figures", "psnr", "quantised", "ssim"]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Figures:
    """What became of a clip. PSNR in dB; ``inf`` means equal to the last bit."""

    blurry_psnr: float  # mean of the blurry frames' PSNRs; nan if there are none
    blurry_ssim: float
    sharp_psnr: float  # of all sharp frames' pixels together: inf only if every one equals the truth
    sharp_touched: int  # how many sharp frames differ from the input at all
    worst_change: float  # the least PSNR(output) - PSNR(input) of any single frame
    worst_frame: int


def quantised(picture: npt.NDArray[Any]) -> Bytes:
    """A picture as 8-bit code values: float 0..1 is clipped and rounded, uint8 stays; raises on NaN."""
    if picture.dtype == np.uint8:
        return picture
    if not np.isfinite(picture).all():
        raise ValueError("a picture to be measured holds NaN or infinity")
    return np.round(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)


def squared_error(truth: Bytes, picture: Bytes) -> float:
    """Mean squared difference in code values."""
    difference = truth.astype(np.int32) - picture.astype(np.int32)
    return float(np.mean(difference * difference))


def psnr(truth: Bytes, picture: Bytes) -> float:
    """Peak signal-to-noise ratio in dB over all three channels of 8-bit pictures; inf for equal pictures."""
    return _decibel(squared_error(truth, picture))


def _decibel(error: float) -> float:
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def ssim(truth: Bytes, picture: Bytes) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), mean over pixels and channels."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(truth, picture, channel_axis=2, data_range=255, **window))


def change(truth: Bytes, before: Bytes, after: Bytes) -> float:
    """PSNR gained in dB; 0 if nothing was touched, -inf if a picture that was equal to the truth no longer is."""
    if np.array_equal(before, after):
        return 0.0
    return psnr(truth, after) - psnr(truth, before)


def figures(
    truth: Sequence[Bytes], before: Sequence[Bytes], after: Sequence[Bytes], is_blurry: npt.NDArray[np.bool_]
) -> Figures:
    """The figures of a whole clip; all sequences are of one length and hold uint8 [H, W, 3]."""
    if not len(truth) == len(before) == len(after) == len(is_blurry) > 0:
        raise ValueError(f"{len(truth)} truths, {len(before)} inputs, {len(after)} outputs, {len(is_blurry)} flags")
    blurry, sharp = np.flatnonzero(is_blurry).tolist(), np.flatnonzero(~is_blurry).tolist()
    changes = [change(t, b, a) for t, b, a in zip(truth, before, after, strict=True)]
    worst = int(np.argmin(changes))
    return Figures(
        blurry_psnr=_mean([psnr(truth[i], after[i]) for i in blurry]),
        blurry_ssim=_mean([ssim(truth[i], after[i]) for i in blurry]),
        sharp_psnr=_decibel(_mean([squared_error(truth[i], after[i]) for i in sharp])) if sharp else math.nan,
        sharp_touched=sum(not np.array_equal(before[i], after[i]) for i in sharp),
        worst_change=changes[worst],
        worst_frame=worst,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
