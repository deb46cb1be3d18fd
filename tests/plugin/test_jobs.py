# SPDX-License-Identifier: Apache-2.0
"""jobs.py: events from any line, a program that is found or not, a fit that ends well, badly, on request or never."""

from __future__ import annotations

import ast
import json
import os
import time
from pathlib import Path

import pytest
from engines import FITS, NEVER_ENDS, PLUGIN
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.artifact import default_model_path
from deblur_engine.cli.pace import SHARES
from deblur_engine.cli.progress import Stream
from deblur_engine.errors import ExitCode
from deblur_engine.task import Event


def run_to_end(job, seconds=20.0):
    events = []
    end = time.monotonic() + seconds
    while not job.ended:
        assert time.monotonic() < end, "the job did not end"
        events += job.poll(0.05)
    return events


# Events


@given(st.one_of(st.text(), st.binary()))
def test_any_line_is_an_event_or_none(jobs, line):
    found = jobs.parse_event(line)
    assert found is None or found.kind in ("progress", "warning", "result", "error")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"event": st.sampled_from(["progress", "warning", "result", "error"]) | JSON},
    optional={
        "stage": st.sampled_from(["analyse", "fit", "export"]) | JSON,
        "done": JSON, "total": JSON, "unit": JSON, "message": JSON, "model": JSON, "error": JSON, "figures": JSON,
    },
)  # fmt: skip


@given(FIELDS)
def test_any_object_is_a_sound_event_or_none(jobs, fields):
    found = jobs.parse_event(json.dumps(fields))
    if found is not None:
        assert found.share is None or 0.0 <= found.share <= 1.0
        assert isinstance(found.text, str) and isinstance(found.stage, str)
        assert found.kind != "result" or isinstance(found.data["model"], str)


@given(
    st.sampled_from(sorted(SHARES["fit"])),
    st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.dictionaries(st.text(max_size=5), st.floats() | st.text(max_size=5), max_size=2),
)
def test_what_the_command_line_writes_is_read_back(jobs, stage, done, total, figures):
    import io

    text = io.StringIO()
    Stream(text, interval=0.0).event(Event(stage, done, total, "steps", figures))
    found = jobs.parse_event(text.getvalue())
    assert found.kind == "progress" and found.stage == stage
    assert found.data["done"] == done and found.data["total"] == total


def test_stages_and_exit_code_are_those_of_the_command_line(jobs):
    assert dict(jobs.STAGES) == SHARES["fit"] and list(dict(jobs.STAGES)) == list(SHARES["fit"])
    assert ExitCode.CANCELLED == jobs.CANCELLED


def test_the_share_never_falls_over_a_whole_fit(jobs):
    shares = [jobs.share_done(stage, done, 10) for stage, _ in jobs.STAGES for done in range(11)]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == pytest.approx(1.0)


def test_nested_garbage_is_no_event(jobs):
    assert jobs.parse_event("[" * 100000) is None
    assert jobs.parse_event('{"event": "progress", "stage": "fit", "done": 1e999, "total": NaN}').share is not None
    assert jobs.parse_event(b'{"event": "progress", "stage": "fit", "done": ' + b"9" * 400 + b"}").text == "fit"


# The program


@pytest.mark.parametrize(
    "clip",
    ["/a/b.mov", "/a/b.c.mxf", "/a/b", "/a/s.####.exr", "/a/s_%04d.png", "/a/s-%d.png", "/a/####.exr", "/a/#1.mov"],
)
def test_models_lie_where_a_fit_writes_them(jobs, clip):
    assert jobs.model_beside(clip) == str(default_model_path(clip))


def test_the_engine_is_looked_for_in_order(jobs, tmp_path, monkeypatch):
    def program(name):
        path = tmp_path / name / "deblur-engine"
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    named, bundled, on_path = program("named"), program("bündled"), program("path")
    line = tmp_path / "ofx" / "DeblurEngine.ofx.bundle" / "Contents" / "Resources" / "engine"
    line.parent.mkdir(parents=True)
    line.write_bytes(os.fsencode(bundled) + b"\n")
    environ = {"DEBLUR_ENGINE": named, "OFX_PLUGIN_PATH": str(tmp_path / "ofx"), "PATH": str(tmp_path / "path")}
    assert jobs.find_engine(environ) == named
    del environ["DEBLUR_ENGINE"]
    assert jobs.find_engine(environ) == bundled
    line.write_bytes(b"/gone\n")  # the environment was removed: the next place is tried
    assert jobs.find_engine(environ) == on_path
    environ["DEBLUR_ENGINE"] = "/gone"
    with pytest.raises(jobs.EngineMissing, match="DEBLUR_ENGINE names /gone"):
        jobs.find_engine(environ)
    with pytest.raises(jobs.EngineMissing, match="plugin install"):
        jobs.find_engine({"PATH": "", "OFX_PLUGIN_PATH": str(tmp_path / "ofx")})


