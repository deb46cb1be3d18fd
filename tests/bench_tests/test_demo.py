# SPDX-License-Identifier: Apache-2.0
"""The demo clip that is kept is the one that its maker makes, and is fit to be shown."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import camera
import make_clip
import run
from quality.likeness import psnr
from scene import bt709_to_linear, gallery, linear_to_bt709

MOST_BYTES = 2_500_000


@pytest.fixture(scope="module")
def clip() -> list[run.Bytes]:
    return run.read(run.CLIP)


@pytest.fixture(scope="module")
def truth() -> list[run.Bytes]:
    return run.read(run.TRUTH)


def test_the_kept_files_are_small_and_whole() -> None:
    for path in (run.CLIP, run.TRUTH):
        assert path.stat().st_size < MOST_BYTES
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            assert (video.width, video.height, video.average_rate) == (camera.WIDTH, camera.HEIGHT, camera.FPS)
            assert video.frames == camera.FRAMES
            assert int(video.codec_context.colorspace) == int(video.codec_context.color_trc) == 1
    with av.open(str(run.CLIP)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        loudness = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
        assert 0.005 < loudness.std() < 0.2 and np.abs(loudness).max() < 0.7


def test_the_note_is_of_this_camera() -> None:
    blur = json.loads(run.NOTE.read_text())["blur"]
    assert len(blur) == camera.FRAMES
    assert blur == pytest.approx([camera.blur_length(i) for i in range(camera.FRAMES)], abs=0.01)
    blurry = np.array(blur) >= run.BLURRED_FROM
    assert 0.4 < blurry.mean() < 0.65
    assert 20 < max(blur) < 40 and np.array(blur)[~blurry].max() < 1.0


@pytest.mark.parametrize("frame", [0, 27])
def test_the_kept_truth_is_what_the_camera_sees(truth: list[run.Bytes], frame: int) -> None:
    seen = np.round(linear_to_bt709(camera.expose(gallery(), frame, 1)) * 255).astype(np.uint8)
    assert psnr(truth[frame], seen) > 34  # what H.264 and 4:2:0 cost


def test_blurry_frames_are_far_from_the_truth_and_sharp_ones_near(
    clip: list[run.Bytes], truth: list[run.Bytes]
) -> None:
    blur = np.array(json.loads(run.NOTE.read_text())["blur"])
    near = np.array([psnr(t, p) for t, p in zip(truth, clip, strict=True)])
    assert near[blur < run.BLURRED_FROM].min() > 35
    assert near[blur > 5].max() < 26


def test_a_camera_that_rests_does_not_blur() -> None:
    still = camera.Pose(0, 0, 0, 0, 0, 0)
    assert camera.blur_length(3, lambda moment: still) == pytest.approx(0, abs=1e-9)
    # 40 pixels a frame to the right are 40 * EXPOSURE pixels of blur.
    pan = camera.blur_length(3, lambda moment: camera.Pose(40 * moment, 0, 0, 0, 0, 0))
    assert pan == pytest.approx(40 * camera.EXPOSURE, rel=1e-6)


def test_the_near_layer_moves_faster() -> None:
    moved = camera.Pose(50, 0, 0, 0, 0, 0)
    for layer in gallery():
        point = moved.homography(layer.depth) @ np.array([0, 0, 1.0])
        assert point[0] / point[2] == pytest.approx(camera.WIDTH / 2 - 0.5 - 50 / layer.depth)


def test_the_curve_is_undone() -> None:
    x = np.linspace(0, 1, 1001, dtype=np.float32)
    # The standard's own constants are rounded: its two branches miss each other by a sixteenth of a code value.
    assert np.abs(linear_to_bt709(bt709_to_linear(x)) - x).max() < 0.07 / 255


def test_sound_is_soft_and_begins_and_ends_in_silence() -> None:
    wave = make_clip.sound(1.0)
    assert wave.shape == (2, make_clip.RATE)
    assert np.abs(wave[:, 0]).max() < 1e-6 and np.abs(wave[:, -1]).max() < 1e-3
    assert 0.005 < wave.std() < 0.1 and np.abs(wave).max() < 0.5


def test_the_report_keeps_blurry_and_sharp_apart() -> None:
    text = run.report([20.0, 38.0, 22.0], [25.0, 37.5, 24.0], np.array([True, False, True]))
    blurry, sharp, best, worst = (line.split() for line in text.splitlines()[2:6])
    assert blurry[-3:] == ["21.00", "24.50", "+3.50"]
    assert sharp[-3:] == ["38.00", "37.50", "-0.50"]
    assert best[-3:] == ["20.00", "25.00", "+5.00"] and worst[-3:] == ["38.00", "37.50", "-0.50"]


def test_the_picture_shows_before_after_and_truth(
    clip: list[run.Bytes], truth: list[run.Bytes], tmp_path: Path
) -> None:
    path = tmp_path / "before_after.png"
    run.before_after(clip, truth, truth, [6, 22], path)
    page = cv2.imread(str(path))
    assert page.shape == (2 * 264, 960, 3)
    before, after, true = (page[24:264, 320 * k : 320 * (k + 1)].astype(int) for k in range(3))
    assert np.array_equal(after, true) and np.abs(before - true).mean() > 5


def test_a_failing_command_ends_the_demo_with_its_code() -> None:
    with pytest.raises(SystemExit) as stop:
        run.run_verb("no-such-verb")
    assert stop.value.code not in (0, None)
