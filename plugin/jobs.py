# SPDX-License-Identifier: Apache-2.0
"""Runs ``deblur-engine fit`` beside an editor: finds the program, reads its events, stops it.

This file runs inside editors: the standard library only, and what Python 3.6 understands.
"""

import collections
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time

__all__ = ["EngineMissing", "Event", "FitJob", "find_engine", "model_beside", "parse_event", "share_done"]

STAGES = (("analyse", 0.03), ("expose", 0.02), ("pairs", 0.25), ("fit", 0.69), ("export", 0.01))
"""A fit's stages in their order, and about how much of its time each takes."""

CANCELLED = 6
"""The program's exit code after SIGTERM; all of them stand in the README."""

_LONGEST_LINE = 1 << 20  # characters; an event has some hundred, a result some thousand
_GRACE = 30.0  # seconds between asking the program to stop and ending it
_LINGER = 5.0  # seconds that its pipes may stay open after its end
_BUNDLE = "DeblurEngine.ofx.bundle"

Event = collections.namedtuple("Event", "kind stage share text data")
"""One thing that a fit says.

``kind`` is "progress", "warning", "result" or "error"; ``share`` how much of the whole fit is done, 0..1, or None;
``text`` one line for people; ``data`` the object as it came.
"""


class EngineMissing(Exception):
    """No program deblur-engine was found, or it does not start. The message says what to do."""


def find_engine(environ=None):
    """The path of ``deblur-engine``: $DEBLUR_ENGINE, what the installer wrote, the bundle's line, the search path.

    Raises EngineMissing.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("DEBLUR_ENGINE")
    if named:  # named and not there is an error, never a silent fallback
        if _runs(named):
            return named
        raise EngineMissing("DEBLUR_ENGINE names {}, which is no program that can be run".format(named))
    here = os.path.dirname(os.path.abspath(__file__))
    for path in [os.path.join(here, "engine")] + [
        os.path.join(folder, _BUNDLE, "Contents", "Resources", "engine") for folder in _ofx_folders(environ)
    ]:
        line = _first_line(path)
        if line and _runs(line):
            return line
    found = shutil.which("deblur-engine", path=environ.get("PATH"))
    if found:
        return found
    raise EngineMissing("deblur-engine was not found: install it, then run: deblur-engine plugin install")


def model_beside(clip):
    """Where a fit writes a clip's model: CLIP.deblur.onnx beside it, a sequence's without the number's field."""
    folder, name = os.path.split(clip)
    stem = os.path.splitext(name)[0]
    for mark in ("#", "%", "@"):
        if mark in stem:
            stem = stem[: stem.index(mark)].rstrip("._- ")
    return os.path.join(folder, (stem or os.path.basename(folder) or "clip") + ".deblur.onnx")


def parse_event(line):
    """An Event of one line of ``--json-events``; None for anything else, whatever it may be."""
    if isinstance(line, bytes):
        line = line.decode("utf-8", "replace")
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    kind = data.get("event")
    if kind == "progress" and isinstance(data.get("stage"), str):
        stage, done, total = data["stage"], _number(data.get("done")), _number(data.get("total"))
        return Event(kind, stage, share_done(stage, done, total), _describe(stage, done, total, data), data)
    if kind == "warning" and isinstance(data.get("message"), str):
        return Event(kind, "", None, data["message"], data)
    if kind == "result" and isinstance(data.get("model"), str) and data["model"]:
        return Event(kind, "", 1.0, data["model"], data)
    if kind == "error":
        failure = data.get("error")
        failure = failure if isinstance(failure, dict) else {}
        message = failure.get("message")
        message = message if isinstance(message, str) and message else "the fit failed"
        hint = failure.get("hint")
        return Event(kind, "", None, "{}\n{}".format(message, hint) if isinstance(hint, str) else message, data)
    return None


def share_done(stage, done, total):
    """How much of a whole fit is done, 0..1; None for a stage that is not known."""
    passed = 0.0
    for name, share in STAGES:
        if name == stage:
            within = min(1.0, max(0.0, done / total)) if done is not None and total else 0.0
            return min(1.0, passed + share * within)
        passed += share
    return None


