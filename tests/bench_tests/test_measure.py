# SPDX-License-Identifier: Apache-2.0
"""The figures: equal to scikit-image's where it has them, and strict about harm."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from measure import change, figures, psnr, quantised, ssim

Bytes = npt.NDArray[np.uint8]


def noisy(picture: Bytes, amount: float, seed: int = 0) -> Bytes:
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, amount, picture.shape), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("amount", [0.6, 5.0, 60.0])
def test_psnr_is_that_of_scikit_image(texture: Bytes, amount: float) -> None:
    other = noisy(texture, amount)
    assert psnr(texture, other) == pytest.approx(peak_signal_noise_ratio(texture, other, data_range=255), abs=1e-9)


def test_ssim_is_the_mean_of_the_channels(texture: Bytes) -> None:
    other = noisy(texture, 20)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    channels = [structural_similarity(texture[..., c], other[..., c], **options) for c in range(3)]
    assert ssim(texture, other) == pytest.approx(np.mean(channels), abs=1e-6)
    assert ssim(texture, texture) == 1.0


def test_equal_pictures_are_infinitely_near(texture: Bytes) -> None:
    assert psnr(texture, texture.copy()) == math.inf


def test_touching_a_perfect_picture_is_infinite_harm(texture: Bytes) -> None:
    touched = texture.copy()
    touched[0, 0, 0] ^= 1
    assert change(texture, texture, texture) == 0.0
    assert change(texture, texture, touched) == -math.inf
    assert change(texture, touched, texture) == math.inf


def test_quantised_rounds_and_clips_and_refuses_nan(texture: Bytes) -> None:
    picture = np.array([[[-0.2, 0.49999 / 255, 0.5001 / 255], [1.7, 1.0, 100.4 / 255]]], np.float32)
    assert quantised(picture).tolist() == [[[0, 0, 1], [255, 255, 100]]]
    assert np.array_equal(quantised(texture.astype(np.float32) / 255), texture)
    with pytest.raises(ValueError, match="NaN"):
        quantised(np.array([[[np.nan, 0, 0]]], np.float32))


def test_figures_keep_blurry_and_sharp_apart(texture: Bytes) -> None:
    truth = [texture] * 4
    before = [noisy(texture, 20, 1), texture, noisy(texture, 10, 2), texture]
    after = [noisy(texture, 5, 3), texture, noisy(texture, 12, 4), texture]
    found = figures(truth, before, after, np.array([True, False, True, False]))
    assert found.blurry_psnr == pytest.approx((psnr(texture, after[0]) + psnr(texture, after[2])) / 2)
    assert found.blurry_ssim == pytest.approx((ssim(texture, after[0]) + ssim(texture, after[2])) / 2)
    assert (found.sharp_psnr, found.sharp_touched) == (math.inf, 0)
    assert found.worst_frame == 2 and -3 < found.worst_change < -1


def test_figures_report_a_touched_sharp_frame(texture: Bytes) -> None:
    before = [noisy(texture, 20), texture, texture]
    after = [texture, texture, noisy(texture, 2)]
    found = figures([texture] * 3, before, after, np.array([True, False, False]))
    assert found.sharp_touched == 1 and math.isfinite(found.sharp_psnr)
    # Half of the sharp pixels carry all of the error: 3 dB better than that frame alone.
    assert found.sharp_psnr == pytest.approx(psnr(texture, after[2]) + 10 * math.log10(2))
    assert (found.worst_change, found.worst_frame) == (-math.inf, 2)


def test_figures_without_one_kind_of_frame(texture: Bytes) -> None:
    all_sharp = figures([texture], [texture], [texture], np.array([False]))
    assert math.isnan(all_sharp.blurry_psnr) and all_sharp.sharp_psnr == math.inf
    all_blurry = figures([texture], [noisy(texture, 3)], [texture], np.array([True]))
    assert math.isnan(all_blurry.sharp_psnr) and all_blurry.blurry_psnr == math.inf


def test_figures_refuse_clips_of_different_length(texture: Bytes) -> None:
    with pytest.raises(ValueError, match="2 truths"):
        figures([texture] * 2, [texture], [texture], np.array([True]))
