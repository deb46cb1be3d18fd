# SPDX-License-Identifier: Apache-2.0
"""Each verb hands its options to the engine and shows what comes back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_fakes import FakeFit, FakeRender

from deblur_engine.settings import FrameRange


def test_fit_hands_on_its_options_and_prints_the_path(run, replace_engine, tmp_path):
    seen = {}

    def fit(clip, out=None, *, settings, task, overwrite):
        seen.update(clip=clip, out=out, settings=settings, overwrite=overwrite)
        model = tmp_path / "clip.deblur.onnx"
        model.write_bytes(b"x" * 2048)
        return FakeFit(model)

    replace_engine(fit=fit)
    ran = run(
        "fit", "my clip.mov", "--preset", "draft", "--minutes", 2.5, "--seed", 7, "--device", "cuda:1",
        "--threads", 3, "--frames", "1-100x2", "--references", 2, "-y",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.out == f"{tmp_path / 'clip.deblur.onnx'}\n"  # nothing else: `model=$(deblur-engine fit ...)`
    settings = seen["settings"]
    assert (seen["clip"], seen["out"], seen["overwrite"]) == ("my clip.mov", None, True)
    assert (settings.preset, settings.minutes, settings.seed, settings.device) == ("draft", 2.5, 7, "cuda:1")
    assert (settings.threads, settings.frames, settings.references) == (3, FrameRange(1, 100, 2), 2)
    assert "2.0 KiB" in ran.err and "fitted on cuda:1 in 3:07" in ran.err and "gain +1.50 dB" in ran.err
    assert ran.err.rstrip().endswith("next: deblur-engine render 'my clip.mov'")


def test_fit_names_the_model_in_the_next_command_where_it_is_elsewhere(run, replace_engine, tmp_path):
    def fit(clip, out=None, **_):
        out.write_bytes(b"x")
        return FakeFit(out)

    replace_engine(fit=fit)
    ran = run("fit", "a.mov", "-o", tmp_path / "m.onnx")
    assert ran.err.rstrip().endswith(f"next: deblur-engine render a.mov --model {tmp_path / 'm.onnx'}")


def test_render_hands_on_its_options_and_states_the_provider(run, replace_engine):
    seen = {}

    def render(clip, model=None, out=None, *, settings, task):
        seen.update(clip=clip, model=model, out=out, settings=settings)
        return FakeRender(Path("a_deblur.mov"))

    replace_engine(render=render)
    ran = run(
        "render", "a.mov", "--model", "m.onnx", "-o", "b.mov", "--strength", 0.5, "--tile", 512, "--codec", "ffv1",
        "--no-references", "-y",
    )  # fmt: skip
    assert ran.code == 0 and ran.out == "a_deblur.mov\n"
    settings = seen["settings"]
    assert (seen["model"], seen["out"]) == (Path("m.onnx"), Path("b.mov"))
    assert (settings.strength, settings.tile, settings.codec) == (0.5, 512, "ffv1")
    assert (settings.use_references, settings.overwrite, settings.device) == (False, True, "auto")
    assert "CPUExecutionProvider" in ran.err and "14 of 30 frames" in ran.err
    assert "next: deblur-engine" in ran.err


def test_run_renders_a_range_with_a_model_of_the_whole_clip(run, replace_engine):
    seen = {}

    def run_clip(clip, **options):
        seen.update(options)
        render = FakeRender(Path("a_deblur.mov"))
        return SimpleNamespace(model=Path("a.deblur.onnx"), output=render.path, fitted=False, fit=None, render=render)

    replace_engine(run_clip=run_clip)
    ran = run("run", "a.mov", "--frames", "1-50", "--seed", 3, "--strength", 0.5)
    assert ran.code == 0 and ran.out == "a_deblur.mov\n" and "was fitted to this clip before" in ran.err
    assert (seen["fit_settings"].frames, seen["fit_settings"].seed) == (None, 3)
    assert (seen["render_settings"].frames, seen["render_settings"].strength) == (FrameRange(1, 50), 0.5)


def test_json_is_one_object_and_nothing_else_on_stdout(run, replace_engine):
    replace_engine(render=lambda *_, **__: FakeRender(Path("a_deblur.mov")))
    ran = run("render", "a.mov", "--json")
    assert ran.json["verb"] == "render" and ran.json["status"] == "done" and ran.json["exit_code"] == 0
    assert ran.json["output"] == "a_deblur.mov" and ran.json["provider"] == "CPUExecutionProvider"
    assert ran.json["stages"] == {"decode": 0.5} and ran.json["warnings"] == []


def test_probe_shows_a_table_and_draws_the_plot(run, replace_engine, tmp_path):
    class Found:
        def to_dict(self):
            return {"blurry": 12, "ratio": float("nan")}

        def to_table(self):
            return [("blurry frames", "12 of 30"), ("will it benefit", "yes")]

        def plot(self, path):
            Path(path).write_bytes(b"png")

    replace_engine(probe=lambda clip, **_: Found())
    ran = run("probe", "a.mov", "--plot", tmp_path / "p.png")
    assert ran.code == 0 and (tmp_path / "p.png").read_bytes() == b"png"
    assert [line.split("  ")[0] for line in ran.out.splitlines()] == ["blurry frames", "will it benefit"]
    assert "next: deblur-engine fit a.mov" in ran.err
    again = run("probe", "a.mov", "--plot", tmp_path / "p.png")
    assert again.code == 8 and "-y" in again.err
    as_json = run("probe", "a.mov", "--json")
    assert as_json.json["blurry"] == 12
    assert as_json.json["ratio"] is None  # NaN is no JSON


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "a.mov", "--frames", "1:10"],
        ["fit", "a.mov", "--preset", "best"],
        ["fit", "a.mov", "--minutes", "0"],
        ["fit", "a.mov", "--references", "0"],
        ["fit", "a.mov", "--threads", "0"],
        ["fit", "a.mov", "--device", "gpu"],
        ["fit"],
        ["render", "a.mov", "--strength", "1.5"],
        ["render", "a.mov", "--tile", "3"],
        ["render", "a.mov", "--fit-me"],
        ["export", "m.onnx"],
        ["export", "m.onnx", "--to", "fixed", "--size", "10by10"],
        ["export", "m.onnx", "--to", "fp16", "--size", "10x10"],
        ["deblur", "a.mov"],
        ["batch"],
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(run, words):
    ran = run(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_export_names_the_result_after_the_model(run, replace_engine):
    class Source:
        class metadata:  # noqa: N801
            width, height = 640, 360

    calls = []

    def writer(name):
        def write(source, path, *measures, **options):
            calls.append((name, path, measures, options))
            return (path, path.with_suffix(".json")) if name == "flame" else path

        return write

    replace_engine(
        load_model=lambda path: Source,
        to_torchscript=writer("torchscript"),
        to_flame_json=writer("flame"),
        to_fp16=writer("fp16"),
        to_fixed_size=writer("fixed"),
    )
    assert run("export", "d/a.deblur.onnx", "--to", "torchscript").out == "d/a.deblur.pt\n"
    assert run("export", "d/a.deblur.onnx", "--to", "flame").out == "d/a.deblur_flame.onnx\nd/a.deblur_flame.json\n"
    assert run("export", "d/a.deblur.onnx", "--to", "fp16", "-y").out == "d/a.deblur_fp16.onnx\n"
    assert run("export", "d/a.deblur.onnx", "--to", "fixed").out == "d/a.deblur_640x360.onnx\n"
    ran = run("export", "d/a.deblur.onnx", "--to", "fixed", "--size", "1920x1080", "-o", "x.onnx", "--json")
    assert ran.json["files"] == ["x.onnx"]
    assert calls[2][3]["overwrite"] is True and calls[0][3]["overwrite"] is False
    assert calls[-1][:3] == ("fixed", Path("x.onnx"), (1920, 1080))
