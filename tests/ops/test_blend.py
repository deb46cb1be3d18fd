# SPDX-License-Identifier: Apache-2.0
"""Tiles and mixes against the plain float64 reference, in every layout; calls that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops
from ops_inputs import FLOW, HW, IMAGE, Case, laid_out, layouts, picture, seeds, sides


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


def test_nan_in_the_result_does_not_pass_where_the_weight_is_zero() -> None:
    got = ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.zeros((9, 14), np.float32))
    assert got.tobytes() == IMAGE.tobytes()
    assert ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.ones((9, 14), np.float32), strength=0).tobytes() == (
        IMAGE.tobytes()
    )


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
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
