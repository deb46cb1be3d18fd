# SPDX-License-Identifier: Apache-2.0
"""What deblur-engine is measured against: sharpening, deconvolution, and its own alignment without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from skimage.filters import unsharp_mask

from deblur_engine import ops
from synth import linear_to_srgb, srgb_to_linear

if TYPE_CHECKING:
    from deblur_engine.analysis import Aligner

__all__ = ["plain_blend", "richardson_lucy", "unsharp"]

Floats = npt.NDArray[np.float32]


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


def plain_blend(aligner: Aligner, index: int, pictures: Mapping[int, Floats], *, guarded: bool) -> Floats:
    """Frame ``index`` with what alignment proposes to change in it, and no network.

    ``guarded`` honours the aligner's pass-through weight as well, as rendering does.
    """
    frame = pictures[index]
    alignment = aligner.align(index, pictures)
    share = alignment.weight[..., None] if guarded else 1.0
    return np.asarray(frame + share * alignment.change, np.float32)
