# SPDX-License-Identifier: Apache-2.0
"""From a clip to its model: what comes out, what is refused, and that a stopped fit goes on as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
import torch

from deblur_engine.analysis import Analysis
from deblur_engine.artifact import load_model
from deblur_engine.artifact.schema import INPUTS
from deblur_engine.errors import BadInput, Cancelled, MissingDevice, NoBenefit, OutputError, UsageError
from deblur_engine.fitting import FitResult, fit
from deblur_engine.fitting.checkpoint import checkpoint_path
from deblur_engine.fitting.fit_clip import torch_device
from deblur_engine.fitting.held_out import HeldOut
from deblur_engine.fitting.loop import FittingLoop
from deblur_engine.fitting.pairs import Pair
from deblur_engine.media import open_clip
from deblur_engine.rendering.pipeline import render
from deblur_engine.settings import FitSettings, FrameRange, RenderSettings
from deblur_engine.task import Event, Task
from panned import Panned, PictureClip, Scene, psnr, write_lossless

QUICK = FitSettings(minutes=50, steps=8, pairs=8, batch=2, crop=48, width=24, device="cpu", threads=1, seed=5)
SHORT = replace(QUICK, steps=2, width=8)


def weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a model's graph."""
    graph = onnx.load(path).graph
    return {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}


class Listener:
    """Keeps what a fit tells, and stops it when ``stop`` says so."""

    def __init__(self, stop: Callable[[Event], bool] = lambda event: False) -> None:
        self.events: list[Event] = []
        self.stop = stop
        self.task = Task(self)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if self.stop(event):
            self.task.cancel()

    @property
    def warnings(self) -> list[str]:
        return [str(e.figures["message"]) for e in self.events if e.stage == "warning"]

    def steps(self) -> list[float | str]:
        return [e.figures["step"] for e in self.events if e.stage == "fit"]

    def stages(self) -> list[str]:
        return list(dict.fromkeys(e.stage for e in self.events))


def after_step(number: int) -> Callable[[Event], bool]:
    return lambda event: event.stage == "fit" and event.figures.get("step") == number