class FitJob:
    """One fit in a process of its own. ``poll`` and ``cancel`` may be called from any one thread each.

    After the last event ``outcome`` is "done", "failed" or "cancelled", ``model`` the path (when done), and
    ``message`` what to tell the user otherwise.
    """

    def __init__(self, clip, preset="standard", frames=None, out=None, overwrite=False, engine=None):
        self.clip, self.model, self.message, self.outcome = clip, None, "", None
        self.exit_code = None
        self._cancelled_at = None
        self._gone_at = None
        self._killed = False
        self._queue = queue.Queue()
        self._stderr = collections.deque(maxlen=20)
        command = [engine or find_engine(), "fit", clip, "--preset", preset, "--json-events"]
        command += ["--frames", frames] if frames else []
        command += ["--out", out] if out else []
        command += ["--yes"] if overwrite else []
        extra = {}
        if os.name == "nt":
            extra["creationflags"] = 0x08000000  # CREATE_NO_WINDOW: no console opens over the editor
        else:
            extra["start_new_session"] = True  # what stops the editor must not stop the fit half-way
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(os.environ),
                **extra,
            )
        except (OSError, ValueError) as error:
            raise EngineMissing("{} cannot be started: {}".format(command[0], error))
        self._readers = [
            threading.Thread(target=self._read_events, name="deblur-events", daemon=True),
            threading.Thread(target=self._read_errors, name="deblur-errors", daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def poll(self, timeout=0.0):
        """The events since the last call, after waiting up to ``timeout`` seconds for a first one."""
        events = []
        try:
            events.append(self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait())
            while True:
                events.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        for event in events:
            self._take(event)
        if self._cancelled_at is not None and not self._killed and time.time() - self._cancelled_at > _GRACE:
            self._killed = True
            self._process.kill()
        code = self._process.poll()
        if self.outcome is None and code is not None:
            self._gone_at = self._gone_at or time.time()
            # Readers end with the pipes, and what they read counts. A process of the program's own that outlives it
            # would hold the pipes open for good.
            reading = any(reader.is_alive() for reader in self._readers)
            if (not reading or time.time() - self._gone_at > _LINGER) and self._queue.empty():
                self._end(code)
        return events

    @property
    def ended(self):
        """Whether the process has ended and all that it said was taken by ``poll``."""
        return self.outcome is not None

    def cancel(self):
        """Ask the fit to stop at its next safe point (it keeps what it has); it is ended if it does not."""
        if self._cancelled_at is None and self._process.poll() is None:
            self._cancelled_at = time.time()
            if os.name == "nt":
                self._process.terminate()
            else:
                try:
                    os.kill(self._process.pid, signal.SIGTERM)
                except OSError:
                    pass  # it ended meanwhile

    def _take(self, event):
        if event.kind == "result":
            self.model = event.data["model"]
        elif event.kind == "error":
            self.message = event.text

    def _end(self, code):
        self.exit_code = code
        if code == 0 and self.model:
            self.outcome = "done"
        elif code == CANCELLED or self._cancelled_at is not None:
            self.outcome = "cancelled"
            self.message = self.message or "stopped"
        else:
            self.outcome = "failed"
            said = "\n".join(self._stderr)
            self.message = self.message or said or "deblur-engine ended with code {}".format(code)

    def _read_events(self):
        with self._process.stdout as stream:
            while True:
                line = stream.readline(_LONGEST_LINE)
                if not line:
                    return
                event = parse_event(line)
                if event is not None:
                    self._queue.put(event)

    def _read_errors(self):
        with self._process.stderr as stream:
            while True:
                line = stream.readline(_LONGEST_LINE)
                if not line:
                    return
                text = line.decode("utf-8", "replace").strip()
                if text:
                    self._stderr.append(text[:500])


def clean_environment(environ):
    """``environ`` without what an editor sets for its own Python and libraries: another Python would fail by it."""
    clean = {
        key: value for key, value in environ.items() if key not in ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE")
    }
    editor = os.path.dirname(os.path.realpath(sys.executable or ""))
    libraries = clean.get("LD_LIBRARY_PATH")
    if libraries and editor not in ("", "/", "/usr/bin", "/usr/local/bin"):
        root = os.path.dirname(editor) if os.path.basename(editor) == "bin" else editor
        kept = [
            part
            for part in libraries.split(os.pathsep)
            if not (os.path.realpath(part) + os.sep).startswith(root + os.sep)
        ]
        clean["LD_LIBRARY_PATH"] = os.pathsep.join(kept)
        if not kept:
            del clean["LD_LIBRARY_PATH"]
    return clean


def _number(value):
    """A JSON number as a float; None for anything else, booleans and what is not finite among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if value - value == 0.0 else None


def _describe(stage, done, total, data):
    """A stage for people: ``fit 120/400 steps``."""
    unit = data.get("unit")
    count = "" if done is None else " {:.0f}".format(done) + ("" if total is None else "/{:.0f}".format(total))
    return "{}{}{}".format(stage, count, " " + unit if count and isinstance(unit, str) and unit else "")


def _runs(path):
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _first_line(path):
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.readline(65536).rstrip(b"\r\n"))
    except (OSError, ValueError):
        return ""


def _ofx_folders(environ):
    folders = [folder for folder in environ.get("OFX_PLUGIN_PATH", "").split(os.pathsep) if folder]
    if os.name == "nt":
        common = environ.get("COMMONPROGRAMFILES", "C:\\Program Files\\Common Files")
        return folders + [os.path.join(common, "OFX", "Plugins")]
    return folders + ["/Library/OFX/Plugins" if sys.platform == "darwin" else "/usr/OFX/Plugins"]
