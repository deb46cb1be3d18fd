# SPDX-License-Identifier: Apache-2.0
"""Blurry clips with known sharp pictures, made from real footage in the manner of GOPRO_Random.

Every output frame is the mean, in linear light, of a random number of consecutive source frames; the source
frame in the middle is its ground truth. A window of one frame gives a sharp frame, and as the ground truth is
then the very same picture, any change to it is harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SyntheticClip", "gopro_random", "linear_to_srgb", "read_pictures", "srgb_to_linear", "write_clip"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass
class SyntheticClip:
    """Blurry pictures and their ground truth, uint8 [H, W, 3] R'G'B' each; ``windows[i]`` frames make picture i."""

    name: str
    blurry: list[Bytes]
    sharp: list[Bytes]
    windows: list[int]
    fps: Fraction = Fraction(25)

    @property
    def is_blurry(self) -> npt.NDArray[np.bool_]:
        """Which pictures are a mean of several source frames (bool [N])."""
        return np.array([window > 1 for window in self.windows])

    def save_npz(self, path: str | Path) -> None:
        """Write the arrays ``blurry``, ``sharp`` (uint8 [N, H, W, 3]) and ``windows`` (int [N])."""
        np.savez(path, blurry=np.stack(self.blurry), sharp=np.stack(self.sharp), windows=np.array(self.windows))


def srgb_to_linear(picture: npt.ArrayLike) -> Floats:
    """The sRGB curve undone: float32 0..1 in, linear light 0..1 out."""
    x = np.asarray(picture, np.float32)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(light: npt.ArrayLike) -> Floats:
    """Linear light 0..1 (clipped) to sRGB code values 0..1, float32."""
    x = np.clip(np.asarray(light, np.float32), 0.0, 1.0)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


_LIGHT_OF_CODE = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)


def read_pictures(path: str | Path, size: tuple[int, int] | None = None) -> Iterator[Bytes]:
    """The frames of a video in order as uint8 [H, W, 3]; ``size`` (width, height) shrinks them by area averaging.

    Deliberately not ``deblur_engine.media``: the measuring stand must not share a fault with what it measures.
    """
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture: npt.NDArray[Any] = frame.to_ndarray(format="rgb24")
            if size is not None and (picture.shape[1], picture.shape[0]) != size:
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            yield np.ascontiguousarray(picture)


def gopro_random(
    source_path: str | Path,
    *,
    stride: int = 6,
    windows: Sequence[int] = (1, 1, 3, 5),
    seed: int = 0,
    count: int = 30,
    start: int = 0,
    size: tuple[int, int] | None = None,
    between: int = 0,
) -> SyntheticClip:
    """Make a partly blurry clip with ground truth out of a video.

    Output frame i is centred on source frame ``start + max(windows) // 2 + i * stride`` and is the mean in linear
    light of as many consecutive source frames as drawn (seeded) from ``windows`` (odd numbers; repeat one to make
    it likelier). ``between`` puts that many flow-interpolated pictures between two neighbours, for a continuous
    blur where the source moves far between its frames; 0 is plain averaging. A source too short for ``count``
    gives fewer frames. Raises ``ValueError`` on windows that have no middle or a source too short for one frame.
    """
    if not windows or any(window < 1 or window % 2 == 0 for window in windows):
        raise ValueError(f"windows {tuple(windows)}: each must be odd and positive, so that it has a middle frame")
    if stride < 1 or count < 1 or start < 0 or between < 0:
        raise ValueError("stride and count must be at least 1, start and between at least 0")
    margin = max(windows) // 2
    drawn = [int(window) for window in np.random.default_rng(seed).choice(np.asarray(windows), count)]
    centres = [start + margin + i * stride for i in range(count)]

    clip = SyntheticClip(Path(source_path).stem, [], [], [], _rate(source_path) / stride)
    held: dict[int, Bytes] = {}  # only the frames that a window still wants
    for number, picture in enumerate(read_pictures(source_path, size)):
        held[number] = picture
        i = len(clip.blurry)
        if number == centres[i] + margin:
            reach = drawn[i] // 2
            inside = [held[k] for k in range(centres[i] - reach, centres[i] + reach + 1)]
            clip.blurry.append(_mean_in_linear_light(inside, between))
            clip.sharp.append(held[centres[i]])
            clip.windows.append(drawn[i])
            if len(clip.blurry) == count:
                break
            held = {k: v for k, v in held.items() if k >= centres[i + 1] - margin}
    if not clip.blurry:
        raise ValueError(f"{source_path} is too short: frame {centres[0] + margin} is needed and does not exist")
    return clip


def _rate(path: str | Path) -> Fraction:
    with av.open(str(path)) as container:
        return Fraction(container.streams.video[0].average_rate or 25)


def _mean_in_linear_light(pictures: Sequence[Bytes], between: int) -> Bytes:
    """The mean of uint8 pictures as a camera would form it, with ``between`` interpolated ones in every gap."""
    if len(pictures) == 1:
        return pictures[0]
    total = np.zeros(pictures[0].shape, np.float64)
    samples = 0
    for a, b in zip(pictures, [*pictures[1:], None], strict=True):
        total += _LIGHT_OF_CODE[a]
        samples += 1
        if b is not None and between:
            for picture in _interpolate(a, b, between):
                total += picture
                samples += 1
    return np.round(linear_to_srgb(total / samples) * 255).astype(np.uint8)


def _interpolate(a: Bytes, b: Bytes, between: int) -> Iterator[Floats]:
    """Pictures (linear light) at even times between a and b, each a blend of both carried along the DIS flow."""
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc  # the stubs ask for an output
    grey_a, grey_b = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (a, b))
    ahead, back = flow(grey_a, grey_b, None), flow(grey_b, grey_a, None)
    y, x = np.mgrid[0 : a.shape[0], 0 : a.shape[1]].astype(np.float32)
    light_a, light_b = _LIGHT_OF_CODE[a], _LIGHT_OF_CODE[b]
    for step in range(1, between + 1):
        t = step / (between + 1)
        # The flow of the in-between picture itself is taken as that of a (b) at the same place: motion is smooth.
        from_a = cv2.remap(
            light_a, x - t * ahead[..., 0], y - t * ahead[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        from_b = cv2.remap(
            light_b,
            x - (1 - t) * back[..., 0],
            y - (1 - t) * back[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        yield (1 - t) * from_a + t * from_b


def write_clip(
    pictures: Sequence[Bytes], path: str | Path, fps: Fraction = Fraction(25), *, lossless: bool = True
) -> Path:
    """Store uint8 [H, W, 3] pictures as a video: FFV1 in RGB (bgr0; bit-exact; name it .mkv) or H.264 4:2:0, CRF 10.

    Measuring takes the lossless kind, so that what is measured is the method and not a codec.
    """
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if lossless else "libx264", rate=fps)
        stream.width, stream.height = width, height
        if lossless:
            stream.pix_fmt = "bgr0"
        else:
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "10", "preset": "medium"}
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
            context.color_range = 1  # limited
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if not lossless:
                frame = frame.reformat(
                    format="yuv420p", src_color_range=2, dst_color_range=1, src_colorspace=1, dst_colorspace=1
                )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)
