# SPDX-License-Identifier: Apache-2.0
"""Tiles and mixes against the plain float64 reference, in every layout; calls that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops
from ops_inputs import FLOW, HW, IMAGE, READ_ONLY, Case, laid_out, layouts, picture, seeds, sides


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


CODES = [("uint8", None), ("uint8", 5), ("uint16", 10), ("uint16", 12), ("uint16", None)]
TYPES = [*CODES, ("float16", None), ("float32", None)]


def full_scale(dtype: str, bits: int | None) -> int:
    return 2 ** (bits or np.dtype(dtype).itemsize * 8) - 1 if dtype.startswith("uint") else 1


def near(got: npt.NDArray[Any], wanted: npt.NDArray[np.float64], full: int) -> None:
    """Whether stored values are the exact ones (in 0..1) as far as their type and float32 can tell them."""
    step = {"uint8": 0.5, "uint16": 0.5, "float16": 2.0**-12}.get(got.dtype.name, 0.0)  # half a step, for values to 1
    if full > 1:
        wanted = np.clip(wanted, 0, 1)
    np.testing.assert_allclose(got.astype(np.float64), wanted * full, rtol=0, atol=step * 2.001 + 1e-6 * full)
    if full > 1:
        assert (got <= full).all()
        ties = np.abs(wanted * full % 1 - 0.5) < 1e-6 * full
        np.testing.assert_array_equal(got[~ties], np.rint(wanted * full)[~ties])


@given(sides, sides, st.integers(1, 5), st.sampled_from(TYPES), layouts, layouts, seeds)
def test_finish_tiles(
    height: int, width: int, channels: int, kind: tuple[str, int | None], layout: str, other: str, seed: int
) -> None:
    dtype, bits = kind
    rng = np.random.default_rng(seed)
    weight = rng.random((height, width), np.float32) + np.float32(0.5)
    total = (picture(rng, height, width, channels) * 1.4 - 0.2).astype(np.float32) * weight[..., None]
    out = laid_out(np.zeros_like(total), other).astype(dtype) if other == "planar" else None
    got = ops.finish_tiles(laid_out(total, layout), weight, dtype, bits=bits, out=out)  # type: ignore[arg-type]
    assert got.dtype == dtype and (out is None or got is out)
    near(got, total.astype(np.float64) / weight[..., None].astype(np.float64), full_scale(dtype, bits))
    if dtype == "float32":
        np.testing.assert_array_equal(got, total / weight[..., None])


def test_codes_are_rounded_to_nearest_and_halves_to_even() -> None:
    values = (np.arange(7, dtype=np.float32) / 2)[None, :, None]
    one = np.ones((1, 7), np.float32)
    got = ops.finish_tiles(values / 3, one, "uint8", bits=2)  # a full scale of 3
    np.testing.assert_array_equal(got[0, :, 0], [0, 0, 1, 2, 2, 2, 3])


@pytest.mark.parametrize(("dtype", "bits"), CODES)
def test_what_is_no_number_becomes_a_code(dtype: Any, bits: int | None) -> None:
    full = full_scale(dtype, bits)
    total = np.array([[np.nan, np.inf, -np.inf, 1, 3e38, -3e38, 0.0]], np.float32)
    weight = np.array([[1, 1, 1, 0, 1, 1, 0]], np.float32)
    np.testing.assert_array_equal(ops.finish_tiles(total, weight, dtype, bits=bits), [[0, full, 0, full, full, 0, 0]])
    base = np.full((1, 7), full // 2, dtype)
    np.testing.assert_array_equal(
        ops.mix(base, total, np.ones((1, 7), np.float32), bits=bits), [[0, full, 0, full, full, 0, 0]]
    )


@given(sides, sides, st.integers(1, 5), st.sampled_from(TYPES), st.floats(0, 1), layouts, seeds)
def test_mix_in_the_base_s_own_type(
    height: int, width: int, channels: int, kind: tuple[str, int | None], strength: float, layout: str, seed: int
) -> None:
    dtype, bits = kind
    full = full_scale(dtype, bits)
    rng = np.random.default_rng(seed)
    base = (picture(rng, height, width, channels) * full).astype(dtype)
    result = laid_out((picture(rng, height, width, channels) * 1.2 - 0.1).astype(np.float32), layout)
    weight = np.where(rng.random((height, width)) < 0.5, 0, rng.random((height, width))).astype(np.float32)
    result[weight == 0] = np.nan
    got = ops.mix(base, result, weight, strength=strength, bits=bits)
    assert got.dtype == base.dtype
    still = weight * np.float32(strength) == 0
    assert got[still].tobytes() == base[still].tobytes()
    result = np.nan_to_num(result, nan=0.0)
    wanted = reference.mix(
        base.astype(np.float64), result.astype(np.float64), weight.astype(np.float64), strength, full
    )
    near(got[~still], wanted[~still] / full, full)


def test_every_bit_pattern_passes_where_the_weight_is_zero() -> None:
    codes = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    nothing, nan = np.zeros((256, 256), np.float32), np.full((256, 256), np.nan, np.float32)
    assert ops.mix(codes, nan, nothing, bits=10).tobytes() == codes.tobytes()  # codes beyond the scale too
    halfs = codes.view(np.float16)  # signalling NaNs too
    assert ops.mix(halfs, nan, nothing).tobytes() == halfs.tobytes()


def test_tensors_and_empty_batches() -> None:
    base, result = torch.full((2, 3, 5, 7), 900, dtype=torch.uint16), torch.full((2, 3, 5, 7), 0.5)
    weight = torch.zeros(2, 1, 5, 7)
    weight[:, :, 2] = 1
    got = ops.mix(base, result, weight, bits=10)
    assert got.dtype == torch.uint16 and got.shape == base.shape
    assert got[:, :, 2].unique().tolist() == [512] and got[:, :, 1].unique().tolist() == [900]
    assert ops.finish_tiles(result, weight * 2 + 2, "float16").unique().tolist() == [0.125, 0.25]
    none, no_weight = np.empty((0, 4, 4, 3), np.float32), np.empty((0, 4, 4), np.float32)
    assert ops.mix(none.astype(np.uint8), none, no_weight).shape == none.shape
    assert ops.finish_tiles(none, no_weight, "uint8").shape == none.shape


def test_nan_in_the_result_does_not_pass_where_the_weight_is_zero() -> None:
    got = ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.zeros((9, 14), np.float32))
    assert got.tobytes() == IMAGE.tobytes()
    assert ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.ones((9, 14), np.float32), strength=0).tobytes() == (
        IMAGE.tobytes()
    )


BYTES = (IMAGE * 255).astype(np.uint8)
CASES: list[Case] = [
    (
        "tile outside",
        ValueError,
        "tile: 9 x 14 .* reach",
        lambda: ops.blend_tiles(IMAGE.copy(), HW, IMAGE.copy(), 0, 1, 2),
    ),
    ("tile before", ValueError, "y: is -1", lambda: ops.blend_tiles(IMAGE.copy(), HW, IMAGE.copy(), -1, 0, 2)),
    ("tile channels", ValueError, "tile: shape", lambda: ops.blend_tiles(IMAGE.copy(), HW, FLOW, 0, 0, 2)),
    ("weight sum", ValueError, "weight_sum: shape", lambda: ops.blend_tiles(IMAGE.copy(), HW[1:], IMAGE, 0, 0, 2)),
    ("strength", ValueError, "strength: is 2.0", lambda: ops.mix(IMAGE, IMAGE, HW, strength=2)),
    ("result", ValueError, "result: shape", lambda: ops.mix(IMAGE, IMAGE[1:], HW)),
    ("weight", ValueError, "weight: shape", lambda: ops.mix(IMAGE, IMAGE, HW[1:])),
    ("base dtype", TypeError, "base: is float64; it must be uint8", lambda: ops.mix(IMAGE.astype(float), IMAGE, HW)),
    ("result dtype", TypeError, "result: is uint8; it must be float32", lambda: ops.mix(BYTES, BYTES, HW)),
    ("out dtype", TypeError, "out: is float32; it must be uint8", lambda: ops.mix(BYTES, IMAGE, HW, out=IMAGE.copy())),
    ("mix bits", ValueError, "bits: is 10; it must lie in 1..8", lambda: ops.mix(BYTES, IMAGE, HW, bits=10)),
    ("bits of floats", ValueError, "bits: is 10; it must be None", lambda: ops.mix(IMAGE, IMAGE, HW, bits=10)),
    ("no bits", TypeError, "bits: is True", lambda: ops.finish_tiles(IMAGE, HW, "uint16", bits=True)),
    ("finish dtype", ValueError, "dtype: is 'int8'; it must be", lambda: ops.finish_tiles(IMAGE, HW, "int8")),  # type: ignore[arg-type]
    ("finish sums", TypeError, "accumulator: is uint8", lambda: ops.finish_tiles(BYTES, HW)),
    ("finish weights", ValueError, "weight_sum: shape", lambda: ops.finish_tiles(IMAGE, HW[1:])),
    ("finish out", ValueError, "out: shape", lambda: ops.finish_tiles(IMAGE, HW, out=IMAGE[1:].copy())),
    ("in place", ValueError, "out: shares memory", lambda: ops.finish_tiles(IMAGE, HW, out=IMAGE)),
    ("read-only", ValueError, "out: is read-only", lambda: ops.mix(IMAGE, IMAGE, HW, out=READ_ONLY)),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
