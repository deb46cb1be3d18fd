# SPDX-License-Identifier: Apache-2.0
"""Clips from image sequences."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy.typing as npt

from ..errors import BadInput
from ..settings import FrameRange
from .clip import Clip
from .images import StoredImage, read_image
from .pattern import SequencePattern
from .types import ClipInfo, ColourTags, Frame

__all__ = ["SequenceClip"]

_DEFAULT_RATE = Fraction(24)
_TRANSFERS = {"srgb": 13, "linear": 8, "rec709": 1, "g22": 4}  # beginnings of OpenImageIO's colour space names
_BY_SUFFIX = {".exr": 8, ".hdr": 8, ".dpx": 2, ".cin": 2}  # what is assumed where the file says nothing; else sRGB


class SequenceClip(Clip):
    """Numbered image files. Frame 0 is the lowest number there is; ``FrameRange`` counts in file numbers."""

    def __init__(self, pattern: SequencePattern, frames: FrameRange | None = None) -> None:
        self.pattern = pattern
        self.path = pattern.as_path()
        self.files = pattern.numbers()
        if not self.files:
            raise BadInput(
                f"no file matches {self.path}", hint="the number of # signs is the number of digits, as name.####.exr"
            )
        first = read_image(pattern.file(self.files[0]))
        self.info = _describe(self.path, self.files, first)
        self.notes = list(self.info.notes)
        if frames is not None:
            self.numbers = self.select(frames)

    def _count(self) -> int:
        return len(self.files)

    def select(self, frames: FrameRange | None) -> range | None:
        if frames is None:
            return None
        wanted = [position for position, number in enumerate(self.files) if number in frames]
        if not wanted:
            raise BadInput(
                f"{self.path.name} has no frames {frames}", hint=f"it has files {self.files[0]} to {self.files[-1]}"
            )
        steps = {later - earlier for earlier, later in pairwise(wanted)}
        if len(steps) > 1:
            raise BadInput(f"{self.path.name}: files are missing inside {frames}", hint="give a range without gaps")
        step = steps.pop() if steps else 1
        return range(wanted[0], wanted[-1] + 1, step)

    def _frame(self, position: int) -> Frame:
        path = self.pattern.file(self.files[position])
        image = read_image(path)
        height, width = image.pixels.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise BadInput(
                f"{path} is {width}x{height}; the sequence began with {self.info.width}x{self.info.height}",
                hint="all files must have one size (for EXR: one data window)",
            )
        rgb, odd = image.rgb()
        if odd and not any("NaN" in note for note in self.notes):
            self.note(
                f"{path.name}: {odd} values are NaN or infinite; such values are worked on as 0 and written back as "
                "they were (other files of the sequence may hold some too)"
            )
        return Frame(position, float(position / self.info.fps), rgb, image.alpha_plane(), None, image)

    def _source_frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        for position in range(*slice(start, stop).indices(len(self.files))):
            yield self._frame(position)

    def _source_lumas(self, start: int, stop: int | None) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for frame in self._source_frames(start, stop):
            yield frame.index, cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)

    def _source_read(self, numbers: list[int]) -> dict[int, Frame]:
        return {number: self._frame(number) for number in numbers}

    def samples(self) -> list[bytes]:
        """Stored values of the first, the middle and the last file (headers hold dates, which prove nothing)."""
        picks = sorted({0, len(self.files) // 2, len(self.files) - 1})
        return [read_image(self.pattern.file(self.files[pick])).pixels.tobytes() for pick in picks]

    def close(self) -> None:
        """Nothing is held open between frames."""


def _describe(path: Path, files: list[int], first: StoredImage) -> ClipInfo:
    spec = first.spec
    notes = []
    missing = files[-1] - files[0] + 1 - len(files)
    if missing:
        notes.append(f"{path.name}: {missing} files are missing between {files[0]} and {files[-1]}")
    fps = _rate(spec)
    if fps is None:
        fps = _DEFAULT_RATE
        notes.append(f"{path.name}: the files state no frame rate; times are counted at {fps} frames a second")
    space = spec.get_string_attribute("oiio:ColorSpace").lower()
    transfer = next((code for name, code in _TRANSFERS.items() if space.startswith(name)), None)
    suffix = path.suffix.lower()
    if transfer is None or suffix in (".exr", ".dpx"):
        transfer = _BY_SUFFIX.get(suffix, 13)
    if transfer == 2:
        notes.append(f"{path.name}: the transfer curve is taken as BT.709's (log footage is better converted first)")
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    return ClipInfo(
        path=path,
        width=spec.width,
        height=spec.height,
        frame_count=len(files),
        fps=fps,
        duration=float(len(files) / fps),
        codec=suffix.lstrip("."),
        pixel_format=str(spec.format),
        bit_depth=first.bits,
        colour=ColourTags(transfer=transfer, matrix=0, full_range=True),
        pixel_aspect=Fraction(aspect).limit_denominator(1000) if aspect > 0 else Fraction(1),
        has_alpha=first.alpha is not None,
        is_sequence=True,
        first_number=files[0],
        timecode=_timecode(spec),
        notes=tuple(notes),
        details={
            "container": "sequence",
            "channels": list(spec.channelnames),
            "compression": spec.get_string_attribute("compression"),
            "colour_space": space,
        },
    )


def _rate(spec: Any) -> Fraction | None:
    for name in ("FramesPerSecond", "dpx:FrameRate"):
        value = spec.getattribute(name)
        if isinstance(value, (tuple, list)) and len(value) == 2 and value[1]:
            return Fraction(int(value[0]), int(value[1]))
        if isinstance(value, (int, float)) and value > 0:
            return Fraction(value).limit_denominator(1001)
    return None


def _timecode(spec: Any) -> str | None:
    value = spec.get_string_attribute("smpte:TimeCode")
    return value or None
