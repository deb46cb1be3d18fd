# SPDX-License-Identifier: Apache-2.0
"""``meta-train``, and what ``fit`` takes of it: options, results, errors and exit codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli_fakes import FakeFit

from deblur_engine.errors import Cancelled, ExitCode, ModelError
from deblur_engine.settings import MetaSettings


@dataclass
class FakeMeta:
    path: Path
    clips: tuple[str, ...] = ("a.mov", "b.mov")
    steps: int = 12
    loss: float = 0.25
    seconds: float = 65.0


def test_meta_train_hands_on_its_options_and_names_the_fit_that_follows(run, replace_engine, tmp_path):
    seen = {}

    def meta_train(clips, out, *, settings, task, overwrite):
        seen.update(clips=clips, settings=settings, overwrite=overwrite)
        out.write_bytes(b"x" * 2048)
        task.report("meta-train", 12, 12, "steps", loss=0.25)
        return FakeMeta(out)

    replace_engine(meta_train=meta_train)
    out = tmp_path / "start.safetensors"
    ran = run(
        "meta-train", "a.mov", "b.mov", "-o", out, "--recipe", "paper", "--method", "maml", "--steps", 12, "--inner",
        3, "--minutes", 7, "--seed", 4, "--device", "cpu", "--threads", 1, "--vgg", "v.mat", "--init", "i.safetensors",
        "-y",
    )  # fmt: skip
    assert ran.code == 0 and ran.out == f"{out}\n"
    settings: MetaSettings = seen["settings"]
    assert (seen["clips"], seen["overwrite"]) == (["a.mov", "b.mov"], True)
    assert (settings.method, settings.steps, settings.inner, settings.minutes) == ("maml", 12, 3, 7)
    fit = settings.fit
    assert (fit.recipe, fit.seed, fit.device, fit.threads) == ("paper", 4, "cpu", 1)
    assert (fit.vgg, fit.init) == ("v.mat", "i.safetensors")
    assert "2.0 KiB" in ran.err and "2 clips in 12 steps and 1:05" in ran.err
    assert ran.err.rstrip().endswith(f"next: deblur-engine fit CLIP --recipe paper --init {out}")
    as_json = run("meta-train", "a.mov", "-o", out, "--json").json
    assert (as_json["weights"], as_json["clips"], as_json["steps"]) == (str(out), ["a.mov", "b.mov"], 12)


def test_fit_hands_on_recipe_weights_and_vgg(run, replace_engine, tmp_path):
    seen = {}

    def fit(clip, out=None, *, settings, task, overwrite):
        seen.update(settings=settings)
        model = tmp_path / "m.onnx"
        model.write_bytes(b"x")
        return FakeFit(model)

    replace_engine(fit=fit)
    assert run("fit", "a.mov", "--recipe", "paper", "--init", "i.safetensors", "--vgg", "v.pth").code == 0
    settings = seen["settings"]
    assert (settings.recipe, settings.init, settings.vgg) == ("paper", "i.safetensors", "v.pth")
    assert run("fit", "a.mov").code == 0 and seen["settings"].recipe == "reference-blend"


def test_what_goes_wrong_ends_with_its_exit_code(run, replace_engine, tmp_path):
    assert run("fit", "a.mov", "--recipe", "other").code == ExitCode.USAGE
    assert run("meta-train", "a.mov").code == ExitCode.USAGE  # no --out
    assert run("meta-train", "a.mov", "-o", "w", "--steps", 0).code == ExitCode.USAGE

    def absent(*_, **__):
        raise ModelError("VGG-19's weights are not at x", hint="get it")

    replace_engine(fit=absent, meta_train=absent)
    for words in (("fit", "a.mov", "--recipe", "paper"), ("meta-train", "a.mov", "-o", tmp_path / "w")):
        ran = run(*words)
        assert ran.code == ExitCode.MODEL and "not at x" in ran.err and "hint: get it" in ran.err

    def stopped(*_, **__):
        raise Cancelled("stopped on request")

    replace_engine(meta_train=stopped)
    ran = run("meta-train", "a.mov", "-o", tmp_path / "w")
    assert ran.code == ExitCode.CANCELLED and "running the same command again resumes" in ran.err


def test_without_vgg_the_real_command_says_where_to_get_it(run, tmp_path, monkeypatch):
    import numpy as np
    import torch

    from panned import write_lossless

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("DEBLUR_VGG", raising=False)
    clip = write_lossless(tmp_path / "c.mkv", np.zeros((3, 48, 64, 3), np.uint8))
    for words in (("fit", clip, "--recipe", "paper"), ("meta-train", clip, "-o", tmp_path / "w", "--recipe", "paper")):
        ran = run(*words, "--device", "cpu")
        assert ran.code == ExitCode.MODEL and "vgg19-dcbb9e9d.pth" in ran.err and "--vgg" in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.mkv"]
