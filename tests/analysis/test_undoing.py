# SPDX-License-Identifier: Apache-2.0
"""Blur undone along a known motion, on pictures blurred by what is not the engine's code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deblur_engine.analysis import Aligner, Analysis
from deblur_engine.analysis.undoing import (
    agreed_change,
    estimated_change,
    exposure_by_detail,
    longest_exposure,
    looks_blurred,
)
from panned import Panned, from_linear, psnr, texture, to_linear

Array = npt.NDArray[np.float32]

HEIGHT, WIDTH = 192, 256


def exposed(
    moments: Sequence[float], path: tuple[float, float], seed: int = 5, interpolation: int = cv2.INTER_LINEAR
) -> Array:
    """The mean in linear light of what is seen at the moments of a path, in code values of 8 bits, [H, W, 3]."""
    scene = to_linear(texture(seed, WIDTH + 80, HEIGHT + 80))
    size = (WIDTH + 80, HEIGHT + 80)
    seen = [
        cv2.warpAffine(
            scene, np.float32([[1, 0, path[0] * moment], [0, 1, path[1] * moment]]), size, flags=interpolation
        )
        for moment in moments
    ]
    middle = from_linear(np.mean(seen, axis=0))[40:-40, 40:-40]
    return np.round(middle * 255).astype(np.float32) / np.float32(255)


def evenly(fraction: float) -> list[float]:
    return [fraction * ((k + 0.5) / 48 - 0.5) for k in range(48)]


def field(path: tuple[float, float]) -> Array:
    return np.full((HEIGHT, WIDTH, 2), path, np.float32)


def luma(picture: Array) -> Array:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize("path", [(7.0, 0.0), (3.0, -5.0), (0.0, 12.0)])
def test_the_change_leads_towards_the_sharp_picture(path: tuple[float, float]) -> None:
    sharp, blurry = exposed([0], path), exposed(evenly(1), path)
    whole = np.ones((HEIGHT, WIDTH), np.float32)
    change = estimated_change(blurry, field(path), whole, "bt709")
    assert psnr(blurry + change, sharp) > psnr(blurry, sharp) + 2.5
    assert change.shape == blurry.shape and change.dtype == np.float32


def test_the_change_is_taken_by_weight() -> None:
    blurry = exposed(evenly(1), (8.0, 3.0))
    whole = np.ones((HEIGHT, WIDTH), np.float32)
    part = whole.copy()
    part[:, :100] = 0
    part[:, 200:] = 0.5
    one, other = (estimated_change(blurry, field((8.0, 3.0)), weight, "bt709") for weight in (whole, part))
    assert not other[:, :100].any()
    np.testing.assert_array_equal(other[:, 100:200], one[:, 100:200])
    np.testing.assert_allclose(other[:, 200:], one[:, 200:] / 2, rtol=1e-6)


def moved(picture: Array, x: float, y: float) -> Array:
    shift = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(picture, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("path", [(7.0, 0.0), (3.0, -5.0), (0.0, 12.0)])
def test_a_picture_out_of_place_is_brought_to_agree(path: tuple[float, float]) -> None:
    sharp, blurry = exposed([0], path), exposed(evenly(1), path)
    whole, beside = np.ones((HEIGHT, WIDTH), np.float32), moved(sharp, 0.6, -0.4)
    change = agreed_change(blurry, beside, field(path), whole, "bt709")
    assert psnr(beside + change, sharp) > psnr(beside, sharp) + 1.5
    assert change.shape == blurry.shape and change.dtype == np.float32
    assert not agreed_change(blurry, beside, field(path), 0 * whole, "bt709").any()  # nothing says what is left


def test_colour_is_brought_to_agree() -> None:
    path, whole = (7.0, 0.0), np.ones((HEIGHT, WIDTH), np.float32)
    sharp, blurry = exposed([0], path), exposed(evenly(1), path)
    tint = np.float32([0.04, 0, -0.04])
    beside = moved(sharp, 0.6, -0.4)
    change = agreed_change(blurry, beside + tint, field(path), whole, "bt709")
    left = (beside + tint + change - sharp).mean((0, 1))
    assert np.abs(left).max() < 0.01


@pytest.mark.parametrize("path", [(9.0, 0.0), (3.0, -8.0)])
def test_noise_is_not_put_into_a_picture(path: tuple[float, float]) -> None:
    sharp, blurry = exposed([0], path), exposed(evenly(1), path)
    blurry += np.random.default_rng(1).normal(0, 8 / 255, blurry.shape).astype(np.float32)
    assert not agreed_change(blurry, sharp, field(path), np.ones((HEIGHT, WIDTH), np.float32), "bt709").any()


def test_blur_in_steps_is_not_taken_for_a_wrong_picture() -> None:
    path, whole = (12.0, 9.0), np.ones((HEIGHT, WIDTH), np.float32)
    sharp, stepped = exposed([0], path), exposed([-1 / 3, 0, 1 / 3], path)
    assert psnr(sharp + agreed_change(stepped, sharp, field(path), whole, "bt709"), sharp) > 50


def test_a_place_without_numbers_leaves_the_rest_with_some() -> None:
    path, whole = (7.0, 0.0), np.ones((HEIGHT, WIDTH), np.float32)
    blurry, beside = exposed(evenly(1), path), moved(exposed([0], path), 0.6, -0.4)
    blurry[:20] = math.nan
    assert np.isfinite(agreed_change(blurry, beside, field(path), whole, "bt709")[40:]).all()


def test_black_stays_finite() -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    assert np.isfinite(estimated_change(black, field((9.0, 0.0)), np.ones((HEIGHT, WIDTH), np.float32), None)).all()


@pytest.mark.parametrize("interval", [(12.0, 0.0), (-9.0, 8.0), (0.0, 20.0)])
@pytest.mark.parametrize("fraction", [0.3, 0.45, 0.6])
@pytest.mark.parametrize("seed", [5, 6])
def test_a_frame_tells_how_long_it_may_have_been_exposed(
    interval: tuple[float, float], fraction: float, seed: int
) -> None:
    blurry = luma(exposed(evenly(fraction), interval, seed))
    assert fraction < longest_exposure(blurry, field(interval), "bt709") < 1.8 * fraction


@pytest.mark.parametrize("path", [(24.0, 0.0), (14.0, -14.0)])
def test_what_is_blurred_looks_so_and_what_is_sharp_does_not(path: tuple[float, float]) -> None:
    inside = (slice(24, -24), slice(24, -24))
    evenly_blurred, in_steps, sharp = (
        looks_blurred(luma(exposed(moments, path)), field(path), "bt709")[inside]
        for moments in (evenly(1), [-0.4, -0.2, 0, 0.2, 0.4], [0])
    )
    assert evenly_blurred.mean() > 0.9 and in_steps.mean() > 0.75 and sharp.mean() < 0.1
    assert min(evenly_blurred.min(), sharp.min()) >= 0 and max(evenly_blurred.max(), sharp.max()) <= 1


@pytest.mark.parametrize("path", [(0.0, 0.0), (2.0, 1.0)])
def test_a_sharp_place_says_nothing_against_short_blur(path: tuple[float, float]) -> None:
    assert looks_blurred(luma(exposed([0], path)), field(path), "bt709").min() > 0.9


def test_a_flat_place_says_nothing_against_any_blur() -> None:
    flat = np.full((HEIGHT, WIDTH), 0.4, np.float32)
    np.testing.assert_array_equal(looks_blurred(flat, field((24.0, 0.0)), None), 1)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_flat_frame_tells_nothing(level: float) -> None:
    flat = np.full((HEIGHT, WIDTH), level, np.float32)
    assert longest_exposure(flat, field((9.0, 2.0)), "bt709") == math.inf


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("share", [0.01, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_without_numbers_tells_nothing(share: float, value: float) -> None:
    frame = luma(exposed(evenly(0.5), (12.0, 3.0)))
    frame[np.random.default_rng(1).random(frame.shape) <= share] = value
    assert longest_exposure(frame, field((12.0, 3.0)), "bt709") == math.inf


def test_a_frame_at_rest_tells_nothing() -> None:
    assert longest_exposure(luma(exposed([0], (0.0, 0.0))), field((0.0, 0.0)), "bt709") == math.inf


def by_detail(frame: Array, interval: tuple[float, float], off: float = 0.0) -> float:
    """What a sharp picture that lies elsewhere tells, aligned right but for an error of ``off`` pixels."""
    away = (7.4, -3.7)
    sharp = luma(exposed([1], away, interpolation=cv2.INTER_LANCZOS4))
    wrong = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (HEIGHT, WIDTH, 2)).astype(np.float32), (0, 0), 5.0)
    flow = field(away) + wrong * np.float32(off / wrong.std())
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[16:-16, 16:-16] = True
    return exposure_by_detail(frame, sharp, flow, field(interval), inside, "bt709")


@pytest.mark.parametrize("interval", [(4.0, 0.0), (-4.0, 3.0), (0.0, 12.0)])
@pytest.mark.parametrize("fraction", [0.35, 0.7])
@pytest.mark.parametrize("off", [0.0, 0.7])
def test_detail_tells_the_exposure_even_where_the_reference_is_off(
    interval: tuple[float, float], fraction: float, off: float
) -> None:
    # Not by linear interpolation, which takes as much detail as a pixel of blur does.
    frame = luma(exposed(evenly(fraction), interval, interpolation=cv2.INTER_LANCZOS4))
    found = by_detail(frame, interval, off)
    assert 0.85 < found / fraction < 1.1, found


@pytest.mark.parametrize("off", [0.0, 0.7])
def test_a_sharp_frame_lacks_no_detail(off: float) -> None:
    assert by_detail(luma(exposed([0], (0.0, 0.0))), (8.0, 3.0), off) < 0.08


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_flat_frame_is_blurred_out_and_two_are_alike(level: float) -> None:
    flat = np.full((HEIGHT, WIDTH), level, np.float32)
    whole, still = np.ones((HEIGHT, WIDTH), np.bool_), field((0.0, 0.0))
    assert exposure_by_detail(flat, flat, still, field((9.0, 2.0)), whole, "bt709") == 0
    assert by_detail(flat, (9.0, 2.0)) == 1


@pytest.mark.parametrize("references", [False, True])
def test_no_frame_is_taken_for_more_blurred_than_it_shows(
    analysis: Analysis, two_scenes: Panned, references: bool
) -> None:
    """Where no reference judges: there is none, or it shows something else."""
    wrong = replace(analysis, exposure=np.where(analysis.blurry, np.float32(0.95), np.float32(0)))
    aligner = Aligner(wrong)
    pictures = {n: frame.rgb for n, frame in two_scenes.clip().read(aligner.needs(2)).items()}
    for j in analysis.references_for(2):
        pictures[j] = np.ascontiguousarray(texture(9)[100 : 100 + HEIGHT, 50 : 50 + WIDTH])
    found = aligner.align(2, pictures, references=references)
    assert found.exposure < 0.8, found.exposure
