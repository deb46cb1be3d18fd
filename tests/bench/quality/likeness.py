# SPDX-License-Identifier: Apache-2.0
"""How near one picture is to another. All take uint8 [H, W, 3] R'G'B'."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from .pictures import Bytes

__all__ = ["change", "decibel", "detail", "gmsd", "psnr", "squared_error", "ssim"]

_GMSD_CONSTANT = 170.0  # T of the paper, for 0..255


def squared_error(truth: Bytes, picture: Bytes, mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Mean squared difference in code values, where ``mask`` [H, W] is set."""
    difference = truth.astype(np.int32) - picture.astype(np.int32)
    return float(np.mean(np.square(difference if mask is None else difference[mask])))


def decibel(error: float) -> float:
    """PSNR of a mean squared error in code values; inf for none."""
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def psnr(truth: Bytes, picture: Bytes, mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB over all three channels; inf for equal pictures."""
    return decibel(squared_error(truth, picture, mask))


def ssim(truth: Bytes, picture: Bytes, mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), mean over pixels and channels."""
    window: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    if mask is None:
        return float(structural_similarity(truth, picture, channel_axis=2, data_range=255, **window))
    _, values = structural_similarity(truth, picture, channel_axis=2, data_range=255, full=True, **window)
    return float(values[mask].mean())


def change(truth: Bytes, before: Bytes, after: Bytes) -> float:
    """PSNR gained in dB; 0 if nothing was touched, -inf if a picture that was equal to the truth no longer is."""
    if np.array_equal(before, after):
        return 0.0
    return psnr(truth, after) - psnr(truth, before)


def gmsd(truth: Bytes, picture: Bytes) -> float:
    """Gradient magnitude similarity deviation: 0 for equal pictures, larger is worse (0.3 is very bad).

    Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity Deviation" (IEEE Transactions on Image Processing 23(2),
    2014, p. 684-695; arXiv 1308.3052): luma averaged over 2x2 pixels and halved, Prewitt gradients, similarity
    (2 a b + T) / (a² + b² + T) per pixel, and its standard deviation over the picture. The paper finds it to agree with
    people's judgement as well as the best measures of its time, on LIVE, CSIQ and TID2008; it needs no trained weights.
    """
    a, b = (_gradient(_halved_luma(p)) for p in (truth, picture))
    similarity = (2 * a * b + _GMSD_CONSTANT) / (a * a + b * b + _GMSD_CONSTANT)
    return float(similarity.std())


def _halved_luma(picture: Bytes) -> npt.NDArray[np.float64]:
    luma = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    height, width = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    luma = luma[:height, :width]
    return (luma[::2, ::2] + luma[1::2, ::2] + luma[::2, 1::2] + luma[1::2, 1::2]) / 4


def _gradient(luma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Prewitt's, inside the picture only: beyond its edges there is nothing to compare."""
    kernel = np.array([[1.0, 0.0, -1.0]] * 3) / 3
    across, down = (cv2.filter2D(luma, -1, k)[1:-1, 1:-1] for k in (kernel, kernel.T))
    return np.hypot(across, down)


def detail(picture: Bytes) -> float:
    """Mean squared Sobel gradient of the luma (Tenengrad; Krotkov 1988): what blur takes away first."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *way, ksize=3, scale=0.125) for way in ((1, 0), (0, 1)))
    return float(np.mean(np.square(across, dtype=np.float64) + np.square(down, dtype=np.float64)))
