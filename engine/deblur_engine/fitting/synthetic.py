# SPDX-License-Identifier: Apache-2.0
"""Exposures that never were: photographs blurred as a moving camera and things moving before it would blur them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from .pairs import Shutter, as_recorded

__all__ = ["Exposure", "expose_photograph", "smooth_noise"]

Array = npt.NDArray[np.float32]

_GAMMA = np.float32(2.2)  # pictures are taken to linear light and back by a plain power
_FLAT = 0.03  # standard deviation below which a crop shows nothing to learn from
_DETAILED = 0.6  # share of crops that are the one with more detail of two
_LENGTHS = (1.0, 45.0)  # pixels of blur, drawn evenly in the logarithm
_STILL = 0.06  # share of cameras that do not move
_THING = 0.35  # share of pictures in which something moves by itself
_SMEARED = 0.1  # share of a moving thing's cover from which a pixel shows its motion


@dataclass(frozen=True)
class Exposure:
    """A sharp picture and what a moving camera made of it; float32, R'G'B' 0..1, [side, side, ...].

    ``motion``: blur vectors in pixels, as blur is undone: where something moving covers a pixel for a part of the
    exposure, it is that thing's.
    """

    sharp: Array
    frame: Array
    motion: Array


def expose_photograph(picture: npt.NDArray[np.uint8], side: int, rng: np.random.Generator) -> Exposure | None:
    """Blur a random crop of ``picture`` (uint8 R'G'B' [H, W, 3]); None where it is too small or shows nothing."""
    height, width = picture.shape[:2]
    if min(height, width) < side:
        return None

    def crop() -> Array:
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        return picture[y : y + side, x : x + side].astype(np.float32) / np.float32(255)

    # Where there is more detail, there is more to learn.
    scene = max(crop(), crop(), key=_detail) if rng.random() < _DETAILED else crop()
    if scene.std() < _FLAT:
        return None
    light = scene ** np.float32(2.2 * rng.uniform(0.75, 1.3))
    length = float(np.exp(rng.uniform(math.log(_LENGTHS[0]), math.log(_LENGTHS[1]))))
    camera = _vectors(0.0 if rng.random() < _STILL else length, side, rng)
    shutter = Shutter.drawn(rng)
    if rng.random() < _THING:
        thing, cover = crop() ** _GAMMA, _cover(side, rng)
        own = _vectors(float(np.exp(rng.uniform(math.log(2.0), math.log(_LENGTHS[1])))), side, rng)
        layer = np.concatenate([thing * cover, cover], 2)
        smear = shutter.expose(layer, own, None)
        blurred = smear[..., :3] + (1 - smear[..., 3:]) * shutter.expose(light, camera, None)
        light = layer[..., :3] + (1 - cover) * light
        motion = np.where(smear[..., 3:] > _SMEARED, own, camera)
    else:
        motion, blurred = camera, shutter.expose(light, camera, None)
    sharp, frame = (np.clip(x, 0, 1) ** (1 / _GAMMA) for x in (light, blurred))
    return Exposure(sharp, as_recorded(frame, rng), np.ascontiguousarray(motion, np.float32))


def smooth_noise(side: int, nodes: int, channels: int, rng: np.random.Generator) -> Array:
    """Normal noise on ``nodes`` by ``nodes`` points, interpolated to [side, side, channels]."""
    coarse = rng.normal(0, 1, (nodes, nodes, channels)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).reshape(side, side, channels)


def _detail(picture: Array) -> float:
    return float(ops.sharpness(picture, tile=1 << 20)[0, 0])


def _vectors(length: float, side: int, rng: np.random.Generator) -> Array:
    """Blur vectors of one direction mostly, with some turning and parallax."""
    angle = rng.uniform(0, 2 * math.pi)
    main = np.array([length * math.cos(angle), length * math.sin(angle)], np.float32)
    return np.ascontiguousarray(main + smooth_noise(side, 3, 2, rng) * np.float32(rng.uniform(0, 0.25) * length))


def _cover(side: int, rng: np.random.Generator) -> Array:
    """Where a thing stands before the scene: a few overlapping ellipses and boxes, [side, side, 1] of 0..1."""
    mask = np.zeros((side, side), np.uint8)
    y, x = rng.integers(side // 5, 4 * side // 5, 2)
    for _ in range(int(rng.integers(1, 4))):
        at = (int(x + rng.integers(-side // 8, side // 8 + 1)), int(y + rng.integers(-side // 8, side // 8 + 1)))
        size = (float(rng.uniform(0.1, 0.6) * side), float(rng.uniform(0.1, 0.6) * side))
        box = (at, size, float(rng.uniform(0, 180)))
        if rng.random() < 0.5:
            cv2.ellipse(mask, box, 255, -1)
        else:
            cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], 255)
    return cv2.GaussianBlur(mask.astype(np.float32) / np.float32(255), (0, 0), 0.7)[..., None]
