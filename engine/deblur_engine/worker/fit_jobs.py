# SPDX-License-Identifier: Apache-2.0
"""Fits that run for an editor: each in a child process of the worker, so that neither takes the other down."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ExitCode, UsageError
from . import wire
from .wire import NO_JOB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["FitJobs", "NoJobError"]

_MOST_KEPT = 64  # jobs that are over, for whoever asks later
_PATIENCE = 20.0  # seconds from SIGTERM to kill
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
    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.state = wire.FitState.WAITS
        self.share = 0.0
        self.code = 0
        self.stage = self.model = self.message = ""
        self.cancelled = False
        self.process: subprocess.Popen[str] | None = None
        self.thread: threading.Thread | None = None


class FitJobs:
    """The fits of one worker. Safe to use from several threads."""

    def __init__(self, device: str, threads: int | None) -> None:
        self._device, self._threads = device, threads
        self._jobs: dict[int, _Job] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, request: wire.Fit) -> int:
        """Start a fit, or make ready for one whose frames follow; returns the job's number. ``UsageError``."""
        if request.flags & wire.Fit.FRAMES_FOLLOW:
            raise UsageError("fits from a host's frames are not served yet", hint="name the clip's file")
        if not request.clip or not Path(request.clip).is_absolute():
            raise UsageError(f"{request.clip or 'the clip'} is no absolute path")
        words = [sys.executable, "-m", "deblur_engine", "fit", request.clip, "--json-events", "--device", self._device]
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
        with self._lock:
            number = next(self._numbers)
            job = self._jobs[number] = _Job(words)
            ended = [each for each, old in self._jobs.items() if old.state in _ENDED]
            for each in ended[: max(0, len(ended) - _MOST_KEPT)]:
                del self._jobs[each]
            self._run(number, job)
        return number

    def frame(self, request: wire.FitFrame, picture: npt.NDArray[np.float32]) -> None:
        self._job(request.job)
        raise UsageError("this job takes no frames")

    def start(self, number: int) -> None:
        self._job(number)
        raise UsageError("this job has been started")

    def state(self, number: int) -> wire.FitState:
        job = self._job(number)
        with self._lock:
            texts = (wire.shortened(text) for text in (job.stage, job.model, job.message))
            return wire.FitState(job.state, job.share, job.code, *texts)

    def cancel(self, number: int) -> None:
        """Ask a job to stop; it is killed if it does not. One that is over stays what it is."""
        self._stop(self._job(number))

    def running(self) -> int:
        with self._lock:
            return sum(job.state not in _ENDED for job in self._jobs.values())

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

    def _run(self, number: int, job: _Job) -> None:
        job.process = subprocess.Popen(
            job.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a Ctrl-C at the worker's terminal is for the worker to pass on
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
        for line in process.stdout:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                event = json.loads(line)
                if event.get("event") == "progress":
                    self._progress(job, event)
                elif event.get("event") in ("result", "error"):
                    outcome = event
        code = process.wait()
        reader.join(5)
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
        process = job.process
        if process is None:
            return
        process.terminate()
        killer = threading.Timer(_PATIENCE, process.kill)
        killer.daemon = True
        killer.start()


def _tail(stream: Any, said: list[str]) -> None:
    """Keep the last lines of what a child says beside its events."""
    for line in stream:
        if line.strip():
            said.append(line.strip())
            del said[:-20]
