# SPDX-License-Identifier: Apache-2.0
"""How things move at one frame, by the flows to its neighbours, and where that can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from .flow import dense_flow, falling, homography_flow, homography_of, resize_flow

__all__ = ["Motion", "motion_between"]

Array = npt.NDArray[np.float32]

_ERRATIC = (1.0, 1.8)  # change of the motion over the motion itself: up to here a hand's shake, from there no motion
_ASTRAY = (0.3, 0.8)  # how far off a flow and the one back lead, over the motion: up to here they agree, from there not
_STILL = 0.2  # pixels an interval that are no motion
_OWN = (0.7, 0.95)  # share of a place's motion that is not the camera's: up to here parallax, from here its own
_RESTS = (0.004, 0.008)  # of the picture's longest side, that its corners move by in an interval
_SMEARED = (0.06, 0.08)  # blur length over the picture's width up to which references are believed, from which not


@dataclass(frozen=True)
class Motion:
    """Motion at a frame; float32, at working size, in its pixels.

    ``interval`` [h, w, 2]: per frame interval. ``bend`` [h, w, 2]: how much it changes over one, None where there are
    not two neighbours to tell. ``agreed`` [h, w] 0..1: how far a flow to a neighbour and the one back agree, None
    where there was no flow.
    """

    interval: Array
    bend: Array | None = None
    agreed: Array | None = None

    def resized(self, size: tuple[int, int]) -> Motion:
        """This motion for pictures of another ``size`` (width, height)."""
        return Motion(
            resize_flow(self.interval, size),
            None if self.bend is None else resize_flow(self.bend, size),
            None if self.agreed is None else cv2.resize(self.agreed, size, interpolation=cv2.INTER_LINEAR),
        )

    def believable(self, exposure: float) -> Array:
        """0..1, [h, w]: how far the motion at each place can be what blurred it in so large a part of an interval.

        Where something comes into view or leaves it, one of the two flows is made up, and they differ by more than any
        hand shakes; nor does a made-up flow lead back to where it came from. And a blur of a good part of the picture's
        width is smeared so far that any reference would fit.
        """
        speed = np.hypot(self.interval[..., 0], self.interval[..., 1])
        gate = falling(speed * np.float32(exposure / speed.shape[1]), _SMEARED)
        if self.bend is not None:
            # What the whole picture's motion changes by is the camera's shake.
            own = self.bend - np.median(self.bend, axis=(0, 1)).astype(np.float32)
            gate *= falling(np.hypot(own[..., 0], own[..., 1]) / (speed + np.float32(1)), _ERRATIC)
        gate = cv2.GaussianBlur(gate.astype(np.float32), (0, 0), 2.0)
        return gate if self.agreed is None else gate * self.agreed

    @cached_property
    def camera(self) -> Array:
        """[h, w, 2]: what of the motion per frame interval the camera's is, as far as a homography tells."""
        height, width = self.interval.shape[:2]
        return homography_flow(homography_of(self.interval), height, width)

    def of_camera(self) -> Array:
        """0..1, [h, w]: how far the motion at each place is the camera's, with parallax, and not that of something."""
        own = self.interval - self.camera
        speed = np.hypot(self.interval[..., 0], self.interval[..., 1])
        share = np.hypot(own[..., 0], own[..., 1]) / (speed + np.float32(_STILL))
        return cv2.GaussianBlur(falling(share, _OWN).astype(np.float32), (0, 0), 2.0)

    def camera_rests(self) -> float:
        """0..1: how far the camera can be said to rest, by what it moves the corners by."""
        farthest = np.abs(self.camera[[0, -1]][:, [0, -1]]).max()
        return float(falling(farthest / np.float32(max(self.camera.shape)), _RESTS))


def motion_between(here: npt.NDArray[np.uint8], neighbours: Mapping[int, npt.NDArray[np.uint8]]) -> Motion:
    """The motion at picture ``here`` by its neighbours: how many frames later each is -> the picture, uint8 [h, w].

    Half the difference of the flows to them, and their sum.
    """
    sides, agreed = [], np.zeros(here.shape, np.float32)
    for step, there in neighbours.items():
        to = dense_flow(here, there, preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back = dense_flow(there, here, preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        off = to + ops.warp(back, to)
        astray = np.hypot(off[..., 0], off[..., 1]) / (np.hypot(to[..., 0], to[..., 1]) + np.float32(1))
        agreed = np.maximum(agreed, falling(astray, _ASTRAY))
        sides.append(to * np.float32(step))
    agreed = cv2.GaussianBlur(agreed, (0, 0), 2.0)
    interval = cv2.GaussianBlur(np.mean(sides, axis=0, dtype=np.float32), (0, 0), 1.0)
    bend = cv2.GaussianBlur(sides[1] - sides[0], (0, 0), 8.0) if len(sides) == 2 else None
    return Motion(interval, bend, agreed)
