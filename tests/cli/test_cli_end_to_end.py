# SPDX-License-Identifier: Apache-2.0
"""The real engine behind the command line, on a tiny clip."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import av
import numpy as np
import onnx
import pytest

from deblur_engine.artifact import load_model
from deblur_engine.artifact.schema import ModelMetadata
from deblur_engine.artifact.variants import embed
from deblur_engine.media import fingerprint, open_clip
from tiny import identity_model, noise_clip, write_clip


@pytest.fixture
def clip(tmp_path):
    return noise_clip(tmp_path / "clip.mp4", frames=6)


@pytest.fixture
def model(clip):
    """A model of the clip that gives each frame back."""
    with open_clip(clip) as opened:
        metadata = ModelMetadata("clip.mp4", fingerprint(opened), 64, 48, engine_version="0", recipe={"width": 8})
    path = clip.with_name("clip.deblur.onnx")
    path.write_bytes(embed(identity_model(), metadata))
    return path


def test_render_of_strength_0_gives_every_frame_and_states_the_provider(run, clip, model, tmp_path):
    ran = run("render", clip, "--strength", 0, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["frames"], ran.json["changed"], ran.json["provider"]) == (6, 0, "CPUExecutionProvider")
    with av.open(str(tmp_path / "clip_deblur.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    again = run("render", clip, "--strength", 0)
    assert again.code == 8 and "clip_deblur.mp4" in again.err
    assert run("render", clip, "--strength", 0, "-y").code == 0


def test_render_without_a_model_names_the_fit(run, clip):
    ran = run("render", clip)
    assert ran.code == 9 and "deblur-engine fit" in ran.err


@pytest.mark.parametrize("verb", ["probe", "fit", "render", "run", "batch"])
def test_what_is_no_clip_is_bad_input(run, tmp_path, verb):
    (tmp_path / "notes.mp4").write_text("no video at all")
    for name in ("notes.mp4", "missing.mp4"):
        ran = run(verb, tmp_path / name)
        assert ran.code == 3, ran.err
        assert name in ran.err + ran.out
        assert "Traceback" not in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.mp4"]


def test_a_device_that_is_not_there_is_not_replaced_by_another(run, clip, model, tmp_path):
    ran = run("render", clip, "--strength", 0, "--device", "cuda:97")
    assert ran.code == 7 and "cuda:97" in ran.err
    assert not (tmp_path / "clip_deblur.mp4").exists()


def test_render_imports_no_torch(clip, model):
    code = (
        "import sys; from deblur_engine.cli import main;"
        f"code = main(['render', {str(clip)!r}, '--strength', '0', '-q']);"
        "print(code, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "0 False"


def test_exports_are_real_models(run, model):
    fixed = run("export", model, "--to", "fixed", "--size", "32x16").out.strip()
    assert load_model(fixed).metadata.fixed_size == (32, 16)
    half = run("export", model, "--to", "fp16").out.strip()
    assert load_model(half).metadata.precision == "fp16"
    onnx_file, sidecar = run("export", model, "--to", "flame").out.split()
    assert [value.name for value in onnx.load(onnx_file).graph.input] == ["frame"] and sidecar.endswith(".json")
    again = run("export", model, "--to", "fp16")
    assert again.code == 8 and "exists" in again.err
    assert run("export", model.with_name("none.onnx"), "--to", "fp16").code == 9


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_in_the_middle_of_a_render_leaves_nothing_half_written(tmp_path):
    path = noise_clip(tmp_path / "long.mp4", frames=1500)
    with open_clip(path) as opened:
        metadata = ModelMetadata("long.mp4", fingerprint(opened), 64, 48, engine_version="0")
    (tmp_path / "long.deblur.onnx").write_bytes(embed(identity_model(), metadata))
    before = sorted(each.name for each in tmp_path.iterdir())
    words = [sys.executable, "-m", "deblur_engine", "render", str(path), "--strength", "0", "--json-events"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "progress"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    assert "starts the render anew" in err
    assert sorted(each.name for each in tmp_path.iterdir()) == before


def test_probe_describes_a_clip(run, clip, tmp_path):
    ran = run("probe", clip, "--json", "--plot", tmp_path / "plot.png")
    assert ran.code == 0, ran.err
    assert ran.json["verb"] == "probe" and len(ran.json) > 6
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    table = run("probe", clip)
    assert len(table.out.splitlines()) > 3 and "next: deblur-engine fit" in table.err


def test_fit_of_a_clip_with_nothing_to_deblur_says_so_and_writes_nothing(run, tmp_path):
    black = write_clip(tmp_path / "black.mp4", np.zeros((8, 48, 64, 3), np.uint8))
    ran = run("fit", black, "--preset", "draft")
    assert ran.code == 4 and ran.err.count("error: ") == 1, ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["black.mp4"]
