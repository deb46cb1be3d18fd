# SPDX-License-Identifier: Apache-2.0
"""How a command ends: exit codes, what is said, Ctrl-C and SIGTERM."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_fakes import FakeRender

from deblur_engine import errors
from deblur_engine.cli import main


def failing(error):
    def render(*_, **__):
        raise error

    return render


class OutOfMemoryError(RuntimeError):
    """Named like torch's, which derives from RuntimeError."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInput("a.mov: no video stream", hint="give a clip"), 3),
        (errors.NoBenefit("all frames are sharp"), 4),
        (errors.OutOfMemory("too big"), 5),
        (MemoryError(), 5),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), 5),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:115] DefaultCPUAllocator: can't allocate memory"), 5),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 5),
        (errors.Cancelled("stopped on request"), 6),
        (KeyboardInterrupt(), 6),
        (errors.MissingDevice("no cuda:3"), 7),
        (errors.OutputError("it exists"), 8),
        (OSError(errno.ENOSPC, "No space left on device", "a.mov.partial"), 8),
        (PermissionError(errno.EACCES, "Permission denied", "a.mov.partial"), 8),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.mov"), 3),
        (errors.ModelError("schema 9"), 9),
        (ZeroDivisionError("division by zero"), 1),
        (RuntimeError("some other fault"), 1),
    ],
)
def test_each_error_ends_with_its_exit_code_and_no_traceback(run, replace_engine, error, code):
    replace_engine(render=failing(error))
    ran = run("render", "a.mov")
    assert ran.code == code
    assert ran.out == "" and ran.err.startswith("error: ") and "Traceback" not in ran.err
    as_json = run("render", "a.mov", "--json")
    assert as_json.code == code and as_json.json["exit_code"] == code
    assert as_json.json["status"] == ("cancelled" if code == 6 else "failed")
    assert as_json.json["error"]["message"]


def test_an_error_says_what_would_be_right(run, replace_engine):
    replace_engine(render=failing(errors.BadInput("a.mov: no video stream", hint="give a clip with pictures")))
    assert run("render", "a.mov").err == "error: a.mov: no video stream\nhint: give a clip with pictures\n"


def test_a_fault_of_ours_asks_for_debug_and_debug_shows_where(run, replace_engine):
    replace_engine(render=failing(ZeroDivisionError("division by zero")))
    plain = run("render", "a.mov")
    assert "unexpected ZeroDivisionError: division by zero" in plain.err and "--debug" in plain.err
    debug = run("render", "a.mov", "--debug")
    assert debug.code == 1 and "Traceback" in debug.err and "ZeroDivisionError" in debug.err


def test_a_usage_error_is_json_too(run):
    ran = run("render", "--json")
    assert ran.code == 2 and ran.json["error"]["kind"] == "UsageError"


@pytest.mark.parametrize(
    ("verb", "function", "promise"),
    [("fit", "fit", "resumes"), ("run", "run_clip", "resumes"), ("render", "render", "anew")],
)
def test_who_stops_it_is_told_how_to_go_on(run, replace_engine, verb, function, promise):
    replace_engine(**{function: failing(errors.Cancelled("stopped on request"))})
    ran = run(verb, "a.mov")
    assert ran.code == 6 and promise in ran.err and "same command" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_task(run, replace_engine, number):
    before = signal.getsignal(number)

    def fit(clip, out=None, *, task, **_):
        os.kill(os.getpid(), number)
        for step in range(1000):
            task.report("fit", step, 1000, "steps")
            time.sleep(0.01)
        raise AssertionError("was not stopped")

    replace_engine(fit=fit)
    ran = run("fit", "a.mov")
    assert ran.code == 6
    assert "once more quits at once" in ran.err and "resumes" in ran.err
    assert signal.getsignal(number) is before  # whoever called main() has its own handler back


def test_a_second_ctrl_c_quits_at_once():
    # In a process of its own: the work never looks at its task.
    code = """
import os, signal, sys, time
from deblur_engine.cli import engine, main
def fit(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    print("still here", flush=True)
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
engine.fit = fit
sys.exit(main(["fit", "a.mov"]))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert answer.returncode == -signal.SIGINT
    assert "still here" in answer.stdout


def test_it_runs_in_a_thread_that_gets_no_signals(replace_engine, capfd):
    replace_engine(render=lambda *_, **__: FakeRender(Path("a_deblur.mov")))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["render", "a.mov"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_a_reader_of_the_events_that_goes_away_stops_the_work():
    code = """
import sys, time
from deblur_engine.cli import engine, main
def fit(*_, task, **__):
    for step in range(100000):
        task.report("fit", step, step, "steps")
engine.fit = fit
sys.exit(main(["fit", "a.mov", "--json-events"]))
"""
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stderr is not None
    first.stdout.readline()
    first.stdout.close()
    said = first.stderr.read()
    assert first.wait() == 6 and "has gone" in said and "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_text_can_be_printed(encoding):
    code = """
import sys
from pathlib import Path
from deblur_engine.cli import engine, main
sys.path.insert(0, sys.argv[1])
from cli_fakes import FakeRender
engine.render = lambda clip, *_, **__: FakeRender(Path(clip))
sys.exit(main(["render", *sys.argv[2:]]))
"""
    name = "h\u00e4nd\udcff.mov"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    words = [sys.executable, "-c", code, str(Path(__file__).parent), name]
    plain = subprocess.run(words, capture_output=True, env=environment, check=True)
    if encoding == "utf-8":
        assert plain.stdout == os.fsencode(name) + b"\n"  # the very bytes: $(deblur-engine render ...) works
    else:
        assert b"h\\xe4nd" in plain.stdout
    as_json = subprocess.run([*words, "--json"], capture_output=True, env=environment, check=True)
    assert json.loads(as_json.stdout)["output"] == name


def test_a_reader_that_goes_away_is_no_error():
    code = """
import sys
from deblur_engine.cli import engine, main
class Found:
    def to_dict(self): return {"rows": list(range(200000))}
    def to_table(self): return []
engine.probe = lambda *_, **__: Found()
sys.exit(main(["probe", "a.mov", "--json"]))
"""
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stderr is not None
    first.stdout.readline()
    first.stdout.close()
    assert first.stderr.read() == ""
    assert first.wait() == 0
