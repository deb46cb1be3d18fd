# SPDX-License-Identifier: Apache-2.0
"""sharpness against the plain float64 reference, in every layout; calls that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
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
    ("measure", ValueError, "measure: is 'sobel'", lambda: ops.sharpness(IMAGE, measure="sobel")),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
