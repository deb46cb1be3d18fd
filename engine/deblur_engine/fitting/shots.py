# SPDX-License-Identifier: Apache-2.0
"""Shots that never were, and their truth: photographs before a camera in a hand, and footage exposed for longer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from ..analysis.flow import dense_flow, reduced
from ..analysis.scenes import CutFinder
from .pairs import as_recorded, smooth_noise

__all__ = ["Shot", "film", "footage_for", "refilm"]

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_GAMMA = 2.2  # pictures are taken to linear light and back by a plain power
_FLAT = 0.03  # standard deviation below which a photograph's piece shows nothing to learn from
_DETAILED = 0.6  # share of pieces that are the one with more detail of two
_MARGIN = 64  # pixels around the view that the camera may wander into before the scene repeats, mirrored
_SPEEDS = (2.0, 40.0)  # pixels a frame, the camera's mean, drawn evenly in the logarithm
_STILL = 0.15  # share of cameras on a tripod
_CYCLES = (0.02, 0.25)  # a frame: what a hand does is a sum of swings of these frequencies
_SWINGS = 4
# Pixels (sigma) by which lens, sensor and codec soften footage, as they do no photograph that was made smaller.
_SOFTNESS = (0.0, 1.4)
_THINGS = (0.45, 0.4, 0.15)  # chance of none, one and two things that move by themselves
_SHUTTER, _VARYING = 0.4, 0.3  # share of shots with one exposure; with each frame's own; the rest are frame-blended
_WINDOWS = (1, 1, 3, 5)  # frames of footage that one of a shot is exposed for, drawn from these
_STRIDE = 6  # frames of the footage that a frame-blended shot is made of, for one of its own
_BETWEEN = 8  # moments that an exposure is the sum of, for each of its frames, where it is continuous
_BLENDED = 0.4  # share of shots of footage that are sums of its frames alone
_SMALL = (96, 54)  # pixels, of pictures in which cuts are looked for
_CELL = 16  # pixels between the points where the camera's motion is worked out


@dataclass(frozen=True)
class Shot:
    """Frames as recorded and what was before the camera at the middle of each exposure; float32 [H, W, 3], R'G'B'."""

    recorded: tuple[Array, ...]
    truth: tuple[Array, ...]


def film(picture: Bytes, other: Bytes, size: tuple[int, int], count: int, rng: np.random.Generator) -> Shot | None:
    """``count`` frames of a photograph (uint8 R'G'B' [H, W, 3]), ``size`` (width, height) each.

    What moves before it is cut from ``other``. None where a photograph is too small or shows nothing.
    """
    width, height = size
    scene = _piece(picture, (width + 2 * _MARGIN, height + 2 * _MARGIN), rng)
    if scene is None or scene.std() < _FLAT:
        return None
    softness = float(rng.uniform(*_SOFTNESS))
    scene = _softened(scene, softness)
    speed = 0.0 if rng.random() < _STILL else _drawn(_SPEEDS, rng)
    camera = _Camera(scene ** np.float32(_GAMMA * rng.uniform(0.75, 1.3)), size, speed, rng)
    things = []
    for _ in range(int(rng.choice(len(_THINGS), p=_THINGS))):
        texture = _piece(other, size, rng)
        if texture is not None:
            things.append(_Thing(_softened(texture, softness) ** np.float32(_GAMMA), camera.path, rng))

    def light(time: float) -> Array:
        seen = camera.view(time)
        for thing in things:
            seen = thing.before(seen, time)
        return seen

    recorded, truth = [], []
    fastest = max([camera.path.speed, *(thing.speed for thing in things)])
    for frame, (exposure, steps) in enumerate(_exposures(count, rng)):
        many = steps or int(np.clip(math.ceil(exposure * fastest) + 1, 5, 48))
        times = frame + exposure * ((np.arange(many) + 0.5) / many - 0.5)
        total = light(times[0])
        for time in times[1:]:
            total += light(time)
        recorded.append(as_recorded(_code(total / np.float32(many)), rng))
        truth.append(_code(light(frame)))
    return Shot(tuple(recorded), tuple(truth))


def footage_for(count: int, stride: int) -> int:
    """How many frames of footage ``refilm`` makes ``count`` of."""
    return (count - 1) * stride + max(_WINDOWS)


