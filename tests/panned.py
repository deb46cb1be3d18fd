# SPDX-License-Identifier: Apache-2.0
"""Made-up clips whose camera path, exposure and sharp pictures are known: what analysis and fitting are judged by.

A camera travels over a large texture. Its pictures are exposed by a sum of many sharp pictures in linear light,
written out here in NumPy and OpenCV: none of the engine's own code makes what the engine is tested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from deblur_engine.media import Clip, ClipInfo, ColourTags, Frame

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

STEPS = 24  # sharp pictures that an exposure is the sum of


@cache
def texture(seed: int, width: int = 640, height: int = 480) -> Array:
    """R'G'B' float32 [H, W, 3] with edges and detail at all scales, different for each seed."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 0.5, np.float32)
    for _ in range(width * height // 400):
        colour = [float(c) for c in rng.uniform(0.05, 0.95, 3)]
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(rng.integers(3, 22)), colour, -1, cv2.LINE_AA)
        else:
            w, h = (int(v) for v in rng.integers(4, 32, 2))
            corners = cv2.boxPoints(((x, y), (w, h), float(rng.uniform(0, 90)))).astype(np.int32)
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
    fine = cv2.GaussianBlur(rng.normal(0, 1, picture.shape).astype(np.float32), (0, 0), 1.2)
    # As a lens would: detail finer than the pixels would make some phases of the path look sharper than others.
    return cv2.GaussianBlur(np.clip(picture + 0.12 * fine, 0.02, 0.98), (0, 0), 0.8)


def to_linear(picture: Array) -> Array:
    """BT.709's curve undone."""
    x = np.asarray(picture, np.float32)
    return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45)).astype(np.float32)


def from_linear(light: Array) -> Array:
    x = np.clip(np.asarray(light, np.float32), 0, 1)
    return np.where(x < 0.018, x * 4.5, 1.099 * x**0.45 - 0.099).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """One shot: a texture, the way of the camera over it, and each frame's exposure as a fraction of the interval."""

    exposures: Sequence[float]
    seed: int = 1
    speed: tuple[float, float] = (12.0, 5.0)
    roll: float = 0.004  # radians a frame
    zoom: float = 0.003  # a frame
    start: tuple[float, float] = (40.0, 40.0)
    extent: tuple[int, int] = (640, 480)  # of the texture

    def pose(self, time: float) -> Doubles:
        """3x3: pixels of the frame at ``time`` to pixels of the texture."""
        angle, factor = self.roll * time, 1 + self.zoom * time
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        x, y = self.start[0] + self.speed[0] * time, self.start[1] + self.speed[1] * time
        return np.array([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]])

    def path(self, i: float, j: float) -> Doubles:
        """3x3: pixels of frame ``i`` to where the same things lie in frame ``j``."""
        return np.linalg.inv(self.pose(j)) @ self.pose(i)

    def look(self, time: float, size: tuple[int, int]) -> Array:
        """The sharp picture at ``time``."""
        return cv2.warpPerspective(
            texture(self.seed, *self.extent),
            self.pose(time),
            size,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )

    def expose(self, time: float, exposure: float, size: tuple[int, int]) -> Array:
        if exposure == 0:
            return self.look(time, size)
        moments = time + exposure * ((np.arange(STEPS) + 0.5) / STEPS - 0.5)
        return from_linear(np.mean([to_linear(self.look(float(t), size)) for t in moments], axis=0))


SIZE = (256, 192)
FIRST = Scene([0, 0, 0.6, 0.6, 0, 0, 0.6, 0])
SECOND = Scene([0, 0.7, 0.7, 0, 0, 0.7, 0, 0], seed=2, speed=(-10, 6), start=(250, 60))


@dataclass
class Panned:
    """Scenes one after the other: ``pictures`` as recorded and ``truth`` without blur, uint8 [N, H, W, 3]."""

    scenes: Sequence[Scene]
    size: tuple[int, int] = (192, 144)
    pictures: Bytes = field(init=False)
    truth: Bytes = field(init=False)

    def __post_init__(self) -> None:
        shots = [(s, t, e) for s in self.scenes for t, e in enumerate(s.exposures)]
        self.pictures = np.stack([code(s.expose(t, e, self.size)) for s, t, e in shots])
        self.truth = np.stack([code(s.look(t, self.size)) for s, t, _ in shots])

    @property
    def exposures(self) -> Array:
        return np.array([e for s in self.scenes for e in s.exposures], np.float32)

    @property
    def blurry(self) -> npt.NDArray[np.bool_]:
        return self.exposures > 0

    def clip(self) -> PictureClip:
        return PictureClip(self.pictures)


def code(picture: Array) -> Bytes:
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


class PictureClip(Clip):
    """A clip of uint8 [N, H, W, 3] pictures in memory, tagged BT.709, 25 frames a second."""

    def __init__(self, pictures: Bytes, name: str = "made_up.mkv") -> None:
        self.pictures = pictures
        self.path = Path(name)
        self.notes = []
        count, height, width = pictures.shape[:3]
        self.info = ClipInfo(
            path=self.path,
            width=width,
            height=height,
            frame_count=count,
            fps=Fraction(25),
            duration=count / 25,
            codec="ffv1",
            pixel_format="bgr0",
            bit_depth=8,
            colour=ColourTags(1, 1, 1, True),
        )

    def _count(self) -> int:
        return len(self.pictures)

    def _source_frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        for number in range(len(self.pictures))[start:stop]:
            yield Frame(number, number / 25, self.pictures[number].astype(np.float32) / np.float32(255))

    def _source_read(self, numbers: list[int]) -> dict[int, Frame]:
        return {n: next(self._source_frames(n, n + 1)) for n in numbers}

    def _source_lumas(self, start: int, stop: int | None) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for number in range(len(self.pictures))[start:stop]:
            yield number, cv2.cvtColor(self.pictures[number], cv2.COLOR_RGB2GRAY)

    def samples(self) -> list[bytes]:
        return [self.pictures[i].tobytes() for i in (0, len(self.pictures) // 2, -1)]

    def close(self) -> None:
        pass


def write_lossless(path: Path, pictures: Bytes) -> Path:
    """Write uint8 [N, H, W, 3] pictures as FFV1: what is read back are the very same."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "bgr0"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


def psnr(picture: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Peak signal to noise ratio in dB, both pictures 0..1."""
    error = float(np.mean(np.square(np.asarray(picture, np.float64) - np.asarray(truth, np.float64))))
    return -10 * float(np.log10(error + 1e-12))
