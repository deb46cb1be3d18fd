# SPDX-License-Identifier: Apache-2.0
"""Many clips: what is done, skipped, left and told."""

from __future__ import annotations

import os
import time

import pytest

from deblur_engine import errors
from deblur_engine.batch import run_batch, run_clip
from deblur_engine.settings import FitSettings, RenderSettings
from deblur_engine.task import Event, Task


def statuses(result):
    return [outcome.status for outcome in result.outcomes]


def later(path):
    """Make ``path`` newer than all that was written so far, whatever the file system's clock ticks in."""
    future = time.time() + 10
    os.utime(path, (future, future))


def test_each_clip_is_fitted_and_rendered_beside_it(make_clip, workshop, tmp_path):
    clips = [make_clip("a.mp4", 1), make_clip("b.mp4", 2)]
    result = run_batch(clips)
    assert statuses(result) == ["done", "done"] and result.exit_code == 0
    assert workshop.calls == [("fit", "a.mp4"), ("render", "a.mp4"), ("fit", "b.mp4"), ("render", "b.mp4")]
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.mp4", "a.deblur.onnx", "a_deblur.mp4", "b.mp4", "b.deblur.onnx", "b_deblur.mp4"
    }  # fmt: skip
    first = result.outcomes[0]
    assert first.fitted and first.figures["held_out"] == {"gain_db": 2.0} and first.figures["changed"] == 2


def test_a_second_call_skips_what_is_finished_and_yes_does_it_again(make_clip, workshop):
    clips = [make_clip("a.mp4", 1)]
    run_batch(clips)
    workshop.calls.clear()
    again = run_batch(clips)
    assert statuses(again) == ["skipped"] and again.exit_code == 0 and workshop.calls == []
    other = run_batch(clips, fit_settings=FitSettings(preset="draft"))
    assert "standard" in other.outcomes[0].message and "-y" in other.outcomes[0].message
    assert statuses(run_batch(clips, overwrite=True)) == ["done"]
    assert workshop.calls == [("fit", "a.mp4"), ("render", "a.mp4")]


def test_a_failure_stops_no_other(make_clip, workshop, tmp_path):
    clips = [make_clip(f"{name}.mp4", ord(name)) for name in "abcd"]
    workshop.trouble = {
        ("fit", "a.mp4"): errors.BadInput("no video stream", hint="give a clip"),
        ("render", "b.mp4"): ZeroDivisionError("division by zero"),
        ("fit", "c.mp4"): MemoryError(),
    }
    result = run_batch([tmp_path / "missing.mp4", *clips])
    assert statuses(result) == ["failed", "failed", "failed", "failed", "done"]
    codes = [outcome.exit_code for outcome in result.outcomes]
    assert codes == [3, 3, 1, 5, 0] and result.exit_code == 3
    missing, bad, fault, _, _ = result.outcomes
    assert "missing.mp4" in missing.message
    assert (bad.message, bad.hint, bad.trace) == ("no video stream", "give a clip", "")
    assert "ZeroDivisionError" in fault.message and "Traceback" in fault.trace
    assert "trace" not in fault.to_dict()


def test_a_clip_without_benefit_is_no_failure_of_the_others(make_clip, workshop):
    workshop.trouble = {("fit", "a.mp4"): errors.NoBenefit("all frames are sharp")}
    result = run_batch([make_clip("a.mp4", 1), make_clip("b.mp4", 2)])
    assert statuses(result) == ["no_benefit", "done"] and result.exit_code == errors.ExitCode.NO_BENEFIT


def test_after_a_render_that_failed_the_fit_is_not_repeated(make_clip, workshop):
    clip = make_clip("a.mp4")
    workshop.trouble = {("render", "a.mp4"): OSError(28, "No space left on device")}
    assert run_batch([clip]).exit_code == errors.ExitCode.OUTPUT
    workshop.trouble.clear()
    workshop.calls.clear()
    again = run_batch([clip])
    assert statuses(again) == ["done"] and workshop.calls == [("render", "a.mp4")]
    assert again.outcomes[0].fitted is False


