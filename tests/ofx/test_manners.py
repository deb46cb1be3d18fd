# SPDX-License-Identifier: Apache-2.0
"""Every manner and depth that hosts have, with the stand-in worker: what arrives there, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest

from ofx.conftest import StandIn
from ofx.hosting import DTYPES, MOST, Host, numbers, stored
from ofx.stand_in import made

HEIGHT, WIDTH = 26, 40
MANNERS = [
    *[("mlt", depth) for depth in DTYPES],
    *[("plain", depth) for depth in DTYPES],
    ("natron", "float"),
    ("hostdemo", "byte"),
    ("runner", "float"),
    *[("resolve", depth) for depth in ("float", "short", "byte")],
    ("nuke", "float"),
]


def picture(depth: str, seed: int = 5, *, wild: bool = True) -> np.ndarray:
    """RGBA of a depth: all alphas, and in half and float values outside 0..1, infinities and some that are none."""
    dice = np.random.default_rng(seed)
    values = dice.random((HEIGHT, WIDTH, 4)).astype(np.float32)
    values[::5, ::3, 3], values[1::5, ::3, 3] = 0, 1
    if depth not in MOST and wild:
        values[3], values[4] = values[3] * 40 - 20, -values[4]
        values[6, 3, 0], values[6, 30, 1], values[7, 4, 2], values[7, 31, 0] = np.nan, np.nan, np.inf, -np.inf
    return stored(values, depth)


def foretold(given: np.ndarray, *, premultiplied: bool = False) -> np.ndarray:
    """What must come back: alpha and all that the worker leaves alone with the bits they had."""
    depth = next(name for name, dtype in DTYPES.items() if dtype == given.dtype)
    values = numbers(given)
    colours, alpha = values[..., :3], values[..., 3:]
    factor = np.where(alpha > 0, alpha, 1) if premultiplied else np.float32(1)
    with np.errstate(invalid="ignore", over="ignore"):
        colours = made(colours / factor) * factor
        whole = given.copy()
        changed = stored(colours, depth)
    middle = WIDTH // 2
    finite = np.isfinite(values[:, middle:, :3])
    whole[:, middle:, :3] = np.where(finite, changed[:, middle:], given[:, middle:, :3])
    return whole


def assert_close(got: np.ndarray, want: np.ndarray) -> None:
    middle = WIDTH // 2
    bits = got.view(np.uint8 if got.dtype == np.uint8 else f"u{got.dtype.itemsize}")
    wanted = want.view(bits.dtype)
    np.testing.assert_array_equal(bits[:, :middle], wanted[:, :middle])  # untouched pixels
    np.testing.assert_array_equal(bits[..., 3:], wanted[..., 3:])  # alpha
    if got.dtype.kind == "u":
        assert np.abs(got.astype(int) - want.astype(int)).max() <= 1
    else:
        tolerance = 1e-5 if got.dtype == np.float32 else 2e-3
        np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=tolerance, atol=tolerance)


def effect(place: StandIn, frames: dict[int, np.ndarray], *options: str, **values: object) -> Host:
    host = place.host(frames, *options)
    host.set(model="/clips/a.deblur.onnx", **values)
    return host


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize(("manner", "depth"), MANNERS)
def test_pictures_are_right(stand_in: StandIn, manner: str, depth: str, premultiplied: bool) -> None:
    given = picture(depth)
    options = ["--manner", manner] + ["--premultiplied"] * premultiplied
    host = effect(stand_in, {0: given, 1: picture(depth, 6)}, *options, footage="Display referred")
    frames = host.render(0, 1, 0)
    for frame in frames:
        assert frame.status == 0 and not frame.message and not frame.said["violations"]
    assert_close(frames[0].picture, foretold(given, premultiplied=premultiplied))
    np.testing.assert_array_equal(frames[0].picture.view(np.uint8), frames[2].picture.view(np.uint8))
    assert_close(frames[1].picture, foretold(picture(depth, 6), premultiplied=premultiplied))
    assert [(ask["frame"], ask["width"], ask["height"]) for ask in stand_in.asked("render")] == [
        (n, WIDTH, HEIGHT) for n in (0, 1, 0)
    ]


@pytest.mark.parametrize("depth", list(DTYPES))
@pytest.mark.parametrize("quirk", ["negative-rows", "padded", "offset", "no-1.5", "no-suites", "no-range"])
def test_one_quirk_at_a_time(stand_in: StandIn, quirk: str, depth: str) -> None:
    given = picture(depth)
    host = effect(stand_in, {3: given}, "--quirk", quirk)
    frame = host.one(3)
    assert frame.status == 0 and not frame.said["violations"]
    assert_close(frame.picture, foretold(given))


@pytest.mark.parametrize("depth", list(DTYPES))
def test_pictures_without_alpha(stand_in: StandIn, depth: str) -> None:
    given = picture(depth)
    host = effect(stand_in, {0: np.ascontiguousarray(given[..., :3])}, "--quirk", "rgb", "--quirk", "padded")
    frame = host.one(0)
    assert frame.status == 0
    whole = np.concatenate([frame.picture, given[..., 3:]], -1)
    assert_close(whole, foretold(given))


@pytest.mark.parametrize("manner", ["runner", "natron", "nuke", "plain"])
def test_a_window_smaller_than_the_picture(stand_in: StandIn, manner: str) -> None:
    given = picture("float")
    host = effect(stand_in, {0: given}, "--manner", manner, footage="Display referred")
    host.do("window 5 4 33 20")
    frame = host.one(0)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[HEIGHT - 20 : HEIGHT - 4, 5:33] = True
    want = foretold(given)
    want[~inside] = frame.picture[~inside]
    assert_close(frame.picture, want)
    assert (stand_in.asked("render")[-1]["width"], stand_in.asked("render")[-1]["height"]) == (WIDTH, HEIGHT)


def test_linear_light_travels_in_the_clips_own_curve(stand_in: StandIn) -> None:
    stand_in.plan(transfer=2)
    given = picture("float", wild=False)
    host = effect(stand_in, {0: given}, "--manner", "natron")  # which works in scene-linear light
    frame = host.one(0)
    light = given[..., :3]
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    shown = made(curve)
    back = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    want = given.copy()
    want[:, WIDTH // 2 :, :3] = back[:, WIDTH // 2 :]
    assert_close(frame.picture, want)
    host.set(footage="Display referred")
    assert_close(host.one(0).picture, foretold(given))


MISMATCHES = [  # (the model's curve, Footage Colour, the host's manner, what is said)
    (4, "Auto", "mlt", "scene-linear pictures"),
    (4, "Log", "plain", "those here are log"),
    (4, "Auto", "natron", ""),  # which works in linear light
    (4, "Scene linear", "mlt", ""),
    (6, "Auto", "natron", "PQ pictures, those here are scene linear"),
    (7, "Scene linear", "plain", "HLG pictures"),
    (1, "Log", "plain", "(BT.709), those here are log"),
    (9, "Log", "plain", ""),  # a file without tags may well be log
    (8, "Log", "plain", ""),
    (8, "Display referred", "plain", "log pictures"),
    (8, "Auto", "mlt", ""),
    (1, "Auto", "mlt", ""),
    (0, "Log", "mlt", ""),
]


@pytest.mark.parametrize(("curve", "footage", "manner", "told"), MISMATCHES)
def test_colours_that_the_model_was_not_fitted_to_are_said(
    stand_in: StandIn, curve: int, footage: str, manner: str, told: str
) -> None:
    stand_in.plan(transfer=curve)
    host = effect(stand_in, {0: picture("float", wild=False)}, "--manner", manner, footage=footage)
    frame = host.one(0)
    assert frame.status == 0 and bool(frame.message) == bool(told) and told in frame.message
    if told:
        assert frame.said["message"]["type"] == "OfxMessageWarning"
    if manner != "mlt":  # whose instances live for one frame
        status = host.do("press reload")[0]["values"]["status"]
        assert told in status and ("model was fitted" in status) == bool(told)


def test_a_frame_that_stays_as_it_is_does_not_travel(stand_in: StandIn) -> None:
    stand_in.plan(unchanged="foretold")
    given = picture("float")
    host = effect(stand_in, {0: given}, footage="Display referred")
    frame = host.one(0)
    np.testing.assert_array_equal(frame.picture.view(np.uint32), given.view(np.uint32))
    assert "nothing to deblur" in host.do("press reload")[0]["values"]["status"]
    assert len(stand_in.asked("foretell")) == 1 and not stand_in.asked("attach") and not stand_in.asked("render")
    for values in ({"view": "Difference"}, {"view": "Sharpness map"}, {"view": "Result", "protect": 0}):
        host.set(**values)
        host.one(0)
    assert len(stand_in.asked("foretell")) == 1 and len(stand_in.asked("render")) == 3


def test_views(stand_in: StandIn) -> None:
    given = picture("float", wild=False)
    host = effect(stand_in, {0: given}, view="Before and after")
    np.testing.assert_array_equal(host.one(0).picture[:, : WIDTH // 2], given[:, : WIDTH // 2])
    host.set(view="Difference")
    difference = host.one(0).picture
    changed = foretold(given)[..., :3] - given[..., :3]
    np.testing.assert_allclose(difference[..., :3], 0.5 + 2 * changed, atol=1e-5)
    np.testing.assert_array_equal(difference[..., 3], given[..., 3])
    host.set(view="Sharpness map")
    host.one(0)
    assert [ask["view"] for ask in stand_in.asked("render")] == [0, 0, 1]


@pytest.mark.parametrize("manner", ["plain", "mlt"])
def test_strength_zero_changes_nothing_and_asks_nobody(stand_in: StandIn, manner: str) -> None:
    given = picture("half")
    host = effect(stand_in, {0: given}, "--manner", manner, strength=0)
    frame = host.one(0)
    assert frame.said["identity"] == (manner == "plain") and frame.status == 0
    np.testing.assert_array_equal(frame.picture.view(np.uint16), given.view(np.uint16))
    assert not stand_in.asked("render")


def test_an_animated_strength_and_the_toggles_reach_the_worker(stand_in: StandIn) -> None:
    host = effect(stand_in, {n: picture("byte", n) for n in range(5)})
    host.do("key strength 0 0.25", "key strength 4 0.75")
    host.render(0, 2, 4)
    host.set(protect=0)
    host.do("interactive 0")
    host.one(2)
    asked = stand_in.asked("render")
    assert [ask["strength"] for ask in asked] == pytest.approx([0.25, 0.5, 0.75, 0.5])
    assert [ask["flags"] for ask in asked] == [3, 3, 3, 0]


def test_an_unchanged_frame_keeps_its_bits(stand_in: StandIn) -> None:
    stand_in.plan(unchanged=True)
    for depth in DTYPES:
        given = picture(depth)
        frame = effect(stand_in, {0: given}, "--manner", "resolve").one(0)
        np.testing.assert_array_equal(frame.picture.view(np.uint8), given.view(np.uint8))


NEEDS = (-9, -2, -1, 0, 1, 2, 5)


def level(n: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 4), n / 16, np.float32)


@pytest.mark.parametrize(
    ("options", "times", "seen"),
    [
        (["--manner", "plain"], [2], {0, 1, 2, 3, 4, 7}),
        (["--manner", "natron"], [2], {0, 1, 2, 3, 4, 7}),
        (["--manner", "nuke"], [9], {0, 7, 8, 9}),
        (["--manner", "mlt"], [2], {2}),
        (["--manner", "runner"], [2], {2}),
        (["--quirk", "null-neighbours"], [2], {2}),
        (["--quirk", "failing-neighbours"], [2], {2}),
        (["--quirk", "no-range"], [2], {0, 1, 2, 3, 4, 7}),
    ],
)
def test_references_from_the_host(stand_in: StandIn, options: list[str], times: list[int], seen: set[int]) -> None:
    stand_in.plan(route=2, needs=NEEDS)
    host = effect(stand_in, {n: level(n) for n in range(10)}, *options, footage="Display referred")
    for time in times:
        frame = host.one(time)
        assert frame.status == 0
        means = stand_in.asked("seen")[-1]["means"]
        assert {int(n) for n in means} == seen
        assert all(mean == pytest.approx(int(n) / 16) for n, mean in means.items()), "a picture under a wrong number"
        if "--manner" in options and options[1] in ("natron", "plain", "nuke"):
            needed = {time + n for n in NEEDS}
            told = {
                n
                for first, last in zip(frame.said["needed"][::2], frame.said["needed"][1::2], strict=True)
                for n in range(int(first), int(last) + 1)
            }
            assert needed <= told


def test_pictures_that_are_there_are_not_copied_again(stand_in: StandIn) -> None:
    """But one that the host has changed is."""
    stand_in.plan(route=2, needs=(-1, 0, 1))
    host = effect(stand_in, {n: level(n) for n in range(5)})
    host.render(1, 2, 3, 2)
    assert [set(entry["means"]) for entry in stand_in.asked("seen")] == [
        {"0", "1", "2"},
        {"1", "2", "3"},
        {"2", "3", "4"},
        {"1", "2", "3"},
    ]
    assert stand_in.asked("seen")[-1]["means"] == {str(n): pytest.approx(n / 16) for n in (1, 2, 3)}


def test_resolve_tells_the_file_and_the_frame(stand_in: StandIn) -> None:
    host = stand_in.host(
        {n: picture("float") for n in range(3)},
        "--manner", "resolve", "--source-file", "/clips/shot.mov", "--source-first", "100",
    )  # fmt: skip
    host.render(0, 2)
    asked = stand_in.asked("render")
    assert [(ask["model"], ask["clip"], ask["frame"]) for ask in asked] == [
        ("", "/clips/shot.mov", 100),
        ("", "/clips/shot.mov", 102),
    ]


def test_the_first_frames_place_on_the_time_line(stand_in: StandIn) -> None:
    host = effect(stand_in, {86400: picture("byte")}, "--manner", "plain", firstFrame=86390)
    assert host.one(86400).status == 0
    assert stand_in.asked("render")[-1]["frame"] == 10


def test_the_ratio_of_source_to_time_line_reaches_the_worker(stand_in: StandIn) -> None:
    stand_in.plan(size=(WIDTH * 2, HEIGHT * 2))
    host = effect(stand_in, {0: picture("float")}, "--scale", "0.5")
    host.one(0)
    assert stand_in.asked("render")[-1]["scale"] == pytest.approx(0.5)


@pytest.mark.parametrize("manner", ["plain", "mlt"])
def test_several_threads_and_instances(stand_in: StandIn, manner: str) -> None:
    frames = {n: picture("half", n) for n in range(4)}
    host = effect(stand_in, frames, "--manner", manner, "--instances", "8", "--threads", "4")
    done = host.render(*range(4), verb="parallel")
    assert len(done) == 32
    for frame in done:
        assert frame.status == 0
        assert_close(frame.picture, foretold(frames[int(frame.said["time"])]))
    connections = {ask["worker"] for ask in stand_in.asked("hello")}
    assert len(connections) <= 1 and len(stand_in.asked("hello")) <= 4  # no connection for each instance


def test_a_host_that_loads_for_each_frame_while_others_are_rendered(stand_in: StandIn) -> None:
    """As MLT does with several threads: nothing that one of them uses may be gone for a moment."""
    host = effect(stand_in, {0: picture("byte")}, "--manner", "mlt", "--instances", "200", "--threads", "8")
    assert all(frame.status == 0 for frame in host.render(0, verb="parallel"))


def test_loading_and_unloading_again_and_again(stand_in: StandIn) -> None:
    host = effect(stand_in, {0: picture("byte")})
    for _ in range(5):
        assert host.one(0).status == 0
        host.do("reload")
    host.do("create", "purge")
    assert host.one(0).status == 0
    host.do("destroy", "destroy", "create", "destroy", "reload", "reload")


def test_one_connection_serves_a_host_that_makes_an_instance_for_each_frame(stand_in: StandIn) -> None:
    host = effect(stand_in, {n: picture("float", n) for n in range(6)}, "--manner", "mlt")
    host.render(*range(6))
    assert len(stand_in.asked("hello")) == 1 and len(stand_in.asked("attach")) == 1


def test_a_missing_source_fails_the_frame_and_leaves_it_black(stand_in: StandIn) -> None:
    host = effect(stand_in, {0: picture("float")}, "--range", "0-5")
    frame = host.one(4)
    assert frame.status == 1 and "no source picture" in frame.message
    assert not frame.picture.any()
    assert host.one(0).status == 0 and not host.one(0).message
