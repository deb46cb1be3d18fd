# SPDX-License-Identifier: Apache-2.0
"""Fits that run for an editor: each in a child process of the worker, so that neither takes the other down."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeblurError, ExitCode, UsageError, deliberate
from . import system, wire
from .wire import NO_JOB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .host_frames import HostFrames

__all__ = ["FitJobs", "NoJobError"]

_MOST_KEPT = 64  # jobs that are over, for whoever asks later
_PATIENCE = 20.0  # seconds from SIGTERM to kill
_FORGOTTEN = 600.0  # seconds that a job waits for its next frame
_PARTS = {  # where each stage's share of the whole begins, and how large it is
    "analyse": (0.0, 0.03),
    "expose": (0.03, 0.02),
    "pairs": (0.05, 0.25),
    "fit": (0.30, 0.69),
    "export": (0.99, 0.01),
}
_ENDED = (wire.FitState.DONE, wire.FitState.FAILED, wire.FitState.CANCELLED)

log = logging.getLogger(__name__)


class NoJobError(Exception):
    """A number that no job has."""

    code = NO_JOB


class _Job:
    def __init__(self, request: wire.Fit, frames: HostFrames | None = None) -> None:
        self.request = request
        self.frames = frames  # what a host gives, where it does
        self.touched = time.monotonic()
        self.lock = threading.Lock()  # of the frames
        self.state = wire.FitState.WAITS
        self.share = 0.0
        self.code = 0
        self.stage = self.model = self.message = ""
        self.cancelled = False
        self.process: subprocess.Popen[str] | None = None
        self.thread: threading.Thread | None = None


class FitJobs:
    """The fits of one worker. Safe to use from several threads."""

    def __init__(self, device: str, threads: int | None, tag: str = "") -> None:
        self._device, self._threads = device, threads
        self._prefix = f"deblur-engine-fit-{tag}-"
        self._jobs: dict[int, _Job] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def sweep(self) -> None:
        """Remove what an earlier worker of this kind left of its jobs, which ended with it."""
        for left in Path(tempfile.gettempdir()).glob(f"{self._prefix}*"):
            # On Windows the folder above is the user's own.
            own = sys.platform == "win32" or left.lstat().st_uid == os.getuid()
            if left.is_dir() and not left.is_symlink() and own:
                shutil.rmtree(left, ignore_errors=True)

    def add(self, request: wire.Fit) -> int:
        """Start a fit, or make ready for one whose frames follow; returns the job's number. ``UsageError``."""
        follow = bool(request.flags & wire.Fit.FRAMES_FOLLOW)
        for name, path in (("model", request.out), ("clip", request.clip)):
            if path and not Path(path).is_absolute():
                raise UsageError(f"the {name}'s path {path} is not absolute")
        if follow and not request.out:
            raise UsageError("a fit from a host's frames has no clip to lie beside", hint="name the model's file")
        if bool(request.clip) == follow:
            raise UsageError("a fit takes a clip's file or frames that follow, one of the two")
        frames = None
        if follow:
            home = import_module(f"{__package__}.host_frames")  # it brings FFmpeg and NumPy
            frames = home.HostFrames(self._prefix, Path(request.out).name.partition(".")[0] or "host")
        with self._lock:
            number = next(self._numbers)
            job = self._jobs[number] = _Job(request, frames)
            ended = [each for each, old in self._jobs.items() if old.state in _ENDED]
            for each in ended[: max(0, len(ended) - _MOST_KEPT)]:
                del self._jobs[each]
        if not follow:
            self._run(number, job, request.clip)
        return number

    def frame(self, request: wire.FitFrame, picture: npt.NDArray[np.float32]) -> None:
        job = self._waiting(request.job)
        with job.lock:
            if job.frames is None or job.state != wire.FitState.WAITS:
                raise UsageError(f"job {request.job} takes no frames any more")
            job.frames.add(request.frame, picture, request.fps)

    def start(self, number: int) -> None:
        job = self._waiting(number)
        with job.lock:
            if job.frames is None or job.state != wire.FitState.WAITS:
                raise UsageError(f"job {number} has been started")
            clip = job.frames.finish()
            self._run(number, job, str(clip))

    def state(self, number: int) -> wire.FitState:
        job = self._job(number)
        with self._lock:
            texts = (wire.shortened(text) for text in (job.stage, job.model, job.message))
            return wire.FitState(job.state, job.share, job.code, *texts)

    def cancel(self, number: int) -> None:
        """Ask a job to stop; it is killed if it does not. One that is over stays what it is."""
        self._stop(self._job(number))

    def running(self) -> int:
        """How many jobs are not over. One whose frames stay away for long is cancelled here."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.state not in _ENDED]
        for job in jobs:
            if job.state == wire.FitState.WAITS and time.monotonic() - job.touched > _FORGOTTEN:
                self._stop(job)
        return sum(job.state not in _ENDED for job in jobs)

    def close(self) -> None:
        """Cancel all jobs and wait for their processes' end."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            self._stop(job)
        for job in jobs:
            if job.thread is not None:
                job.thread.join(_PATIENCE + 5)

    def _job(self, number: int) -> _Job:
        with self._lock:
            if number not in self._jobs:
                raise NoJobError(f"there is no job {number}")
            return self._jobs[number]

    def _waiting(self, number: int) -> _Job:
        job = self._job(number)
        job.touched = time.monotonic()
        return job

    def _words(self, request: wire.Fit, clip: str) -> list[str]:
        words = [sys.executable, "-m", "deblur_engine", "fit", clip, "--json-events", "--device", self._device]
        if request.out:
            words += ["--out", request.out]
        if request.preset:
            words += ["--preset", request.preset]
        if request.minutes:
            words += ["--minutes", f"{request.minutes:g}"]
        if self._threads is not None:
            words += ["--threads", str(self._threads)]
        if request.flags & wire.Fit.OVERWRITE:
            words += ["--yes"]
        if request.flags & wire.Fit.FRAMES_FOLLOW:
            words += ["--keep-references"]  # nothing else holds them when the fit is over
        return words

    def _run(self, number: int, job: _Job, clip: str) -> None:
        job.process = subprocess.Popen(
            self._words(job.request, clip),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            **system.own_session(),  # a Ctrl-C at the worker's terminal is for the worker to pass on
        )
        job.state = wire.FitState.RUNS
        job.thread = threading.Thread(target=self._watch, args=(number, job), name=f"deblur-fit-{number}", daemon=True)
        job.thread.start()

    def _watch(self, number: int, job: _Job) -> None:
        process = job.process
        assert process is not None and process.stdout is not None and process.stderr is not None
        said: list[str] = []
        reader = threading.Thread(target=_tail, args=(process.stderr, said), daemon=True)
        reader.start()
        outcome: dict[str, Any] = {}
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, AttributeError, LookupError):
                    event = json.loads(line)
                    if event.get("event") == "progress":
                        self._progress(job, event)
                    elif event.get("event") in ("result", "error") or "error" in event:  # words not understood
                        outcome = event
        code = process.wait()
        reader.join(5)
        try:
            if code == 0 and job.frames is not None:
                home = import_module(f"{__package__}.host_frames")
                home.number_from(Path(str(outcome.get("model"))), job.frames.first or 0)
        except Exception as error:
            known = deliberate(error) or DeblurError(str(error))
            code, outcome = int(known.exit_code), {"error": {"message": known.message, "hint": known.hint}}
        if job.frames is not None:
            job.frames.remove()
        with self._lock:
            self._finish(job, code, outcome, said)
        log.info("fit %d ends with code %d: %s", number, code, job.message or job.model)

    def _progress(self, job: _Job, event: dict[str, Any]) -> None:
        stage, done, total = str(event["stage"]), float(event["done"]), float(event["total"] or 0)
        start, share = _PARTS.get(stage, (job.share, 0.0))
        with self._lock:
            job.stage = stage
            if total > 0:
                job.share = max(job.share, start + share * min(1.0, max(0.0, done / total)))

    def _finish(self, job: _Job, code: int, outcome: dict[str, Any], said: list[str]) -> None:
        failure = outcome.get("error") or {}
        if code == 0:
            job.state, job.share = wire.FitState.DONE, 1.0
            job.model = str(outcome.get("model") or "")
        elif job.cancelled or code == ExitCode.CANCELLED:
            job.state, job.code, job.message = wire.FitState.CANCELLED, int(ExitCode.CANCELLED), "the fit was stopped"
        else:
            job.state = wire.FitState.FAILED
            job.code = code if code > 0 else int(ExitCode.INTERNAL)
            last = said[-1] if said else f"the fit ended with code {code}"
            job.message = " ".join(filter(None, (failure.get("message") or last, failure.get("hint"))))

    def _stop(self, job: _Job) -> None:
        with self._lock:
            if job.state in _ENDED:
                return
            job.cancelled = True
        with job.lock:
            process = job.process
            if process is None:  # its frames were still to come
                if job.frames is not None:
                    job.frames.remove()
                with self._lock:
                    self._finish(job, int(ExitCode.CANCELLED), {}, [])
                return
        system.ask_to_end(process)
        killer = threading.Timer(_PATIENCE, process.kill)
        killer.daemon = True
        killer.start()


def _tail(stream: Any, said: list[str]) -> None:
    """Keep the last lines of what a child says beside its events."""
    with stream:
        for line in stream:
            if line.strip():
                said.append(line.strip())
                del said[:-20]
