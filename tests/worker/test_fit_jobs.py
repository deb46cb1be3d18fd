# SPDX-License-Identifier: Apache-2.0
"""Fits in child processes: progress, the end, a cancel; from a clip's file and from a host's frames."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deblur_engine.artifact import load_model
from deblur_engine.cli.pace import SHARES
from deblur_engine.errors import ExitCode
from deblur_engine.worker import fit_jobs, host_frames, wire
from deblur_engine.worker.client import Client, WorkerError
from deblur_engine.worker.wire import FitState
from panned import Panned, Scene
from tiny import write_clip
from worker.conftest import Served, Shot


def until(client: Client, job: int, wanted: Callable[[FitState], bool], seconds: float = 120) -> FitState:
    end = time.monotonic() + seconds
    while True:
        state = client.ask(wire.FitStatus(job), FitState)
        if wanted(state):
            return state
        assert time.monotonic() < end, state
        time.sleep(0.05)


def over(state: FitState) -> bool:
    return state.state in (FitState.DONE, FitState.FAILED, FitState.CANCELLED)


def left_behind() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("deblur-engine-fit-*"))


def test_the_shares_of_the_stages_are_the_command_lines() -> None:
    start = 0.0
    for stage, share in SHARES["fit"].items():
        assert fit_jobs._PARTS[stage] == (pytest.approx(start), share)
        start += share


def test_a_fit_from_a_hosts_frames_serves_the_host(serve: Callable[..., Served], tmp_path: Path) -> None:
    """The whole way: frames in, progress, a model, and that model on the host's frames in the host's own numbers."""
    shown = Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0.7, 0, 0], start=(60, 80))], (192, 144))
    pictures = {101 + n: p.astype(np.float32) / np.float32(255) for n, p in enumerate(shown.pictures)}
    out, served = tmp_path / "host.deblur.onnx", serve(idle=1.0)
    with served.client() as client:
        job = client.ask(wire.Fit("", str(out), "draft", 0.05, wire.Fit.FRAMES_FOLLOW), wire.Job).job
        number = client.attach(192 * 144 * 12)
        for frame, picture in pictures.items():
            client.surface(number).picture(192, 144)[:] = picture
            client.ask(wire.FitFrame(job, frame, 192, 144, 25.0, number, 0), wire.Done)
        with pytest.raises(WorkerError, match="111 follows"):
            client.ask(wire.FitFrame(job, 200, 192, 144, 25.0, number, 0), wire.Done)
        assert client.ask(wire.FitStatus(job), FitState).state == FitState.WAITS
        assert left_behind()
        client.ask(wire.FitStart(job), wire.Done)
        with pytest.raises(WorkerError, match="started"):
            client.ask(wire.FitStart(job), wire.Done)
        running = until(client, job, lambda state: state.stage == "pairs" or over(state))
        assert running.state == FitState.RUNS and 0 < running.share < 1
    time.sleep(1.5)  # the job outlives the connection, and the worker stays for it
    with served.client() as client:
        done = until(client, job, over)
        assert (done.state, done.share, done.model) == (FitState.DONE, 1.0, str(out)), done
        assert not left_behind()
        info = client.ask(wire.Model(str(out), ""), wire.ModelInfo)
        assert (info.frames, info.route, info.width) == (10, 3, 192)
        needed = client.ask(wire.Needs(str(out), "", 106), wire.Needed)
        assert needed == wire.Needed(3, (106,))  # its neighbours are sharp, and so kept with the model
        answer, given = client.render(out, 106, {106: pictures[106]})
        assert (answer.references, answer.route, answer.note) == (4, 3, "")
        truth = shown.truth[5].astype(np.float32) / np.float32(255)
        assert np.square(given - truth).mean() < 0.8 * np.square(pictures[106] - truth).mean()
        assert client.render(out, 102, {102: pictures[102]})[0].flags == wire.Rendered.UNCHANGED
    assert load_model(out).metadata.recipe["first_frame"] == 101


def test_a_fit_is_cancelled(serve: Callable[..., Served], shot: Shot, tmp_path: Path) -> None:
    with serve().client() as client:
        out = tmp_path / "new.onnx"
        job = client.ask(wire.Fit(str(shot.clip), str(out), "high", 0.0, 0), wire.Job).job
        until(client, job, lambda state: bool(state.stage))
        assert client.ask(wire.Status(), wire.State).jobs == 1
        client.ask(wire.FitCancel(job), wire.Done)
        state = until(client, job, over)
        assert (state.state, state.code) == (FitState.CANCELLED, ExitCode.CANCELLED)
        client.ask(wire.FitCancel(job), wire.Done)  # once more does not matter
        assert not out.exists() and client.ask(wire.Status(), wire.State).jobs == 0


def test_a_fit_that_fails_says_why(serve: Callable[..., Served], tmp_path: Path) -> None:
    black = write_clip(tmp_path / "black.mp4", np.zeros((8, 48, 64, 3), np.uint8))
    with serve().client() as client:
        job = client.ask(wire.Fit(str(black), "", "draft", 0.0, 0), wire.Job).job
        state = until(client, job, over)
        assert (state.state, state.code) == (FitState.FAILED, ExitCode.NO_BENEFIT) and state.message
        job = client.ask(wire.Fit(str(black), "", "hasty", 0.0, 0), wire.Job).job
        state = until(client, job, over)
        assert (state.state, state.code) == (FitState.FAILED, ExitCode.USAGE) and "hasty" in state.message


def test_a_fit_whose_process_dies_has_failed(serve: Callable[..., Served], shot: Shot, tmp_path: Path) -> None:
    served = serve()
    with served.client() as client:
        job = client.ask(wire.Fit(str(shot.clip), str(tmp_path / "new.onnx"), "high", 0.0, 0), wire.Job).job
        served.server.jobs._jobs[job].process.kill()
        state = until(client, job, over)
        assert (state.state, state.code) == (FitState.FAILED, ExitCode.INTERNAL) and "-9" in state.message


def test_fits_that_cannot_be_meant(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    with served.client() as client:
        for request in (
            wire.Fit("", "", "draft", 0.0, 0),
            wire.Fit("clip.mov", "", "draft", 0.0, 0),
            wire.Fit("/clip.mov", "", "draft", 0.0, wire.Fit.FRAMES_FOLLOW),
            wire.Fit("", "", "draft", 0.0, wire.Fit.FRAMES_FOLLOW),
        ):
            with pytest.raises(WorkerError) as caught:
                client.ask(request, wire.Job)
            assert caught.value.code == ExitCode.USAGE
        for other in (wire.FitStatus(99), wire.FitCancel(99), wire.FitStart(99)):
            with pytest.raises(WorkerError) as caught:
                client.ask(other, wire.Done)
            assert caught.value.code == wire.NO_JOB
        job = client.ask(wire.Fit("", "/tmp/x.onnx", "draft", 0.0, wire.Fit.FRAMES_FOLLOW), wire.Job).job
        with pytest.raises(WorkerError, match="no frame has come"):
            client.ask(wire.FitStart(job), wire.Done)
        assert left_behind()
        monkeypatch.setattr(fit_jobs, "_FORGOTTEN", 0.0)
        assert until(client, job, over).state == FitState.CANCELLED and not left_behind()


def test_what_a_dead_worker_left_is_swept_away(serve: Callable[..., Served]) -> None:
    served = serve()
    left = Path(tempfile.mkdtemp(prefix=served.server.jobs._prefix))
    other = Path(tempfile.mkdtemp(prefix="deblur-engine-fit-other-"))
    served.end()
    served.server.jobs.sweep()
    assert not left.exists() and other.exists()
    other.rmdir()


def test_a_full_disk_leaves_nothing_of_a_job_behind(
    serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the frames' file cannot even be ended, its folder goes, the job is over and the worker serves on."""
    before, served = left_behind(), serve()
    with served.client() as client:
        job = client.ask(wire.Fit("", str(tmp_path / "m.onnx"), "draft", 0.0, wire.Fit.FRAMES_FOLLOW), wire.Job).job
        frames = served.server.jobs._jobs[job].frames
        assert frames is not None

        class Full:
            def close(self) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

        frames._container.close()
        monkeypatch.setattr(frames, "_container", Full())
        client.ask(wire.FitCancel(job), wire.Done)
        assert client.ask(wire.FitStatus(job), FitState).state == FitState.CANCELLED
        assert left_behind() == before and client.ask(wire.Status(), wire.State).jobs == 0


def test_a_file_that_cannot_be_begun_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host_frames.av, "open", full)
    with pytest.raises(OSError, match="No space"):
        host_frames.HostFrames("deblur-engine-fit-test-", "clip")
    assert not left_behind()


def test_a_job_that_is_over_holds_no_pipe(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve()
    with served.client() as client:
        job = client.ask(wire.Fit(str(tmp_path / "none.mp4"), "", "draft", 0.0, 0), wire.Job).job
        assert until(client, job, over).state == FitState.FAILED
        process = served.server.jobs._jobs[job].process
        assert process is not None and process.stdout is not None and process.stderr is not None
        assert process.stdout.closed and process.stderr.closed
