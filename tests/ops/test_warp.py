# SPDX-License-Identifier: Apache-2.0
"""warp against the plain float64 reference, in every layout; odd flows; calls that cannot be meant."""

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
from ops_inputs import (
    BORDERS,
    FLOW,
    HW,
    IMAGE,
    MODES,
    READ_ONLY,
    T_FLOW,
    T_IMAGE,
    Case,
    field,
    laid_out,
    layouts,
    odd,
    picture,
    seeds,
    sides,
)


@given(sides, sides, st.integers(1, 6), st.sampled_from(MODES), st.sampled_from(BORDERS), layouts, layouts, seeds)
def test_warp(
    height: int, width: int, channels: int, mode: str, border: str, layout: str, flow_layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = picture(rng, height, width, channels)
    flow = field(rng, height, width, rng.choice([0.7, 5.0, 300.0]))
    got, mask = ops.warp(laid_out(image, layout), laid_out(flow, flow_layout), mode, border, return_mask=True)
    wanted, wanted_mask = reference.warp(image, flow, mode, border)
    assert got.shape == image.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=reference.TOLERANCE["warp"], rtol=0)
    np.testing.assert_allclose(mask, wanted_mask, atol=reference.TOLERANCE["warp"] * max(height, width, 300), rtol=0)


