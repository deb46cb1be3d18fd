# SPDX-License-Identifier: Apache-2.0
"""Weights learned over clips: they help, a stopped training goes on, and a fit starts from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import small_vgg
from deblur_engine.analysis import Analysis
from deblur_engine.artifact import load_model
from deblur_engine.errors import Cancelled, ModelError, NoBenefit, OutputError, UsageError
from deblur_engine.fitting import MetaResult, fit, meta_train
from deblur_engine.fitting.checkpoint import checkpoint_path
from deblur_engine.fitting.network import DeblurNet
from deblur_engine.fitting.paper.blurred import KernelBatches, make_kernel_pairs
from deblur_engine.fitting.paper.losses import FeatureLoss
from deblur_engine.fitting.paper.network import HypercolumnNet
from deblur_engine.fitting.paper.vgg_file import load_vgg
from deblur_engine.fitting.warm_start import load_warm_start, save_warm_start
from deblur_engine.media import Clip
from deblur_engine.settings import FitSettings, MetaSettings
from deblur_engine.task import Event, Task
from panned import Panned, PictureClip, Scene

OWN = FitSettings(pairs=4, batch=1, crop=32, width=4, device="cpu", threads=1, seed=3)
QUICK = MetaSettings(steps=4, inner=2, minutes=50, fit=OWN)


@pytest.fixture(scope="module")
def clips(shot: Panned) -> list[Clip]:
    other = Panned([Scene([0, 0.7, 0, 0, 0.7, 0, 0, 0], seed=2, speed=(-10, 6), start=(250, 60))], (160, 120))
    return [shot.clip(), PictureClip(other.pictures, "other.mkv")]


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vgg.write_torch(tmp_path_factory.mktemp("vgg") / "small.pth")


def settings_of(recipe: str, vgg: Path, **changes: Any) -> MetaSettings:
    own = OWN if recipe != "paper" else replace(OWN, recipe="paper", vgg=str(vgg), pairs=10, width=8, seed=5)
    return replace(QUICK, fit=own, **changes)


class Listener:
    def __init__(self, stop_after: int = 1 << 30) -> None:
        self.events: list[Event] = []
        self.stop_after = stop_after
        self.task = Task(self)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.stage == "meta-train" and float(event.figures["step"]) >= self.stop_after:
            self.task.cancel()

    @property
    def warnings(self) -> list[str]:
        return [str(e.figures["message"]) for e in self.events if e.stage == "warning"]


@pytest.mark.parametrize(("recipe", "method"), [("reference-blend", "reptile"), ("paper", "maml")])
def test_a_stopped_training_goes_on_as_if_it_had_not_been_and_a_fit_starts_from_it(
    clips: list[Clip], vgg: Path, tmp_path: Path, recipe: str, method: str
) -> None:
    settings = settings_of(recipe, vgg, method=method)
    names = ("made_up.mkv", "other.mkv")
    if recipe != "paper":  # whose pairs take no alignment
        clips, names = clips[:1], names[:1]
    whole = meta_train(clips, tmp_path / "whole.safetensors", settings=settings)
    assert (whole.steps, whole.clips) == (4, names) and np.isfinite(whole.loss)
    out = tmp_path / "parts.safetensors"
    with pytest.raises(Cancelled):
        meta_train(clips, out, settings=settings, task=Listener(2).task)
    assert checkpoint_path(out).is_file() and not out.exists()
    listener = Listener()
    meta_train(clips, out, settings=settings, task=listener.task)
    assert [e.figures["step"] for e in listener.events if e.stage == "meta-train"] == [4]  # 3 steps were done
    assert "going on from step 3 " in listener.warnings[-1]
    assert not any(e.stage == "analyse" for e in listener.events)
    assert out.read_bytes() == whole.path.read_bytes() and not checkpoint_path(out).exists()
    weights = load_file(out)
    assert not any(name.startswith("vgg") for name in weights) and any(v.any() for v in weights.values())

    fitting = replace(settings.fit, init=str(out), steps=16, minutes=50, learning_rate=4e-3, crop=64, batch=2)
    fitted = fit(clips[0], tmp_path / "m.onnx", settings=fitting)
    metadata = load_model(fitted.path).metadata
    assert metadata.recipe["warm_start"] is True and metadata.recipe["init"] == "parts.safetensors"


@pytest.mark.parametrize(("method", "steps", "inner", "rate"), [("reptile", 30, 4, 0.5), ("maml", 60, 1, 2e-3)])
def test_it_learns(
    clips: list[Clip], analysis: Analysis, vgg: Path, tmp_path: Path, method: str, steps: int, inner: int, rate: float
) -> None:
    """From nothing, over two clips, in few steps: the loss on other kernels than those that it met falls."""
    own = replace(OWN, recipe="paper", vgg=str(vgg), pairs=8, crop=48, width=8, batch=2, learning_rate=2e-3)
    settings = replace(QUICK, method=method, steps=steps, inner=inner, outer_rate=rate, fit=own)  # type: ignore[arg-type]
    path = meta_train(clips, tmp_path / "w.safetensors", settings=settings).path
    features = load_vgg(vgg)
    network, loss = HypercolumnNet(features, 8), FeatureLoss(features)
    pairs = list(make_kernel_pairs(clips[0], analysis, 8, 7, Task()))
    batch = KernelBatches(pairs, 64, 12, torch.device("cpu"), 9, clips[0].info.colour).draw()
    with torch.no_grad():
        before = float(loss(network(*batch.inputs), batch.sharp))
        load_warm_start(network, path)
        after = float(loss(network(*batch.inputs), batch.sharp))
    assert after < 0.98 * before


def test_weights_of_another_kind_are_refused(clips: list[Clip], vgg: Path, tmp_path: Path) -> None:
    of_paper = settings_of("paper", vgg)
    own, paper = tmp_path / "own.safetensors", tmp_path / "paper.safetensors"
    save_warm_start(DeblurNet(4), own, {"recipe": "reference-blend"})
    features = load_vgg(vgg)
    save_warm_start(HypercolumnNet(features, 8), paper, {"recipe": "paper", "vgg": features.digest()})
    harmed = tmp_path / "harmed.safetensors"
    save_file({n: torch.full_like(v, float("nan")) for n, v in load_file(own).items()}, harmed)
    other_vgg = small_vgg.write_torch(tmp_path / "other.pth", seed=9)
    quick = replace(OWN, steps=1, minutes=50)
    for settings, words in (
        (replace(of_paper.fit, init=str(own)), "recipe 'reference-blend'"),
        (replace(quick, init=str(paper)), "recipe 'paper'"),
        (replace(of_paper.fit, init=str(paper), vgg=str(other_vgg)), "vgg"),
        (replace(quick, init=str(own), width=8), "another network"),
        (replace(quick, init=str(tmp_path / "none.safetensors")), "no such file"),
        (replace(quick, init=str(vgg)), "not a safetensors file"),
        (replace(quick, init=str(harmed)), "not finite"),
    ):
        with pytest.raises(ModelError, match=words) as failure:
            fit(clips[0], tmp_path / "m.onnx", settings=settings)
        assert failure.value.exit_code == 9
    assert not (tmp_path / "m.onnx").exists()


def test_clips_of_no_use_are_left_out(clips: list[Clip], tmp_path: Path) -> None:
    still = PictureClip(np.repeat(clips[0].pictures[:1], 6, 0), "still.mkv")  # type: ignore[attr-defined]
    listener = Listener()
    short = replace(QUICK, steps=1)
    done = meta_train([still, clips[0]], tmp_path / "w.safetensors", settings=short, task=listener.task)
    assert done.clips == ("made_up.mkv",) and "still.mkv" in listener.warnings[0] and "left out" in listener.warnings[0]
    with pytest.raises(NoBenefit):
        meta_train([still], tmp_path / "v.safetensors", settings=short)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_what_cannot_be_meant_is_said_at_once(clips: list[Clip], tmp_path: Path) -> None:
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"x")
    with pytest.raises(OutputError):
        meta_train(clips, there, settings=QUICK)
    for changes in ({"method": "other"}, {"steps": 0}, {"inner": 0}, {"minutes": 0}, {"outer_rate": 2.0}):
        with pytest.raises(UsageError):
            meta_train(clips, tmp_path / "w.safetensors", settings=replace(QUICK, **changes))  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        meta_train([], tmp_path / "w.safetensors", settings=QUICK)
    with pytest.raises(UsageError, match="only the paper's recipe"):
        FitSettings(vgg="v.mat").resolved()
    with pytest.raises(UsageError, match="recipe"):
        FitSettings(recipe="other").resolved()  # type: ignore[arg-type]
    assert isinstance(MetaResult(there, (), 0, 0.0, 0.0).path, Path)
