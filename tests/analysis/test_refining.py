# SPDX-License-Identifier: Apache-2.0
"""Motion refined by the blur that it made, on pictures blurred by what is not the engine's code."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deblur_engine import ops
from deblur_engine.analysis.refining import refined_motion
from panned import texture

Array = npt.NDArray[np.float32]

HEIGHT, WIDTH = 192, 256
EVERYWHERE = np.ones((HEIGHT, WIDTH), np.float32)
INSIDE = (slice(24, -24), slice(24, -24))


def seen(dx: float = 0.0, dy: float = 0.0) -> Array:
    scene = cv2.cvtColor(texture(5), cv2.COLOR_RGB2GRAY)
    return cv2.warpAffine(
        scene, np.float32([[1, 0, dx - 100], [0, 1, dy - 100]]), (WIDTH, HEIGHT), flags=cv2.INTER_LANCZOS4
    )


def exposed(path: tuple[float, float]) -> Array:
    """The mean of what is seen along a path."""
    moments = (np.arange(48) + 0.5) / 48 - 0.5
    return np.mean([seen(path[0] * m, path[1] * m) for m in moments], axis=0, dtype=np.float32)


def field(vector: tuple[float, float]) -> Array:
    return np.full((HEIGHT, WIDTH, 2), vector, np.float32)


def slow(picture: Array) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), 12.0)


def refined(frame: Array, sharp: Array, motion: Array, trust: Array = EVERYWHERE) -> tuple[Array, Array] | None:
    return refined_motion(frame, sharp, motion, trust, ops.reblur, slow, threads=1)


def off(found: Array, true: tuple[float, float]) -> float:
    return float(np.median(np.hypot(*(found - np.float32(true))[INSIDE].transpose(2, 0, 1))))


@pytest.mark.parametrize("true", [(12.0, 0.0), (-6.0, 8.0), (0.0, 7.0)])
@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("turn", [0.0, 0.15])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.6, -0.4)])
def test_what_flow_is_off_by_is_read_off_the_blur(
    true: tuple[float, float], factor: float, turn: float, place: tuple[float, float]
) -> None:
    """In length, in direction, and with the reference not quite in its place."""
    cos, sin = factor * np.cos(turn), factor * np.sin(turn)
    told = (cos * true[0] - sin * true[1], sin * true[0] + cos * true[1])
    found = refined(exposed(true), seen(*place), field(told))
    assert found is not None
    assert off(found[0], true) < 0.4 * off(field(told), true)
    assert off(found[1], place) < 0.25
    assert found[0].dtype == found[1].dtype == np.float32


def test_each_place_is_refined_by_its_own_blur() -> None:
    left, right = (10.0, 0.0), (14.0, 0.0)
    frame = np.where(np.arange(WIDTH) < WIDTH // 2, exposed(left), exposed(right)).astype(np.float32)
    found = refined(frame, seen(), field((12.0, 0.0)))
    assert found is not None
    lengths = np.median(found[0][24:-24, :, 0], axis=0)
    assert abs(lengths[30] - 10) < 0.7 and abs(lengths[-30] - 14) < 0.7


def test_what_is_known_already_stays() -> None:
    # But for what reading between pixels softens, which passes for a little blur.
    found = refined(exposed((9.0, 3.0)), seen(), field((9.0, 3.0)))
    assert found is None or off(found[0], (9.0, 3.0)) < 0.35
    still = field((0.0, 0.0))
    assert refined(seen(), seen(), still) is None


def test_what_cannot_be_judged_by_says_nothing() -> None:
    frame, sharp, told = exposed((12.0, 0.0)), seen(), field((9.0, 0.0))
    assert refined(frame, sharp, told, np.zeros_like(EVERYWHERE)) is None
    half = EVERYWHERE.copy()
    half[:, WIDTH // 2 :] = 0
    found = refined(frame, sharp, told, half)
    assert found is not None
    assert abs(found[0][24:-24, 40, 0].mean() - 12) < 0.7
    np.testing.assert_allclose(found[0][:, -8:], told[:, -8:], atol=0.4)  # far from what is judged


def test_what_stands_still_stays_still() -> None:
    told = field((9.0, 0.0))
    told[:, : WIDTH // 2] = 0
    found = refined(exposed((12.0, 0.0)), seen(), told)
    assert found is not None
    assert not found[0][:, : WIDTH // 2].any() and not found[1][:, : WIDTH // 2].any()


@pytest.mark.parametrize("slope", [(1, 0), (0, 1), (1, 1), (1, -1), (1, 2)])
@pytest.mark.parametrize("length", [6.0, 90.0])
def test_stripes_say_nothing_of_motion_along_them(slope: tuple[int, int], length: float) -> None:
    """One of four directions is known; the equations for the others rest on what is expected of them."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def stripes(shift: float) -> Array:
        return (0.5 + 0.4 * np.sin((slope[0] * (x + shift) + slope[1] * y) / 5)).astype(np.float32)

    frame = np.mean([stripes(6.0 * m) for m in (np.arange(24) + 0.5) / 24 - 0.5], axis=0, dtype=np.float32)
    told = field((length, -0.5 * length))
    found = refined(frame, stripes(0), told)
    assert found is None or (np.isfinite(found[0]).all() and np.abs(found[0] - told).max() < 3 * 1.5 + 1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_are_no_numbers_refine_nothing(value: float) -> None:
    frame = exposed((12.0, 0.0))
    frame[90:100, 90:100] = value
    assert refined(frame, seen(), field((9.0, 0.0))) is None


@pytest.mark.parametrize("size", [(8, 8), (9, 33), (50, 7)])
def test_small_pictures(size: tuple[int, int]) -> None:
    frame, sharp = exposed((6.0, 0.0))[: size[0], : size[1]].copy(), seen()[: size[0], : size[1]].copy()
    motion = np.full((*size, 2), (4.0, 1.0), np.float32)
    found = refined(frame, sharp, motion, np.ones(size, np.float32))
    assert found is None or (found[0].shape == found[1].shape == (*size, 2) and np.isfinite(found[0]).all())