def test_cancelling_ends_the_batch_and_the_rest_waits(make_clip, workshop):
    task = Task()
    clips = [make_clip(f"{name}.mp4", ord(name)) for name in "abc"]

    def stop():
        task.cancel()
        task.check()

    workshop.trouble = {("fit", "b.mp4"): stop}
    told = []
    result = run_batch(clips, task=task, on_outcome=told.append)
    assert statuses(result) == ["done", "cancelled", "waiting"]
    assert result.exit_code == errors.ExitCode.CANCELLED
    assert told == list(result.outcomes)


def test_progress_says_which_clip_it_is_at(make_clip, workshop):
    events: list[Event] = []
    run_batch([make_clip("a.mp4", 1), make_clip("b.mp4", 2)], task=Task(events.append))
    clips = [(event.done, event.total, event.figures["clip"]) for event in events if event.stage == "clip"]
    assert clips == [(0, 2, "a.mp4"), (1, 2, "b.mp4")]


def test_a_changed_source_is_not_taken_for_finished_and_nothing_is_replaced_unasked(make_clip, workshop):
    clip = make_clip("a.mp4", 1)
    run_batch([clip])
    make_clip("a.mp4", 99)
    result = run_batch([clip])
    assert statuses(result) == ["failed"] and result.exit_code == errors.ExitCode.OUTPUT
    assert "-y" in (result.outcomes[0].hint or "")
    assert statuses(run_batch([clip], overwrite=True)) == ["done"]


def test_a_result_older_than_its_model_is_not_finished(make_clip, workshop, tmp_path):
    clip = make_clip("a.mp4", 1)
    run_batch([clip])
    later(tmp_path / "a.deblur.onnx")
    assert statuses(run_batch([clip])) == ["failed"]  # the old result stands in the way, and is not ours to remove
    (tmp_path / "a_deblur.mp4").unlink()
    assert statuses(run_batch([clip])) == ["done"]


def test_a_damaged_model_is_told_and_not_replaced_unasked(make_clip, workshop, tmp_path):
    clip = make_clip("a.mp4", 1)
    (tmp_path / "a.deblur.onnx").write_bytes(b"no model")
    events: list[Event] = []
    result = run_batch([clip], task=Task(events.append))
    assert result.exit_code == errors.ExitCode.OUTPUT
    assert any(event.stage == "warning" and "a.deblur.onnx" in event.figures["message"] for event in events)


def test_settings_are_checked_before_the_first_clip(make_clip, workshop):
    with pytest.raises(errors.UsageError):
        run_batch([make_clip("a.mp4")], fit_settings=FitSettings(minutes=0))
    with pytest.raises(errors.UsageError):
        run_batch([make_clip("a.mp4")], render_settings=RenderSettings(strength=2))
    assert workshop.calls == []


def test_run_clip_uses_the_model_that_is_there_and_refuses_what_stands_in_the_way(make_clip, workshop, tmp_path):
    clip = make_clip("a.mp4", 1)
    first = run_clip(clip, out=tmp_path / "x.mp4")
    assert first.fitted and first.output == tmp_path / "x.mp4"
    second = run_clip(clip, out=tmp_path / "y.mp4")
    assert not second.fitted and second.fit is None
    with pytest.raises(errors.OutputError, match="exists already"):
        run_clip(clip, out=tmp_path / "x.mp4")
    with pytest.raises(errors.OutputError, match="not a model of this clip"):
        run_clip(make_clip("b.mp4", 2), model=tmp_path / "a.deblur.onnx")
    calls = len(workshop.calls)
    run_clip(clip, out=tmp_path / "x.mp4", overwrite=True)
    assert workshop.calls[calls:] == [("fit", "a.mp4"), ("render", "a.mp4")]
