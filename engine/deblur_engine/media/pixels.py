# SPDX-License-Identifier: Apache-2.0
"""Decoded frames to float R'G'B' and back.

Every pixel format is first brought, without loss, to a planar little-endian one (``planar_format``); the
conversions below know only those. The way back never converts a whole picture: it adds the *difference* that the
work made to the source's own code values, so that what was not touched keeps its exact codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import av
import cv2
import numpy as np
import numpy.typing as npt

from ..errors import BadInput
from .chroma import downsample, upsample
from .colour import assumed_matrix, luma_weights, rgb_from_ycbcr
from .types import ColourTags, Picture

__all__ = [
    "Layout",
    "Plane",
    "add_difference",
    "alpha_of",
    "convert_planes",
    "copy_planes",
    "layout_of",
    "planar_format",
    "planes_from_rgb",
    "planes_of",
    "rgb_of",
]

Plane = npt.NDArray[np.generic]

_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1), "410": (4, 4)}
_YUV = re.compile(r"yuv(?P<alpha>a?)(?P<full>j?)(?P<sub>4[0-4][0-4])p(?P<bits>\d*)(le)?")
_GBR = re.compile(r"gbr(?P<alpha>a?)p(?P<float>f?)(?P<bits>\d*)(le)?")
_GRAY = re.compile(r"gray(?P<float>f?)(?P<bits>\d*)(le)?")
_DEPTHS = (8, 9, 10, 12, 14, 16)


@dataclass(frozen=True)
class Layout:
    """How a planar pixel format stores its codes."""

    name: str
    family: str  # "yuv", "rgb" or "gray"
    bits: int
    factor_x: int = 1  # luma samples per chroma sample
    factor_y: int = 1
    alpha: bool = False
    floating: bool = False
    full_by_name: bool = False  # the yuvj formats: full range by definition

    @property
    def dtype(self) -> np.dtype[np.generic]:
        if self.floating:
            return np.dtype(np.float32 if self.bits == 32 else np.float16)
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    @property
    def colour_planes(self) -> int:
        return 1 if self.family == "gray" else 3

    def full_range(self, tags: ColourTags) -> bool:
        """Whether code values span all of 0..2^bits-1. Untagged YCbCr is limited; untagged RGB and gray are full."""
        if self.full_by_name:
            return True
        if tags.full_range is not None and self.family != "rgb":
            return tags.full_range
        return self.family != "yuv"


@lru_cache(maxsize=256)
def layout_of(name: str) -> Layout:
    """The layout of a planar pixel format by FFmpeg's name; raises ``BadInput`` for any other."""
    if match := _YUV.fullmatch(name):
        factor_x, factor_y = _SUBSAMPLING[match["sub"]]
        bits = int(match["bits"] or 8)
        return Layout(name, "yuv", bits, factor_x, factor_y, bool(match["alpha"]), False, bool(match["full"]))
    if match := _GBR.fullmatch(name):
        return Layout(name, "rgb", int(match["bits"] or 8), alpha=bool(match["alpha"]), floating=bool(match["float"]))
    if match := _GRAY.fullmatch(name):
        return Layout(name, "gray", int(match["bits"] or 8), floating=bool(match["float"]))
    raise BadInput(f"pixel format {name!r} is not planar")


@lru_cache(maxsize=256)
def planar_format(name: str) -> str:
    """The planar little-endian pixel format that holds every code of ``name`` without loss.

    Raises ``BadInput`` for formats that hold no ordinary picture (hardware surfaces, Bayer mosaics).
    """
    try:
        layout_of(name)
        return name
    except BadInput:
        pass
    pixel_format = av.VideoFormat(name, 64, 64)
    components = pixel_format.components
    if pixel_format.is_bayer or not components:
        raise BadInput(f"pixel format {name!r} cannot be worked on", hint="convert the clip to a YCbCr or RGB format")
    if name in ("pal8", "rgb8", "bgr8", "rgb4", "bgr4", "rgb4_byte", "bgr4_byte") or pixel_format.has_palette:
        return "gbrap" if name == "pal8" else "gbrp"
    deepest = max(component.bits for component in components)
    bits = next((depth for depth in _DEPTHS if depth >= deepest), 16)
    alpha = "a" if any(component.is_alpha for component in components) else ""
    depth = "" if bits == 8 else f"{bits}le"
    if name.startswith(("gbrapf", "gbrpf", "rgbf", "rgbaf")):
        return f"gbr{alpha}pf32le"
    if name.startswith("grayf"):
        return "grayf32le"
    if pixel_format.is_rgb or name.startswith("xyz"):
        return f"gbr{alpha}p{'16le' if bits == 14 and alpha else depth}"
    chroma = [component for component in components if component.is_chroma]
    if not chroma:
        # Gray with alpha has no planar twin; RGB with alpha holds the same codes three times.
        return f"gbrap{depth}" if alpha else f"gray{depth}"
    sub_x, sub_y = 64 // chroma[0].width, 64 // chroma[0].height
    sub = next(text for text, factors in _SUBSAMPLING.items() if factors == (sub_x, sub_y))
    return f"yuv{alpha}{sub}p{depth}"


