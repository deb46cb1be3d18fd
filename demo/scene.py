# SPDX-License-Identifier: Apache-2.0
"""The scene that the demo films: framed photographs on a brick wall, and a strip of grass nearer to the camera.

All pictures come from scikit-image's own package and are free of rights (CC0 or public domain): astronaut (NASA),
coffee (Rachel Michetti), chelsea (Stefan van der Walt), rocket (SpaceX), brick and grass (CC0 textures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

__all__ = ["SCALE", "Layer", "bt709_to_linear", "gallery", "linear_to_bt709"]

SCALE = 2  # scene pixels per pixel of the clip: photographs are shrunk into the scene, so that the clip is crisp

Floats = npt.NDArray[np.float32]


@dataclass
class Layer:
    """A flat part of the scene, facing the camera.

    ``light``: float32 [H, W, 3] in linear light (already multiplied by ``cover`` where there is one); ``cover``:
    float32 [H, W] 0..1 or None for "everywhere"; ``left``, ``top``: place of its first pixel and ``depth``: its
    distance, in clip pixels at distance 1, where the optical axis of the camera at rest passes through (0, 0).
    """

    light: Floats
    cover: Floats | None
    left: float
    top: float
    depth: float


def bt709_to_linear(picture: npt.ArrayLike) -> Floats:
    """The BT.709 camera curve undone: code values 0..1 to light 0..1, float32."""
    x = np.asarray(picture, np.float32)
    return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45)).astype(np.float32)


def linear_to_bt709(light: npt.ArrayLike) -> Floats:
    """The BT.709 camera curve: light, clipped to 0..1, to code values 0..1, float32."""
    x = np.clip(np.asarray(light, np.float32), 0.0, 1.0)
    return np.where(x < 0.018, x * 4.5, 1.099 * x**0.45 - 0.099).astype(np.float32)


def gallery() -> list[Layer]:
    """The scene's layers, from the far one to the near one."""
    return [_wall(), _grass()]


def _wall(width: int = 1560, height: int = 620) -> Layer:
    w, h = width * SCALE, height * SCALE
    wall = _bricks(w, h)
    # (photograph, left, top, height on the wall), in clip pixels
    for name, left, top, tall in (
        ("rocket", 160, 150, 190),
        ("astronaut", 490, 120, 250),
        ("coffee", 788, 165, 190),
        ("chelsea", 1120, 160, 150),
    ):
        _hang(wall, getattr(data, name)(), left * SCALE, top * SCALE, tall * SCALE)
    for text, left, top in (
        (["FALCON 9", "Cape Canaveral", "11 February 2015"], 230, 372),
        (["EILEEN COLLINS", "first woman to command", "a Space Shuttle, 1999"], 535, 402),
        (["DOUBLE ESPRESSO", "red cup on oak", "please do not drink"], 856, 387),
        (["CHELSEA", "cat, at rest", "1/40 s, hand-held"], 1152, 345),
    ):
        _label(wall, text, left * SCALE, top * SCALE)
    return Layer(bt709_to_linear(wall), None, -395.0, -287.0, 1.0)


