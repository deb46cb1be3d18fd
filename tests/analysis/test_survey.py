# SPDX-License-Identifier: Apache-2.0
"""What ``analyse`` finds in clips whose scenes, path and exposures are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deblur_engine.analysis import Analysis, analyse, survey
from deblur_engine.analysis.exposure import exposures
from deblur_engine.errors import BadInput, Cancelled
from deblur_engine.task import Event, Task
from panned import FIRST, SECOND, SIZE, Panned, PictureClip, Scene, code, from_linear, texture, to_linear


def off_path(analysis: Analysis, scene: Scene, first: int, i: int, j: int) -> float:
    """How far ``between`` is from the camera's true path, in pixels: the median over the picture."""
    y, x = np.mgrid[0 : SIZE[1] : 16, 0 : SIZE[0] : 16]
    points = np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)[None]
    found = cv2.perspectiveTransform(points, analysis.between(first + i, first + j))
    off = found - cv2.perspectiveTransform(points, scene.path(i, j))
    return float(np.median(np.hypot(off[..., 0], off[..., 1])))


def test_scenes_begin_at_the_cut_and_nowhere_else(analysis: Analysis) -> None:
    assert analysis.scene.tolist() == [0] * 8 + [1] * 8


def test_a_jump_within_one_shot_is_no_cut() -> None:
    shaken = Panned([Scene([0] * 5, speed=(26, -12), start=(60, 90))], (256, 192))
    assert analyse(shaken.clip()).scene.tolist() == [0] * 5


def test_every_frame_is_judged_right(analysis: Analysis, two_scenes: Panned) -> None:
    assert analysis.blurry.tolist() == two_scenes.blurry.tolist()
    assert analysis.sharp.tolist() == (~two_scenes.blurry).tolist()


@pytest.mark.parametrize("speed", [(12.0, 5.0), (-10.0, 0.0), (3.0, 0.0)])
def test_sharpness_does_not_drift_along_a_sharp_pan(speed: tuple[float, float]) -> None:
    """The comparison of neighbours must not favour the later one: it would add up until sharp frames look blurry."""
    start = (40.0, 40.0) if speed[0] > 0 else (370.0, 200.0)
    analysis = analyse(Panned([Scene([0] * 14, speed=speed, roll=0, zoom=0, start=start)], (256, 192)).clip())
    assert np.ptp(analysis.sharpness) < 0.25
    assert analysis.sharp.all() and not analysis.blurry.any()