@given(sides, sides, st.integers(1, 5), st.sampled_from(MODES), st.sampled_from(BORDERS), layouts, layouts, seeds)
def test_half_precision(
    height: int, width: int, channels: int, mode: str, border: str, layout: str, flow_layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = picture(rng, height, width, channels).astype(np.float16)
    flow = field(rng, height, width, 9.0).astype(np.float16)
    got = ops.warp(laid_out(image, layout), laid_out(flow, flow_layout), mode, border)
    assert got.shape == image.shape and got.dtype == np.float16
    # Only reading and writing are in half precision.
    exact = ops.warp(image.astype(np.float32), flow.astype(np.float32), mode, border)
    np.testing.assert_array_equal(got, exact.astype(np.float16))
    wanted, _ = reference.warp(image.astype(np.float32), flow.astype(np.float32), mode, border)
    np.testing.assert_allclose(got, wanted, atol=reference.TOLERANCE["warp in half precision"], rtol=0)
    # Either may be of either type.
    np.testing.assert_array_equal(ops.warp(image.astype(np.float32), flow, mode, border), exact)
    np.testing.assert_array_equal(ops.warp(image, flow.astype(np.float32), mode, border), got)


@given(st.integers(0, 3), sides, sides, st.integers(1, 6), st.sampled_from(MODES), st.sampled_from(BORDERS), seeds)
def test_batches_and_layouts_give_the_same_bits(
    count: int, height: int, width: int, channels: int, mode: str, border: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((count, height, width, channels), np.float32)
    flow = ((rng.random((count, height, width, 2)) - 0.5) * 20).astype(np.float32)
    got = ops.warp(image, flow, mode, border)
    assert got.shape == image.shape
    for n in range(count):
        np.testing.assert_array_equal(got[n], ops.warp(image[n], flow[n], mode, border))
    planar = ops.warp(
        torch.from_numpy(image).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(flow).permute(0, 3, 1, 2),
        mode,
        border,
    )
    np.testing.assert_array_equal(planar.permute(0, 2, 3, 1).numpy(), got)


@given(st.integers(2, 24), st.integers(2, 80), st.sampled_from(MODES), st.sampled_from(BORDERS), layouts, seeds)
def test_what_is_not_finite_stays_where_it_is_read(
    height: int, width: int, mode: str, border: str, layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image, flow = picture(rng, height, width, 3), field(rng, height, width, 5.0)
    at_y, at_x = int(rng.integers(height)), int(rng.integers(width))
    spoilt = image.copy()
    spoilt[at_y, at_x] = rng.choice([np.nan, np.inf, -np.inf])
    got, clean = ops.warp(laid_out(spoilt, layout), flow, mode, border), ops.warp(image, flow, mode, border)
    alone = np.zeros((height, width, 1), np.float32)
    alone[at_y, at_x] = 1
    weight = np.abs(reference.warp(alone, flow, mode, border)[0][..., 0])
    assert not np.isfinite(got[weight > 1e-6]).any()
    # Further away than a tap can be, nothing changes.
    beside = np.zeros((height, width))
    for start, u, size, place in zip(
        reference.grid(height, width)[::-1], (flow[..., 1], flow[..., 0]), (height, width), (at_y, at_x), strict=True
    ):
        position = start + u
        if border == "replicate":
            position = np.clip(position, 0, size - 1)
        if border == "reflect":
            position = (size - 1) - np.abs((position % (2 * (size - 1))) - (size - 1))
        beside = np.maximum(beside, np.abs(position - place))
    far = beside > (1.001 if mode == "bilinear" else 2.001)
    np.testing.assert_array_equal(got[far], clean[far])


def test_the_mask_can_be_given() -> None:
    given_mask = np.full((9, 14), np.nan, np.float32)
    result, mask = ops.warp(IMAGE, FLOW, mask=given_mask)
    assert mask is given_mask
    np.testing.assert_array_equal(mask, ops.warp(IMAGE, FLOW, return_mask=True)[1])
    np.testing.assert_array_equal(result, ops.warp(IMAGE, FLOW))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border", BORDERS)
def test_warp_without_flow_is_the_picture(mode: str, border: str) -> None:
    image = picture(np.random.default_rng(1), 19, 23, 3)
    np.testing.assert_array_equal(ops.warp(image, np.zeros((19, 23, 2), np.float32), mode, border), image)


def test_warp_moves_the_way_it_says() -> None:
    image = np.zeros((5, 7), np.float32)
    image[2, 4] = 1
    flow = np.zeros((5, 7, 2), np.float32)
    flow[..., 0] = 1  # reads from the right: what is there moves left
    assert np.argwhere(ops.warp(image, flow)).tolist() == [[2, 3]]


@given(odd, odd, st.sampled_from(["bilinear", "bicubic"]), st.sampled_from(["replicate", "zero", "reflect"]))
def test_any_flow_gives_a_defined_picture(dx: float, dy: float, mode: str, border: str) -> None:
    flow = np.empty((9, 14, 2), np.float32)
    flow[...] = dx, dy
    got, mask = ops.warp(IMAGE, flow, mode, border, return_mask=True)
    assert np.isfinite(got).all()
    low, high = (min(0.0, IMAGE.min()), IMAGE.max()) if mode == "bilinear" else (-0.6, 1.6)
    assert got.min() >= low and got.max() <= high + 1e-6
    if not np.isfinite([dx, dy]).all():
        assert not mask.any()
    if not np.isfinite(dx) and not np.isfinite(dy):
        np.testing.assert_array_equal(got, IMAGE)
    elif max(abs(dx), abs(dy)) > 1e6 and border == "zero":
        assert not got.any() and not mask.any()


def test_the_last_pixel_in_memory_is_read_without_its_neighbour() -> None:
    # A picture that ends where its memory ends, read at its last pixel: nothing behind it may be touched or matter.
    rng = np.random.default_rng(11)
    for size in ((1, 1), (1, 7), (6, 1), (9, 14)):
        image = rng.random((*size, 3), dtype=np.float32)
        far = np.full((*size, 2), 100, np.float32)
        np.testing.assert_array_equal(ops.warp(image, far), np.broadcast_to(image[-1, -1], image.shape))


CASES: list[Case] = [
    ("not an array", TypeError, "image: is a list", lambda: ops.warp([[1.0]], FLOW)),
    (
        "dtype",
        TypeError,
        "image: is float64; it must be float32 or float16",
        lambda: ops.warp(IMAGE.astype(float), FLOW),
    ),
    ("tensor dtype", TypeError, "image: is bfloat16", lambda: ops.warp(T_IMAGE.bfloat16(), T_FLOW)),
    ("byte order", TypeError, "image: is >f4", lambda: ops.warp(IMAGE.astype(">f4"), FLOW)),
    ("dimensions", ValueError, r"image: shape \[9\] has 1 dim", lambda: ops.warp(HW[:, 0], FLOW)),
    ("tensor dimensions", ValueError, "image: shape .* has 2 dim", lambda: ops.warp(T_IMAGE[0], T_FLOW)),
    ("no pixels", ValueError, r"image: shape \[0, 14, 3\] holds no", lambda: ops.warp(IMAGE[:0], FLOW[:0])),
    ("flow dtype", TypeError, "flow: is float64", lambda: ops.warp(IMAGE, FLOW.astype(float))),
    (
        "flow size",
        ValueError,
        r"flow: shape \[9, 13, 2\]; it must be \[9, 14, 2\]",
        lambda: ops.warp(IMAGE, FLOW[:, 1:]),
    ),
    ("flow channels", ValueError, r"flow: shape \[9, 14\];", lambda: ops.warp(IMAGE, HW)),
    ("flow layout", ValueError, "flow: shape", lambda: ops.warp(T_IMAGE, torch.from_numpy(FLOW))),
    ("mixed kinds", TypeError, "flow: is a ndarray; it must be a torch tensor", lambda: ops.warp(T_IMAGE, FLOW)),
    ("mode", ValueError, "mode: is 'nearest'; it must be one of 'bilinear'", lambda: ops.warp(IMAGE, FLOW, "nearest")),
    ("border", ValueError, "border: is 'wrap'", lambda: ops.warp(IMAGE, FLOW, border="wrap")),
    ("out shape", ValueError, "out: shape", lambda: ops.warp(IMAGE, FLOW, out=IMAGE[1:].copy())),
    ("out dtype", TypeError, "out: is float64", lambda: ops.warp(IMAGE, FLOW, out=IMAGE.astype(float))),
    (
        "out of another type",
        TypeError,
        "out: is float16; it must be float32",
        lambda: ops.warp(IMAGE, FLOW, out=IMAGE.astype(np.float16)),
    ),
    ("mask shape", ValueError, r"mask: shape \[9, 14, 1\]", lambda: ops.warp(IMAGE, FLOW, mask=HW[..., None])),
    ("mask read-only", ValueError, "mask: is read-only", lambda: ops.warp(IMAGE, FLOW, mask=READ_ONLY[..., 0])),
    ("mask is the flow", ValueError, "mask: shares memory with flow", lambda: ops.warp(IMAGE, FLOW, mask=FLOW[..., 0])),
    ("out read-only", ValueError, "out: is read-only", lambda: ops.warp(IMAGE, FLOW, out=READ_ONLY)),
    ("out is the input", ValueError, "out: shares memory with image", lambda: ops.warp(IMAGE, FLOW, out=IMAGE)),
    (
        "out shares its own memory",
        ValueError,
        "out: several of its elements share memory",
        lambda: ops.warp(IMAGE, FLOW, out=np.lib.stride_tricks.as_strided(IMAGE.copy(), IMAGE.shape, (56, 4, 4))),
    ),
    ("threads", ValueError, "threads: is 0", lambda: ops.warp(IMAGE, FLOW, threads=0)),
    ("threads type", TypeError, "threads: is 1.5", lambda: ops.warp(IMAGE, FLOW, threads=1.5)),
    ("gradient", ValueError, "image: requires a gradient", lambda: ops.warp(T_IMAGE.clone().requires_grad_(), T_FLOW)),
    ("sparse", TypeError, "image: is torch.sparse", lambda: ops.warp(T_IMAGE.to_sparse(), T_FLOW)),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
