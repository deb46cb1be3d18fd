# SPDX-License-Identifier: Apache-2.0
"""How long the shutter was open, judged by what it did to the picture.

A frame's motion is known from its neighbours; what fraction of it was recorded is not. For each blurry frame a sharp
frame near it is blurred by the blurry frame's motion times a range of fractions, and the fraction is taken at which
its Laplacian energy has dropped as far as the blurry frame's lies below it. This needs no alignment between the two.
(Exposure fraction alpha = blur length / flow magnitude: arXiv 2303.10247.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import ops
from ..media import Clip
from ..task import Task
from .flow import homography_flow
from .record import Analysis

__all__ = ["FRACTIONS", "exposures"]

FRACTIONS = np.array([0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0], np.float32)
_BOX = 320  # pixels, side of the pieces that are blurred
_TILE = 16
_FARTHER = 0.03  # log energy that a sharp frame has to have more for each frame that it is farther off
_UNTOLD = 0.5  # the fraction taken where the camera's own motion does not explain the frame's


def exposures(clip: Clip, analysis: Analysis, task: Task) -> npt.NDArray[np.float32]:
    """The exposure fraction of each frame, 0..1; 0 for sharp frames and where there is nothing to judge by."""
    found = np.zeros(analysis.frame_count, np.float32)
    asked: dict[int, list[int]] = {}
    for i in np.flatnonzero(analysis.blurry).tolist():
        references = analysis.references_for(i)
        if references and analysis.speed[i] > 0.5:
            sharpest = min(references, key=lambda j: analysis.drop[j] + _FARTHER * abs(j - i))
            asked.setdefault(sharpest, []).append(i)
    if not asked:
        return found
    last = max(asked)
    for index, luma in clip.lumas(0, last + 1):
        for i in asked.get(index, ()):
            found[i] = _fraction(_unit(luma), analysis, i, index)
        task.report("expose", index + 1, last + 1)
    return found


def _fraction(sharp: npt.NDArray[np.float32], analysis: Analysis, i: int, reference: int) -> float:
    motion = motion_by_homography(analysis, i)
    if np.median(np.hypot(motion[..., 0], motion[..., 1])) < analysis.speed[i] / 3:
        return _UNTOLD  # something in the picture moves, which a homography cannot tell; alignment finds out
    top, left = (max(0, (side - _BOX) // 2) for side in sharp.shape)
    box = (slice(top, top + _BOX), slice(left, left + _BOX))
    piece, vectors = np.ascontiguousarray(sharp[box]), motion[box]
    at_rest = ops.sharpness(piece, tile=_TILE)
    textured = at_rest > np.median(at_rest)
    if not textured.any():
        return 0.0
    drops = []
    for fraction in FRACTIONS:
        blurred = ops.reblur(piece, np.ascontiguousarray(vectors * fraction)) if fraction else piece
        energy = ops.sharpness(blurred, tile=_TILE)
        drops.append(float(np.median(np.log((at_rest[textured] + 1e-6) / (energy[textured] + 1e-6)))))
    wanted = float(analysis.sharpness[reference] - analysis.sharpness[i])
    # Noise sets a floor below which energy does not drop, so the curve flattens; make it monotonic to invert it.
    return float(np.interp(wanted, np.maximum.accumulate(drops) + 1e-6 * np.arange(len(drops)), FRACTIONS))


def motion_by_homography(analysis: Analysis, i: int) -> npt.NDArray[np.float32]:
    """Frame ``i``'s motion per frame interval, [H, W, 2] pixels, as far as homographies to its neighbours tell it."""
    sides = [
        homography_flow(analysis.between(i, j), analysis.height, analysis.width) * np.float32(j - i)
        for j in analysis.neighbours(i)
    ]
    if not sides:
        return np.zeros((analysis.height, analysis.width, 2), np.float32)
    return np.mean(sides, axis=0, dtype=np.float32)


def _unit(luma: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    if luma.dtype == np.float32:
        return luma  # type: ignore[return-value]
    return luma.astype(np.float32) / np.float32(np.iinfo(luma.dtype).max)  # type: ignore[type-var]
