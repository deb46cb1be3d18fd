# SPDX-License-Identifier: Apache-2.0
"""A result brought to where its truth is, by one motion for the whole picture.

A deblurred picture may lie a fraction of a pixel off its truth, since a blur says little of when in the exposure its
middle was. Papers on real blur therefore align before they measure (Köhler et al., ECCV 2012, by translation; Rim et
al., RealBlur, ECCV 2020, by a homography), with the enhanced correlation coefficient of Evangelidis and Psarakis (IEEE
TPAMI 30(10), 2008, p. 1858-1865).
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from .likeness import squared_error
from .pictures import Bytes

__all__ = ["Motion", "brought_to"]

Motion = Literal["translation", "homography"]

_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
_MOST = 16.0  # pixels that a corner may be moved by: what is farther off is another picture


def brought_to(
    truth: Bytes, picture: Bytes, motion: Motion = "homography"
) -> tuple[Bytes, npt.NDArray[np.bool_] | None]:
    """``picture`` warped to ``truth`` (uint8 [H, W, 3] both), and where it then shows anything (bool [H, W]).

    The mask is None, and the picture the same object, where no motion brings it nearer: an alignment must not make a
    picture worse than it is, which resampling alone could.
    """
    if np.array_equal(truth, picture):
        return picture, None
    grey_truth, grey = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (truth, picture))
    height, width = grey.shape
    try:
        # A shift first: the other six numbers of a homography are found only from near by.
        shift = _ecc(grey_truth, grey, np.eye(2, 3, dtype=np.float32), cv2.MOTION_TRANSLATION)
        found = np.vstack([shift, [0, 0, 1]]).astype(np.float32)
        if motion == "homography":
            found = _ecc(grey_truth, grey, found, cv2.MOTION_HOMOGRAPHY)
    except cv2.error:  # it does not converge: flat or unlike pictures
        return picture, None
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)[None]
    if not np.isfinite(found).all() or np.abs(cv2.perspectiveTransform(corners, found) - corners).max() > _MOST:
        return picture, None
    options: dict[str, Any] = {"dsize": (width, height)}
    warped = cv2.warpPerspective(picture, found, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, **options)
    covered = cv2.warpPerspective(
        np.ones((height, width), np.float32), found, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, **options
    )
    # Cubic interpolation looks two pixels around, and there black is mixed in.
    inside = cv2.erode((covered > 0.999).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    if not inside.any() or squared_error(truth, warped, inside) >= squared_error(truth, picture, inside):
        return picture, None
    return warped, inside


def _ecc(truth: Bytes, picture: Bytes, start: npt.NDArray[np.float32], kind: int) -> npt.NDArray[np.float32]:
    _, found = cv2.findTransformECC(truth, picture, start, kind, _STEPS, None, 5)  # type: ignore[call-overload]
    return np.asarray(found, np.float32)