def test_blur_of_what_crosses_a_still_scene_too_fast_for_flow() -> None:
    """A thing that moves by its own size and more: wherever flow says that it came from, something else was there."""
    scene, thing = texture(3, 320, 192), texture(4)[:40, :48]
    exposures = (0.0, 0.0, 0.6, 0.0, 0.6, 0.6, 0.0, 0.0)

    def look(time: float) -> np.ndarray:
        shifted = np.float32([[1, 0, 20 + 52 * (time % 5)], [0, 1, 40 + 60 * (time // 5)]])
        covered = cv2.warpAffine(np.ones(thing.shape[:2], np.float32), shifted, (320, 192))[..., None]
        return covered * cv2.warpAffine(thing, shifted, (320, 192)) + (1 - covered) * scene

    def recorded(time: int, exposure: float) -> np.ndarray:
        # Within the row of its time: a jump to the next row is no motion.
        moments = np.clip(time + exposure * ((np.arange(24) + 0.5) / 24 - 0.5), time // 5 * 5, time // 5 * 5 + 4.4)
        return code(from_linear(np.mean([to_linear(look(float(t))) for t in moments], axis=0)))

    pictures = np.stack([recorded(time, exposure) for time, exposure in enumerate(exposures)])
    found = analyse(PictureClip(pictures))
    assert found.sharp.tolist() == [exposure == 0 for exposure in exposures], found.drop


def test_each_scene_is_parted_by_what_blur_takes_from_it() -> None:
    """Where only a small thing moves, blur takes little from the whole; sharpness of a sharp pan varies as much."""
    pan = [0.0, 0.1, 0.3, 0.38, 1.3, 1.5, 1.7, 1.9]
    small = [0.0, 0.04, 0.02, 0.41, 0.44, 0.05]
    sharp = [0.0, 0.1, 0.15, 0.05]
    drop = np.array(pan + small + sharp, np.float32)
    scene = np.repeat(np.arange(3, dtype=np.int32), (len(pan), len(small), len(sharp)))
    blurry = drop >= survey._drop_limits(drop, scene)
    assert blurry.tolist() == [False] * 4 + [True] * 4 + [False] * 3 + [True] * 2 + [False] * 5


def test_speed_is_that_of_the_camera(analysis: Analysis) -> None:
    np.testing.assert_allclose(analysis.speed[:8], np.hypot(*FIRST.speed), rtol=0.1)
    np.testing.assert_allclose(analysis.speed[8:], np.hypot(*SECOND.speed), rtol=0.1)


def test_exposure_is_near_the_truth(analysis: Analysis, two_scenes: Panned) -> None:
    """Aligning refines it, so it may be off by some; it is 0 where nothing is blurred."""
    blurry = two_scenes.blurry
    assert (analysis.exposure[~blurry] == 0).all()
    ratio = analysis.exposure[blurry] / two_scenes.exposures[blurry]
    assert ratio.min() > 0.5 and ratio.max() < 1.2, ratio


def test_a_longer_exposure_is_found_to_be_longer() -> None:
    found = analyse(Panned([Scene([0, 0.4, 0, 0.6, 0, 0.8, 0, 1.0, 0])], SIZE).clip())
    assert (np.diff(found.exposure[1::2]) > 0.03).all(), found.exposure
    np.testing.assert_array_equal(found.blur, found.exposure * found.speed)


def test_exposure_is_judged_by_the_sharper_of_two_near_frames() -> None:
    """One that is mildly blurred may pass for sharp; beside it a blurry frame hardly looks blurred."""
    pan = Panned([Scene([0, 0.4, 0.6, 0.6])], SIZE)
    analysis = analyse(pan.clip())
    at = np.arange(4)
    drop = np.where(at == 1, np.float32(0.25), analysis.drop)
    misjudged = replace(analysis, drop=drop, blurry=at >= 2, sharp=at < 2)
    found = exposures(pan.clip(), misjudged, Task())
    assert found[2:].tolist() == analysis.exposure[2:].tolist() and found[2:].min() > 0.2


@pytest.mark.parametrize(("share", "treated"), [(0.05, False), (0.3, True)])
def test_what_motion_does_not_explain_is_not_treated(
    monkeypatch: pytest.MonkeyPatch, share: float, treated: bool
) -> None:
    """A fast pan hardly exposed: what makes a frame look less sharp is something else."""

    def little(clip: object, analysis: Analysis, task: Task) -> np.ndarray:
        return np.where(analysis.sharp, 0, share * 40 / np.maximum(analysis.speed, 40)).astype(np.float32)

    monkeypatch.setattr(survey, "exposures", little)
    fast = Panned([Scene([0, 0.6, 0, 0.6, 0], speed=(40.0, 0.0), roll=0, zoom=0)], (256, 192))
    found = analyse(fast.clip())
    assert (~found.sharp).any() and found.blurry.tolist() == (~found.sharp & treated).tolist()


@pytest.mark.parametrize(("scene", "first"), [(FIRST, 0), (SECOND, 8)])
def test_homographies_follow_the_camera(analysis: Analysis, scene: Scene, first: int) -> None:
    assert max(off_path(analysis, scene, first, i, i + 1) for i in range(7)) < 1.0
    for i, j in ((0, 3), (5, 2), (7, 0)):
        assert off_path(analysis, scene, first, i, j) < 3.0


def test_there_is_no_path_across_the_cut(analysis: Analysis) -> None:
    np.testing.assert_array_equal(analysis.homography[7], np.eye(3))
    np.testing.assert_array_equal(analysis.homography[15], np.eye(3))
    assert analysis.neighbours(7) == (6,) and analysis.neighbours(8) == (9,) and analysis.neighbours(4) == (3, 5)


def test_references_are_sharp_near_of_the_scene_and_never_the_frame_itself(analysis: Analysis) -> None:
    for i in range(16):
        found = analysis.references_for(i)
        assert len(found) == 4 and i not in found and len(set(found)) == 4
        assert all(analysis.sharp[j] and analysis.scene[j] == analysis.scene[i] for j in found)
        assert [abs(j - i) for j in found] == sorted(abs(j - i) for j in found)
        left_out = [j for j in range(16) if j != i and analysis.sharp[j] and analysis.scene[j] == analysis.scene[i]]
        assert max(abs(j - i) for j in found) <= min([abs(j - i) for j in left_out if j not in found], default=99), (
            "a nearer sharp frame was passed over"
        )
    assert analysis.references_for(2, 1) == (1,)


def test_the_same_clip_gives_the_same_analysis(analysis: Analysis, two_scenes: Panned) -> None:
    assert analyse(two_scenes.clip()).to_bytes() == analysis.to_bytes()


def test_frames_are_timed_by_the_rate(analysis: Analysis) -> None:
    np.testing.assert_allclose(analysis.times, np.arange(16) / 25)


@pytest.mark.parametrize("size", [(64, 48), (33, 47), (17, 9), (8, 8), (1, 1), (300, 10)])
def test_small_and_odd_pictures(size: tuple[int, int]) -> None:
    found = analyse(Panned([Scene([0, 0.5, 0, 0])], size).clip())
    assert (found.width, found.height, found.frame_count) == (*size, 4)
    assert Analysis.from_bytes(found.to_bytes()).frame_count == 4


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_clip_has_one_sharp_scene(level: int) -> None:
    found = analyse(PictureClip(np.full((6, 72, 96, 3), level, np.uint8)))
    assert found.scene.tolist() == [0] * 6 and found.sharp.all() and not found.blurry.any()


def test_from_black_to_white_is_a_cut() -> None:
    pictures = np.repeat(np.array([0, 255], np.uint8), 3)[:, None, None, None] * np.ones((1, 72, 96, 3), np.uint8)
    assert analyse(PictureClip(pictures)).scene.tolist() == [0, 0, 0, 1, 1, 1]


def test_one_frame() -> None:
    found = analyse(Panned([Scene([0])], (96, 72)).clip())
    assert found.frame_count == 1 and found.sharp.all() and not found.blurry.any()
    assert found.references_for(0) == () and found.neighbours(0) == ()


def test_no_frames_at_all() -> None:
    with pytest.raises(BadInput, match="made_up"):
        analyse(PictureClip(np.zeros((0, 72, 96, 3), np.uint8)))


def test_it_reports_and_stops_when_told() -> None:
    clip = PictureClip(np.zeros((6, 72, 96, 3), np.uint8))
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.append(event)
        if event.done == 3:
            task.cancel()

    task = Task(listen)
    with pytest.raises(Cancelled):
        analyse(clip, task=task)
    assert [(e.stage, e.done, e.total) for e in seen] == [("analyse", n, 6) for n in (1, 2, 3)]
