# SPDX-License-Identifier: Apache-2.0
"""The buttons: a fit by the clip's path or from the host's frames, its progress, its cancelling, and its end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ofx.driving import Host

Make = Callable[..., Host]


def test_a_fit_by_path_ends_in_the_new_model(stand_in: Make, frames: np.ndarray, said) -> None:
    ran = stand_in().run(frames, "set:clip=/a/clip.mov", "set:preset=0", "press:fit", "get:model", "render:1")
    assert said("fit") == ["fit /a/clip.mov  draft 0.0 1"]
    assert ran.of("get:model")["value"] == "/a/clip.mov.deblur.onnx"
    assert ran.of("press:fit")["progress"] >= 2
    assert ran.of("render:1")["status"] == 0


def test_a_fit_from_the_hosts_frames(stand_in: Make, frames: np.ndarray, said, tmp_path) -> None:
    words = ("--first=1001", "set:firstFrame=1001", "press:fit", "get:model", "get:status")
    ran = stand_in().run(frames, *words)
    assert said("fit")[0].split()[-1] == "3"
    sent = [line.split() for line in said("frame")]
    assert [line[2:5] for line in sent] == [[str(n), "24x16", "25.0"] for n in range(8)]
    # The first value of the picture is the top left's, whatever the order of the host's rows.
    assert [float(line[5]) for line in sent] == pytest.approx(frames[:, 0, 0, 0].tolist(), abs=1e-4)
    assert said("start") == ["start"]
    model = ran.of("get:model")["value"]
    assert model.startswith(str(tmp_path / "data/deblur-engine")) and model.endswith(".deblur.onnx")
    assert ran.of("get:status")["value"] == f"Fitted: {model}"


def test_a_fit_is_cancelled_by_the_hosts_bar(stand_in: Make, frames: np.ndarray, said) -> None:
    ran = stand_in(fit_ends=1).run(
        frames, "--cancel-after=3", "set:clip=/clip.mov", "press:fit", "get:model", "get:status"
    )
    assert said("cancel") == ["cancel"] and ran.of("get:model")["value"] == ""
    assert "cancelled" in ran.of("get:status")["value"]


def test_reading_frames_is_cancelled_too(stand_in: Make, frames: np.ndarray, said) -> None:
    stand_in().run(frames, "--cancel-after=2", "press:fit")
    assert len(said("frame")) == 2 and said("cancel") and not said("start")


def test_a_host_without_a_bar_is_not_made_to_wait(stand_in: Make, frames: np.ndarray, said) -> None:
    words = ("set:clip=/clip.mov", "press:fit", "get:model", "press:reload", "press:reload", "press:reload")
    ran = stand_in().run(frames, "--manners=runner", *words, "get:model")
    values = [line["value"] for line in ran.lines if line["do"] == "get:model"]
    assert values == ["", "/clip.mov.deblur.onnx"]


def test_a_running_fit_is_cancelled_by_the_button(stand_in: Make, frames: np.ndarray, said) -> None:
    words = ("set:clip=/clip.mov", "press:fit", "press:fit", "get:status", "press:cancel", "press:cancel")
    ran = stand_in(fit_ends=1).run(frames, "--manners=runner", *words)
    assert len(said("fit")) == 1 and "runs already" in ran.of("get:status")["value"]
    assert said("cancel") == ["cancel"]


def test_a_fit_that_fails_says_why(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in(fit_ends=3).run(frames, "set:clip=/clip.mov", "press:fit", "get:status")
    assert "no sharp frames" in ran.of("press:fit")["message"]
    assert "no sharp frames" in ran.of("get:status")["value"]


def test_a_fit_that_nobody_can_do_says_what_is_missing(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in().run(frames, "--manners=mlt", "press:fit", "get:status")
    assert "Source Clip" in ran.of("get:status")["value"]
    ran = stand_in().run(frames, "--no-frame-range", "press:fit", "get:status")
    assert "begins and ends" in ran.of("get:status")["value"]


def test_a_worker_that_dies_in_a_fit_is_no_end(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in(fault="killed", at=44, nth=2).run(
        frames, "set:clip=/clip.mov", "press:fit", "get:status", "set:model=/m.onnx", "render:1"
    )
    assert "lost" in ran.of("get:status")["value"] and ran.of("render:1")["status"] == 0


def test_the_log_is_named_where_nothing_can_open_it(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in()
    host.environment["PATH"] = "/nowhere"
    ran = host.run(frames, "press:openLog")
    assert str(host.runtime / "worker-1-auto.log") in ran.of("press:openLog")["messages"][0]
