# SPDX-License-Identifier: Apache-2.0
"""The buttons: a fit by the clip's file or from the host's frames, its progress, its cancelling and its end."""

from __future__ import annotations

import numpy as np
import pytest

from ofx.conftest import StandIn
from ofx.hosting import Host

FRAMES = {n: np.full((16, 24, 4), n / 16, np.float32) for n in range(8)}


def start(place: StandIn, *options: str, frames: dict[int, np.ndarray] | None = None, **values: object) -> Host:
    host = place.host(frames or FRAMES, *options)
    host.set(**values)
    return host


def press(host: Host, name: str) -> dict:
    (said,) = host.do(f"press {name}")
    assert said["status"] == 0
    return said


def test_a_fit_by_path_ends_in_the_new_model(stand_in: StandIn) -> None:
    host = start(stand_in, clip="/a/clip.mov", preset="draft")
    said = press(host, "fit")
    (asked,) = stand_in.asked("fit")
    assert (asked["clip"], asked["out"], asked["preset"], asked["minutes"]) == ("/a/clip.mov", "", "draft", 0.0)
    assert asked["flags"] & 1 == 1 and asked["flags"] & 2 == 0
    assert said["values"]["model"] == "/made/new.deblur.onnx" and "/made/new" in said["values"]["status"]
    assert said["progress_updates"] >= 3
    assert host.one(1).status == 0 and stand_in.asked("render")[-1]["model"] == "/made/new.deblur.onnx"


def test_a_fit_from_the_hosts_frames(stand_in: StandIn) -> None:
    host = start(
        stand_in, "--manner", "natron", footage="Display referred", frames={n + 101: p for n, p in FRAMES.items()}
    )
    host.set(firstFrame=101)
    said = press(host, "fit")
    assert [(f["frame"], f["width"], f["height"], f["fps"]) for f in stand_in.asked("fitframe")] == [
        (n, 24, 16, 25.0) for n in range(8)
    ]
    assert [f["mean"] for f in stand_in.asked("fit picture")] == pytest.approx([n / 16 for n in range(8)])
    assert len(stand_in.asked("fitstart")) == 1
    model = said["values"]["model"]
    assert model.startswith(str(stand_in.data)) and model.endswith(".deblur.onnx")


def test_the_hosts_bar_cancels_the_fit(stand_in: StandIn) -> None:
    stand_in.plan(fit="runs")
    host = start(stand_in, clip="/clip.mov")
    host.do("progress 2")
    said = press(host, "fit")
    assert len(stand_in.asked("fitcancel")) == 1
    assert said["values"]["model"] == "" and "cancelled" in said["values"]["status"]


def test_the_hosts_bar_cancels_the_reading_of_frames(stand_in: StandIn) -> None:
    host = start(stand_in)
    host.do("progress 3")
    press(host, "fit")
    assert len(stand_in.asked("fitframe")) == 3 and stand_in.asked("fitcancel") and not stand_in.asked("fitstart")


@pytest.mark.parametrize("manner", ["runner", "mlt"])
def test_a_host_without_a_bar_is_asked_to_press_reload(stand_in: StandIn, manner: str) -> None:
    host = start(stand_in, "--manner", manner, "--quirk", "no-progress", clip="/clip.mov")
    assert "Reload" in press(host, "fit")["values"]["status"]
    assert "10 %" in press(host, "reload")["values"]["status"]
    for _ in range(3):
        said = press(host, "reload")
    assert said["values"]["model"] == "/made/new.deblur.onnx"


@pytest.mark.parametrize("manner", ["mlt", "hostdemo"])
def test_a_bar_that_does_nothing_is_not_waited_for(stand_in: StandIn, manner: str) -> None:
    stand_in.plan(fit="runs")
    frames = {n: (p * 255).astype(np.uint8) for n, p in FRAMES.items()}
    # In the manner of hostDemo the controls after the first string are lost: it fits from the host's frames.
    host = start(stand_in, "--manner", manner, frames=frames, **({"clip": "/clip.mov"} if manner == "mlt" else {}))
    assert "progress_updates" not in press(host, "fit")
    assert len(stand_in.asked("fit")) == 1 and not stand_in.asked("fitstatus")


def test_a_fit_in_the_background(stand_in: StandIn) -> None:
    host = start(stand_in, clip="/clip.mov", background=1)
    said = press(host, "fit")
    assert "A fit runs" in said["values"]["status"] and "progress_updates" not in said
    assert "10 %" in press(host, "reload")["values"]["status"]
    host.render(0, 1, 2, 3)
    assert stand_in.asked("render")[-1]["model"] == "/made/new.deblur.onnx"
    host.do("set strength 0.5")  # any control that is touched keeps the path
    assert host.do("values")[0]["values"]["model"] == "/made/new.deblur.onnx"