@pytest.fixture(scope="module")
def whole(shot: Panned, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, Listener]:
    """A fit that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "shot.deblur.onnx"
    listener = Listener()
    return fit(shot.clip(), out, settings=QUICK, task=listener.task), listener


def test_a_fit_writes_a_model_that_says_what_it_is(
    whole: tuple[FitResult, Listener], shot: Panned, analysis: Analysis
) -> None:
    result, listener = whole
    assert [p.name for p in result.path.parent.iterdir()] == ["shot.deblur.onnx"]  # no checkpoint, nothing partial
    assert listener.stages() == ["analyse", "expose", "pairs", "fit", "export"] and listener.warnings == []
    model = load_model(result.path)
    found = model.metadata
    assert (found.width, found.height, found.frame_count, found.fps) == (192, 144, 10, 25.0)
    assert found.transfer == "bt709" and found.clip == "made_up.mkv" and len(found.clip_fingerprint) == 64
    assert (found.recipe["seed"], found.recipe["steps"], found.recipe["steps_done"]) == (5, 8, 8)
    assert Analysis.from_bytes(model.analysis_bytes).blurry.tolist() == analysis.blurry.tolist()
    assert {j for j, _ in found.reference_frames} <= set(np.flatnonzero(analysis.sharp).tolist())
    assert all(time == pytest.approx(j / 25) for j, time in found.reference_frames)
    figures = found.held_out
    assert figures["gain_db"] == pytest.approx(figures["psnr"] - figures["input_psnr"], abs=0.002)
    assert figures["gain_db"] > 0.3 and figures["psnr"] >= figures["blend_psnr"]
    assert all(0 <= factor <= 1 for _, factor in found.trust) and any(factor > 0.3 for _, factor in found.trust)
    json.dumps(found.recipe)


def test_progress_tells_loss_and_gain(whole: tuple[FitResult, Listener]) -> None:
    steps = [e for e in whole[1].events if e.stage == "fit"]
    assert [e.figures["step"] for e in steps] == list(range(1, 9)) and {e.total for e in steps} == {8}
    assert [e.done for e in steps] == sorted(e.done for e in steps) and 7 <= steps[-1].done <= 8
    assert all(np.isfinite(float(e.figures["loss"])) for e in steps)
    assert "held_out_gain_db" in steps[-1].figures


def test_the_same_seed_gives_the_same_file(whole: tuple[FitResult, Listener], shot: Panned, tmp_path: Path) -> None:
    again = fit(shot.clip(), tmp_path / "again.onnx", settings=QUICK)
    assert again.path.read_bytes() == whole[0].path.read_bytes()


def test_a_stopped_fit_goes_on_as_if_it_had_not_been(
    whole: tuple[FitResult, Listener], shot: Panned, tmp_path: Path
) -> None:
    out = tmp_path / "shot.deblur.onnx"
    with pytest.raises(Cancelled):
        fit(shot.clip(), out, settings=QUICK, task=Listener(after_step(3)).task)
    assert list(tmp_path.iterdir()) == [checkpoint_path(out)]
    listener = Listener()
    resumed = fit(shot.clip(), out, settings=QUICK, task=listener.task)
    assert len(listener.warnings) == 1 and "going on from step 4 " in listener.warnings[0]  # at the next step's end
    assert "analyse" not in listener.stages()  # that was done before
    assert listener.steps() == [5, 6, 7, 8]
    wanted, found = weights(whole[0].path), weights(resumed.path)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert resumed.metadata.held_out == whole[0].metadata.held_out
    assert list(tmp_path.iterdir()) == [out]


def test_without_resume_it_starts_anew(shot: Panned, tmp_path: Path) -> None:
    out, short = tmp_path / "m.onnx", SHORT
    checkpoint_path(out).write_bytes(b"whatever a fit before this one left")
    listener = Listener()
    fit(shot.clip(), out, settings=short, task=listener.task, resume=False)
    assert listener.steps() == [1, 2] and not any("checkpoint" in text for text in listener.warnings)
    assert not checkpoint_path(out).exists()


def test_a_network_that_learned_too_little_gives_way_to_the_blend(
    shot: Panned, pairs: list[Pair], tmp_path: Path
) -> None:
    """Of a width without a warm start, and after two steps much too long."""
    listener = Listener()
    result = fit(shot.clip(), tmp_path / "m.onnx", settings=replace(SHORT, learning_rate=4.0), task=listener.task)
    assert len(listener.warnings) == 1 and "the blend is kept" in listener.warnings[0]
    assert result.metadata.recipe["kept"] == "blend" and result.metadata.recipe["warm_start"] is False
    assert result.metadata.held_out["psnr"] == pytest.approx(result.metadata.held_out["blend_psnr"], abs=0.01)
    p = pairs[0]
    given = {n: getattr(p, n).astype(np.float32).transpose(2, 0, 1)[None] for n in INPUTS}
    session = onnxruntime.InferenceSession(str(result.path), providers=["CPUExecutionProvider"])
    (restored,) = session.run(None, given)
    believed = given["confidence"][:, :1]
    blend = given["frame"] + given["estimate"] + believed * (given["reference"] - given["estimate"])
    np.testing.assert_allclose(restored, blend, atol=1e-5)


def test_a_checkpoint_of_other_settings_is_said_and_left_behind(shot: Panned, tmp_path: Path) -> None:
    out, short = tmp_path / "m.onnx", SHORT
    with pytest.raises(Cancelled):
        fit(shot.clip(), out, settings=replace(short, learning_rate=1e-4), task=Listener(after_step(1)).task)
    listener = Listener()
    fit(shot.clip(), out, settings=short, task=listener.task)
    assert [t for t in listener.warnings if "checkpoint" in t] == listener.warnings[:1]
    assert "starting anew" in listener.warnings[0]
    assert listener.steps() == [1, 2] and not checkpoint_path(out).exists()


@pytest.mark.parametrize("stage", ["analyse", "pairs"])
def test_stopped_before_the_first_step_nothing_is_left(shot: Panned, tmp_path: Path, stage: str) -> None:
    with pytest.raises(Cancelled):
        fit(shot.clip(), tmp_path / "m.onnx", settings=QUICK, task=Listener(lambda e: e.stage == stage).task)
    assert list(tmp_path.iterdir()) == []


class Judge(HeldOut):
    """Judges quickly, and counts how often."""

    def __init__(self, pairs: list[Pair], verdicts: Callable[[int], float]) -> None:
        super().__init__(pairs)
        self.looks = 0
        self.verdicts = verdicts

    def gain(self, network: Any, device: torch.device) -> float:
        self.looks += 1
        return self.verdicts(self.looks)


def test_the_best_is_kept_not_the_last(pairs: list[Pair]) -> None:
    judge = Judge(pairs[:1], lambda look: 3.0 if look == 2 else 1.0)
    loop = FittingLoop(pairs, judge, replace(QUICK, width=4, crop=32, steps=6), torch.device("cpu"))
    seen: list[tuple[int, torch.Tensor]] = []
    loop.run(Task(), 1e6, lambda: seen.append((loop.progress.step, loop.mean.stem.weight.clone())))
    step, at_best = seen[1]
    assert loop.progress.best_step == step < 6 and loop.progress.best_gain == 3.0
    assert torch.equal(loop.best.stem.weight, at_best) and not torch.equal(loop.mean.stem.weight, at_best)


def test_what_it_started_from_is_kept_where_steps_only_make_it_worse(pairs: list[Pair]) -> None:
    judge = Judge(pairs[:1], lambda look: 3.0 if look == 1 else 1.0)
    loop = FittingLoop(pairs, judge, replace(QUICK, width=4, crop=32, steps=6), torch.device("cpu"))
    start = loop.network.stem.weight.detach().clone()
    loop.start_from_network()
    loop.run(Task(), 1e6)
    assert loop.progress.best_step == 0 and loop.progress.step == 6
    assert torch.equal(loop.best.stem.weight, start) and not torch.equal(loop.mean.stem.weight, start)


def test_time_ends_a_fit_too(pairs: list[Pair]) -> None:
    judge = Judge(pairs[:1], lambda look: 0.0)
    loop = FittingLoop(pairs, judge, replace(QUICK, width=4, crop=32, steps=10_000_000), torch.device("cpu"))
    loop.run(Task(), 0.2)
    assert 1 <= loop.progress.step < 10_000 and loop.progress.seconds >= 0.2 and judge.looks >= 1


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_an_output_that_exists_is_left_alone(shot: Panned, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    out.write_bytes(b"precious")
    listener = Listener()
    with pytest.raises(OutputError, match=r"m\.onnx exists"):
        fit(shot.clip(), out, settings=QUICK, task=listener.task)
    assert out.read_bytes() == b"precious" and listener.events == []  # said at once, not after the work
    fit(shot.clip(), out, settings=SHORT, overwrite=True)
    assert load_model(out).metadata.frame_count == 10


def test_a_folder_that_is_not_there(shot: Panned, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        fit(shot.clip(), tmp_path / "absent" / "m.onnx", settings=QUICK)


def test_a_read_only_folder(shot: Panned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # root may write anywhere, so the question's answer is made up
        monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode & os.W_OK))
    else:
        tmp_path.chmod(0o500)
    listener = Listener()
    try:
        with pytest.raises(OutputError, match="cannot be written to"):
            fit(shot.clip(), tmp_path / "m.onnx", settings=QUICK, task=listener.task)
    finally:
        tmp_path.chmod(0o700)
    assert listener.events == []


def test_all_sharp(tmp_path: Path) -> None:
    with pytest.raises(NoBenefit, match="no frame is blurred"):
        fit(Panned([Scene([0] * 6)], (96, 72)).clip(), tmp_path / "m.onnx", settings=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_all_black(tmp_path: Path) -> None:
    with pytest.raises(NoBenefit):
        fit(PictureClip(np.zeros((6, 72, 96, 3), np.uint8)), tmp_path / "m.onnx", settings=QUICK)


def test_one_frame(tmp_path: Path) -> None:
    with pytest.raises(NoBenefit, match="one frame"):
        fit(Panned([Scene([0.5])], (96, 72)).clip(), tmp_path / "m.onnx", settings=QUICK)


def test_too_small(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="8x8"):
        fit(Panned([Scene([0, 0.5, 0])], (8, 8)).clip(), tmp_path / "m.onnx", settings=QUICK)


def test_what_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "text.mov"
    path.write_text("not a film")
    for what in (path, tmp_path / "absent.mov"):
        with pytest.raises(BadInput, match=what.name):
            fit(what, settings=QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["text.mov"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:17"])
def test_a_gpu_that_is_not_there(shot: Panned, tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingDevice, match=name):
        fit(shot.clip(), tmp_path / "m.onnx", settings=replace(QUICK, device=name))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "mps", ""])
def test_devices_that_do_not_exist(name: str) -> None:
    with pytest.raises((UsageError, MissingDevice)):
        torch_device(name)
    assert torch_device("cpu").type == "cpu" and torch_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize(
    "silly",
    [
        {"steps": 0},
        {"steps": -5},
        {"minutes": 0.0},
        {"minutes": float("nan")},
        {"pairs": 1},
        {"batch": 0},
        {"crop": 8},
        {"width": 1},
        {"references": 0},
        {"preset": "best"},
        {"device": "toaster"},
    ],
    ids=str,
)
def test_silly_settings(shot: Panned, tmp_path: Path, silly: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(silly)))):
        fit(shot.clip(), tmp_path / "m.onnx", settings=replace(QUICK, **silly))


def test_the_number_of_threads_is_put_back(whole: tuple[FitResult, Listener], shot: Panned, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with pytest.raises(NoBenefit):
        fit(Panned([Scene([0, 0])], (96, 72)).clip(), tmp_path / "m.onnx", settings=replace(QUICK, threads=3))
    assert torch.get_num_threads() == before


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_a_clip_in_a_deblurred_clip_out(shot: Panned, tmp_path: Path) -> None:
    clip = write_lossless(tmp_path / "shot.mkv", shot.pictures)
    result = fit(clip, settings=replace(QUICK, steps=8))
    assert result.path == tmp_path / "shot.deblur.onnx"
    out = tmp_path / "out.mkv"
    rendered = render(clip, out=out, settings=RenderSettings(device="cpu", threads=1))
    assert rendered.frames == 10
    with open_clip(out) as opened:
        pictures = [frame.rgb for frame in opened.frames()]
    gains = []
    for i in range(10):
        source, truth = shot.pictures[i] / 255, shot.truth[i] / 255
        if not shot.blurry[i]:
            assert np.array_equal(np.round(pictures[i] * 255), shot.pictures[i]), f"sharp frame {i} was changed"
            continue
        gains.append(psnr(pictures[i], truth) - psnr(source, truth))
    assert min(gains) > 0 and np.mean(gains) > 1, gains


def test_a_range_of_a_clip(shot: Panned, tmp_path: Path) -> None:
    clip = write_lossless(tmp_path / "shot.mkv", shot.pictures)
    result = fit(clip, settings=replace(SHORT, frames=FrameRange(2, 9), pairs=24))
    assert result.metadata.frame_count == 8 and result.metadata.recipe["frames"] == "2-9"


def test_a_fit_leans_back_to_its_warm_start() -> None:
    settings = replace(QUICK, width=4, crop=32, steps=3)
    shown = np.full((48, 48, 3), 0.5, np.float16)
    one = Pair(shown, shown, *(np.zeros((48, 48, c), np.float16) for c in (3, 3, 2, 2)), shown[..., :1] * 2, 0, True)
    loop = FittingLoop([one], HeldOut([one]), settings, torch.device("cpu"))
    loop.start_from_network()
    start = {name: value.clone() for name, value in loop.best.state_dict().items()}
    with torch.no_grad():
        for value in loop.best.parameters():
            value.add_(1.0)
    loop.lean_to_start()
    for name, value in loop.best.state_dict().items():
        torch.testing.assert_close(value, start[name] + 0.75, msg=name)
    assert all(torch.equal(value, start[name]) for name, value in loop.network.state_dict().items())
