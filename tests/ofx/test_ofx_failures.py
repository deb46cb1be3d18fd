# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong with the engine, the host lives, says so, and the next frame works."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ofx.driving import Host

Make = Callable[..., Host]
MODEL = "set:model=/clip.deblur.onnx"
HELLO, ATTACH, ASK_MODEL, NEEDS, RENDER = 1, 10, 20, 22, 30
HANG = {"DEBLUR_SILENCE_SECONDS": "0.4"}


def changed(out: np.ndarray, source: np.ndarray) -> bool:
    expected = source.copy()
    expected[:, 12:, :3] *= 0.5
    return bool(np.allclose(out, expected, atol=1e-6))


def fails_then_works(host: Host, frames: np.ndarray) -> dict:
    """An interactive frame with the fault, and a final one after it; the first one's report."""
    ran = host.run(frames, MODEL, "preview:1", "sleep:0.3", "render:2", "render:3")
    first = ran.of("preview:1")
    assert first["status"] == 0 and ran.frames[0].tobytes() == frames[1].tobytes()
    assert first["message"].startswith("Deblur shows the source: ") and first["type"] == "OfxMessageWarning"
    assert ran.of("render:3")["status"] == 0, ran.lines
    assert changed(ran.frames[2], frames[3]) and ran.of("render:3")["message"] == ""
    return ran.of("render:2")


FAULTS = ["killed", "closes", "half an answer", "garbage", "huge length", "wrong version", "wrong type"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [ATTACH, ASK_MODEL, NEEDS, RENDER])
def test_a_fault_at_each_point_of_a_frame(stand_in: Make, frames: np.ndarray, fault: str, at: int) -> None:
    assert fails_then_works(stand_in(fault=fault, at=at, route=2), frames)["status"] == 0


@pytest.mark.parametrize("fault", ["killed", "closes", "garbage", "wrong version"])
def test_a_fault_in_the_greeting_is_got_over_at_once(stand_in: Make, frames: np.ndarray, fault: str) -> None:
    host = stand_in(fault=fault, at=HELLO)
    host.environment["DEBLUR_START_SECONDS"] = "5"
    ran = host.run(frames, MODEL, "preview:1", "sleep:0.5", "render:2")
    assert ran.of("render:2")["status"] == 0 and changed(ran.frames[1], frames[2])


@pytest.mark.parametrize("fault", ["short payload", "long payload"])
def test_payloads_of_the_wrong_size(stand_in: Make, frames: np.ndarray, fault: str) -> None:
    fails_then_works(stand_in(fault=fault, at=RENDER), frames)


@pytest.mark.parametrize("fault", ["hangs", "stops"])
@pytest.mark.parametrize("at", [ATTACH, ASK_MODEL, RENDER])
def test_a_worker_that_hangs_is_ended(stand_in: Make, frames: np.ndarray, fault: str, at: int) -> None:
    host = stand_in(fault=fault, at=at)
    host.environment.update(HANG)
    fails_then_works(host, frames)
    assert "did not answer any more and was ended" in (host.runtime / "worker-1-auto.log").read_text()


