# SPDX-License-Identifier: Apache-2.0
"""reblur against the plain float64 reference, in every layout; odd motion; calls that cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops
from ops_inputs import FLOW, IMAGE, TRANSFERS, Case, field, laid_out, layouts, odd, picture, seeds, sides


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


@given(odd, odd, odd, odd, st.sampled_from([None, "srgb"]))
def test_any_motion_gives_a_defined_picture(mx: float, my: float, kx: float, ky: float, transfer: str | None) -> None:
    motion, curvature = np.empty((9, 14, 2), np.float32), np.empty((9, 14, 2), np.float32)
    motion[...], curvature[...] = (mx, my), (kx, ky)
    got = ops.reblur(IMAGE, motion, curvature, transfer=transfer)
    assert np.isfinite(got).all()
    assert got.min() >= IMAGE.min() - 1e-5 and got.max() <= IMAGE.max() + 1e-5


CASES: list[Case] = [
    ("motion", ValueError, "motion: shape", lambda: ops.reblur(IMAGE, FLOW[1:])),
    ("curvature", TypeError, "curvature: is uint8", lambda: ops.reblur(IMAGE, FLOW, FLOW.astype(np.uint8))),
    ("samples", ValueError, "samples: is 0; it must lie in 1..4096", lambda: ops.reblur(IMAGE, FLOW, samples=0)),
    (
        "transfer",
        ValueError,
        "transfer: is 'pq'; it must be one of None",
        lambda: ops.reblur(IMAGE, FLOW, transfer="pq"),
    ),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
