# SPDX-License-Identifier: Apache-2.0
"""Global alignment: it takes back a motion of the whole picture, and makes nothing worse."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from panned import texture
from quality.likeness import psnr
from quality.registration import brought_to

Bytes = npt.NDArray[np.uint8]


def seen(motion: npt.NDArray[np.float64]) -> Bytes:
    """A part of a large picture, seen through a motion of all of it: nothing is lost at the edges."""
    place = np.array([[1, 0, 120], [0, 1, 90], [0, 0, 1.0]]) @ motion
    large = texture(3)
    picture = cv2.warpPerspective(large, place, (200, 150), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


SHIFT = np.array([[1, 0, 1.6], [0, 1, -2.3], [0, 0, 1.0]])
TURN = np.array([[0.9995, -0.012, 2.0], [0.012, 0.9995, -1.0], [1e-5, 0, 1.0]])


@pytest.mark.parametrize(("motion", "kind"), [(SHIFT, "translation"), (SHIFT, "homography"), (TURN, "homography")])
def test_a_moved_picture_is_brought_back(motion: npt.NDArray[np.float64], kind: str) -> None:
    truth, moved = seen(np.eye(3)), seen(motion)
    back, mask = brought_to(truth, moved, kind)  # type: ignore[arg-type]
    assert mask is not None and mask.mean() > 0.85
    assert psnr(truth, back, mask) > psnr(truth, moved) + 10


def test_a_translation_does_not_undo_a_turn_as_a_homography_does() -> None:
    truth, moved = seen(np.eye(3)), seen(TURN)
    found = [brought_to(truth, moved, kind) for kind in ("translation", "homography")]  # type: ignore[arg-type]
    by_shift, by_homography = (psnr(truth, picture, mask) for picture, mask in found)
    assert by_homography > by_shift + 3


def test_a_picture_in_place_stays_the_same_object() -> None:
    truth = seen(np.eye(3))
    assert brought_to(truth, truth.copy())[1] is None
    noisy = np.clip(truth + np.random.default_rng(0).normal(0, 4, truth.shape), 0, 255).astype(np.uint8)
    back, mask = brought_to(truth, noisy)
    # Resampling averages noise, so that a little may be gained; what must not be is a loss.
    assert psnr(truth, back, mask) >= psnr(truth, noisy, mask)


def test_pictures_that_cannot_be_aligned_are_left(texture: Bytes) -> None:
    flat = np.full_like(texture, 77)
    assert brought_to(texture, flat)[0] is flat
    other = texture[::-1, ::-1].copy()
    back, mask = brought_to(texture, other)
    assert mask is None or psnr(texture, back, mask) > psnr(texture, other, mask)


def test_a_far_shift_is_not_followed() -> None:
    truth = seen(np.eye(3))
    far = seen(np.array([[1, 0, 40.0], [0, 1, 0], [0, 0, 1]]))
    back, mask = brought_to(truth, far)
    # Either not found or refused; a small motion that happens to fit better is all right.
    assert mask is None or mask.mean() > 0.8
    assert psnr(truth, back, mask) < 25
