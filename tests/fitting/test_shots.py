# SPDX-License-Identifier: Apache-2.0
"""Shots that the warm start is trained on: what was filmed, and what the truth says that it should have been."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deblur_engine.fitting.shots import Shot, film, refilm
from panned import Bytes, code, from_linear, psnr, texture, to_linear

SIZE = (192, 128)


def photograph(seed: int = 3) -> Bytes:
    return cv2.resize(code(texture(seed)), (960, 720), interpolation=cv2.INTER_AREA)


def a_shot(seed: int, count: int = 6) -> Shot:
    shot = film(photograph(), photograph(5), SIZE, count, np.random.default_rng(seed))
    assert shot is not None
    return shot


def test_shots_are_of_the_size_and_range_asked_for() -> None:
    for seed in range(8):
        shot = a_shot(seed)
        assert len(shot.recorded) == len(shot.truth) == 6
        for picture in (*shot.recorded, *shot.truth):
            assert picture.shape == (128, 192, 3) and picture.dtype == np.float32
            assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1


def test_some_frames_are_blurred_and_a_frame_is_nearest_to_its_own_truth() -> None:
    blurred = sharp = 0
    for seed in range(16):
        shot = a_shot(seed)
        for i, frame in enumerate(shot.recorded):
            own = psnr(frame, shot.truth[i])
            blurred += own < 28
            sharp += own > 32  # noise and a codec's loss take some
            far = [psnr(frame, other) for j, other in enumerate(shot.truth) if abs(j - i) >= 2]
            assert own > max(far) - 1.0  # the camera may rest
    assert blurred > 10 and sharp > 10


def test_the_same_generator_makes_the_same_shot() -> None:
    one, two = a_shot(7), a_shot(7)
    for a, b in zip((*one.recorded, *one.truth), (*two.recorded, *two.truth), strict=True):
        np.testing.assert_array_equal(a, b)


def test_small_and_flat_photographs_give_none() -> None:
    rng = np.random.default_rng(0)
    assert film(np.zeros((90, 400, 3), np.uint8), photograph(), SIZE, 4, rng) is None
    assert film(np.full((720, 960, 3), 90, np.uint8), photograph(), SIZE, 4, rng) is None


def panned(count: int, speed: float) -> list[Bytes]:
    """A window that moves over a texture by ``speed`` pixels a frame, sharp."""
    scene = cv2.resize(texture(4), (960, 720), interpolation=cv2.INTER_AREA)
    shifts = [np.array([[1, 0, -40 - speed * i], [0, 1, -60]], np.float64) for i in range(count)]
    return [code(cv2.warpAffine(scene, shift, SIZE, flags=cv2.INTER_LINEAR)) for shift in shifts]


@pytest.mark.parametrize("stride", [3, 4])
def test_footage_is_exposed_about_its_own_frames(stride: int) -> None:
    """Each recorded frame is the mean of 1, 3 or 5 frames in linear light, or nearly that where moments lie between."""
    footage = panned(5 + 5 * stride, 2.0)
    for seed in range(6):
        shot = refilm(footage, stride, np.random.default_rng(seed))
        assert shot is not None and len(shot.recorded) == len(shot.truth) == 6
        for k, (recorded, truth) in enumerate(zip(shot.recorded, shot.truth, strict=True)):
            centre = 2 + k * stride
            np.testing.assert_array_equal(truth, footage[centre].astype(np.float32) / np.float32(255))
            inside = (slice(8, -8), slice(16, -16))
            means = []
            for half in (0, 1, 2):
                light = [to_linear(f / np.float32(255)) for f in footage[centre - half : centre + half + 1]]
                means.append(psnr(from_linear(np.mean(light, axis=0))[inside], recorded[inside]))
            assert max(means) > 30  # the engine's curve is a power, this one BT.709's
            assert max(means) > sorted(means)[1] + 1


def test_footage_with_a_cut_gives_none() -> None:
    footage = [*panned(12, 2.0), *(255 - np.flipud(f) for f in panned(12, 2.0))]
    assert refilm(footage, 3, np.random.default_rng(0)) is None