def refilm(footage: Sequence[Bytes], stride: int, rng: np.random.Generator) -> Shot | None:
    """Every ``stride``-th frame of sharp footage (uint8 R'G'B' [H, W, 3] each), exposed for as long as several.

    What moves does so as it did; between two frames it is carried along the flow. The truth is the footage's frame. The
    ends, half the longest exposure, are left out. None where something in it is a cut.
    """
    reach = max(_WINDOWS) // 2
    small = [cv2.cvtColor(reduced(picture, _SMALL), cv2.COLOR_RGB2GRAY) for picture in footage]
    cuts = CutFinder(25.0)
    for now, before in zip(small, [None, *small], strict=False):
        back = None if before is None else dense_flow(now, before)
        if cuts.begins_scene(now, before, back) and before is not None:
            return None
    between = cache(lambda i: _Between(footage[i], footage[i + 1]))

    def light(time: float) -> Array:
        ahead, part = divmod(time, 1.0)
        return between(int(ahead)).at(part) if part else _light(footage[int(ahead)])

    blended = rng.random() < _BLENDED
    centres = range(reach, len(footage) - reach, stride)
    recorded, truth = [], []
    for centre, window in zip(centres, rng.choice(_WINDOWS, len(centres)), strict=True):
        many = int(window) if blended or window == 1 else _BETWEEN * (int(window) - 1) + 1
        moments = [light(time) for time in np.linspace(centre - window // 2, centre + window // 2, many)]
        recorded.append(_code(np.mean(moments, axis=0, dtype=np.float32)))
        truth.append(footage[centre].astype(np.float32) / np.float32(255))
    return Shot(tuple(recorded), tuple(truth))


class _Between:
    """What lies between two frames: both carried along the flow, in linear light."""

    def __init__(self, here: Bytes, after: Bytes) -> None:
        grey, grey_after = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (here, after))
        self.flows = dense_flow(grey_after, grey), dense_flow(grey, grey_after)
        self.lights = _light(here), _light(after)

    def at(self, part: float) -> Array:
        """``part``: 0 is the first, 1 the second."""
        # The flow of what lies between is taken for that of either frame at the same place: motion is smooth.
        (back, forth), (here, after) = self.flows, self.lights
        first = ops.warp(here, back * np.float32(part))
        second = ops.warp(after, forth * np.float32(1 - part))
        return np.asarray((1 - part) * first + part * second, np.float32)


def _exposures(count: int, rng: np.random.Generator) -> list[tuple[float, int | None]]:
    """Each frame's exposure as a share of the interval, and the steps that it is made of (None: it is continuous)."""
    kind = rng.random()
    if kind < _SHUTTER:
        return [(float(rng.uniform(0.25, 1.0)), None)] * count
    if kind < _SHUTTER + _VARYING:
        choice = [0.03, 0.03, rng.uniform(0.2, 0.6), rng.uniform(0.5, 0.95)]
        return [(float(exposure), None) for exposure in rng.choice(choice, count)]
    windows = rng.choice(_WINDOWS, count)
    return [(int(window) / _STRIDE, int(window)) for window in windows]


class _Path:
    """Where something is over time: swings of several frequencies about a steady drift, (x, y) in pixels."""

    def __init__(self, speed: float, rng: np.random.Generator) -> None:
        """``speed``: pixels a frame, the root mean square over time."""
        self.cycles = np.exp(rng.uniform(math.log(_CYCLES[0]), math.log(_CYCLES[1]), _SWINGS)) * 2 * math.pi
        self.phase = rng.uniform(0, 2 * math.pi, (_SWINGS, 2))
        self.size = rng.normal(0, 1, (_SWINGS, 2)) / self.cycles[:, None]
        self.drift = rng.normal(0, 1, 2) * rng.choice([0.0, 1.0, 3.0])
        self.speed = speed
        squared = np.square(self.size * self.cycles[:, None]).sum() / 2 + np.square(self.drift).sum()
        factor = speed / math.sqrt(squared)
        self.size, self.drift = self.size * factor, self.drift * factor

    def at(self, time: float) -> npt.NDArray[np.float64]:
        swings = self.size * np.sin(self.cycles[:, None] * time + self.phase)
        return np.asarray(swings.sum(0) + self.drift * time)


class _Camera:
    """A scene with some depth, seen from a hand that shifts, rolls and nears it."""

    def __init__(self, scene: Array, size: tuple[int, int], speed: float, rng: np.random.Generator) -> None:
        self.scene, self.size = scene, size
        self.path = _Path(speed, rng)
        share = speed * rng.uniform(0, 0.5) / max(size)  # radians, or a share of the distance
        self.turning = _Path(share, rng)
        self.depth = smooth_noise((scene.shape[0], scene.shape[1]), (4, 4), 1, rng)[..., 0] * np.float32(
            rng.uniform(0, 0.3)
        )
        width, height = size
        x, y = (np.arange(0, side, _CELL).astype(np.float32) + np.float32((_CELL - 1) / 2) for side in size)
        self.grid = np.stack(np.meshgrid(x, y), -1)
        self.centre = np.array([width / 2, height / 2], np.float32)
        self.pixels = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)

    def view(self, time: float) -> Array:
        """What is seen at a time, linear light [H, W, 3]."""
        shift = self.path.at(time).astype(np.float32)
        roll, near = self.turning.at(time).astype(np.float32)
        at = self.grid + shift + _MARGIN
        depth = cv2.remap(self.depth, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        out = self.grid - self.centre
        moved = shift * (1 + depth[..., None]) + roll * np.stack([-out[..., 1], out[..., 0]], -1) + near * out
        width, height = self.size
        cells = (moved.shape[1] * _CELL, moved.shape[0] * _CELL)
        field = self.pixels + cv2.resize(moved, cells, interpolation=cv2.INTER_LINEAR)[:height, :width] + _MARGIN
        seen = cv2.remap(self.scene, field[..., 0], field[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return np.maximum(seen, 0, out=seen)


class _Thing:
    """Something before the scene that goes its own way."""

    def __init__(self, texture: Array, camera: _Path, rng: np.random.Generator) -> None:
        cover = _cover(texture.shape[:2], rng)
        self.layer = np.concatenate([texture * cover, cover], 2)
        own = _drawn(_SPEEDS, rng)
        self.path, self.camera, self.nearness = _Path(own, rng), camera, rng.uniform(1.0, 1.6)
        self.speed = own + self.nearness * camera.speed

    def before(self, seen: Array, time: float) -> Array:
        """The view with this before it."""
        x, y = self.path.at(time) - self.nearness * self.camera.at(time)
        height, width = seen.shape[:2]
        move = np.array([[1, 0, x], [0, 1, y]])
        layer = cv2.warpAffine(self.layer, move, (width, height), flags=cv2.INTER_LINEAR)
        return np.asarray(layer[..., :3] + (1 - layer[..., 3:]) * seen, np.float32)


def _piece(picture: Bytes, size: tuple[int, int], rng: np.random.Generator) -> Array | None:
    """A random piece of a picture, mostly the one with more detail of two, 0..1; None of one that is smaller."""
    height, width = picture.shape[:2]
    if width < size[0] or height < size[1]:
        return None

    def crop() -> Array:
        y, x = int(rng.integers(height - size[1] + 1)), int(rng.integers(width - size[0] + 1))
        return picture[y : y + size[1], x : x + size[0]].astype(np.float32) / np.float32(255)

    return max(crop(), crop(), key=_detail) if rng.random() < _DETAILED else crop()


def _softened(picture: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.3 else picture


def _detail(picture: Array) -> float:
    return float(ops.sharpness(picture, tile=1 << 20)[0, 0])


def _cover(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Where a thing is: a few overlapping ellipses and boxes, [H, W, 1] of 0..1."""
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    y, x = int(rng.integers(height // 5, 4 * height // 5)), int(rng.integers(width // 5, 4 * width // 5))
    for _ in range(int(rng.integers(1, 4))):
        at = (x + int(rng.integers(-width // 8, width // 8 + 1)), y + int(rng.integers(-height // 8, height // 8 + 1)))
        box = (at, (float(rng.uniform(0.1, 0.6) * height), float(rng.uniform(0.1, 0.6) * height)), rng.uniform(0, 180))
        if rng.random() < 0.5:
            cv2.ellipse(mask, box, 255, -1)
        else:
            cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], 255)
    return cv2.GaussianBlur(mask.astype(np.float32) / np.float32(255), (0, 0), 0.7)[..., None]


def _drawn(between: tuple[float, float], rng: np.random.Generator) -> float:
    """Evenly in the logarithm."""
    return math.exp(rng.uniform(math.log(between[0]), math.log(between[1])))


def _light(picture: Bytes) -> Array:
    return np.asarray((picture.astype(np.float32) / np.float32(255)) ** np.float32(_GAMMA), np.float32)


def _code(light: Array) -> Array:
    return np.asarray(np.clip(light, 0, 1) ** np.float32(1 / _GAMMA), np.float32)
