# SPDX-License-Identifier: Apache-2.0
"""The rivals are played fairly: each of them does what its name says."""

from types import SimpleNamespace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deblur_engine import ops
from quality.likeness import psnr
from quality.pictures import quantised
from quality.rivals import fourier_burst, plain_blend, richardson_lucy, unsharp

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@pytest.fixture
def picture(texture: Bytes) -> Floats:
    return cv2.GaussianBlur(texture, (0, 0), 0.8).astype(np.float32) / 255


def motion_of(picture: Floats, x: float, y: float) -> Floats:
    return np.broadcast_to(np.array([x, y], np.float32), (*picture.shape[:2], 2)).copy()


@pytest.mark.parametrize("vector", [(7.0, 0.0), (4.0, 5.0)])
def test_richardson_lucy_undoes_a_known_blur(picture: Floats, vector: tuple[float, float]) -> None:
    motion = motion_of(picture, *vector)
    blurred = ops.reblur(picture, motion, transfer="srgb")
    few, many = (richardson_lucy(blurred, motion, iterations=count) for count in (5, 20))
    inside = (slice(12, -12), slice(12, -12))
    truth, *others = (quantised(p[inside]) for p in (picture, blurred, few, many))
    before, after_few, after_many = (psnr(truth, other) for other in others)
    # Without noise and with the motion known exactly, more iterations come nearer.
    assert before + 2 < after_few < after_many - 1


def test_richardson_lucy_leaves_what_does_not_move(picture: Floats) -> None:
    motion = motion_of(picture, 6.0, 0.0)
    motion[:, :40] = 0
    restored = richardson_lucy(picture, motion)
    assert np.array_equal(restored[:, :40], picture[:, :40])
    assert not np.array_equal(restored[:, 40:], picture[:, 40:])


def test_richardson_lucy_survives_black_and_white() -> None:
    picture = np.zeros((24, 24, 3), np.float32)
    picture[:, 12:] = 1
    restored = richardson_lucy(picture, motion_of(picture, 9.0, 0.0))
    assert np.isfinite(restored).all() and restored.min() >= 0 and restored.max() <= 1


def test_a_fourier_burst_takes_each_frequency_from_the_frame_that_has_it(picture: Floats) -> None:
    # One frame is blurred sideways, the other up and down: together they hold all but the diagonals of the truth.
    sideways, upright = (ops.reblur(picture, motion_of(picture, *v), transfer=None) for v in ((9.0, 0.0), (0.0, 9.0)))
    made = fourier_burst(sideways, [upright])
    truth, before, after = (quantised(p) for p in (picture, sideways, made))
    assert psnr(truth, after) > psnr(truth, before) + 1.5
    assert np.abs(fourier_burst(picture, []) - picture).max() < 1e-5
    assert np.abs(fourier_burst(picture, [picture, picture]) - picture).max() < 2e-2


def test_a_fourier_burst_leaves_out_what_does_not_match(picture: Floats) -> None:
    other = np.random.default_rng(3).random(picture.shape, np.float32)
    assert psnr(quantised(picture), quantised(fourier_burst(picture, [other]))) > 25


def test_unsharp_steepens_edges(picture: Floats) -> None:
    soft = cv2.GaussianBlur(picture, (0, 0), 1.5)
    assert np.abs(np.diff(unsharp(soft), axis=1)).mean() > 1.2 * np.abs(np.diff(soft, axis=1)).mean()
    flat = np.full((20, 20, 3), 0.4, np.float32)
    assert np.allclose(unsharp(flat), flat, atol=1e-6)


@pytest.mark.parametrize("guarded", [False, True])
def test_plain_blend_follows_alignment_and_weight(picture: Floats, guarded: bool) -> None:
    height, width = picture.shape[:2]
    reference, weight = picture[:, ::-1] - picture, np.ones((height, width), np.float32)
    estimate, confidence = np.full_like(picture, 0.1), np.ones((height, width, 2), np.float32)
    confidence[:, :20], weight[:, 60:] = 0, 0
    alignment = SimpleNamespace(estimate=estimate, reference=reference, confidence=confidence, weight=weight)
    blended = plain_blend(picture, alignment, guarded=guarded)  # type: ignore[arg-type]
    assert np.allclose(blended[:, :20], picture[:, :20] + 0.1, atol=1e-6)
    assert np.allclose(blended[:, 20:60], picture[:, ::-1][:, 20:60], atol=1e-6)
    assert np.allclose(blended[:, 60:], (picture if guarded else picture[:, ::-1])[:, 60:], atol=1e-6)
