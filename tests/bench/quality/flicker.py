# SPDX-License-Identifier: Apache-2.0
"""Flicker: by how much a thing changes its looks from one frame to the next, where both frames show it.

The warping error of Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018): frame t + 1 is
warped to frame t by optical flow and compared outside occlusions. The flow is the *truth's*, so that every row of a
table is judged by the same motion. Occlusions are where the flows there and back disagree (Sundaram, Brox and Keutzer,
ECCV 2010, eq. 5), and where the truth itself is not what the flow says: there both flows have lost their way alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .pictures import Bytes

__all__ = ["Steps", "steps_of", "warping_errors"]

Floats = npt.NDArray[np.float32]

_UNLIKE = 20.0  # code values, over a few pixels, by which the truth may differ from itself along its flow
_LEAST_SHARE = 0.05  # of a picture that must be seen in both frames: less is a cut, or motion that was not found


@dataclass(frozen=True)
class Steps:
    """The truth's motion: for each pair of neighbouring frames the flow and where it holds, or None (a cut)."""

    flows: tuple[tuple[Floats, npt.NDArray[np.bool_]] | None, ...]


def steps_of(truth: Sequence[Bytes]) -> Steps:
    """The motion between neighbouring pictures of ``truth``, uint8 [H, W, 3]."""
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in truth]
    return Steps(tuple(_step(a, b) for a, b in pairwise(greys)))


def _step(here: Bytes, after: Bytes) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc
    forth: Floats = flow(here, after, None)
    back: Floats = flow(after, here, None)
    height, width = here.shape
    at = _places(forth)
    returned = cv2.remap(back, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = np.square(forth + returned).sum(2)
    lengths = np.square(forth).sum(2) + np.square(returned).sum(2)
    inside = (at[..., 0] >= 0) & (at[..., 0] <= width - 1) & (at[..., 1] >= 0) & (at[..., 1] <= height - 1)
    carried = cv2.remap(after, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unlike = cv2.GaussianBlur(cv2.absdiff(carried, here).astype(np.float32), (0, 0), 2.0)
    seen = (off < 0.01 * lengths + 0.5) & inside & (unlike < _UNLIKE)
    return (forth, seen) if seen.mean() >= _LEAST_SHARE else None


def _places(flow: Floats) -> Floats:
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return flow + np.stack([x, y], -1)


def warping_errors(pictures: Sequence[Bytes], steps: Steps) -> list[float]:
    """For each pair of neighbours the mean squared difference in code values where both show the same; nan at cuts.

    0 for a clip that stays consistent along the truth's motion; even the truth itself has some, from interpolation,
    light and flow, so only a comparison says something.
    """
    found = []
    for (a, b), step in zip(pairwise(pictures), steps.flows, strict=True):
        if step is None:
            found.append(math.nan)
            continue
        flow, seen = step
        at = _places(flow)
        warped = cv2.remap(
            b.astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        found.append(float(np.square(warped - a)[seen].mean()))
    return found
