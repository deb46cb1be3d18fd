# SPDX-License-Identifier: Apache-2.0
"""Each op's values against the plain float64 reference, in every layout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops

F32 = npt.NDArray[np.float32]
MODES = ["bilinear", "bicubic"]
BORDERS = ["replicate", "zero", "reflect"]
TRANSFERS = [None, "srgb", "bt709", "gamma2.2"]
sides = st.integers(1, 41)
seeds = st.integers(0, 2**31)


def picture(rng: np.random.Generator, height: int, width: int, channels: int) -> F32:
    return rng.random((height, width, channels), dtype=np.float32)


def field(rng: np.random.Generator, height: int, width: int, reach: float) -> F32:
    return ((rng.random((height, width, 2)) - 0.5) * 2 * reach).astype(np.float32)


def laid_out(values: F32, layout: str) -> F32:
    """The same values in other memory: a crop, mirrored, planar or every second element of something larger."""
    if layout == "plain":
        return values.copy(order="C")
    if layout == "mirrored":
        return values[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "planar":
        return np.moveaxis(values, -1, 0).copy().transpose(1, 2, 0)
    big = np.full((2 * values.shape[0] + 3, 2 * values.shape[1] + 3, values.shape[2] + 1), np.nan, np.float32)
    place = (slice(3, None), slice(2, -1)) if layout == "crop" else (slice(2, -1, 2), slice(1, -2, 2))
    view = big[place][: values.shape[0], : values.shape[1], : values.shape[2]]
    view[...] = values
    return view


layouts = st.sampled_from(["plain", "mirrored", "planar", "crop", "spread"])


def tensor(values: F32) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(values, -1, 0).copy())[None]


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


@given(
    sides,
    sides,
    st.integers(1, 5),
    st.sampled_from(TRANSFERS),
    st.one_of(st.none(), st.integers(1, 90)),
    st.booleans(),
    layouts,
    seeds,
)
def test_reblur(
    height: int,
    width: int,
    channels: int,
    transfer: str | None,
    samples: int | None,
    bend: bool,
    layout: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    image = picture(rng, height, width, channels) * np.float32(1.3) - np.float32(0.1)
    motion = field(rng, height, width, rng.choice([0.5, 6.0, 80.0]))
    curvature = field(rng, height, width, 8.0) if bend else None
    count = reference.sample_count(motion, curvature) if samples is None else samples
    got = ops.reblur(
        laid_out(image, layout),
        laid_out(motion, layout),
        None if curvature is None else laid_out(curvature, layout),
        samples,
        transfer=transfer,
    )
    wanted = reference.reblur(image, motion, curvature, count, transfer)
    # Compared in linear light: near black the curves are so steep that encoded values tell of rounding only.
    np.testing.assert_allclose(
        reference.to_linear(got.astype(np.float64), transfer),
        reference.to_linear(wanted, transfer),
        atol=reference.TOLERANCE["reblur in linear light" if transfer else "reblur"],
        rtol=0,
    )


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_reblur_keeps_the_bits_of_what_does_not_move(transfer: str | None) -> None:
    rng = np.random.default_rng(3)
    image = picture(rng, 17, 90, 3)
    motion = field(rng, 17, 90, 9.0)
    motion[4:9, 10:80] = 0
    got = ops.reblur(image, motion, transfer=transfer)
    np.testing.assert_array_equal(got[4:9, 10:80], image[4:9, 10:80])
    assert (got[10:] != image[10:]).any()


@pytest.mark.parametrize("transfer", ["srgb", "bt709", "gamma2.2"])
def test_reblur_in_linear_light_keeps_flat_colours(transfer: str) -> None:
    ramp = np.linspace(-0.5, 4.0, 4000, dtype=np.float32)
    for start in range(0, len(ramp), 500):
        part = np.broadcast_to(ramp[start : start + 500, None], (500, 4)).copy()
        motion = np.zeros((500, 4, 2), np.float32)
        motion[..., 0] = 3  # along rows, which are flat
        np.testing.assert_allclose(ops.reblur(part, motion, transfer=transfer), part, atol=3e-6, rtol=2e-6)


def test_reblur_spreads_light_evenly_along_the_path() -> None:
    image = np.zeros((1, 41), np.float32)
    image[0, 20] = 1
    motion = np.zeros((1, 41, 2), np.float32)
    motion[..., 0] = 10
    got = ops.reblur(image, motion, samples=1000)[0]
    np.testing.assert_allclose(got[16:25], 0.1, atol=1e-3)
    np.testing.assert_allclose(got.sum(), 1.0, atol=1e-3)


@given(
    sides,
    sides,
    st.integers(1, 50),
    st.sampled_from(["laplacian", "tenengrad"]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([None, 1, 3]),
    layouts,
    seeds,
)
def test_sharpness(
    height: int, width: int, tile: int, measure: str, dtype: str, channels: int | None, layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = laid_out(picture(rng, height, width, channels or 1), layout)
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    image = (values * np.float32(full)).astype(dtype) if layout == "plain" or dtype != "float32" else values
    image = image[..., 0] if channels is None else image
    got = ops.sharpness(image, tile, measure)
    wanted = reference.sharpness(image[..., 0] if channels == 1 else image, tile, measure)
    assert got.shape == wanted.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=0, atol=reference.TOLERANCE["sharpness"] * (wanted.max() + 1e-9))


def test_sharpness_of_a_flat_picture_is_nothing() -> None:
    assert not ops.sharpness(np.full((70, 50, 3), 200, np.uint8)).any()


@given(sides, sides, st.integers(1, 4), st.integers(0, 20), layouts, st.data())
def test_blend_tiles(height: int, width: int, channels: int, feather: int, layout: str, data: st.DataObject) -> None:
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    high, wide = data.draw(st.integers(1, height - y)), data.draw(st.integers(1, width - x))
    rng = np.random.default_rng(data.draw(seeds))
    before, weight = picture(rng, height, width, channels), picture(rng, height, width, 1)[..., 0]
    tile = picture(rng, high, wide, channels)
    accumulator, weight_sum = laid_out(before, layout), weight.copy()
    ops.blend_tiles(accumulator, weight_sum, laid_out(tile, layout), y, x, feather)
    w = np.outer(reference.feathered(high, height, y, feather), reference.feathered(wide, width, x, feather))
    before, weight = before.astype(np.float64), weight.astype(np.float64)
    before[y : y + high, x : x + wide] += w[..., None] * tile
    weight[y : y + high, x : x + wide] += w
    np.testing.assert_allclose(accumulator, before, atol=reference.TOLERANCE["blend"], rtol=0)
    np.testing.assert_allclose(weight_sum, weight, atol=reference.TOLERANCE["blend"], rtol=0)


def test_tiles_that_overlap_by_the_feather_weigh_one() -> None:
    image = picture(np.random.default_rng(5), 64, 100, 3)
    accumulator, weight_sum = np.zeros_like(image), np.zeros((64, 100), np.float32)
    for y in (0, 24):
        for x in (0, 30, 60):
            ops.blend_tiles(accumulator, weight_sum, image[y : y + 40, x : x + 40], y, x, 10)
    inner = weight_sum[:24]  # above the second row of tiles only their columns overlap
    np.testing.assert_allclose(inner, 1, atol=1e-6)
    np.testing.assert_allclose(accumulator / weight_sum[..., None], image, atol=1e-6)


@given(sides, sides, st.integers(1, 4), st.floats(0, 1), layouts, seeds)
def test_mix(height: int, width: int, channels: int, strength: float, layout: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, result = picture(rng, height, width, channels), picture(rng, height, width, channels)
    weight = np.where(rng.random((height, width)) < 0.5, 0, rng.random((height, width))).astype(np.float32)
    result[weight == 0] = np.nan
    got = ops.mix(laid_out(base, layout), laid_out(result, layout), weight, strength=strength)
    wanted = reference.mix(base.astype(np.float64), result.astype(np.float64), weight.astype(np.float64), strength)
    np.testing.assert_array_equal(got[weight == 0], base[weight == 0])
    np.testing.assert_allclose(got, wanted, atol=reference.TOLERANCE["mix"], rtol=0)


# ---- torch tensors hold the same numbers


@given(sides, sides, st.integers(1, 5), st.sampled_from(MODES), st.sampled_from(BORDERS), seeds)
def test_tensors_and_arrays_agree(height: int, width: int, channels: int, mode: str, border: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, flow = picture(rng, height, width, channels), field(rng, height, width, 9.0)
    other, weight = picture(rng, height, width, channels), picture(rng, height, width, 1)

    def same(got: torch.Tensor, wanted: F32) -> None:
        np.testing.assert_array_equal(np.moveaxis(got[0].numpy(), 0, -1), wanted)

    warped, mask = ops.warp(tensor(image), tensor(flow), mode, border, return_mask=True)
    wanted, wanted_mask = ops.warp(image, flow, mode, border, return_mask=True)
    same(warped, wanted)
    same(mask, wanted_mask[..., None])
    same(
        ops.reblur(tensor(image), tensor(flow), tensor(flow[::-1]), transfer="srgb"),
        ops.reblur(image, flow, flow[::-1], transfer="srgb"),
    )
    same(ops.mix(tensor(image), tensor(other), tensor(weight)), ops.mix(image, other, weight[..., 0]))
    sums, weights = tensor(image), torch.zeros(1, 1, height, width)
    ops.blend_tiles(sums, weights, tensor(other), 0, 0, 3)
    sums_wanted, weights_wanted = image.copy(), np.zeros((height, width), np.float32)
    ops.blend_tiles(sums_wanted, weights_wanted, other, 0, 0, 3)
    same(sums, sums_wanted)
    same(weights, weights_wanted[..., None])
    if channels in (1, 3):
        sharp = ops.sharpness(tensor(image), 8)
        np.testing.assert_array_equal(sharp[0].numpy(), ops.sharpness(image, 8))


def test_batches_are_their_pictures_one_by_one() -> None:
    rng = np.random.default_rng(8)
    images, flows = rng.random((3, 20, 30, 3), np.float32), (rng.random((3, 20, 30, 2), np.float32) - 0.5) * 8
    warped = ops.warp(images, flows)
    blurred = ops.reblur(images, flows, transfer="bt709")
    sharp = ops.sharpness(images, 8)
    assert sharp.shape == (3, 3, 4)
    for i in range(3):
        np.testing.assert_array_equal(warped[i], ops.warp(images[i], flows[i]))
        np.testing.assert_array_equal(blurred[i], ops.reblur(images[i], flows[i], transfer="bt709"))
        np.testing.assert_array_equal(sharp[i], ops.sharpness(images[i], 8))
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)  # channels last in memory
    same = ops.warp(nchw, torch.from_numpy(flows).permute(0, 3, 1, 2))
    np.testing.assert_array_equal(same.permute(0, 2, 3, 1).numpy(), warped)


def test_an_empty_batch_is_an_empty_result() -> None:
    assert ops.warp(torch.zeros(0, 3, 8, 9), torch.zeros(0, 2, 8, 9)).shape == (0, 3, 8, 9)
    assert ops.sharpness(np.zeros((0, 8, 9, 3), np.uint8), 4).shape == (0, 2, 3)


def test_out_is_filled_and_returned() -> None:
    rng = np.random.default_rng(9)
    image, flow = picture(rng, 12, 13, 3), field(rng, 12, 13, 3.0)
    for layout in ("plain", "mirrored", "planar", "spread"):
        out = laid_out(np.zeros_like(image), layout)
        assert ops.warp(image, flow, out=out) is out
        np.testing.assert_array_equal(out, ops.warp(image, flow))
        assert ops.reblur(image, flow, out=out, transfer="srgb") is out
        np.testing.assert_array_equal(out, ops.reblur(image, flow, transfer="srgb"))
        assert ops.mix(image, image[::-1].copy(), flow[..., 0].copy(), out=out) is out
        np.testing.assert_array_equal(out, ops.mix(image, image[::-1].copy(), flow[..., 0].copy()))