@pytest.mark.parametrize("fault", ["never", "silence"])
def test_a_worker_that_does_not_answer_does_not_keep_the_bar_from_being_cancelled(fresh: StandIn, fault: str) -> None:
    fresh.plan(fit="runs", faults={"fitstatus": fault})
    host = start(fresh, clip="/clip.mov")
    host.do("progress 5")
    said = press(host, "fit")
    assert "cancelled" in said["values"]["status"] and len(fresh.asked("fitcancel")) == 1
    assert len(fresh.asked("fitstatus")) == 1


def test_a_frame_sees_the_end_of_a_fit_too(stand_in: StandIn) -> None:
    """The control itself changes at the next press: some hosts refuse it within a render."""
    host = start(stand_in, "--quirk", "no-progress", clip="/clip.mov")
    press(host, "fit")
    host.render(0, 1, 2, 3, 4)
    assert stand_in.asked("render")[-1]["model"] == "/made/new.deblur.onnx"
    assert press(host, "reload")["values"]["model"] == "/made/new.deblur.onnx"


def test_one_fit_at_a_time_and_the_button_that_cancels_it(stand_in: StandIn) -> None:
    stand_in.plan(fit="runs")
    host = start(stand_in, "--quirk", "no-progress", clip="/clip.mov")
    press(host, "fit")
    assert "runs already" in press(host, "fit")["values"]["status"] and len(stand_in.asked("fit")) == 1
    assert "cancelled" in press(host, "cancel")["values"]["status"] and len(stand_in.asked("fitcancel")) == 1
    assert "No fit" in press(host, "cancel")["values"]["status"]


def test_a_fit_that_fails_says_why(stand_in: StandIn) -> None:
    stand_in.plan(fit="failed")
    said = press(start(stand_in, clip="/clip.mov"), "fit")
    assert "no sharp frames" in said["message"]["text"] and "no sharp frames" in said["values"]["status"]
    assert said["values"]["model"] == ""


@pytest.mark.parametrize(
    ("options", "told"), [(["--manner", "mlt"], "Source Clip"), (["--quirk", "no-range"], "Source")]
)
def test_a_fit_that_cannot_be_says_what_is_missing(stand_in: StandIn, options: list[str], told: str) -> None:
    assert told in press(start(stand_in, *options), "fit")["values"]["status"]
    assert not stand_in.asked("fitstart")


@pytest.mark.parametrize("request_name", ["fit", "fitstatus", "fitframe", "fitstart"])
@pytest.mark.parametrize("fault", ["kill", "garbage", "long"])
def test_a_worker_that_dies_in_a_fit_is_no_end(stand_in: StandIn, request_name: str, fault: str) -> None:
    by_path = request_name in ("fit", "fitstatus")
    host = start(stand_in, **({"clip": "/clip.mov"} if by_path else {}))
    stand_in.plan(faults={request_name: fault})
    said = press(host, "fit")
    assert said["values"]["status"] and said["values"]["model"] == ""
    press(host, "reload")
    host.set(model="/m.onnx")
    assert host.one(1).status == 0 and not host.one(1).message


def test_the_log_is_named_where_nothing_opens_it(stand_in: StandIn) -> None:
    host = stand_in.host(FRAMES, PATH="/nowhere")
    assert any(str(stand_in.folder) in each for each in press(host, "openLog")["messages"])


def test_only_a_users_press_acts(stand_in: StandIn) -> None:
    host = start(stand_in, clip="/clip.mov")
    host.do("time 3", "time 4", "edited fit", "edited model")
    assert not stand_in.asked("fit")


def test_a_frame_that_is_aborted_does_not_wait_for_news_of_a_fit(fresh: StandIn) -> None:
    fresh.plan(fit="runs")
    host = start(fresh, clip="/clip.mov", background=1)
    press(host, "fit")
    fresh.plan(fit="runs", faults={"fitstatus": "never"})
    host.do("abort 100")
    frame = host.one(1)
    np.testing.assert_array_equal(frame.picture, FRAMES[1])
    assert frame.status == 0 and not frame.message and not fresh.asked("fitcancel")
    host.do("abort -1")
    assert "Fitting: " in press(host, "reload")["values"]["status"]  # it goes on
