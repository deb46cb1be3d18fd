# SPDX-License-Identifier: Apache-2.0
"""Where one shot ends and the next begins."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from .. import ops

__all__ = ["CutFinder"]

_CANDIDATE = 12.0  # mean luma change from which PySceneDetect proposes a cut; low, since motion is ruled out below
_SAME_SCENE = 0.6  # correlation after motion compensation from which two frames show the same scene


class CutFinder:
    """Fed frame after frame, says whether each begins a new scene.

    PySceneDetect's content score proposes. Camera shake scores high too, so a proposal stands only if the frames
    do not correlate even after the flow between them is undone.
    """

    def __init__(self, fps: float) -> None:
        self._detector = ContentDetector(threshold=_CANDIDATE, min_scene_len=1, luma_only=True)
        self._fps = fps
        self._count = 0

    def begins_scene(
        self,
        picture: npt.NDArray[np.uint8],
        before: npt.NDArray[np.uint8] | None,
        flow: npt.NDArray[np.float32] | None,
    ) -> bool:
        """``picture`` and the frame ``before`` it: uint8 luma [H, W]; ``flow`` from ``picture`` to ``before``."""
        timecode = FrameTimecode(self._count, self._fps)
        self._count += 1
        proposed = bool(self._detector.process_frame(timecode, cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)))
        if before is None or flow is None or not proposed:
            return False
        undone = ops.warp(before.astype(np.float32), flow)
        return correlation(picture.astype(np.float32), undone) < _SAME_SCENE


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Pearson's correlation of two pictures; 1 for two flat ones of the same level, 0 for two of different levels."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a * a).mean() * (b * b).mean()))
    if spread < 1.0:  # flat to within a code value
        return 1.0 if abs(float(first.mean()) - float(second.mean())) < 8 else 0.0
    return float((a * b).mean()) / spread