def test_signs_of_life_are_no_answer_but_keep_it_alive(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(fault="slow", at=RENDER)
    host.environment["DEBLUR_SILENCE_SECONDS"] = "0.8"
    ran = host.run(frames, MODEL, "render:1")
    assert ran.of("render:1")["ms"] > 1400 and changed(ran.frames[0], frames[1])


def test_answers_to_other_questions_are_passed_over(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in(fault="stale answers", at=RENDER).run(frames, MODEL, "render:1")
    assert ran.of("render:1")["status"] == 0 and changed(ran.frames[0], frames[1])


def test_memory_that_a_worker_would_shrink_stays(stand_in: Make, frames: np.ndarray, said) -> None:
    ran = stand_in(fault="truncates", at=RENDER).run(frames, MODEL, "render:1")
    assert said("refused:") and not said("truncated")
    assert changed(ran.frames[0], frames[1])


def test_memory_that_runs_out_is_said_and_the_connection_stays(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in(fault="out of memory", at=RENDER).run(frames, MODEL, "render:1", "render:2")
    first = ran.of("render:1")
    assert first["status"] == 1 and "memory ran out" in first["message"] and first["type"] == "OfxMessageError"
    assert ran.frames[0].tobytes() == frames[1].tobytes()  # for hosts that ignore the status
    assert ran.of("render:2")["status"] == 0


def test_a_missing_model_fails_final_frames_only(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in().run(frames, "set:model=/missing.onnx", "preview:1", "render:1", MODEL, "render:1")
    assert [line["status"] for line in ran.lines if line["do"][-1] == "1"][:3] == [0, 1, 0]
    assert "fit it" in ran.of("preview:1")["message"]
    assert ran.frames[0].tobytes() == ran.frames[1].tobytes() == frames[1].tobytes()


def test_no_model_at_all_says_what_to_do(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in().run(frames, "preview:1", "render:1")
    assert ran.of("render:1")["status"] == 1 and "press Fit" in ran.of("preview:1")["message"]


@pytest.mark.parametrize("manners", ["plain", "mlt", "runner", "resolve"])
def test_no_engine_installed(stand_in: Make, frames: np.ndarray, manners: str) -> None:
    host = stand_in()
    host.engine.unlink()
    ran = host.run(frames, f"--manners={manners}", MODEL, "preview:1", "render:2")
    assert (ran.of("preview:1")["status"], ran.of("render:2")["status"]) == (0, 1)
    assert ran.frames.tobytes() == frames[[1, 2]].tobytes()
    if manners in ("plain", "mlt"):
        assert "no program" in ran.of("render:2")["message"]


def test_an_engine_that_ends_at_once_is_tried_again_after_a_pause(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(fault="exits")
    host.environment["DEBLUR_BACKOFF_SECONDS"] = "1.5"
    ran = host.run(frames, MODEL, "preview:1", "preview:2", "sleep:1.6", "render:3")
    assert "code 7" in ran.of("preview:1")["message"]
    assert "next attempt" in ran.of("preview:2")["message"] and ran.of("preview:2")["ms"] < 300
    assert ran.of("render:3")["status"] == 0 and changed(ran.frames[2], frames[3])


def test_reload_ends_the_pause(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(fault="exits")
    host.environment["DEBLUR_BACKOFF_SECONDS"] = "60"
    ran = host.run(frames, MODEL, "preview:1", "press:reload", "render:3")
    assert ran.of("render:3")["status"] == 0


def test_a_worker_that_dies_with_every_frame_is_not_started_for_each(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(fault="killed", at=RENDER, times=99)
    host.environment["DEBLUR_BACKOFF_SECONDS"] = "60"
    ran = host.run(frames, MODEL, *[f"render:{n}" for n in range(6)])
    assert [line["status"] for line in ran.lines[1:7]] == [1] * 6
    log = (host.runtime / "worker-1-auto.log").read_text()
    assert log.count("starts ") == 2 and "next attempt" in ran.of("render:5")["message"]


def test_an_engine_that_never_listens_has_a_deadline(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in(fault="never listens")
    host.environment["DEBLUR_START_SECONDS"] = "0.6"
    ran = host.run(frames, MODEL, "preview:1")
    assert "did not begin to listen" in ran.of("preview:1")["message"]
    assert 500 < ran.of("preview:1")["ms"] < 5000


@pytest.mark.parametrize("script", [{"fault": "slow", "at": RENDER}, {"fault": "never listens"}])
def test_the_host_ends_a_frame_in_the_middle(stand_in: Make, frames: np.ndarray, script: dict) -> None:
    ran = stand_in(**script).run(frames, MODEL, "abort:12", "render:1")
    assert ran.of("render:1")["status"] == 0 and ran.of("render:1")["ms"] < 1400
    assert ran.of("render:1")["message"] == "" and ran.frames[0].tobytes() == frames[1].tobytes()


def test_a_frame_after_an_aborted_one_works(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in(fault="slow", at=RENDER).run(frames, MODEL, "abort:12", "render:1", "abort:-1", "render:2")
    assert ran.of("render:2")["status"] == 0 and changed(ran.frames[1], frames[2])


def test_a_worker_killed_between_frames_is_missed_by_none(stand_in: Make, frames: np.ndarray, tmp_path: Path) -> None:
    host = stand_in()
    process = subprocess.Popen(
        host.words(frames, MODEL, "render:1", "sleep:1.5", "render:2"),
        env=host.surroundings(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert '"render:1", "status": 0' in lines[1], lines
    lock = host.runtime / "worker-1-auto.lock"
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if Path(os.readlink(entry)) == lock:
                os.kill(int(entry.parts[2]), signal.SIGKILL)
        except OSError:
            continue
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and '"render:2", "status": 0' in out, out


def test_a_folder_that_is_open_to_others_is_refused(stand_in: Make, frames: np.ndarray) -> None:
    host = stand_in()
    host.runtime.mkdir(mode=0o755)
    ran = host.run(frames, MODEL, "render:1")
    assert ran.of("render:1")["status"] == 1 and "open to others" in ran.of("render:1")["message"]


def test_no_source_picture(stand_in: Make, frames: np.ndarray) -> None:
    ran = stand_in().run(frames, "--no-source", MODEL, "render:1")
    assert ran.of("render:1")["status"] == 1 and (ran.frames[0] == 0).all()


def test_the_hosts_python_is_not_the_engines(stand_in: Make, frames: np.ndarray, tmp_path: Path) -> None:
    host = stand_in()
    host.environment.update(PYTHONHOME="/nowhere", LD_PRELOAD="", PYTHONPATH="/nowhere")
    assert host.run(frames, MODEL, "render:1").of("render:1")["status"] == 0
