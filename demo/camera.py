# SPDX-License-Identifier: Apache-2.0
"""The demo's camera: a hand that rests, swings to the next picture and is jolted, and never holds quite still."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scene import SCALE, Floats, Layer

__all__ = ["EXPOSURE", "FPS", "FRAMES", "HEIGHT", "WIDTH", "Pose", "blur_length", "expose", "hand"]

WIDTH, HEIGHT, FPS, FRAMES = 640, 360, 24, 44
EXPOSURE = 0.6  # of the frame interval: 1/40 s, as a camera takes it indoors
_FOCAL = 720.0  # pixels; about a 32 mm lens on full frame

# Swings of the hand: (first frame, last frame, right, down, roll in degrees); pixels on the wall.
_SWINGS = (
    (3.2, 9.0, 138.0, 8.0, 0.8),
    (11.6, 15.8, 26.0, -34.0, -2.0),
    (18.4, 24.6, 172.0, 12.0, 1.6),
    (27.0, 30.8, -22.0, 38.0, -1.2),
    (33.0, 39.6, 152.0, -22.0, 1.0),
)
_TURNED = 0.45  # of each swing is the camera turning; the rest is the camera moving, which gives parallax


@dataclass(frozen=True)
class Pose:
    """Where the camera is (pixels at distance 1) and how it is turned (radians: right, down, clockwise)."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float
    roll: float

    def homography(self, depth: float) -> npt.NDArray[np.float64]:
        """Maps a point of the plane at ``depth`` (see ``scene.Layer``) to a pixel of the picture; [3, 3]."""
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        turn = (
            np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
            @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
            @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        )
        lens = np.array([[_FOCAL, 0, WIDTH / 2 - 0.5], [0, _FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]])
        plane = np.array([[1, 0, -self.x], [0, 1, -self.y], [0, 0, _FOCAL * depth - self.z]])
        return lens @ turn @ plane


def hand(frame: float) -> Pose:
    """The camera's pose at a time counted in frames (fractions are moments between two frames)."""
    x = y = roll = bustle = 0.0
    for first, last, right, down, turn in _SWINGS:
        s = min(max((frame - first) / (last - first), 0.0), 1.0)
        done = s * s * s * (10 - 15 * s + 6 * s * s)  # minimum jerk: how a hand moves between two rests
        x, y, roll = x + right * done, y + down * done, roll + math.radians(turn) * done
        bustle += 16 * (s * (1 - s)) ** 2  # a moving hand shakes more
    t = frame / FPS

    def sway(hertz: float, phase: float) -> float:
        return math.sin(2 * math.pi * hertz * t + phase)

    drift_x, drift_y = 1.6 * sway(0.9, 0.4) + 0.30 * sway(7.3, 1.1), 1.4 * sway(1.1, 2.0) + 0.28 * sway(8.1, 0.3)
    shake_x, shake_y = 4.0 * sway(5.2, 0.2), 5.0 * sway(4.7, 1.9)
    x, y = x + drift_x + bustle * shake_x, y + drift_y + bustle * shake_y
    return Pose(
        x=(1 - _TURNED) * x,
        y=(1 - _TURNED) * y,
        z=6.0 * sway(0.6, 0.0) + 5.0 * bustle * sway(2.3, 1.0),
        yaw=_TURNED * x / _FOCAL,
        pitch=_TURNED * y / _FOCAL,
        roll=roll + math.radians(0.10 * sway(1.3, 0.7) + 0.5 * bustle * sway(3.9, 0.0)),
    )


def blur_length(frame: int, path: Callable[[float], Pose] = hand) -> float:
    """Mean length in pixels of the path that the wall's points draw on the picture while frame's shutter is open."""
    px, py = np.meshgrid(np.linspace(0, WIDTH - 1, 9), np.linspace(0, HEIGHT - 1, 5))
    seen = np.stack([px.ravel(), py.ravel(), np.ones(px.size)])
    on_wall = np.linalg.inv(path(frame).homography(1.0)) @ seen
    places = []
    for moment in _moments(frame, 33):
        there = path(moment).homography(1.0) @ on_wall
        places.append(there[:2] / there[2])
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum(0).mean() * 33 / 32)


def _moments(frame: int, samples: int) -> Sequence[float]:
    """Mid-points of ``samples`` equal parts of the exposure, which is centred on the frame's time."""
    return [frame + EXPOSURE * ((k + 0.5) / samples - 0.5) for k in range(samples)]


def expose(layers: Sequence[Layer], frame: int, samples: int, path: Callable[[float], Pose] = hand) -> Floats:
    """What the sensor gathers over a frame's exposure: float32 [HEIGHT, WIDTH, 3], linear light.

    ``samples`` moments are averaged; 1 gives the unblurred picture at mid-exposure.
    """
    total = np.zeros((HEIGHT * SCALE, WIDTH * SCALE, 3), np.float32)
    for moment in _moments(frame, samples):
        total += _look(layers, path(moment))
    # Pixels are little squares: the mean over SCALE x SCALE scene pixels.
    return np.asarray(cv2.resize(total / samples, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _look(layers: Sequence[Layer], pose: Pose) -> Floats:
    """One moment's picture at SCALE times the clip's size, linear light."""
    size = (WIDTH * SCALE, HEIGHT * SCALE)
    # Pixel centres: coarse pixel c covers fine pixels SCALE*c .. SCALE*c + SCALE - 1.
    finer = np.array([[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2], [0, 0, 1]])
    picture: npt.NDArray[Any] = np.zeros((size[1], size[0], 3), np.float32)
    for layer in layers:
        place = np.array([[1 / SCALE, 0, layer.left], [0, 1 / SCALE, layer.top], [0, 0, 1]])
        # A nearer plane's points lie closer to the axis for the same pixel; its own pixels count at distance 1.
        place = np.diag([layer.depth, layer.depth, 1.0]) @ place
        h = finer @ pose.homography(layer.depth) @ place
        if layer.cover is None:
            picture = cv2.warpPerspective(layer.light, h, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        else:
            top = _first_row(h, layer.light.shape, size)
            if top >= size[1]:
                continue
            h = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1.0]]) @ h
            part = (size[0], size[1] - top)
            light = cv2.warpPerspective(layer.light, h, part, flags=cv2.INTER_LINEAR)
            cover = cv2.warpPerspective(layer.cover, h, part, flags=cv2.INTER_LINEAR)
            picture[top:] = picture[top:] * (1 - cover[..., None]) + light
    return picture


def _first_row(h: npt.NDArray[np.float64], shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """The first picture row that a layer reaches: rows above it need no work."""
    corners = h @ np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]], [1.0, 1, 1, 1]])
    return int(np.clip(math.floor((corners[1] / corners[2]).min()) - 1, 0, size[1]))
