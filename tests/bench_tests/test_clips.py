# SPDX-License-Identifier: Apache-2.0
"""Blurry clips with known truth: the light is averaged, the truth is the frame in the middle, storing loses nothing."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.clips import PROTOCOLS, Clip, Protocol, make_clip
from quality.light import linear_to_srgb, srgb_to_linear
from quality.pictures import frames_in, read_pictures, write_clip

Bytes = npt.NDArray[np.uint8]


def numbered(count: int, path: Path) -> Path:
    """A video whose frame n is a flat picture of code value 5 n."""
    return write_clip([np.full((32, 48, 3), 5 * n, np.uint8) for n in range(count)], path, Fraction(30))


def moving(texture: Bytes, shift: int, count: int, path: Path) -> Path:
    """A video that moves by ``shift`` pixels to the left each frame."""
    wide = np.hstack([texture, texture[:, ::-1], texture, texture[:, ::-1]])
    return write_clip([wide[:, n * shift : n * shift + texture.shape[1]] for n in range(count)], path)


def test_light_is_averaged_not_code_values(tmp_path: Path) -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    source = write_clip([black, white, black], tmp_path / "flash.mkv")
    clip = make_clip(source, Protocol((3,)), count=1)
    # A third of the light is code value 156 on the sRGB curve; a third of the code values would be 85.
    assert np.unique(clip.blurry[0]).tolist() == [156]
    assert np.array_equal(clip.sharp[0], white)


def test_truth_is_the_middle_frame_and_a_window_of_one_leaves_it(tmp_path: Path) -> None:
    source = numbered(40, tmp_path / "numbered.mkv")
    clip = make_clip(source, Protocol((1, 3, 5), stride=5), seed=1, count=7, start=2)
    assert [int(picture[0, 0, 0]) // 5 for picture in clip.sharp] == [4, 9, 14, 19, 24, 29, 34]
    assert set(clip.windows) == {1, 3, 5}
    for window, blurry, sharp in zip(clip.windows, clip.blurry, clip.sharp, strict=True):
        assert np.array_equal(blurry, sharp) if window == 1 else abs(int(blurry[0, 0, 0]) - int(sharp[0, 0, 0])) <= 3
    assert clip.is_blurry.tolist() == [window > 1 for window in clip.windows]
    assert clip.fps == 6


def test_the_seed_decides_and_short_sources_give_fewer_frames(tmp_path: Path) -> None:
    source = numbered(22, tmp_path / "short.mkv")
    one, same, other = (make_clip(source, Protocol(stride=2), count=30, seed=seed) for seed in (3, 3, 4))
    assert one.windows == same.windows != other.windows
    assert all(np.array_equal(a, b) for a, b in zip(one.blurry, same.blurry, strict=True))
    assert len(one.blurry) == len(one.sharp) == len(one.windows) == 9  # centres 2, 4 .. 18 with two frames after


@pytest.mark.parametrize("windows", [(), (2,), (0,), (1, -3)])
def test_windows_without_a_middle_are_refused(windows: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="middle"):
        Protocol(windows)


@pytest.mark.parametrize("changed", [{"stride": 0}, {"between": -1}, {"sharp_below": 0}])
def test_numbers_out_of_range_are_refused(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Protocol(**changed)


def test_a_source_too_short_for_one_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too short"):
        make_clip(numbered(4, tmp_path / "n.mkv"), Protocol((5,)))


def test_a_drawn_start_differs_by_seed_and_leaves_room(tmp_path: Path) -> None:
    source = numbered(40, tmp_path / "numbered.mkv")
    assert frames_in(source) == 40
    clips = [make_clip(source, Protocol((1, 3), stride=3), seed=seed, count=5, start=None) for seed in range(6)]
    starts = [clip.origin["start"] for clip in clips]
    assert len(set(starts)) > 2 and all(len(clip.blurry) == 5 for clip in clips)
    for clip, start in zip(clips, starts, strict=True):
        assert int(clip.sharp[0][0, 0, 0]) // 5 == start + 1


def test_windows_of_the_paper_s_protocol_are_half_sharp_and_count_as_it_says(tmp_path: Path) -> None:
    protocol = PROTOCOLS["gopro"]
    drawn = np.random.default_rng(0).choice(protocol.windows, 2000)
    assert 0.45 < (drawn >= protocol.sharp_below).mean() < 0.55
    assert (drawn.min(), drawn.max()) == (1, 15)
    clip = Clip("", [], [], [1, 3, 5, 15], sharp_below=protocol.sharp_below)
    assert clip.is_blurry.tolist() == [False, False, True, True]
    # 15 pictures of a source made eight times as fast span less than two of its frames: one to either side will do.
    assert protocol.margin == 1


def test_side_shrinks_the_pictures_and_enlarges_none(tmp_path: Path) -> None:
    source = numbered(8, tmp_path / "n.mkv")
    clip = make_clip(source, Protocol(), count=1, side=24)
    assert clip.blurry[0].shape == clip.sharp[0].shape == (16, 24, 3)
    assert make_clip(source, Protocol(), count=1, side=500).sharp[0].shape == (32, 48, 3)


def test_the_mean_of_a_window_is_that_of_its_light(tmp_path: Path) -> None:
    source = numbered(7, tmp_path / "n.mkv")
    clip = make_clip(source, Protocol((7,)), count=1)
    light = np.mean([srgb_to_linear(5 * n / 255) for n in range(7)])
    assert np.unique(clip.blurry[0]).tolist() == [round(float(linear_to_srgb(light)) * 255)]
    assert np.unique(clip.sharp[0]).tolist() == [15]


def test_no_window_reaches_over_a_cut(tmp_path: Path, texture: Bytes) -> None:
    wide = cv2.GaussianBlur(np.hstack([texture, texture[:, ::-1]]), (0, 0), 2.0)
    shots = [wide[:, n : n + 128] for n in range(9)], [wide[::-1, n : n + 128] for n in range(9)]
    source = write_clip([*shots[0], *shots[1]], tmp_path / "cut.mkv")
    clip = make_clip(source, Protocol((7,), stride=1), count=12)
    # Frames 3 .. 14 of the source, whose second shot begins with frame 9.
    assert clip.windows == [7, 7, 7, 5, 3, 1, 1, 3, 5, 7, 7, 7]
    assert np.array_equal(clip.blurry[5], clip.sharp[5]) and clip.is_blurry.sum() == 10
    smooth = make_clip(source, Protocol((15,), stride=1, between=3), count=12)
    assert smooth.windows[2:9] == [15, 15, 15, 9, 1, 1, 9]  # of frames 4 .. 10


def test_windows_count_the_pictures_between(tmp_path: Path) -> None:
    # One between each two: 3 pictures are half a frame to either side. Without motion they are plain means of light.
    source = numbered(9, tmp_path / "n.mkv")
    clip = make_clip(source, Protocol((3,), between=1), count=1, start=3)
    light = [srgb_to_linear(5 * n / 255) for n in (3, 4, 5)]
    mean = (light[1] + (light[0] + light[1]) / 2 + (light[1] + light[2]) / 2) / 3
    assert Protocol((3,), between=1).margin == 1
    assert np.unique(clip.blurry[0]).tolist() == [round(float(linear_to_srgb(mean)) * 255)]


def test_pictures_between_make_the_blur_continuous(tmp_path: Path, texture: Bytes) -> None:
    soft = cv2.GaussianBlur(texture, (0, 0), 3.0)  # something that flow can follow over six pixels
    coarse = moving(soft, 6, 5, tmp_path / "coarse.mkv")
    fine = make_clip(moving(soft, 1, 25, tmp_path / "fine.mkv"), Protocol((25,)), count=1).blurry[0].astype(int)
    plain = make_clip(coarse, Protocol((5,)), count=1).blurry[0]
    filled = make_clip(coarse, Protocol((25,), between=5), count=1).blurry[0]
    inside = (slice(16, -16), slice(40, -40))
    errors = [np.abs(picture[inside] - fine[inside]).mean() for picture in (plain, filled)]
    assert errors[1] < 0.7 * errors[0]


@given(st.floats(0, 1, width=32))
def test_the_srgb_curve_is_undone_exactly(value: float) -> None:
    assert abs(float(linear_to_srgb(srgb_to_linear(value))) - value) < 2e-6


@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_the_lossless_kind_is_lossless(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(3)]
    back = list(read_pictures(write_clip(pictures, tmp_path / "noise.mkv")))
    assert len(back) == 3 and all(np.array_equal(a, b) for a, b in zip(pictures, back, strict=True))


def test_the_h264_kind_is_near_and_says_its_colours(tmp_path: Path) -> None:
    # Flat saturated colours: subsampled chroma does them no harm, a wrong matrix or range does.
    colours = np.array([[[200, 30, 40], [30, 180, 60], [20, 50, 210], [250, 250, 250], [5, 5, 5]]], np.uint8)
    patches = np.kron(colours, np.ones((64, 32, 1), np.uint8))
    path = write_clip([patches] * 3, tmp_path / "patches.mp4", lossless=False)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (int(context.colorspace), int(context.color_trc), int(context.color_range)) == (1, 1, 1)
    pictures = list(read_pictures(path))
    assert len(pictures) == 3
    for picture in pictures:
        middles = picture[32, 16::32].astype(int)
        assert np.abs(middles - colours[0]).max() <= 3
