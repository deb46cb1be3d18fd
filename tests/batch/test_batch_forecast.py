# SPDX-License-Identifier: Apache-2.0
"""What --dry-run says."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from deblur_engine import errors
from deblur_engine.batch import forecast, forecast_batch, forecast_fit, forecast_render, forecast_run, run_batch
from deblur_engine.cli import main
from deblur_engine.settings import FitSettings


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_fit_is_bounded_by_its_minutes_and_grows_with_its_settings(make_clip, tmp_path):
    clip = make_clip("a.mp4")
    small = forecast_fit(clip, settings=FitSettings(preset="draft", minutes=2))
    large = forecast_fit(clip, settings=FitSettings(preset="high", width=64))
    assert small.seconds == 120 and small.at_most
    assert small.memory_bytes < large.memory_bytes and small.disk_bytes < large.disk_bytes
    assert small.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert small.outputs == (tmp_path / "a.deblur.onnx",)
    assert files(tmp_path) == ["a.mp4"]


def test_the_papers_recipe_takes_more(make_clip):
    clip = make_clip("a.mp4")
    own, paper = (forecast_fit(clip, settings=FitSettings(recipe=name)) for name in ("reference-blend", "paper"))
    assert paper.memory_bytes > own.memory_bytes + (300 << 20) and paper.disk_bytes > own.disk_bytes + (40 << 20)


def test_a_render_is_timed_on_a_frame_and_writes_nothing(make_clip, workshop, tmp_path):
    clip = make_clip("a.mp4")
    workshop.fit(clip, tmp_path / "a.deblur.onnx", settings=FitSettings(), task=SimpleNamespace(report=lambda *_: None))
    found = forecast_render(clip)
    assert found.seconds is not None and found.seconds > 0 and not found.at_most
    assert "of 4 frames" in found.notes[0] and "CPUExecutionProvider" in found.notes[0]
    assert files(tmp_path) == ["a.deblur.onnx", "a.mp4"]
    run = forecast_run(clip)
    assert "model is there" in run.notes[0] and run.outputs == found.outputs
    assert forecast_run(clip, overwrite=True).at_most  # it would be fitted anew


def test_a_render_without_its_model_is_refused_as_it_would_be(make_clip):
    with pytest.raises(errors.ModelError, match="no model"):
        forecast_render(make_clip("a.mp4"))


def test_a_batch_counts_what_is_left_and_notes_what_is_bad(make_clip, workshop, tmp_path):
    clips = [make_clip(f"{name}.mp4", ord(name)) for name in "ab"]
    one = forecast_batch(clips[:1], fit_settings=FitSettings(minutes=2))
    both = forecast_batch([*clips, tmp_path / "missing.mp4"], fit_settings=FitSettings(minutes=2))
    assert (one.seconds, both.seconds) == (120, 240)
    assert both.disk_bytes > one.disk_bytes and both.memory_bytes == one.memory_bytes
    assert "clips to do: 2; finished already: 0" in both.notes[0] and "missing.mp4" in both.notes[1]
    run_batch(clips)
    done = forecast_batch(clips)
    assert done.seconds == 0 and "clips to do: 0; finished already: 2" in done.notes[0]
    with pytest.raises(errors.BadInput, match="missing"):
        forecast_batch([tmp_path / "missing.mp4"])


def test_a_disk_that_is_too_small_is_said(make_clip, monkeypatch):
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    assert "not enough room" in forecast_fit(make_clip("a.mp4")).notes[-1]


def test_the_verbs_show_it(make_clip, capfd):
    clip = make_clip("a.mp4")
    assert main(["fit", str(clip), "--minutes", "2", "--dry-run"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["time", "at", "most", "2:00"]
    assert [line.split()[0] for line in lines] == ["time", "memory", "disk"]
    assert main(["run", str(clip), "--dry-run", "--json"]) == 0
    assert '"dry_run": true' in capfd.readouterr().out
    assert main(["batch", str(clip), "--dry-run"]) == 0
    assert "clips to do: 1" in capfd.readouterr().out
