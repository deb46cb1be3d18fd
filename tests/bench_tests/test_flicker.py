# SPDX-License-Identifier: Apache-2.0
"""Flicker: nothing for what stays as it is along the truth's motion, and as much as was put in."""

import math
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from panned import FIRST, code
from quality.flicker import steps_of, warping_errors

Bytes = npt.NDArray[np.uint8]


def test_a_static_clip_does_not_flicker_and_added_flicker_is_what_is_measured(texture: Bytes) -> None:
    truth = [texture] * 4
    steps = steps_of(truth)
    assert warping_errors(truth, steps) == [0.0, 0.0, 0.0]
    middle = np.clip(texture, 20, 235)
    up_and_down = [middle + np.uint8(5 * (i % 2)) for i in range(4)]
    assert warping_errors(up_and_down, steps) == pytest.approx([25.0] * 3, abs=1e-3)


@pytest.fixture(scope="module")
def moving() -> list[Bytes]:
    return [code(FIRST.look(t, (192, 144))) for t in range(4)]


def test_a_moving_clip_is_followed(moving: list[Bytes]) -> None:
    steps = steps_of(moving)
    assert all(step is not None and step[1].mean() > 0.6 for step in steps.flows)
    followed = np.array(warping_errors(moving, steps))
    plain = np.array([np.square(a.astype(float) - b).mean() for a, b in pairwise(moving)])
    assert (followed < 0.1 * plain).all()


def test_every_second_frame_blurred_flickers_more_than_all_or_none(moving: list[Bytes]) -> None:
    steps = steps_of(moving)
    soft = [cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in moving]
    mixed = [picture if i % 2 else other for i, (picture, other) in enumerate(zip(moving, soft, strict=True))]
    none, every, second = (np.mean(warping_errors(clip, steps)) for clip in (moving, soft, mixed))
    assert second > 3 * none and second > 3 * every


def test_what_is_covered_does_not_count(texture: Bytes) -> None:
    # A patch jumps: what it covers and what it uncovers is seen in one of the frames only.
    first, second = texture.copy(), texture.copy()
    patch = np.random.default_rng(1).integers(0, 255, (30, 30, 3), np.uint8)
    first[30:60, 20:50] = patch
    second[30:60, 60:90] = patch
    steps = steps_of([first, second])
    assert steps.flows[0] is not None
    seen = steps.flows[0][1]
    assert seen[:20].mean() > 0.9
    masked = warping_errors([first, second], steps)[0]
    flow = steps.flows[0][0]
    unmasked = warping_errors([first, second], type(steps)(((flow, np.ones_like(seen)),)))[0]
    assert masked < 0.5 * unmasked


def test_a_cut_says_nothing(texture: Bytes) -> None:
    rng = np.random.default_rng(2)
    other = rng.integers(0, 255, texture.shape, np.uint8)
    steps = steps_of([texture, texture, other])
    found = warping_errors([texture, texture, other], steps)
    assert found[0] == 0 and math.isnan(found[1])
