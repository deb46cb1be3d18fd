# SPDX-License-Identifier: Apache-2.0
"""reblur against the plain float64 reference, in every layout; odd motion; calls that cannot be meant."""

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
from deblur_engine.fitting.batches import _turned
from ops_inputs import F32, FLOW, IMAGE, TRANSFERS, Case, field, laid_out, layouts, odd, picture, seeds, sides


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


@pytest.mark.parametrize("bend", [False, True])
@pytest.mark.parametrize("samples", [None, 8, 35])
def test_reblur_of_more_than_a_tile(bend: bool, samples: int | None) -> None:
    # On the CPU a picture is done in tiles of at least 256 x 128; what a crop makes of the places where they meet is
    # the same, to the bit.
    rng = np.random.default_rng(6)
    image, motion = picture(rng, 140, 300, 3), field(rng, 140, 300, 12.0)
    curvature = field(rng, 140, 300, 4.0) if bend else None
    count = reference.sample_count(motion, curvature) if samples is None else samples
    got = ops.reblur(image, motion, curvature, samples)
    wanted = reference.reblur(image, motion, curvature, count, None)
    np.testing.assert_allclose(got, wanted, atol=reference.TOLERANCE["reblur"], rtol=0)
    bent = None if curvature is None else curvature[None]
    crops, _, _ = ops.reblur_crops(image[None], motion[None], [(0, 80, 230, 0), (0, 90, 250, 0)], 50, bent, samples)
    np.testing.assert_array_equal(crops[0], got[80:130, 230:280])
    np.testing.assert_array_equal(crops[1], got[90:140, 250:300])


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


