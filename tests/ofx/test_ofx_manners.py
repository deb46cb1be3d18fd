# SPDX-License-Identifier: Apache-2.0
"""Frames through the effect in hosts of every kind, with a stand-in for the engine that halves the right half."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ofx.driving import Host

Make = Callable[..., Host]
MODEL = "set:model=/clip.deblur.onnx"
TOLERANCE = {"uint8": 1, "uint16": 1, "float16": 1e-3, "float32": 1e-6}


def as_type(clip: np.ndarray, kind: str) -> np.ndarray:
    if kind.startswith("uint"):
        return np.round(clip * np.iinfo(kind).max).astype(kind)
    return clip.astype(kind)


def halved(clip: np.ndarray) -> np.ndarray:
    """What the stand-in makes of frames."""
    out = clip.astype(np.float64)
    out[:, :, clip.shape[2] // 2 :, :3] *= 0.5
    return out


def check(out: np.ndarray, clip: np.ndarray) -> None:
    middle = clip.shape[2] // 2
    assert out.shape == clip.shape
    assert out[:, :, :middle].tobytes() == clip[:, :, :middle].tobytes()
    np.testing.assert_allclose(out.astype(np.float64), halved(clip), rtol=0, atol=TOLERANCE[clip.dtype.name])
    if clip.shape[3] == 4:
        assert out[..., 3].tobytes() == clip[..., 3].tobytes()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("manners", ["plain", "mlt", "natron", "runner", "resolve", "nuke"])
def test_every_host_in_every_depth(stand_in: Make, frames: np.ndarray, manners: str, kind: str) -> None:
    clip = as_type(frames, kind)
    ran = stand_in().run(clip, f"--manners={manners}", MODEL, "render:0", "render:5")
    assert [line["status"] for line in ran.lines] == [0] * 4
    check(ran.frames, clip[[0, 5]])


def test_bytes_that_are_called_float(stand_in: Make, frames: np.ndarray) -> None:
    clip = as_type(frames, "uint8")
    ran = stand_in().run(clip, "--manners=hostdemo", MODEL, "render:1", "get:clip")
    check(ran.frames, clip[[1]])
    assert ran.of("get:clip")["value"] is None  # this host has lost it, as every string but the first


@pytest.mark.parametrize("words", [("--negative-rows",), ("--padding=52",), ("--origin-x=-7", "--origin-y=11")])
@pytest.mark.parametrize("channels", [3, 4])
def test_rows_and_origins(stand_in: Make, frames: np.ndarray, words: tuple[str, ...], channels: int) -> None:
    clip = np.ascontiguousarray(frames[..., :channels])
    check(stand_in().run(clip, *words, MODEL, "render:2").frames, clip[[2]])


def test_a_single_channel_passes(stand_in: Make, frames: np.ndarray) -> None:
    clip = np.ascontiguousarray(frames[..., :1])
    assert stand_in().run(clip, MODEL, "render:2").frames.tobytes() == clip[2].tobytes()


def test_a_window_leaves_the_rest_alone(stand_in: Make, frames: np.ndarray) -> None:
    out = stand_in().run(frames, MODEL, "window:10,4,20,9", "render:2").frames[0]
    expected = halved(frames[[2]])[0]
    rows, columns = slice(16 - 9, 16 - 4), slice(10, 20)  # bottom row first in the window, top row first in the array
    np.testing.assert_allclose(out[rows, columns], expected[rows, columns], atol=1e-6)
    outside = np.ones((16, 24), bool)
    outside[rows, columns] = False
    assert (out[outside].view(np.uint8) == 0x5A).all()


def test_premultiplied_colours_are_divided_and_multiplied(stand_in: Make, frames: np.ndarray, said) -> None:
    clip = frames.copy()
    clip[..., 3] = 0.5
    clip[..., :3] *= 0.5
    ran = stand_in(gain=2.0).run(clip, "--premultiplied", MODEL, "render:1")
    expected = clip[1].copy()
    expected[:, 12:, :3] *= 2
    np.testing.assert_allclose(ran.frames[0], expected, atol=1e-6)
    mean = float(said("render")[0].split("1=")[-1])
    assert mean == pytest.approx(float(frames[1, ..., :3].mean()), abs=1e-3)


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_odd_values_survive_where_nothing_was_done(stand_in: Make, frames: np.ndarray, kind: str) -> None:
    clip = frames.astype(kind)
    odd = [np.nan, np.inf, -np.inf, -3.5, 1200.0, -0.0, 6e-8, 65504.0]
    clip[0, 3, : len(odd), 1] = np.array(odd, kind)
    clip[0, 4, : len(odd), 3] = np.array(odd, kind)
    out = stand_in().run(clip, MODEL, "render:0").frames[0]
    assert out[:, :12].tobytes() == clip[0, :, :12].tobytes()
    assert out[..., 3].tobytes() == clip[0, ..., 3].tobytes()


def test_a_frame_that_the_engine_leaves_alone_keeps_every_bit(stand_in: Make, frames: np.ndarray) -> None:
    clip = frames.copy()
    clip[3, 2, 20, 0] = np.nan
    ran = stand_in(unchanged=True).run(clip, MODEL, "render:3", "press:reload", "get:status")
    assert ran.frames[0].tobytes() == clip[3].tobytes()
    assert "nothing to deblur" in ran.of("get:status")["value"]


def test_strength_zero_needs_no_engine(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in()
    host.engine.unlink()
    ran = host.run(frames, MODEL, "set:strength=0", "identity:2", "render:2", "set:strength=0.5", "identity:2")
    assert [line["status"] for line in ran.lines if line["do"] == "identity:2"] == [0, 14]
    assert ran.frames[0].tobytes() == frames[2].tobytes()
    assert not host.runtime.exists()


def test_what_the_user_chose_reaches_the_engine(stand_in: Make, frames: np.ndarray, said) -> None:
    stand_in(width=48, height=32).run(
        frames, "--first=101", MODEL, "set:strength=0.25", "set:firstFrame=100", "set:protect=0", "preview:103"
    )
    _, frame, strength, flags, view, scale, *pictures = said("render")[0].split()
    assert (frame, strength, flags, view, scale) == ("3", "0.25", "2", "0", "0.5")
    assert [picture.split("=")[0] for picture in pictures] == ["3"]


def test_resolve_tells_the_clip_and_the_frame(stand_in: Make, frames: np.ndarray, said) -> None:
    words = ("--manners=resolve", "--source-path=/shots/a.mov", "--source-frame=77")
    ran = stand_in().run(frames, *words, "render:4", "press:fit")
    assert ran.of("render:4")["status"] == 0
    assert said("render")[0].split()[1] == "77"
    assert said("fit")[0].split()[1] == "/shots/a.mov"


def test_views(stand_in: Make, frames: np.ndarray) -> None:
    views = [word for view in (1, 2, 3) for word in (f"set:view={view}", "render:2")]
    split, difference, chart = stand_in(gain=0.5).run(frames, MODEL, *views).frames
    check(split[None], frames[[2]])  # the stand-in changes the right half only: so the split looks as the result does
    source = frames[2, ..., :3]
    np.testing.assert_allclose(difference[:, :12, :3], 0.5, atol=1e-6)
    np.testing.assert_allclose(difference[:, 12:, :3], 0.5 - source[:, 12:], atol=1e-5)
    np.testing.assert_allclose(chart[:, 12:, :3], source[:, 12:] * 0.25, atol=1e-6)
    for picture in (split, difference, chart):
        assert (picture[..., 3] == 1).all()


def test_the_split_shows_the_source_on_the_left(stand_in: Make, frames: np.ndarray) -> None:
    out = stand_in(gain=0.5).run(frames[:, :, ::-1], MODEL, "set:view=1", "render:2").frames[0]
    assert out[:, :12].tobytes() == np.ascontiguousarray(frames[2, :, ::-1][:, :12]).tobytes()


def bt709(light: np.ndarray) -> np.ndarray:
    return np.where(light < 0.018, 4.5 * light, 1.099 * np.abs(light) ** 0.45 - 0.099)


@pytest.mark.parametrize(
    ("words", "linear"),
    [
        (("--manners=nuke",), True),
        (("--manners=natron",), True),
        (("--manners=resolve",), False),
        (("--manners=nuke", "set:footage=1"), False),
        (("--manners=nuke", "set:footage=3"), False),
        (("set:footage=2",), True),
        (("--colourspace=lin_rec709_scene",), True),
        (("--manners=nuke", "--colourspace=sRGB - Display"), False),
    ],
)
def test_footage_colour(stand_in: Make, frames: np.ndarray, said, words: tuple[str, ...], linear: bool) -> None:
    clip = frames.astype(np.float32)
    ran = stand_in(transfer=1).run(clip, *words, MODEL, "render:2")
    sent = float(said("render")[0].split("2=")[-1])
    source = clip[2, ..., :3].astype(np.float64)
    assert sent == pytest.approx(float((bt709(source) if linear else source).mean()), abs=2e-4)
    assert ran.frames[0][:, :12].tobytes() == clip[2, :, :12].tobytes()
    if linear:
        halved_curve = bt709(source[:, 12:]) * 0.5
        light = np.where(halved_curve < 0.081, halved_curve / 4.5, ((halved_curve + 0.099) / 1.099) ** (1 / 0.45))
        np.testing.assert_allclose(ran.frames[0][:, 12:, :3], light, atol=2e-6)


def pictures_of(line: str) -> dict[int, float]:
    return {int(k): float(v) for k, v in (item.split("=") for item in line.split()[6:])}


def test_neighbours_come_from_a_host_that_has_them(stand_in: Make, frames: np.ndarray, said) -> None:
    host = stand_in(route=2, steps=[-2, -1, 3])
    ran = host.run(frames, MODEL, "needed:4", "render:4", "render:5", "press:reload", "get:status")
    assert ran.of("needed:4")["value"] == [2, 4, 7, 7]
    got = pictures_of(said("render")[0])
    assert got == {n: pytest.approx(float(frames[n, ..., :3].mean()), abs=1e-4) for n in (2, 3, 4, 7)}
    assert set(pictures_of(said("render")[1])) == {3, 4, 5}  # 8 is beyond the end
    assert "from the host" in ran.of("get:status")["value"]
    check(ran.frames, frames[[4, 5]])


@pytest.mark.parametrize(
    "words",
    [
        ("--manners=mlt",),
        ("--manners=runner",),
        ("--null-neighbours",),
        ("--failing-neighbours",),
        ("--temporal=0", "--answers-current"),
    ],
)
def test_hosts_without_neighbours_get_the_frame_alone(stand_in: Make, frames: np.ndarray, said, words) -> None:
    ran = stand_in(route=2, steps=[-1, 1]).run(frames, *words, MODEL, "render:4")
    assert ran.of("render:4")["status"] == 0
    assert set(pictures_of(said("render")[0])) == {4}


def test_ends_that_a_host_holds_are_not_taken_for_frames(stand_in: Make, frames: np.ndarray, said) -> None:
    stand_in(route=2, steps=[-5, -1, 1]).run(frames, "--manners=natron", MODEL, "render:0")
    assert set(pictures_of(said("render")[0])) == {0, 1}


def test_without_a_frame_range_the_host_decides(stand_in: Make, frames: np.ndarray, said) -> None:
    stand_in(route=2, steps=[-5, 1]).run(frames, "--no-frame-range", MODEL, "render:2")
    assert set(pictures_of(said("render")[0])) == {2, 3}


@pytest.mark.parametrize("way", ["threads:4:0-7", "instances:4:0-7"])
def test_several_threads(stand_in: Make, frames: np.ndarray, way: str) -> None:
    ran = stand_in(route=2, steps=[-1, 1]).run(frames, MODEL, way, way)
    assert [line["status"] for line in ran.lines] == [0] * 4
    check(ran.frames, np.concatenate([frames, frames]))


def test_loading_and_unloading_over_and_over(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in().run(frames, MODEL, *["render:1", "reload"] * 5, "purge", "render:2")
    assert all(line["status"] == 0 for line in ran.lines)
    check(ran.frames, frames[[1, 1, 1, 1, 1, 2]])


def test_what_the_engine_notes_is_shown_once(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(version="9.9", note="only two references")
    ran = host.run(frames, MODEL, "render:1", "press:reload", "get:status")
    assert ran.of("render:1")["status"] == 0 and ran.of("render:1")["type"] == "OfxMessageWarning"
    assert "only two references" in ran.of("render:1")["message"] and "9.9" in ran.of("render:1")["message"]
    assert "9.9" in ran.of("get:status")["value"]
