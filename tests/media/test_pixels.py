# SPDX-License-Identifier: Apache-2.0
"""Decoded planes to R'G'B' and back, against a plain float64 reference that shares no code with the package."""

from __future__ import annotations

import math

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_engine.errors import BadInput
from deblur_engine.media.pixels import (
    add_difference,
    alpha_of,
    convert_planes,
    layout_of,
    planar_format,
    planes_from_rgb,
    planes_of,
    rgb_of,
)
from deblur_engine.media.types import ColourTags
from deblur_engine.media.video import planar

KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
YUV = [
    f"yuv{alpha}{sub}p{depth}"
    for alpha in ("", "a")
    for sub in ("420", "422", "444")
    for depth in ("", "9le", "10le", "12le", "16le")
    if not (alpha and depth == "12le" and sub == "420")
] + ["yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuvj422p", "yuvj444p", "yuv440p10le"]
RGB = ["gbrp", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le", "gbrap", "gbrap10le", "gbrap16le"]
GRAY = ["gray", "gray10le", "gray12le", "gray16le"]


def random_planes(name: str, width: int, height: int, seed: int = 0) -> list[np.ndarray]:
    layout = layout_of(name)
    rng = np.random.default_rng(seed)
    shapes = [(height, width)]
    if layout.family == "yuv":
        shapes += [(-(-height // layout.factor_y), -(-width // layout.factor_x))] * 2
    elif layout.family == "rgb":
        shapes += [(height, width)] * 2
    if layout.alpha:
        shapes.append((height, width))
    return [rng.integers(0, 1 << layout.bits, shape).astype(layout.dtype) for shape in shapes]


def chroma_at(plane: np.ndarray, x: float, y: float) -> float:
    """Bilinear, edges repeated, at a position of the chroma grid."""
    height, width = plane.shape

    def value(column: int, row: int) -> float:
        return float(plane[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

    left, top = math.floor(x), math.floor(y)
    fx, fy = x - left, y - top
    upper = value(left, top) * (1 - fx) + value(left + 1, top) * fx
    lower = value(left, top + 1) * (1 - fx) + value(left + 1, top + 1) * fx
    return upper * (1 - fy) + lower * fy


def reference_rgb(planes: list[np.ndarray], name: str, matrix: int, full: bool, location: int) -> np.ndarray:
    """One pixel after the other, by the book (H.273 equations; chroma at its sited place)."""
    bits = int(name.rstrip("le").split("p")[-1] or 8)
    sub = next(s for s in ("420", "422", "444", "440", "411", "410") if s in name)
    factor_x, factor_y = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4)}[sub]
    left = location in (0, 1, 3, 5)
    offset_x = 0.0 if left else (factor_x - 1) / 2
    offset_y = {3: 0.0, 4: 0.0, 5: factor_y - 1.0, 6: factor_y - 1.0}.get(location, (factor_y - 1) / 2)
    kr, kb = KR_KB[matrix]
    kg = 1 - kr - kb
    top, step = 2**bits - 1, 2 ** (bits - 8)
    height, width = planes[0].shape
    out = np.empty((height, width, 3))
    for row in range(height):
        for column in range(width):
            place = (column - offset_x) / factor_x, (row - offset_y) / factor_y
            cb, cr = (chroma_at(plane, *place) - 2 ** (bits - 1) for plane in planes[1:3])
            luma = float(planes[0][row, column])
            if full:
                y, cb, cr = luma / top, cb / top, cr / top
            else:
                y, cb, cr = (luma - 16 * step) / (219 * step), cb / (224 * step), cr / (224 * step)
            red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
            out[row, column] = red, (y - kr * red - kb * blue) / kg, blue
    return out


@pytest.mark.parametrize("name", YUV)
def test_every_ycbcr_format_matches_the_reference(name: str) -> None:
    planes = random_planes(name, 11, 7)
    full = name.startswith("yuvj")
    for matrix, location in ((1, 1), (6, 2), (9, 3)):
        tags = ColourTags(matrix=matrix, full_range=full, chroma_location=location)
        wanted = reference_rgb(planes, name.replace("j", "").replace("yuva", "yuv"), matrix, full, location)
        np.testing.assert_allclose(rgb_of(planes, layout_of(name), tags), wanted, atol=3e-6)


@pytest.mark.parametrize("location", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("full", [False, True])
def test_every_siting_and_range_matches_the_reference(location: int, full: bool) -> None:
    planes = random_planes("yuv420p10le", 9, 9, seed=location)
    tags = ColourTags(matrix=1, full_range=full, chroma_location=location)
    wanted = reference_rgb(planes, "yuv420p10le", 1, full, location)
    np.testing.assert_allclose(rgb_of(planes, layout_of("yuv420p10le"), tags), wanted, atol=3e-6)


@pytest.mark.parametrize("name", RGB)
def test_rgb_formats(name: str) -> None:
    planes = random_planes(name, 11, 7)
    layout = layout_of(name)
    top = (1 << layout.bits) - 1
    wanted = np.stack([planes[2], planes[0], planes[1]], axis=-1) / top
    np.testing.assert_allclose(rgb_of(planes, layout, ColourTags()), wanted, atol=1e-7)
    if layout.alpha:
        np.testing.assert_allclose(alpha_of(planes, layout), planes[3] / top, atol=1e-7)


@pytest.mark.parametrize("name", GRAY)
def test_gray_formats(name: str) -> None:
    planes = random_planes(name, 11, 7)
    bits = layout_of(name).bits
    full = rgb_of(planes, layout_of(name), ColourTags())
    np.testing.assert_allclose(full[..., 1], planes[0] / ((1 << bits) - 1), atol=1e-6)
    limited = rgb_of(planes, layout_of(name), ColourTags(full_range=False))
    np.testing.assert_allclose(limited[..., 2], (planes[0] / 2 ** (bits - 8) - 16) / 219, atol=1e-6)


def test_known_colours() -> None:
    """Peak white, black and the BT.709 code of pure red, as every test pattern generator has them."""
    tags = ColourTags(matrix=1, full_range=False)
    for codes, rgb in (((235, 128, 128), (1, 1, 1)), ((16, 128, 128), (0, 0, 0)), ((63, 102, 240), (1, 0, 0))):
        planes = [np.full((2, 2), code, np.uint8) for code in codes]
        np.testing.assert_allclose(rgb_of(planes, layout_of("yuv444p"), tags)[0, 0], rgb, atol=3e-3)


def test_untagged_matrix_follows_the_size() -> None:
    planes = random_planes("yuv444p", 8, 8)
    sd = rgb_of(planes, layout_of("yuv444p"), ColourTags())
    np.testing.assert_array_equal(sd, rgb_of(planes, layout_of("yuv444p"), ColourTags(matrix=6)))
    large = [np.tile(plane, (1, 160)) for plane in planes]
    hd = rgb_of(large, layout_of("yuv444p"), ColourTags())
    np.testing.assert_array_equal(hd, rgb_of(large, layout_of("yuv444p"), ColourTags(matrix=1)))


@pytest.mark.parametrize("name", YUV + RGB + GRAY)
def test_no_difference_leaves_every_code(name: str) -> None:
    planes = random_planes(name, 13, 9)
    after = add_difference(planes, layout_of(name), ColourTags(matrix=1), np.zeros((9, 13, 3), np.float32))
    for before, now in zip(planes, after, strict=True):
        np.testing.assert_array_equal(before, now)


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(["yuv420p", "yuv422p10le", "yuv444p12le", "yuva420p", "gbrp", "gbrp12le", "gray10le"]),
    width=st.integers(1, 24),
    height=st.integers(1, 24),
    seed=st.integers(0, 2**31),
    full=st.booleans(),
)
def test_what_is_not_touched_keeps_its_codes(name: str, width: int, height: int, seed: int, full: bool) -> None:
    layout = layout_of(name)
    planes = random_planes(name, width, height, seed)
    rng = np.random.default_rng(seed)
    touched = rng.random((height, width)) < 0.3
    difference = np.where(touched[..., None], rng.normal(0, 0.3, (height, width, 3)), 0).astype(np.float32)
    after = add_difference(planes, layout, ColourTags(matrix=9, full_range=full), difference)
    np.testing.assert_array_equal(after[0][~touched], planes[0][~touched])
    if layout.alpha:
        np.testing.assert_array_equal(after[-1], planes[-1])
    if layout.family == "yuv":
        # A chroma sample is free to change only where a touched pixel lies within its filter's reach.
        fx, fy = layout.factor_x, layout.factor_y
        for row, column in np.argwhere(after[1] != planes[1]):
            near = touched[max(0, row * fy - fy) : row * fy + fy + 1, max(0, column * fx - fx) : column * fx + fx + 1]
            assert near.any()


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(["yuv444p", "yuv444p10le", "yuv444p12le", "yuv444p16le", "gbrp", "gbrp10le", "gbrp16le"]),
    matrix=st.sampled_from([1, 4, 5, 6, 7, 8, 9]),
    full=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_whole_pictures_come_back_within_one_code(name: str, matrix: int, full: bool, seed: int) -> None:
    layout, tags = layout_of(name), ColourTags(matrix=matrix, full_range=full)
    low, high = 1 << (layout.bits - 8), 254 << (layout.bits - 8)
    planes = [np.clip(plane, low, high) for plane in random_planes(name, 9, 6, seed)]
    back = planes_from_rgb(rgb_of(planes, layout, tags), None, layout, tags)
    for before, now in zip(planes, back, strict=True):
        assert np.abs(before.astype(np.int64) - now.astype(np.int64)).max() <= 1


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), amount=st.floats(-0.2, 0.2), full=st.booleans())
def test_a_constant_change_arrives_in_subsampled_chroma(seed: int, amount: float, full: bool) -> None:
    layout, tags = layout_of("yuv420p16le"), ColourTags(matrix=1, full_range=full, chroma_location=1)
    planes = [(plane // 2 + 16384).astype(np.uint16) for plane in random_planes("yuv420p16le", 10, 8, seed)]
    rgb = rgb_of(planes, layout, tags)
    change = np.float32(amount) * np.array([1, 0.5, -0.5], np.float32)
    after = add_difference(planes, layout, tags, np.broadcast_to(change, rgb.shape))
    got = rgb_of(after, layout, tags) - rgb
    inside = np.all([(p > 600) & (p < 64900) for p in (after[0],)], axis=0)
    np.testing.assert_allclose(got[inside], np.broadcast_to(change, rgb.shape)[inside], atol=2e-4)


def test_illegal_codes_stay_unless_moved() -> None:
    planes = [np.array([[0, 255, 1, 254]], np.uint8), *(np.full((1, 4), 128, np.uint8) for _ in range(2))]
    layout, tags = layout_of("yuv444p"), ColourTags(matrix=1, full_range=False)
    difference = np.zeros((1, 4, 3), np.float32)
    difference[0, 3] = 0.5
    after = add_difference(planes, layout, tags, difference)
    assert after[0].tolist() == [[0, 255, 1, 254]]
    difference[0, 1] = 0.5
    assert add_difference(planes, layout, tags, difference)[0][0, 1] == 254  # 255 is reserved on an SDI wire


@pytest.mark.parametrize(
    ("source", "target"),
    [("yuv444p12le", "yuv444p10le"), ("yuv420p", "yuv422p10le"), ("yuva444p12le", "yuv422p"), ("gbrp", "gbrap16le")],
)
@pytest.mark.parametrize("full", [False, True])
def test_other_depths_mean_the_same_picture(source: str, target: str, full: bool) -> None:
    tags = ColourTags(matrix=1, full_range=full)
    old, new = layout_of(source), layout_of(target)
    planes = random_planes(source, 16, 12)
    planes[1:3] = [np.full_like(plane, plane.flat[0]) if old.family == "yuv" else plane for plane in planes[1:3]]
    converted = convert_planes(planes, old, new, tags)
    assert [plane.dtype for plane in converted] == [new.dtype] * len(converted)
    assert len(converted) == (4 if new.alpha else 3)
    tolerance = 1.6 * 2 ** -min(old.bits, new.bits) * 256 / 219
    np.testing.assert_allclose(rgb_of(converted, new, tags), rgb_of(planes, old, tags), atol=tolerance * 2)


PACKED = {  # packed format -> how its bytes make the planes, as the format's own definition has it
    "nv12": lambda b: [b[0], b[1][:, 0::2], b[1][:, 1::2]],
    "nv21": lambda b: [b[0], b[1][:, 1::2], b[1][:, 0::2]],
    "nv16": lambda b: [b[0], b[1][:, 0::2], b[1][:, 1::2]],
    "uyvy422": lambda b: [b[0][:, 1::2], b[0][:, 0::4], b[0][:, 2::4]],
    "yuyv422": lambda b: [b[0][:, 0::2], b[0][:, 1::4], b[0][:, 3::4]],
    "rgb24": lambda b: [b[0][:, 1::3], b[0][:, 2::3], b[0][:, 0::3]],
    "bgr24": lambda b: [b[0][:, 1::3], b[0][:, 0::3], b[0][:, 2::3]],
    "rgba": lambda b: [b[0][:, 1::4], b[0][:, 2::4], b[0][:, 0::4], b[0][:, 3::4]],
    "argb": lambda b: [b[0][:, 2::4], b[0][:, 3::4], b[0][:, 1::4], b[0][:, 0::4]],
    "bgr0": lambda b: [b[0][:, 1::4], b[0][:, 0::4], b[0][:, 2::4]],
    "p010le": lambda b: [b[0] >> 6, b[1][:, 0::2] >> 6, b[1][:, 1::2] >> 6],
    "rgb48le": lambda b: [b[0][:, 1::3], b[0][:, 2::3], b[0][:, 0::3]],
    "yuv420p10be": lambda b: [plane.byteswap() for plane in b],
}


@pytest.mark.parametrize("name", sorted(PACKED))
def test_packed_formats_become_planar_without_loss(name: str) -> None:
    frame = av.VideoFrame(16, 8, name)
    rng = np.random.default_rng(3)
    wide = "10" in name or "48" in name
    sources = []
    for plane in frame.planes:
        raw = rng.integers(0, 256, plane.buffer_size).astype(np.uint8)
        if name == "p010le":
            raw = (raw.view(np.uint16) & 0xFFC0).view(np.uint8)
        elif name == "yuv420p10be":
            raw = (raw.view(">u2") & 0x3FF).astype(">u2").view(np.uint8)
        plane.update(raw.tobytes())
        rows = raw.reshape(plane.height, plane.line_size)
        bytes_a_row = 16 * {"rgb24": 3, "bgr24": 3, "rgba": 4, "argb": 4, "bgr0": 4, "rgb48le": 6}.get(name, 1)
        if name in ("uyvy422", "yuyv422", "p010le"):
            bytes_a_row = 32
        elif name == "yuv420p10be":
            bytes_a_row = plane.width * 2
        rows = rows[:, :bytes_a_row]
        sources.append(np.ascontiguousarray(rows).view(np.uint16) if wide else rows)
    converted = planar(frame, ColourTags())
    assert converted.format.name == planar_format(name)
    for mine, wanted in zip(planes_of(converted), PACKED[name](sources), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_formats_without_a_picture_are_refused() -> None:
    for name in ("bayer_rggb8", "vaapi"):
        with pytest.raises(BadInput):
            planar_format(name)
    with pytest.raises(BadInput):
        layout_of("nv12")
