# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deblur_engine.media.chroma import downsample, upsample
from deblur_engine.media.colour import from_linear, to_linear, transfer_name
from deblur_engine.media.types import ColourTags

CODES = [1, 2, 4, 5, 6, 8, 13, 14, 15, 16, 18, 99]


@given(st.sampled_from(CODES), arrays(np.float32, (5, 3), elements=st.floats(-0.25, 1.0, width=32)))
def test_linear_light_and_back(code: int, values: np.ndarray) -> None:
    tags = ColourTags(transfer=code)
    linear = to_linear(values, tags)
    assert linear.dtype == np.float32 and linear.shape == values.shape
    # The steepest curve (PQ) loses the last digits of float32 near black.
    np.testing.assert_allclose(from_linear(linear, tags), values, atol=2e-4 if code == 16 else 2e-5)


@pytest.mark.parametrize(
    ("code", "value", "linear"),
    [
        (13, 0.5, 0.21404114),  # IEC 61966-2-1
        (1, 0.5, 0.25958),  # BT.709's camera curve inverted
        (16, 0.508078, 0.01),  # 100 cd/m2 of 10 000 (BT.2100)
        (18, 0.5, 1 / 12),  # HLG's branch point
        (8, 0.7, 0.7),
        (4, 0.5, 0.5**2.2),
    ],
)
def test_published_points(code: int, value: float, linear: float) -> None:
    got = to_linear(np.array([value], np.float32), ColourTags(transfer=code))
    np.testing.assert_allclose(got, [linear], rtol=2e-3)


def test_names() -> None:
    assert [transfer_name(ColourTags(transfer=c)) for c in (2, 13, 16, 8)] == ["bt709", "srgb", "pq", "linear"]


@pytest.mark.parametrize("location", range(7))
@pytest.mark.parametrize("factors", [(2, 2), (2, 1), (4, 1), (1, 2)])
def test_chroma_keeps_constants_and_its_place(location: int, factors: tuple[int, int]) -> None:
    fx, fy = factors
    flat = np.full((6, 8), 0.37, np.float32)
    np.testing.assert_allclose(upsample(flat, fx, fy, location, 8 * fx, 6 * fy), 0.37, rtol=1e-6)
    np.testing.assert_allclose(downsample(np.full((13, 17), 0.37, np.float32), fx, fy, location), 0.37, rtol=1e-6)
    # A ramp sampled at the sited places and brought back is the same ramp, away from the edges.
    rows, columns = np.mgrid[: 8 * fy, : 10 * fx].astype(np.float32)
    ramp = 3 * columns + 5 * rows
    back = upsample(downsample(ramp, fx, fy, location), fx, fy, location, 10 * fx, 8 * fy)
    np.testing.assert_allclose(
        back[2 * fy : -2 * fy, 2 * fx : -2 * fx], ramp[2 * fy : -2 * fy, 2 * fx : -2 * fx], atol=1e-3
    )
