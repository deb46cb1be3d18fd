# SPDX-License-Identifier: Apache-2.0
"""The sRGB curve (IEC 61966-2-1) both ways: blur happens in light, not in code values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LIGHT_OF_CODE", "linear_to_srgb", "srgb_to_linear"]

Floats = npt.NDArray[np.float32]


def srgb_to_linear(picture: npt.ArrayLike) -> Floats:
    """The sRGB curve undone: float32 0..1 in, linear light 0..1 out."""
    x = np.asarray(picture, np.float32)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(light: npt.ArrayLike) -> Floats:
    """Linear light 0..1 (clipped) to sRGB code values 0..1, float32."""
    x = np.clip(np.asarray(light, np.float32), 0.0, 1.0)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


LIGHT_OF_CODE = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)
"""Linear light of each 8-bit code value, float32 [256]."""
