# SPDX-License-Identifier: Apache-2.0
"""Pictures from and to files. Deliberately not ``deblur_engine.media``: what measures must not share a fault with what
is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Bytes", "frame_rate", "frames_in", "quantised", "read_pictures", "read_png", "write_clip", "write_png"]

Bytes = npt.NDArray[np.uint8]


def quantised(picture: npt.NDArray[Any]) -> Bytes:
    """A picture as 8-bit code values: float 0..1 is clipped and rounded, uint8 stays; raises on NaN."""
    if picture.dtype == np.uint8:
        return picture
    if not np.isfinite(picture).all():
        raise ValueError("a picture to be measured holds NaN or infinity")
    return np.round(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)


def read_pictures(path: str | Path, side: int | None = None) -> Iterator[Bytes]:
    """The frames of a video in order as uint8 [H, W, 3] R'G'B'.

    ``side``: pictures whose longer side is more than that are shrunk to it by area averaging, to even numbers.
    """
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield _shrunk(frame.to_ndarray(format="rgb24"), side)


def _shrunk(picture: npt.NDArray[Any], side: int | None) -> Bytes:
    height, width = picture.shape[:2]
    if side is not None and max(height, width) > side:
        factor = side / max(height, width)
        size = (max(2, 2 * round(width * factor / 2)), max(2, 2 * round(height * factor / 2)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def frame_rate(path: str | Path) -> Fraction:
    """Average frames a second; 25 where the file does not say."""
    with av.open(str(path)) as container:
        return Fraction(container.streams.video[0].average_rate or 25)


def frames_in(path: str | Path) -> int:
    """How many frames the file says that it has, or else how many packets of video it holds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return int(stream.frames) or sum(1 for packet in container.demux(stream) if packet.size)


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


def read_png(path: str | Path, side: int | None = None) -> Bytes:
    """A picture file (any that OpenCV reads) as uint8 [H, W, 3] R'G'B'; raises ``FileNotFoundError`` or ``OSError``."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such picture")
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise OSError(f"{path} cannot be read as a picture")
    return _shrunk(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), side)


def write_png(picture: Bytes, path: str | Path) -> None:
    """Write uint8 [H, W, 3] R'G'B'; raises ``OSError``."""
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1])):
        raise OSError(f"{path} cannot be written")