@given(sides, sides, st.integers(1, 5), st.sampled_from(TRANSFERS), layouts, seeds)
def test_half_precision_in_and_out(
    height: int, width: int, channels: int, transfer: str | None, layout: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = picture(rng, height, width, channels).astype(np.float16)
    motion = field(rng, height, width, 6.0)
    spread = laid_out(image.astype(np.float32), layout).astype(np.float16, order="K")
    got = ops.reblur(spread, motion, transfer=transfer)
    assert got.dtype == np.float16
    wanted = ops.reblur(image.astype(np.float32), motion, transfer=transfer).astype(np.float16)
    np.testing.assert_array_equal(got, wanted)


@given(sides, sides, st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans(), seeds)
def test_what_is_not_finite_stays_where_paths_read_it(
    height: int, width: int, value: float, fixed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image, motion = picture(rng, height, width, 3), field(rng, height, width, 5.0)
    bad = image.copy()
    y, x = int(rng.integers(height)), int(rng.integers(width))
    bad[y, x, 1] = value
    samples = 9 if fixed else None
    clean, got = ops.reblur(image, motion, samples=samples), ops.reblur(bad, motion, samples=samples)
    np.testing.assert_array_equal(got[..., [0, 2]], clean[..., [0, 2]])
    assert not np.isfinite(got[y, x, 1])
    # A path reaches half its motion, and a tap further.
    gy, gx = reference.grid(height, width)[::-1]
    far = (np.abs(gy - y) > np.abs(motion[..., 1]) / 2 + 1) | (np.abs(gx - x) > np.abs(motion[..., 0]) / 2 + 1)
    np.testing.assert_array_equal(got[far], clean[far])


@given(st.integers(9, 20), st.integers(9, 41), st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans(), seeds)
def test_a_pixel_reads_its_own_path_only(height: int, width: int, value: float, bend: bool, seed: int) -> None:
    # Neighbours whose paths have 2, 4 and 6 samples: what is endless stays endless, and is no NaN.
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(0, 2 * np.pi, (height, width)), rng.choice([0.6, 2.5, 4.4], (height, width))
    motion = np.stack([np.cos(angle) * length, np.sin(angle) * length], -1).astype(np.float32)
    curvature = field(rng, height, width, 0.2) if bend else None
    image = picture(rng, height, width, 3)
    image[rng.integers(height), rng.integers(width)] = value
    count = reference.sample_count(motion, curvature)
    got = ops.reblur(image, motion, curvature)
    with np.errstate(invalid="ignore"):
        wanted = reference.reblur(image, motion, curvature, count, None)
    inner = (slice(4, -4), slice(4, -4))  # where no path leaves the picture
    np.testing.assert_allclose(got[inner], wanted[inner], atol=reference.TOLERANCE["reblur"], rtol=0)


def whole_and_turned(values: F32, y: int, x: int, way: int, size: int, motion: F32) -> tuple[F32, F32]:
    """A crop and its motion, turned as the fitting loop turns them: [size, size, C | 2]."""
    both = np.concatenate([values, motion], -1)[y : y + size, x : x + size]
    turned = _turned(torch.from_numpy(both.copy()).permute(2, 0, 1), way).permute(1, 2, 0).numpy()
    return turned[..., :-2], turned[..., -2:]


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 5),
    st.sampled_from([None, "srgb"]),
    st.one_of(st.none(), st.integers(1, 20)),
    st.booleans(),
    st.sampled_from([1.0, 12.0, 300.0]),
    layouts,
    st.booleans(),
    seeds,
)
def test_crops_are_what_reblur_makes_of_the_frame_cut_and_turned(
    height: int,
    width: int,
    channels: int,
    transfer: str | None,
    samples: int | None,
    bend: bool,
    reach: float,
    layout: str,
    as_tensors: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    frames = [picture(rng, height, width, channels) for _ in range(count)]
    motions = [field(rng, height, width, reach) for _ in range(count)]
    curvatures = [field(rng, height, width, 3.0) for _ in range(count)]
    motions[0][: height // 2] = 0
    size = int(rng.integers(1, min(height, width) + 1))
    crops = [
        (
            int(rng.integers(count)),
            int(rng.integers(height - size + 1)),
            int(rng.integers(width - size + 1)),
            int(rng.integers(8)),
        )
        for _ in range(5)
    ]
    scales = rng.uniform(-1.5, 1.5, len(crops)).astype(np.float32)

    def batch(pictures: list[F32]) -> Any:
        stacked = np.stack([laid_out(p, layout) for p in pictures])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2) if as_tensors else stacked

    results = ops.reblur_crops(
        batch(frames),
        batch(motions),
        crops,
        size,
        batch(curvatures) if bend else None,
        samples,
        scales=scales,
        transfer=transfer,
    )
    blurred, sharp, motion = (r.permute(0, 2, 3, 1).numpy() if as_tensors else r for r in results)
    for i, (frame, y, x, way) in enumerate(crops):
        scaled = motions[frame] * scales[i]
        bent = curvatures[frame] * scales[i] if bend else None
        made = ops.reblur(frames[frame], scaled, bent, samples, transfer=transfer)
        wanted, turned = whole_and_turned(made, y, x, way, size, scaled)
        np.testing.assert_array_equal(blurred[i], wanted)
        np.testing.assert_array_equal(motion[i], turned)
        np.testing.assert_array_equal(sharp[i], whole_and_turned(frames[frame], y, x, way, size, scaled)[0])


def test_crops_fill_what_they_are_given() -> None:
    rng = np.random.default_rng(8)
    frames, motions = rng.random((2, 30, 40, 3)).astype(np.float16), np.stack([field(rng, 30, 40, 9.0)] * 2)
    crops = [(1, 4, 5, 6), (0, 0, 19, 3), (1, 9, 0, 0)]
    wanted = ops.reblur_crops(frames.astype(np.float32), motions, crops, 21, transfer="srgb")
    halves = ops.reblur_crops(frames, motions, crops, 21, transfer="srgb")
    assert [r.dtype.name for r in halves] == ["float16", "float16", "float32"]
    out = tuple(np.empty_like(r) for r in wanted)
    assert ops.reblur_crops(frames, motions, crops, 21, transfer="srgb", out=out) is out
    for got, half, exact in zip(out, halves, wanted, strict=True):
        np.testing.assert_array_equal(got, exact)
        np.testing.assert_array_equal(half, exact.astype(half.dtype))
    empty = ops.reblur_crops(frames, motions, [], 21)
    assert [r.shape for r in empty] == [(0, 21, 21, 3), (0, 21, 21, 3), (0, 21, 21, 2)]


FRAMES, FLOWS = IMAGE[None], FLOW[None]

CASES: list[Case] = [
    (
        "image",
        TypeError,
        "image: is float64; it must be float32 or float16",
        lambda: ops.reblur(IMAGE.astype(float), FLOW),
    ),
    ("frames", ValueError, "frames: shape .* is no batch", lambda: ops.reblur_crops(IMAGE, FLOW, [], 3)),
    ("size", ValueError, "size: is 10; it must lie in 1..9", lambda: ops.reblur_crops(FRAMES, FLOWS, [], 10)),
    (
        "frame",
        ValueError,
        "crops: frame of crop 1 is 1; it must lie in 0..0",
        lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 0, 0, 0), (1, 0, 0, 0)], 3),
    ),
    ("y", ValueError, "crops: y of crop 0 is 7", lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 7, 0, 0)], 3)),
    ("x", ValueError, "crops: x of crop 0 is -1", lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 0, -1, 0)], 3)),
    ("way", ValueError, "crops: way of crop 0 is 8", lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 0, 0, 8)], 3)),
    ("crops", ValueError, "crops: shape", lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 0, 0)], 3)),
    ("scales", ValueError, "scales: shape", lambda: ops.reblur_crops(FRAMES, FLOWS, [(0, 0, 0, 0)], 3, scales=[1, 2])),
    (
        "out",
        ValueError,
        r"out\[0\] \(blurred\): shares memory with out\[1\]",
        lambda: ops.reblur_crops(
            FRAMES, FLOWS, [(0, 0, 0, 0)], 3, out=(*[np.empty((1, 3, 3, 3), np.float32)] * 2, FLOWS[:, :3, :3].copy())
        ),
    ),
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
