# SPDX-License-Identifier: Apache-2.0
"""The Resolve script against objects that answer None for a while, or for good."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from engines import FITS, NEVER_ENDS, PLUGIN
from fake_resolve import Comp, Dispatcher, Item, Manager, resolve


@pytest.fixture
def comp(resolve_script):
    return Comp({resolve_script.EFFECT})


@pytest.fixture
def said():
    return []


@pytest.fixture
def go(resolve_script, monkeypatch, said):
    """Run the script with waits that take no time."""
    patient = resolve_script._patiently
    monkeypatch.setattr(resolve_script, "_patiently", lambda ask, patience, sleep: patient(ask, 10.0, lambda _: None))

    def run(*arguments):
        return resolve_script.main(*arguments, say=said.append)

    return run


def test_the_clip_under_the_playhead_is_fitted_and_gets_the_effect(go, engine, comp, said, tmp_path):
    engine(FITS)
    clip = str(tmp_path / "vidéo 1.mov")
    assert go(resolve(Item(clip, comp, left=24))) is True
    (tool,) = comp.added
    assert tool.inputs["Source"] is comp.tools["MediaIn1"] and comp.tools["MediaOut1"].inputs["Input"] is tool
    assert tool.inputs["model"] == str(tmp_path / "vidéo 1.deblur.onnx") and tool.inputs["clip"] == clip
    assert tool.inputs["firstFrame"] == -24
    assert not comp.locked
    assert any(line.startswith("100 %") for line in said) and "warning: two frames were left out" in said


def test_answers_that_are_none_for_seconds_are_waited_for(go, engine, comp, tmp_path):
    engine(FITS)
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp, late=9), late=9)) is True


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        (None, "runs from Resolve's menu"),
        (resolve(None, project=False), "no project"),
        (resolve(None, timeline=False), "no timeline"),
        (resolve(None), "no clip under the playhead"),
        (resolve(Item("x", None, media=False)), "has no file"),
        (resolve(Item(None, None)), "has no file"),
        (resolve(Item({}, None)), "has no file"),
        (resolve(Item("", None)), "has no file"),
    ],
)
def test_what_is_not_there_is_said(go, said, host, problem):
    assert go(host) is False
    assert problem in said[-1]


def test_a_plug_in_that_resolve_does_not_know_is_said_with_the_model(go, engine, said, tmp_path):
    engine(FITS)
    comp = Comp(set())
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp))) is False
    assert "plugin status" in said[-1] and "a.deblur.onnx" in said[-1]
    assert not comp.locked


@pytest.mark.parametrize("break_it", ["no comp", "no MediaIn", "no connection"])
def test_a_composition_that_does_not_work_is_said(go, engine, said, comp, tmp_path, break_it):
    engine(FITS)
    if break_it == "no MediaIn":
        del comp.tools["MediaIn1"]
    if break_it == "no connection":
        comp.tools["MediaOut1"].refuses.add("Input")
    item = Item(str(tmp_path / "a.mov"), None if break_it == "no comp" else comp)
    assert go(resolve(item)) is False
    assert said[-1].startswith("deblur-engine: ") and "a.deblur.onnx" in said[-1] and not comp.locked


def test_a_failed_fit_and_a_missing_engine_are_said(go, engine, comp, said, tmp_path, monkeypatch):
    engine("event('error', error={'message': 'no sharp frames', 'hint': 'film steadier'}); sys.exit(4)")
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp))) is False
    assert said[-1] == "deblur-engine: no sharp frames\nfilm steadier" and not comp.added
    monkeypatch.setenv("DEBLUR_ENGINE", "/gone")
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp))) is False
    assert "DEBLUR_ENGINE names /gone" in said[-1]


def test_a_model_that_is_there_is_used(go, comp, said, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_ENGINE", "/gone")
    (tmp_path / "a.deblur.onnx").write_bytes(b"model")
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp))) is True
    assert comp.added[0].inputs["model"] == str(tmp_path / "a.deblur.onnx")


def test_the_window_shows_progress_and_closes(go, engine, comp, tmp_path):
    engine(FITS)
    manager = Manager()
    dispatcher = Dispatcher(manager)
    bmd = SimpleNamespace(UIDispatcher=lambda given: dispatcher)
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp)), SimpleNamespace(UIManager=manager), bmd) is True
    assert dispatcher.leaving and not dispatcher.windows[0].shown and not manager.timers[0].running
    assert any("100 %" in text for text in manager.texts)


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_the_window_cancels(go, engine, comp, tmp_path, how):
    engine(NEVER_ENDS)
    manager = Manager()
    dispatcher = Dispatcher(manager, lambda tick: how if tick == 20 else None)
    bmd = SimpleNamespace(UIDispatcher=lambda given: dispatcher)
    assert go(resolve(Item(str(tmp_path / "a.mov"), comp)), SimpleNamespace(UIManager=manager), bmd) is False
    assert not comp.added and not dispatcher.windows[0].shown


def test_a_window_that_breaks_leaves_no_program_running(go, resolve_script, engine, comp, tmp_path, monkeypatch):
    engine(NEVER_ENDS)
    jobs_made = []
    real = resolve_script.jobs.FitJob
    monkeypatch.setattr(resolve_script.jobs, "FitJob", lambda *a, **k: jobs_made.append(real(*a, **k)) or jobs_made[0])

    def broken(*_):
        raise RuntimeError("no display")

    with pytest.raises(RuntimeError, match="no display"):
        go(resolve(Item(str(tmp_path / "a.mov"), comp)), SimpleNamespace(UIManager=Manager()),
           SimpleNamespace(UIDispatcher=broken))  # fmt: skip
    assert jobs_made[0].ended and jobs_made[0]._process.poll() is not None


def test_sequences_are_named_as_the_engine_names_them(resolve_script):
    assert resolve_script.engine_clip("/a/b.[0001-0100].exr") == ("/a/b.####.exr", "1-100")
    assert resolve_script.engine_clip("/a/b [1].mov") == ("/a/b [1].mov", None)


def test_the_launcher_runs_without_file_and_finds_the_script(tmp_path):
    """Resolve gives a script ``resolve`` and no ``__file__``."""
    text = (PLUGIN / "resolve" / "launcher.py").read_text(encoding="utf-8")
    launcher = tmp_path / "Deblur Clip.py"
    launcher.write_text(text.replace('FOLDER = ""', f"FOLDER = {str(PLUGIN)!r}"), encoding="utf-8")
    code = f"exec(compile(open({str(launcher)!r}).read(), '<script>', 'exec'), {{'resolve': None}})"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "runs from Resolve's menu" in done.stdout
