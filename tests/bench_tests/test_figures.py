# SPDX-License-Identifier: Apache-2.0
"""From frames to a clip's figures: blurry and sharp apart, harm where it is, frames that are missing left out."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from quality.figures import Figures, Frames, figures, flicker_of, mean_of, measure
from quality.flicker import steps_of
from quality.likeness import psnr, ssim

Bytes = npt.NDArray[np.uint8]


def noisy(picture: Bytes, amount: float, seed: int = 0) -> Bytes:
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, amount, picture.shape), 0, 255).round().astype(np.uint8)


def measured(truth: list[Bytes], before: list[Bytes], after: list[Bytes]) -> tuple[Frames, Frames]:
    """The row's frames and the input's."""
    both = [measure(truth, before, dict(enumerate(pictures))) for pictures in (after, before)]
    return both[0], both[1]


def test_blurry_and_sharp_frames_are_kept_apart(texture: Bytes) -> None:
    truth = [texture] * 4
    before = [noisy(texture, 20, 1), texture, noisy(texture, 10, 2), texture]
    after = [noisy(texture, 5, 3), texture, noisy(texture, 12, 4), texture]
    found = figures(*measured(truth, before, after), np.array([True, False, True, False]))
    assert found.blurry_psnr == pytest.approx((psnr(texture, after[0]) + psnr(texture, after[2])) / 2)
    assert found.blurry_ssim == pytest.approx((ssim(texture, after[0]) + ssim(texture, after[2])) / 2)
    was = (psnr(texture, before[0]) + psnr(texture, before[2])) / 2
    assert found.blurry_gain == pytest.approx(found.blurry_psnr - was)
    assert found.gmsd_gain > 0 and (found.frames, found.blurry, found.blurry_left) == (4, 2, 0)
    assert (found.sharp_psnr, found.sharp_touched) == (math.inf, 0)
    assert found.worst_frame == 2 and -3 < found.worst_change < -1 and found.harmed == 1


def test_a_touched_sharp_frame_is_found(texture: Bytes) -> None:
    before = [noisy(texture, 20), texture, texture]
    after = [texture, texture, noisy(texture, 2)]
    found = figures(*measured([texture] * 3, before, after), np.array([True, False, False]))
    assert found.sharp_touched == 1 and math.isfinite(found.sharp_psnr)
    # Half of the sharp pixels carry all of the error: 3 dB better than that frame alone.
    assert found.sharp_psnr == pytest.approx(psnr(texture, after[2]) + 10 * math.log10(2))
    assert (found.worst_change, found.worst_frame, found.harmed) == (-math.inf, 2, 1)


def test_a_loss_of_a_twentieth_of_a_decibel_is_no_harm(texture: Bytes) -> None:
    row: Frames = {"psnr": {0: 29.95, 1: 29.8}, "touched": {0: 1.0, 1: 1.0}, "warping": {}}
    base: Frames = {"psnr": {0: 30.0, 1: 30.0}, "touched": {0: 0.0, 1: 0.0}, "warping": {}}
    for name in ("ssim", "aligned_psnr", "aligned_ssim", "gmsd", "detail"):
        row[name] = base[name] = {0: 0.5, 1: 0.5}
    found = figures(row, base, np.array([True, True]))
    assert found.harmed == 1 and found.worst_frame == 1 and found.worst_change == pytest.approx(-0.2)


def test_clips_without_one_kind_of_frame(texture: Bytes) -> None:
    all_sharp = figures(*measured([texture], [texture], [texture]), np.array([False]))
    assert math.isnan(all_sharp.blurry_psnr) and math.isnan(all_sharp.blurry_gain) and all_sharp.sharp_psnr == math.inf
    all_blurry = figures(*measured([texture], [noisy(texture, 3)], [texture]), np.array([True]))
    assert math.isnan(all_blurry.sharp_psnr) and all_blurry.blurry_psnr == math.inf


def test_flicker_is_told_against_the_input(texture: Bytes) -> None:
    middle = np.clip(texture, 20, 235)
    truth = [middle] * 4
    before = [middle + np.uint8(4 * (i % 2)) for i in range(4)]
    after = [middle + np.uint8(2 * (i % 2)) for i in range(4)]
    steps = steps_of(truth)
    rows = [{**measure(truth, before, p), **flicker_of(p, steps)} for p in map(dict, map(enumerate, (after, before)))]
    found = figures(rows[0], rows[1], np.array([True] * 4))
    assert found.flicker == pytest.approx(2.0, abs=1e-3) and found.flicker_ratio == pytest.approx(0.5, abs=1e-3)


def test_frames_may_be_missing_and_be_picked(texture: Bytes) -> None:
    truth, before = [texture] * 4, [noisy(texture, 20, i) for i in range(4)]
    after = {1: texture, 3: noisy(texture, 5)}
    row = {**measure(truth, before, after), **flicker_of(after, steps_of(truth))}
    base = measure(truth, before, dict(enumerate(before)))
    found = figures(row, base, np.array([True, True, False, True]))
    assert found.frames == 2 and math.isnan(found.flicker)
    of_one = figures(base, base, np.array([True] * 4), only={3})
    assert of_one.frames == 1 and of_one.blurry_psnr == pytest.approx(psnr(texture, before[3]))


def test_alignment_is_measured_beside_the_plain_figures(texture: Bytes) -> None:
    moved = np.roll(texture, 2, axis=1)
    row = measure([texture], [moved], {0: moved}, aligned={0})
    assert row["aligned_psnr"][0] > row["psnr"][0] + 5 and row["aligned_ssim"][0] > row["ssim"][0]
    assert measure([texture], [moved], {0: moved}, align=None, aligned={0})["aligned_psnr"] == row["psnr"]


def test_wrong_lengths_and_sizes_are_refused(texture: Bytes) -> None:
    with pytest.raises(ValueError, match="2 truths"):
        measure([texture] * 2, [texture], {0: texture})
    with pytest.raises(ValueError, match="frame 0"):
        measure([texture], [texture], {0: texture[:50]})


def test_means_add_counts_and_keep_the_worst(texture: Bytes) -> None:
    one = figures(*measured([texture], [noisy(texture, 9)], [noisy(texture, 4)]), np.array([True]))
    worse = Figures(**{**vars(one), "blurry_gain": 1.0, "harmed": 2, "worst_change": -3.0, "worst_frame": 9})
    both = mean_of([one, worse])
    assert both.blurry_gain == pytest.approx((one.blurry_gain + 1) / 2)
    assert (both.frames, both.harmed, both.worst_change, both.worst_frame) == (2, one.harmed + 2, -3.0, 9)
    assert both.sharp_psnr != both.sharp_psnr  # nan in both stays nan