def test_a_program_that_cannot_be_started_is_said(jobs, tmp_path):
    broken = tmp_path / "deblur-engine"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    with pytest.raises(jobs.EngineMissing, match="cannot be started"):
        jobs.FitJob("clip.mov", engine=str(broken))


def test_an_editors_own_python_and_libraries_stay_out(jobs, monkeypatch):
    monkeypatch.setattr(jobs.sys, "executable", "/opt/editor/bin/editor")
    clean = jobs.clean_environment(
        {"PYTHONHOME": "/opt/editor", "PYTHONPATH": "x", "LD_LIBRARY_PATH": "/opt/editor/lib:/opt/cuda", "HOME": "/h"}
    )
    assert clean == {"LD_LIBRARY_PATH": "/opt/cuda", "HOME": "/h"}
    assert "LD_LIBRARY_PATH" not in jobs.clean_environment({"LD_LIBRARY_PATH": "/opt/editor/lib"})


# A fit


def test_a_fit_that_goes_well(jobs, engine, tmp_path):
    engine(FITS + "\n    open(os.environ['SEEN'], 'w').write(json.dumps(words))")
    os.environ["SEEN"] = str(tmp_path / "seen")
    try:
        clip = str(tmp_path / "plan séquence 夜.mov")
        job = jobs.FitJob(clip, preset="draft", frames="1-9", overwrite=True)
        events = run_to_end(job)
    finally:
        del os.environ["SEEN"]
    assert job.outcome == "done" and job.model == str(tmp_path / "plan séquence 夜.deblur.onnx")
    assert [event.kind for event in events] == ["progress"] * 3 + ["warning", "result"]
    expected = ["fit", clip, "--preset", "draft", "--json-events", "--frames", "1-9", "--yes"]
    assert json.loads((tmp_path / "seen").read_text()) == expected


def test_garbage_between_events_is_passed_over(jobs, engine):
    engine(
        "say(b'\\xff\\xfe\\x00{\\n'); say('{}'); say('[1]'); say(b'x' * 3000000 + b'\\n')" + FITS.replace("    ", "")
    )
    job = jobs.FitJob("clip.mov")
    assert len(run_to_end(job)) == 5 and job.outcome == "done"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("event('error', error={'message': 'no sharp frames', 'hint': 'probe'}); sys.exit(4)", "no sharp frames\npro"),
        ("sys.stderr.write('Traceback\\nImportError: numpy\\n'); sys.exit(1)", "ImportError: numpy"),
        ("os.kill(os.getpid(), 9)", "code -9"),
        ("sys.exit(0)", "code 0"),  # no result was said: that is no success
        ("event('error', error='?'); sys.exit(3)", "the fit failed"),
    ],
)  # fmt: skip
def test_a_fit_that_fails(jobs, engine, body, said):
    engine(body)
    job = jobs.FitJob("clip.mov")
    run_to_end(job)
    assert job.outcome == "failed" and said in job.message and job.model is None


def test_cancelling_ends_it_by_sigterm(jobs, engine):
    engine(NEVER_ENDS)
    job = jobs.FitJob("clip.mov")
    while not job.poll(0.05):
        pass
    job.cancel()
    job.cancel()  # a second time would end the program at once: it is not sent
    run_to_end(job)
    assert job.outcome == "cancelled" and job.exit_code == 6 and "stopped on request" in job.message


def test_one_that_does_not_listen_is_ended(jobs, engine, monkeypatch):
    monkeypatch.setattr(jobs, "_GRACE", 0.2)
    engine("signal.signal(signal.SIGTERM, signal.SIG_IGN); progress('fit', 1, 2)\nwhile True: time.sleep(0.05)")
    job = jobs.FitJob("clip.mov")
    while not job.poll(0.05):
        pass
    job.cancel()
    run_to_end(job)
    assert job.outcome == "cancelled" and job.exit_code == -9


def test_a_process_that_outlives_the_program_holds_nobody_up(jobs, engine, monkeypatch):
    monkeypatch.setattr(jobs, "_LINGER", 0.2)
    engine(FITS + "\n    if os.fork() == 0: time.sleep(8)")
    job = jobs.FitJob("clip.mov")
    run_to_end(job, seconds=6.0)
    assert job.outcome == "done"


# What editors run


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_scripts_are_python_3_6_with_the_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported <= {
        "collections", "importlib.util", "json", "os", "queue", "re", "shutil", "signal", "subprocess", "sys",
        "threading", "time", "nuke", "deblur_engine_nuke", "deblur_engine_resolve",
    }  # fmt: skip
    newer = {"capture_output", "text", "removeprefix", "removesuffix"}
    keywords = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert not (keywords & newer)
