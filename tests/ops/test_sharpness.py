# SPDX-License-Identifier: Apache-2.0
"""sharpness against the plain float64 reference, in every layout; calls that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops
from ops_inputs import FLOW, IMAGE, Case, laid_out, layouts, picture, seeds, sides


@given(
    sides,
    sides,
    st.integers(1, 50),
    st.sampled_from(["laplacian", "tenengrad"]),
    st.sampled_from(["uint8", "uint16", "float16", "float32"]),
    st.sampled_from([None, 1, 3]),
    layouts,
    seeds,
)
def test_sharpness(
    height: int, width: int, tile: int, measure: str, dtype: str, channels: int | None, layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = laid_out(picture(rng, height, width, channels or 1), layout)
    full = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    image = (values * np.float32(full)).astype(dtype) if layout == "plain" or dtype != "float32" else values
    image = image[..., 0] if channels is None else image
    got = ops.sharpness(image, tile, measure)
    wanted = reference.sharpness(image[..., 0] if channels == 1 else image, tile, measure)
    assert got.shape == wanted.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=0, atol=reference.TOLERANCE["sharpness"] * (wanted.max() + 1e-9))


@given(
    st.sampled_from([(9, 33), (17, 64), (40, 97), (8, 129), (33, 1056), (24, 31), (1, 1), (3, 2)]),
    st.sampled_from([1, 5, 16, 31, 32, 48, 64, 2000]),
    st.sampled_from(["laplacian", "tenengrad"]),
    st.sampled_from(["crop", "mirrored", "spread"]),
    seeds,
)
def test_8_bit_luma_is_summed_exactly(size: tuple[int, int], tile: int, measure: Any, layout: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.choice(np.array([0, 1, 254, 255], np.uint8), (*size, 1))
    wanted = reference.sharpness(image[..., 0], tile, measure)
    np.testing.assert_allclose(ops.sharpness(image, tile, measure), wanted, rtol=1e-7, atol=0)
    view = laid_out(image.astype(np.float32), layout).astype(np.uint8) if layout == "crop" else image
    view = np.repeat(np.repeat(image, 2, 0), 3, 1)[::2, ::3] if layout == "spread" else view
    view = image[::-1, ::-1].copy()[::-1, ::-1] if layout == "mirrored" else view
    np.testing.assert_array_equal(ops.sharpness(view, tile, measure), ops.sharpness(image, tile, measure))


@pytest.mark.parametrize("tile", [4096, 8192, 1 << 20])
@pytest.mark.parametrize("measure", ["laplacian", "tenengrad"])
def test_the_largest_sums_fit(tile: int, measure: Any) -> None:
    image = np.zeros((17, 9000), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255  # every Laplacian is 1020 or -1020, but at the border
    np.testing.assert_allclose(
        ops.sharpness(image, tile, measure), reference.sharpness(image, tile, measure), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_layout_changes_no_bit(dtype: Any) -> None:
    full = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    image = (np.random.default_rng(3).random((70, 1100, 3), np.float32) * np.float32(full)).astype(dtype)
    for values in (image, image[..., :1]):
        wanted = ops.sharpness(values.copy(), 32)
        planar = np.moveaxis(np.moveaxis(values, -1, 0).copy(), 0, -1)
        mirrored = values[::-1, ::-1].copy()[::-1, ::-1]
        for view in (planar, mirrored, np.repeat(values, 2, 1)[:, ::2]):
            np.testing.assert_array_equal(ops.sharpness(view, 32), wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("measure", ["laplacian", "tenengrad"])
def test_what_is_no_number_stays_in_the_tiles_that_see_it(dtype: Any, value: float, measure: Any) -> None:
    image = np.random.default_rng(8).random((96, 130), np.float32).astype(dtype)
    image[40, 70] = value  # in the middle of tile (1, 2)
    got, wanted = ops.sharpness(image, 32, measure), reference.sharpness(image, 32, measure)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(wanted))
    assert np.isfinite(got).sum() == got.size - 1


def test_batches_of_any_size_and_kind() -> None:
    image = np.random.default_rng(9).random((3, 45, 70, 1), np.float32)
    got = ops.sharpness(image, 16)
    for one, part in zip(image, got, strict=True):
        np.testing.assert_array_equal(ops.sharpness(one, 16), part)
    tensor = torch.from_numpy(image).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(ops.sharpness(tensor, 16).numpy(), got)
    assert ops.sharpness(image[:0], 16).shape == (0, 3, 5)


def test_sharpness_of_a_flat_picture_is_nothing() -> None:
    assert not ops.sharpness(np.full((70, 50, 3), 200, np.uint8)).any()


CASES: list[Case] = [
    (
        "sharpness dtype",
        TypeError,
        "uint8 or uint16 or float16 or float32",
        lambda: ops.sharpness(IMAGE.astype(np.int64)),
    ),
    (
        "sharpness channels",
        ValueError,
        "image: shape .* has 2 channels; it must have 1 or 3",
        lambda: ops.sharpness(FLOW),
    ),
    ("tile", ValueError, "tile: is 0", lambda: ops.sharpness(IMAGE, 0)),
    (
        "out",
        ValueError,
        r"out: shape \[2, 2\]; it must be \[1, 1\]",
        lambda: ops.sharpness(IMAGE, out=np.empty((2, 2), np.float32)),
    ),
    ("out dtype", TypeError, "out: is float64; it must be float32", lambda: ops.sharpness(IMAGE, out=np.empty((1, 1)))),
    ("threads", ValueError, "threads: is 0", lambda: ops.sharpness(IMAGE, threads=0)),
    ("measure", ValueError, "measure: is 'sobel'", lambda: ops.sharpness(IMAGE, measure="sobel")),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