def planes_of(frame: av.VideoFrame) -> list[Plane]:
    """The frame's planes as arrays that share its memory (Y, Cb, Cr or G, B, R or gray; alpha last)."""
    layout = layout_of(frame.format.name)
    size = layout.dtype.itemsize
    planes = []
    for number, plane in enumerate(frame.planes):
        subsampled = layout.family == "yuv" and number in (1, 2)
        width = -(-frame.width // layout.factor_x) if subsampled else frame.width
        height = -(-frame.height // layout.factor_y) if subsampled else frame.height
        rows = np.frombuffer(memoryview(plane), np.uint8)[: height * plane.line_size].reshape(height, plane.line_size)
        planes.append(rows[:, : width * size].view(layout.dtype))
    return planes


def copy_planes(planes: list[Plane], frame: av.VideoFrame) -> None:
    """Write ``planes`` into a frame of the same format and size."""
    for target, plane in zip(planes_of(frame), planes, strict=True):
        target[...] = plane


def _scales(layout: Layout, tags: ColourTags) -> tuple[float, float, float, float]:
    """Luma offset and scale, chroma offset and scale: value = (code - offset) * scale."""
    if layout.floating:
        return 0.0, 1.0, 0.0, 1.0
    top = float((1 << layout.bits) - 1)
    middle = float(1 << (layout.bits - 1))
    if layout.full_range(tags):
        return 0.0, 1 / top, middle, 1 / top
    step = 2.0 ** (layout.bits - 8)
    return 16 * step, 1 / (219 * step), middle, 1 / (224 * step)


def _affine(layout: Layout, tags: ColourTags, width: int, height: int) -> npt.NDArray[np.float64]:
    """3x4: R'G'B' from (Y, Cb, Cr) codes and 1."""
    luma_offset, luma_scale, chroma_offset, chroma_scale = _scales(layout, tags)
    matrix = rgb_from_ycbcr(assumed_matrix(tags, width, height)) * [luma_scale, chroma_scale, chroma_scale]
    offset = matrix @ [luma_offset, chroma_offset, chroma_offset]
    return np.concatenate([matrix, -offset[:, None]], axis=1)


def rgb_of(planes: list[Plane], layout: Layout, tags: ColourTags) -> Picture:
    """Float32 [H, W, 3] R'G'B' of a frame's planes; 0..1 nominal, nothing is clipped."""
    height, width = planes[0].shape
    offset, scale, _, _ = _scales(layout, tags)
    if layout.family == "yuv":
        return _rgb_of_yuv(planes, layout, tags, width, height)
    values = [_scaled(plane, scale, offset) for plane in planes[: layout.colour_planes]]
    if layout.family == "gray":
        return np.asarray(cv2.merge([values[0]] * 3), np.float32)
    green, blue, red = values
    return np.asarray(cv2.merge([red, green, blue]), np.float32)


def _scaled(plane: Plane, scale: float, offset: float) -> Picture:
    values = plane.astype(np.float32)
    if offset:
        values -= np.float32(offset)
    if scale != 1.0:
        values *= np.float32(scale)
    return values


def _rgb_of_yuv(planes: list[Plane], layout: Layout, tags: ColourTags, width: int, height: int) -> Picture:
    matrix = _affine(layout, tags, width, height)
    luma = planes[0].astype(np.float32)
    chroma = [plane.astype(np.float32) for plane in planes[1:3]]
    if layout.factor_x * layout.factor_y > 1:
        chroma = [
            upsample(plane, layout.factor_x, layout.factor_y, tags.chroma_location, width, height) for plane in chroma
        ]
    first, second = (np.ascontiguousarray(plane) for plane in chroma)
    channels = []
    for row in matrix:
        if row[1] == 0:
            channel = cv2.addWeighted(luma, row[0], second, row[2], row[3])
        elif row[2] == 0:
            channel = cv2.addWeighted(luma, row[0], first, row[1], row[3])
        else:
            channel = cv2.addWeighted(luma, row[0], first, row[1], row[3])
            channel = cv2.scaleAdd(second, row[2], channel)
        channels.append(channel.reshape(height, width))
    return np.asarray(cv2.merge(channels), np.float32).reshape(height, width, 3)


def alpha_of(planes: list[Plane], layout: Layout) -> Picture | None:
    """Float32 [H, W] alpha in 0..1, or None. Alpha is full range whatever the colours are."""
    if not layout.alpha:
        return None
    scale = 1.0 if layout.floating else 1 / ((1 << layout.bits) - 1)
    return planes[3].astype(np.float32) * np.float32(scale)


def add_difference(planes: list[Plane], layout: Layout, tags: ColourTags, difference: Picture) -> list[Plane]:
    """New planes: the codes of ``planes`` plus ``difference`` (float32 [H, W, 3], R'G'B') brought into their space.

    A sample whose difference is zero keeps its exact code; chroma differences are filtered down to the chroma grid.
    Changed limited-range codes stay off the reserved ends (0 and 255 at 8 bits).
    """
    height, width = planes[0].shape
    difference = np.ascontiguousarray(difference, np.float32)
    if layout.family == "rgb":
        moves = [difference[..., channel] for channel in (1, 2, 0)]
        scales = [_scales(layout, tags)[1]] * 3
    elif layout.family == "gray":
        weights = np.array(luma_weights(assumed_matrix(tags, width, height)), np.float32)
        moves, scales = [difference @ weights], [_scales(layout, tags)[1]]
    else:
        inverse = np.linalg.inv(_affine(layout, tags, width, height)[:, :3])
        moves = [np.asarray(m, np.float32) for m in cv2.split(cv2.transform(difference, inverse))]
        scales = [1.0, 1.0, 1.0]
        moves[1:] = [downsample(m, layout.factor_x, layout.factor_y, tags.chroma_location) for m in moves[1:]]
    low, high = _legal(layout, tags)
    changed: list[Plane] = []
    for plane, move, scale in zip(planes, moves, scales, strict=False):
        if layout.floating:
            changed.append((plane + move / np.float32(scale)).astype(plane.dtype))
            continue
        codes = plane.astype(np.float32)
        target = codes + move / np.float32(scale) if scale != 1.0 else codes + move
        np.rint(target, out=target)
        np.clip(target, low, high, out=target)
        target = target.astype(plane.dtype)
        # A source code outside the legal span stays where it is unless the difference moves it.
        outside = (plane < low) | (plane > high)
        if outside.any():
            kept = outside & (np.abs(move / np.float32(scale)) < 0.5)
            target[kept] = plane[kept]
        changed.append(target)
    changed.extend(planes[layout.colour_planes :])
    return changed


def _legal(layout: Layout, tags: ColourTags) -> tuple[np.float32, np.float32]:
    if layout.full_range(tags):
        return np.float32(0), np.float32((1 << min(layout.bits, 16)) - 1)
    return np.float32(1 << (layout.bits - 8)), np.float32(254 << (layout.bits - 8))


def convert_planes(planes: list[Plane], source: Layout, target: Layout, tags: ColourTags) -> list[Plane]:
    """Planes of another depth, subsampling or alpha in the same colour family; codes that fit stay what they mean.

    Depths convert by the code that means the same value (limited range: a power of two), chroma grids by the filters
    of ``chroma``. A missing alpha is opaque, one that the target lacks is dropped.
    """
    full = source.full_range(tags)
    if source.floating or target.floating:
        source_top = 1.0 if source.floating else float((1 << source.bits) - 1)
        target_top = 1.0 if target.floating else float((1 << target.bits) - 1)
        scale = target_top / source_top
    elif full:
        scale = ((1 << target.bits) - 1) / ((1 << source.bits) - 1)
    else:
        scale = 2.0 ** (target.bits - source.bits)
    height, width = planes[0].shape
    result = []
    for number, plane in enumerate(planes[: source.colour_planes]):
        values = plane.astype(np.float32)
        chroma = source.family == "yuv" and number > 0
        if chroma and (source.factor_x, source.factor_y) != (target.factor_x, target.factor_y):
            values = upsample(values, source.factor_x, source.factor_y, tags.chroma_location, width, height)
            values = downsample(values, target.factor_x, target.factor_y, tags.chroma_location)
        if chroma and full and not target.floating:
            # Full-range chroma is centred on 2^(bits-1), which is not the middle of the code range.
            moved = (values - (1 << (source.bits - 1))) * scale + (1 << (target.bits - 1))
        else:
            moved = values * np.float32(scale)
        result.append(_coded(moved, target))
    if target.alpha:
        top = 1.0 if target.floating else float((1 << target.bits) - 1)
        opaque = alpha_of(planes, source)
        result.append(_coded(np.full((height, width), top, np.float32) if opaque is None else opaque * top, target))
    return result


def planes_from_rgb(rgb: Picture, alpha: Picture | None, layout: Layout, tags: ColourTags) -> list[Plane]:
    """Planes of a whole R'G'B' picture, for when the source's own codes are of another colour family."""
    height, width = rgb.shape[:2]
    luma, _, chroma, _ = _scales(layout, tags)
    starts = [luma, chroma, chroma] if layout.family == "yuv" else [0.0] * layout.colour_planes
    base: list[Plane] = []
    for number, start in enumerate(starts):
        subsampled = number > 0 and layout.family == "yuv"
        shape = (-(-height // layout.factor_y), -(-width // layout.factor_x)) if subsampled else (height, width)
        base.append(np.full(shape, start, layout.dtype))
    planes = add_difference(base, layout, tags, rgb)
    if layout.alpha:
        top = 1.0 if layout.floating else float((1 << layout.bits) - 1)
        planes.append(_coded(np.full((height, width), top, np.float32) if alpha is None else alpha * top, layout))
    return planes


def _coded(values: Picture, layout: Layout) -> Plane:
    if layout.floating:
        return values.astype(layout.dtype)
    return np.clip(np.rint(values), 0, (1 << layout.bits) - 1).astype(layout.dtype)
