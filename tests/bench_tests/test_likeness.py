# SPDX-License-Identifier: Apache-2.0
"""How near pictures are: as scikit-image has it, or as the paper's formula written out, and strict about harm."""

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from quality.likeness import change, detail, gmsd, psnr, squared_error, ssim
from quality.pictures import quantised

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


def test_psnr_of_a_known_error_and_of_a_part(texture: Bytes) -> None:
    truth = np.full((40, 60, 3), 100, np.uint8)
    other = truth.copy()
    other[:, :30] += 10
    assert squared_error(truth, other) == 50
    assert psnr(truth, other) == pytest.approx(10 * math.log10(255**2 / 50))
    left = np.zeros((40, 60), bool)
    left[:, :30] = True
    assert psnr(truth, other, left) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(truth, other, ~left) == math.inf and ssim(truth, other, ~left & (np.arange(60) > 36)) == 1.0


def gmsd_written_out(truth: Bytes, picture: Bytes) -> float:
    """The paper's formula, pixel by pixel."""

    def gradients(rgb: Bytes) -> npt.NDArray[np.float64]:
        luma = 0.299 * rgb[..., 0].astype(float) + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]
        rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
        cells = [[luma[2 * y : 2 * y + 2, 2 * x : 2 * x + 2] for x in range(columns)] for y in range(rows)]
        small = np.mean(cells, axis=(2, 3))
        found = np.zeros((rows - 2, columns - 2))
        for y in range(1, rows - 1):
            for x in range(1, columns - 1):
                across = (small[y - 1 : y + 2, x + 1] - small[y - 1 : y + 2, x - 1]).sum() / 3
                down = (small[y + 1, x - 1 : x + 2] - small[y - 1, x - 1 : x + 2]).sum() / 3
                found[y - 1, x - 1] = math.sqrt(across**2 + down**2)
        return found

    a, b = gradients(truth), gradients(picture)
    similar = (2 * a * b + 170) / (a**2 + b**2 + 170)
    return float(math.sqrt(((similar - similar.mean()) ** 2).mean()))


@pytest.mark.parametrize("rows", [96, 95])
def test_gmsd_is_the_paper_s_formula(texture: Bytes, rows: int) -> None:
    other = noisy(texture, 12)
    assert gmsd(texture[:rows], other[:rows]) == pytest.approx(gmsd_written_out(texture[:rows], other[:rows]), abs=1e-9)


def test_gmsd_of_a_case_that_can_be_done_by_hand() -> None:
    # Half of the picture loses a slope of 3 code values a pixel: 6 at half the size, and Prewitt's mask spans two.
    slope = np.zeros((60, 122, 3), np.uint8)
    slope[:, 61:] = (np.arange(61) * 3)[None, :, None]
    slope[:, :61] = (np.arange(61)[::-1] * 3)[None, :, None]
    flat_left = slope.copy()
    flat_left[:, :61] = 0
    kept, lost = 1.0, 170 / (12**2 + 170)
    assert gmsd(slope, flat_left) == pytest.approx((kept - lost) / 2, rel=0.05)  # but for the seam in the middle


def test_gmsd_grows_with_blur_and_is_blind_to_level(texture: Bytes) -> None:
    soft = [cv2.GaussianBlur(texture, (0, 0), sigma) for sigma in (0.6, 1.0, 2.0)]
    values = [gmsd(texture, picture) for picture in soft]
    assert 0 == gmsd(texture, texture) < values[0] < values[1] < values[2] < 0.5
    inside = np.clip(texture, 20, 200)
    assert gmsd(inside, inside + np.uint8(30)) == pytest.approx(0, abs=1e-12)


def test_detail_is_the_mean_square_of_the_slope(texture: Bytes) -> None:
    ramp = np.broadcast_to((np.arange(80) * 3).astype(np.uint8)[None, :, None], (50, 80, 3)).copy()
    assert detail(ramp[:, 1:-1]) == pytest.approx(9.0, rel=0.03)  # its outermost columns are mirrored
    assert detail(cv2.GaussianBlur(texture, (0, 0), 1.5)) < 0.5 * detail(texture)