def _bricks(width: int, height: int) -> Floats:
    """A red brick wall, code values 0..1, unevenly lit; mirrored tiles, each of its own shade, hide the repetition."""
    tile = cv2.resize(data.brick(), None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    tile = tile.T  # lays the bricks flat
    side = tile.shape[0]
    rng = np.random.default_rng(7)
    rows = []
    for j in range(-(-height // side)):
        row = [tile[:: 1 if j % 2 == 0 else -1, :: 1 if i % 2 == 0 else -1] for i in range(-(-width // side))]
        rows.append(np.hstack(row))
    grey = np.vstack(rows)[:height, :width]
    uneven = cv2.resize(rng.normal(0, 1, (9, 20)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 1, (60, 130)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grey = np.clip(0.5 + 1.35 * (grey - grey.mean()) + 0.05 * uneven + 0.035 * fine, 0.02, 0.98)
    tint = np.array([1.0, 0.80, 0.70], np.float32) * 0.95
    x = np.linspace(-1, 1, width, dtype=np.float32)
    return (grey[..., None] * tint * (1.0 - 0.18 * x[None, :, None] ** 2)).astype(np.float32)


def _hang(wall: Floats, photograph: npt.NDArray[np.uint8], left: int, top: int, height: int) -> None:
    """Put a photograph in a white mount and a dark frame on the wall, with its shadow."""
    scale = height / photograph.shape[0]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture: Any = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=method)
    picture = np.clip(picture.astype(np.float32) / 255, 0, 1)
    mount, rim = 11 * SCALE, 5 * SCALE
    framed = np.pad(picture, ((mount, mount), (mount, mount), (0, 0)), constant_values=0.86)
    framed = np.pad(framed, ((rim, rim), (rim, rim), (0, 0)), constant_values=0.10)
    framed[: rim // 3] = framed[:, : rim // 3] = 0.30  # light catches the upper and left edge
    h, w = framed.shape[:2]
    y, x = top - mount - rim, left - mount - rim
    _shade(wall, x + 7 * SCALE, y + 9 * SCALE, w, h)
    wall[y : y + h, x : x + w] = framed


def _label(wall: Floats, lines: Sequence[str], left: int, top: int) -> None:
    """Put a white card with a few lines of small print on the wall."""
    h, w = (15 * len(lines) + 9) * SCALE, 164 * SCALE
    card = np.full((h, w, 3), 224, np.uint8)
    for k, line in enumerate(lines):
        size = (0.46 if k == 0 else 0.42) * SCALE
        place = (7 * SCALE, (16 + 15 * k) * SCALE)
        cv2.putText(card, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (26, 26, 30), SCALE, cv2.LINE_AA)
    _shade(wall, left + 2 * SCALE, top + 3 * SCALE, w, h)
    wall[top : top + h, left : left + w] = card.astype(np.float32) / 255


def _shade(wall: Floats, left: int, top: int, width: int, height: int) -> None:
    """Darken a soft-edged rectangle of the wall: the shadow of what hangs there."""
    soft = 8 * SCALE
    shadow: npt.NDArray[Any] = np.zeros((height + 4 * soft, width + 4 * soft), np.float32)
    shadow[2 * soft : -2 * soft, 2 * soft : -2 * soft] = 0.5
    shadow = cv2.GaussianBlur(shadow, (0, 0), soft / 2)
    y, x = top - 2 * soft, left - 2 * soft
    wall[y : y + shadow.shape[0], x : x + shadow.shape[1]] *= 1 - shadow[..., None]


def _grass(width: int = 1800, height: int = 150) -> Layer:
    """A strip of grass whose upper edge is a row of blades; it stands nearer and so moves faster than the wall."""
    w, h = width * SCALE, height * SCALE
    texture = data.grass().astype(np.float32) / 255
    row = np.hstack([texture[:, :: 1 if i % 2 == 0 else -1] for i in range(-(-w // 512))])[: min(h, 512), :w]
    grey = np.clip(0.42 + 1.2 * (row - row.mean()), 0.02, 0.95)
    code = grey[..., None] * np.array([0.80, 1.0, 0.45], np.float32)
    cover = np.zeros((h, w), np.float32)
    cover[75 * SCALE :] = 1.0
    rng = np.random.default_rng(11)
    for _ in range(width // 3):
        foot = np.array([rng.uniform(0, w), 78.0 * SCALE])
        tall, lean, half = rng.uniform(18, 68) * SCALE, rng.normal(0, 10) * SCALE, rng.uniform(1.0, 2.6) * SCALE
        bend = foot + np.array([0.3 * lean, -0.6 * tall])
        tip = foot + np.array([lean, -tall])
        side = np.array([half, 0.0])
        blade = np.array([foot - side, bend - 0.7 * side, tip, bend + 0.7 * side, foot + side])
        shift = 4  # fractional bits of the corners
        corners = np.round(blade * 2**shift).astype(np.int32)
        green = np.array([0.42, 0.56, 0.22]) * rng.uniform(0.5, 1.15)
        cv2.fillPoly(cover, [corners], 1.0, cv2.LINE_AA, shift)
        cv2.fillPoly(code, [corners], tuple(green.tolist()), cv2.LINE_AA, shift)
    return Layer(bt709_to_linear(code) * cover[..., None], cover, -560.0, 112.0, 0.72)
