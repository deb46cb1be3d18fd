# SPDX-License-Identifier: Apache-2.0
"""Motion at a frame by its neighbours, and where it is believed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.analysis.motion import Motion, motion_between
from panned import code, texture

Array = npt.NDArray[np.float32]

HEIGHT, WIDTH = 144, 192
INSIDE = (slice(24, -24), slice(24, -24))


def seen(dx: float, dy: float) -> npt.NDArray[np.uint8]:
    """The scene after the camera has moved by so many pixels."""
    scene = cv2.cvtColor(texture(3), cv2.COLOR_RGB2GRAY)
    shift = np.float32([[1, 0, -60 - dx], [0, 1, -60 - dy]])
    return code(cv2.warpAffine(scene, shift, (WIDTH, HEIGHT)))


def field(x: float, y: float) -> Array:
    return np.full((HEIGHT, WIDTH, 2), (x, y), np.float32)


def test_a_pan_is_half_the_difference_of_its_sides() -> None:
    found = motion_between(seen(0, 0), {-1: seen(-4, 2), 1: seen(6, -2)})
    np.testing.assert_allclose(np.median(found.interval[INSIDE], axis=(0, 1)), (-5, 2), atol=0.15)
    assert found.bend is not None and found.agreed is not None
    np.testing.assert_allclose(np.median(found.bend[INSIDE], axis=(0, 1)), (-2, 0), atol=0.3)
    assert found.agreed[INSIDE].mean() > 0.95


@pytest.mark.parametrize("step", [-1, 1])
def test_one_neighbour_tells_the_motion_but_not_how_it_changes(step: int) -> None:
    found = motion_between(seen(0, 0), {step: seen(5 * step, 0)})
    np.testing.assert_allclose(np.median(found.interval[INSIDE], axis=(0, 1)), (-5, 0), atol=0.15)
    assert found.bend is None


def agreed_on_a_thing(*steps: int) -> float:
    """How far flow and flow back agree on a thing that lies so far off in the neighbours, before a still scene."""
    thing = code(cv2.cvtColor(texture(9), cv2.COLOR_RGB2GRAY))[:48, :24]

    def at(x: int) -> npt.NDArray[np.uint8]:
        picture = seen(0, 0)
        picture[50:98, x : x + 24] = thing
        return picture

    found = motion_between(
        at(80), {side: at(80 + side * step) for side, step in zip((-1, 1), steps, strict=True)}
    ).agreed
    assert found is not None and found.min() >= 0 and found.max() <= 1
    return float(found[58:90, 84:100].mean())


def test_flows_that_do_not_lead_back_do_not_agree() -> None:
    """What jumps by more than its own size leaves no flow. It is enough if one side has one."""
    assert agreed_on_a_thing(5, 5) > 0.9
    assert agreed_on_a_thing(64, 64) < 0.75
    assert agreed_on_a_thing(64, 5) > 0.9


def test_no_motion_is_believed_that_smears_the_picture() -> None:
    for length, least, most in ((0.05, 1, 1), (0.07, 0.3, 0.7), (0.09, 0, 0)):
        found = Motion(field(2 * length * WIDTH, 0)).believable(0.5)
        assert least - 1e-5 <= found.min() <= found.max() <= most + 1e-5, length


def test_a_hand_may_shake_but_a_place_may_not() -> None:
    shake = Motion(field(4, 0), bend=field(20, 0))
    assert shake.believable(0.5).min() > 0.99
    bend = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    bend[40:80, 40:80] = 20
    erratic = Motion(field(4, 0), bend=bend).believable(0.5)
    assert erratic[50:70, 50:70].max() < 0.05 and erratic[100:, 100:].min() > 0.95


def test_a_camera_moves_all_and_near_things_twice_as_far() -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    zoom = np.stack([4 + 0.02 * x, 1 + 0.02 * y], -1)
    near = zoom.copy()
    near[40:70, 40:80] *= 2
    for camera in (field(5, -3), zoom, near):
        assert Motion(camera).of_camera().min() > 0.95


@pytest.mark.parametrize("camera", [(0.0, 0.0), (1.0, -1.0)])
def test_what_moves_on_its_own_is_not_the_camera(camera: tuple[float, float]) -> None:
    interval = field(*camera)
    interval[40:70, 40:80] = (-12, 9)
    found = Motion(interval).of_camera()
    assert found[46:64, 46:74].max() < 0.1
    if any(camera):
        assert found[80:].min() > 0.95


@pytest.mark.parametrize(
    ("camera", "rests"), [((0.0, 0.0), 1.0), ((0.3, -0.2), 1.0), ((2.0, 0.0), 0.0), ((0.0, 2.0), 0.0)]
)
def test_a_camera_rests_whatever_passes_before_it(camera: tuple[float, float], rests: float) -> None:
    interval = field(*camera)
    interval[40:70, 40:80] = (-12, 9)
    assert Motion(interval).camera_rests() == rests


def test_a_zoom_is_no_rest() -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    assert Motion(np.stack([0.02 * (x - WIDTH / 2), 0.02 * (y - HEIGHT / 2)], -1)).camera_rests() == 0


@given(st.integers(16, 300), st.integers(16, 300), st.booleans(), st.booleans())
def test_another_size_scales_vectors_and_keeps_shares(width: int, height: int, bends: bool, agrees: bool) -> None:
    agreed = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    motion = Motion(field(3, 6), field(1, -1) if bends else None, agreed if agrees else None)
    found = motion.resized((width, height))
    assert found.interval.shape == (height, width, 2)
    np.testing.assert_allclose(found.interval[0, 0], (3 * width / WIDTH, 6 * height / HEIGHT), rtol=1e-5)
    assert (found.bend is not None) == bends and (found.agreed is not None) == agrees
    if found.agreed is not None:
        assert found.agreed.shape == (height, width) and found.agreed.min() >= 0 and found.agreed.max() <= 1
