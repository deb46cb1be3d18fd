# SPDX-License-Identifier: Apache-2.0
"""Pictures of a file brought to a host's size, place, colour and numbering."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_engine.analysis import Analysis
from deblur_engine.worker.gathering import signature
from deblur_engine.worker.matching import Curves, Look, alike, colours, far_apart, find_frame, place
from panned import Scene

SCENE = Scene([0] * 12, speed=(6, 3))
SIZE = (320, 180)


def look(time: int) -> np.ndarray:
    return SCENE.look(time, SIZE)


def analysis(width: int, height: int) -> Analysis:
    n = np.zeros(2, np.float32)
    turns = np.stack([np.array([[1.0, 0.01, 8], [-0.01, 1, 4], [1e-5, 0, 1]])] * 2)
    flags = np.zeros(2, bool)
    return Analysis(width, height, n.astype(float), n.astype(np.int32), n, n, n + 10, n, turns, flags, flags)


def test_a_smaller_picture_is_the_mean_over_areas() -> None:
    small = place(look(0), 80, 45, analysis(*SIZE).placed(80, 45))
    np.testing.assert_allclose(small, look(0).reshape(45, 4, 80, 4, 3).mean(axis=(1, 3)), atol=1e-5)
    assert place(look(0), *SIZE, (1.0, 1.0, 0.0, 0.0)) is not None


@pytest.mark.parametrize(
    ("size", "scale", "placed"),
    [
        ((320, 180), 0.0, (1, 1, 0, 0)),
        ((160, 90), 0.0, (0.5, 0.5, 0, 0)),
        ((161, 90), 0.5, (161 / 320, 0.5, 0, 0)),  # a rounded size is no other aspect
        ((320, 240), 0.0, (1, 1, 0, 30)),
        ((640, 240), 0.0, (4 / 3, 4 / 3, 320 - 640 / 3, 0)),
        ((320, 180), 2.0, (2, 2, -160, -90)),  # enlarged, its edges cut off
        ((640, 360), 1.0, (1, 1, 160, 90)),  # as large as it is, in a larger frame
    ],
)
def test_where_a_clip_lies_in_a_timelines_frame(size, scale, placed) -> None:
    assert analysis(*SIZE).placed(*size, scale) == pytest.approx(placed)
    shown = place(np.ones((180, 320, 3), np.float32), *size, analysis(*SIZE).placed(*size, scale))
    assert shown.shape == (size[1], size[0], 3) and shown[size[1] // 2, size[0] // 2].min() > 0.99
    left, top = max(0, round(placed[2])), max(0, round(placed[3]))
    assert not shown[:top].any() and not shown[:, :left].any()
    assert shown[top : size[1] - top, left : size[0] - left].mean() > 0.98


def test_an_analysis_of_another_size_moves_things_where_they_lie_there() -> None:
    whole = analysis(*SIZE)
    for size, scale in (((160, 90), 0.0), ((320, 240), 0.0), ((640, 360), 1.0)):
        x, y, left, top = whole.placed(*size, scale)
        scaled = whole.scaled(*size, scale)
        assert (scaled.width, scaled.height) == size
        points = np.array([[10.0, 20, 1], [300, 100, 1], [160, 90, 1]]).T
        there = whole.homography[0] @ points
        there = there[:2] / there[2]
        put = np.array([[x, 0, left], [0, y, top], [0, 0, 1]])
        found = scaled.homography[0] @ put @ points
        want = np.array([x * there[0] + left, y * there[1] + top])
        np.testing.assert_allclose(found[:2] / found[2], want, atol=1e-9)
        np.testing.assert_allclose(scaled.speed, 10 * np.sqrt(x * y), rtol=1e-6)
    assert whole.scaled(*SIZE) is whole


@settings(max_examples=12)
@given(st.floats(0.5, 2.2), st.floats(0.3, 1.5), st.floats(-0.1, 0.2))
def test_curves_take_one_grade_to_another(gamma: float, gain: float, lift: float) -> None:
    def graded(picture: np.ndarray) -> np.ndarray:
        return (gain * picture ** np.float32(gamma) + lift).astype(np.float32)

    curves = Curves.between(look(0), graded(look(0)))
    # Made from one frame, right for another one of the shot.
    assert np.abs(curves.apply(look(4)) - graded(look(4))).mean() < 0.01
    x = np.linspace(-0.5, 2, 400, dtype=np.float32).reshape(-1, 1, 1).repeat(3, 2)
    assert (np.diff(curves.apply(x)[:, 0], axis=0) >= -1e-5).all()


def test_log_and_display_are_told_apart_and_grades_are_not() -> None:
    shown = look(0)
    light = np.where(shown < 0.081, shown / 4.5, ((shown + 0.099) / 1.099) ** (1 / 0.45)).astype(np.float32)
    log = ((420 + np.log10((light + 0.01) / 0.19) * 261.5) / 1023).astype(np.float32)  # S-Log3 of a BT.709 picture
    assert far_apart(shown, log) and far_apart(log, shown) and far_apart(shown, 1 - shown)
    for grade in (
        shown * np.float32(0.8) + np.float32(0.05),
        shown ** np.float32(1.3),
        shown * np.float32([1, 0.9, 0.8]),
    ):
        assert not far_apart(shown, grade)
    flat = np.full_like(shown, 0.5)
    assert not far_apart(flat, flat)


def test_alike_colours_need_no_curve() -> None:
    assert colours(look(0), look(0) + np.float32(1 / 255)) is None
    assert colours(look(0), look(0) * np.float32(0.8)) is not None
    assert Look(*SIZE, (1, 1, 0, 0))(look(0)).shape == (180, 320, 3)


def test_what_shows_the_same_thing() -> None:
    graded = (0.7 * look(0) ** np.float32(1.8) + 0.1).astype(np.float32)
    noisy = look(0) + np.random.default_rng(0).normal(0, 0.03, look(0).shape).astype(np.float32)
    for same in (look(0), graded, noisy):
        assert alike(look(0), same)[0]
    for other in (look(0)[::-1].copy(), look(0)[:, ::-1].copy(), 1 - look(0), Scene([0], seed=7).look(0, SIZE)):
        assert not alike(look(0), other)[0]
    black = np.zeros_like(look(0))
    assert alike(black, look(0))[0] and alike(look(0), black)[0]  # a fade tells nothing
    assert alike(look(0), graded)[1] < 0.3 * alike(look(1), graded)[1]
    lamp = look(0).copy()
    lamp[50, 50] = 60000
    assert alike(look(0), lamp)[0]


@pytest.mark.parametrize("offset", [-3, -1, 0, 2])
@pytest.mark.parametrize("grade", [False, True])
def test_the_frame_is_found_whatever_its_number(offset: int, grade: bool) -> None:
    host = look(5 + offset)
    host = (0.7 * host ** np.float32(1.5)).astype(np.float32) if grade else host
    for hint in (0, 1):
        assert find_frame(5, hint, host, lambda n: look(n) if 0 <= n < 12 else None, 3)[:2] == (offset, True)
    assert not find_frame(5, 0, host[::-1, ::-1].copy(), look, 3)[1]


def test_a_still_keeps_its_number() -> None:
    still = look(0)
    assert find_frame(4, 0, still, lambda n: still, 3) == (0, True, 0.0)


def test_a_signature_tells_pictures_apart_and_what_is_no_number() -> None:
    base = look(0)
    mark, sound = signature(base)
    assert sound and signature(base.copy())[0] == mark
    for change in (np.float32(1 / 255), np.nan, np.inf, np.float32(1e6)):
        other = base.copy()
        other[77, 123, 1] += change
        assert signature(other)[0] != mark
        assert signature(other)[1] == (change == np.float32(1 / 255))
    swapped = base.copy()
    swapped[10, [20, 200]] = swapped[10, [200, 20]]
    assert signature(swapped)[0] != mark
    bright = np.full((64, 64, 3), 500, np.float32)
    assert signature(bright)[1]
    assert cv2.norm(base) > 0
