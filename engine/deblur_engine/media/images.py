# SPDX-License-Identifier: Apache-2.0
"""Single image files through OpenImageIO: read as stored, written back as stored except where pixels changed."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO

from ..errors import BadInput, OutputError
from .naming import partial_path
from .types import Picture

__all__ = ["StoredImage", "read_image", "write_image"]

_DTYPES = {"uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "half": np.float16, "float": np.float32}
_HALF_MAX = np.float32(65504)


@dataclass
class StoredImage:
    """A file's pixels and header. ``pixels``: [H, W, channels] in the stored type; ``colours``: which channels are
    R, G, B (or one, for gray). ``parts`` holds the other subimages of the file, to be written back untouched."""

    pixels: npt.NDArray[Any]
    spec: Any
    colours: tuple[int, ...]
    alpha: int | None
    bits: int
    part: int
    parts: list[tuple[Any, npt.NDArray[Any]]]

    @property
    def floating(self) -> bool:
        return self.pixels.dtype.kind == "f"

    @property
    def top(self) -> float:
        """The stored number that means 1.0."""
        return 1.0 if self.floating else float(np.iinfo(self.pixels.dtype).max)

    def rgb(self) -> tuple[Picture, int]:
        """Float32 [H, W, 3] with NaN and infinities as 0, and how many of those there were."""
        channels = []
        for channel in self.colours:
            plane = self.pixels[..., channel].astype(np.float32)
            if not self.floating:
                plane *= np.float32(1 / self.top)
            channels.append(plane)
        rgb: Picture = np.asarray(cv2.merge(channels * 3 if len(channels) == 1 else channels), np.float32)
        if not self.floating:
            return rgb, 0
        odd = ~np.isfinite(rgb)
        count = int(np.count_nonzero(odd))
        if count:
            rgb[odd] = 0
        return rgb, count

    def alpha_plane(self) -> Picture | None:
        if self.alpha is None:
            return None
        plane = self.pixels[..., self.alpha].astype(np.float32)
        return plane if self.floating else plane * np.float32(1 / self.top)

    def with_rgb(self, before: Picture, after: Picture) -> npt.NDArray[Any]:
        """The stored pixels with new ones where ``after`` differs from ``before``; all else keeps its exact value."""
        if after is before or np.array_equal(before, after):
            return self.pixels
        pixels = self.pixels.copy()
        if len(self.colours) == 1:
            # Gray: the mean of what was made of the three copies.
            before, after = (picture.mean(axis=2, keepdims=True) for picture in (before, after))
        for number, channel in enumerate(self.colours):
            changed = before[..., number] != after[..., number]
            pixels[..., channel][changed] = self._stored(after[..., number][changed])
        return pixels

    def _stored(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        values = np.nan_to_num(values, nan=0.0, posinf=float(_HALF_MAX), neginf=-float(_HALF_MAX))
        dtype = self.pixels.dtype
        if dtype == np.float16:
            return np.clip(values, -_HALF_MAX, _HALF_MAX).astype(dtype)
        if self.floating:
            return values.astype(dtype)
        if dtype == np.uint16 and self.bits < 16:
            # 10 and 12 bits are held spread over 16: round to a code that exists, then spread it the same way.
            codes = np.clip(np.rint(values * ((1 << self.bits) - 1)), 0, (1 << self.bits) - 1).astype(np.uint16)
            return (codes << (16 - self.bits)) | (codes >> (2 * self.bits - 16))
        return np.clip(np.rint(values.astype(np.float64) * self.top), 0, self.top).astype(dtype)


def read_image(path: Path) -> StoredImage:
    """Read a file as it is stored; raises ``BadInput`` naming the file and what is wrong with it."""
    if not path.is_file():
        raise BadInput(f"{path} does not exist")
    config = OpenImageIO.ImageSpec()
    # Keep the stored values: colours that are not multiplied by alpha stay that way.
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = OpenImageIO.ImageInput.open(str(path), config)
    if source is None:
        raise BadInput(f"{path} cannot be read as an image: {_reason(OpenImageIO.geterror())}")
    try:
        parts = []
        number = 0
        while source.seek_subimage(number, 0):
            parts.append(_read_part(source, number, path))
            number += 1
    finally:
        source.close()
    if not parts:
        raise BadInput(f"{path} holds no picture")
    part = next((i for i, (spec, _) in enumerate(parts) if len(_colours(spec)) == 3), 0)
    spec, pixels = parts[part]
    bits = spec.get_int_attribute("oiio:BitsPerSample", 0) or pixels.dtype.itemsize * 8
    alpha = spec.alpha_channel if 0 <= spec.alpha_channel < spec.nchannels else None
    return StoredImage(pixels, spec, _colours(spec), alpha, bits, part, parts)


def _read_part(source: Any, number: int, path: Path) -> tuple[Any, npt.NDArray[Any]]:
    spec = OpenImageIO.ImageSpec(source.spec())
    if spec.deep:
        raise BadInput(f"{path} is a deep image", hint="flatten it first")
    name = str(spec.format)
    if name not in _DTYPES:
        raise BadInput(f"{path} stores {name} samples", hint="8 or 16-bit integers, half and float are right")
    pixels = source.read_image(number, 0, 0, spec.nchannels, name)
    if pixels is None:
        raise BadInput(f"{path} is truncated or damaged: {_reason(source.geterror() or OpenImageIO.geterror())}")
    return spec, pixels.reshape(spec.height, spec.width, spec.nchannels)


def _reason(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "unknown format"


def _colours(spec: Any) -> tuple[int, ...]:
    names = [name.rsplit(".", 1)[-1].upper() for name in spec.channelnames]
    plain = [name.upper() for name in spec.channelnames]
    for wanted in (plain, names):
        if all(letter in wanted for letter in "RGB"):
            return tuple(wanted.index(letter) for letter in "RGB")
    if "Y" in plain:
        return (plain.index("Y"),)
    rest = [i for i in range(spec.nchannels) if i not in (spec.alpha_channel, spec.z_channel)]
    return tuple(rest[:3]) if len(rest) >= 3 else (rest[0] if rest else 0,)


def write_image(path: Path, image: StoredImage, pixels: npt.NDArray[Any], overwrite: bool) -> None:
    """Write ``pixels`` with the header of ``image``: to ``path`` + ``.partial`` first, renamed when whole.

    Raises ``OutputError`` (with ``errno`` where the system gave one); no partial file is left.
    """
    partial = partial_path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="give -y (overwrite=True) to replace it")
    output = OpenImageIO.ImageOutput.create(path.name)
    if output is None:
        raise OutputError(f"{path.suffix!r} is no image format that can be written", hint="use the source's own")
    try:
        partial.touch()  # the system's own reason is clearer than the image library's
        _write_parts(output, partial, image, pixels)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_parts(output: Any, partial: Path, image: StoredImage, pixels: npt.NDArray[Any]) -> None:
    parts = list(image.parts)
    parts[image.part] = (image.spec, pixels)
    specs = [OpenImageIO.ImageSpec(spec) for spec, _ in parts]
    if specs[0].get_string_attribute("compression") in ("", "jpeg"):
        specs[0].attribute("CompressionQuality", 98)
    good = output.open(str(partial), tuple(specs)) if len(specs) > 1 else output.open(str(partial), specs[0])
    for number, (_, data) in enumerate(parts):
        if good and number:
            good = output.open(str(partial), specs[number], "AppendSubimage")
        good = good and output.write_image(np.ascontiguousarray(data))
    closed = output.close()
    if not good or not closed:
        reason = _reason(output.geterror() or OpenImageIO.geterror())
        free = shutil.disk_usage(partial.parent).free
        failure = OutputError(f"{partial} cannot be written: {'the disk is full' if not free else reason}")
        failure.errno = errno.ENOSPC if not free else errno.EIO
        raise failure
