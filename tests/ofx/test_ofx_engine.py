# SPDX-License-Identifier: Apache-2.0
"""The whole way with the real engine: a host's frames through bridge, worker and model, against the command line's
``Renderer`` on the same frames."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import deblur_engine
from artifact.small_net import SmallNet
from deblur_engine.analysis import analyse
from deblur_engine.artifact import ModelMetadata, load_model
from deblur_engine.artifact.export import export_model
from deblur_engine.media import fingerprint, open_clip
from deblur_engine.rendering import Renderer
from deblur_engine.settings import RenderSettings
from ofx import driving
from ofx.conftest import end_workers_of
from panned import Panned, Scene, write_lossless

BLURRY, SHARP = 2, 3
pytest.importorskip("deblur_engine.worker")


@dataclass(frozen=True)
class Shot:
    clip: Path
    model: Path
    frames: np.ndarray  # float32 [N, H, W, 4], what the command line reads
    wanted: np.ndarray  # the blurry frame as the command line renders it, float32 [H, W, 3]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    folder = tmp_path_factory.mktemp("shot")
    shown = Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0], start=(60, 80))], (192, 144))
    clip = write_lossless(folder / "shot.mkv", shown.pictures)
    with open_clip(clip) as opened:
        found = analyse(opened)
        metadata = ModelMetadata(clip.name, fingerprint(opened), 192, 144, frame_count=8)
        pictures = [frame.rgb for frame in opened.frames()]
    assert found.blurry[BLURRY] and not found.blurry[SHARP]
    metadata = replace(metadata, analysis=found.to_bytes())
    model = export_model(SmallNet(), metadata, folder / "shot.deblur.onnx")
    renderer = Renderer(load_model(model), RenderSettings(device="cpu", threads=1))
    wanted = renderer.render(BLURRY, {i: pictures[i] for i in renderer.needs(BLURRY)})
    assert np.abs(wanted - pictures[BLURRY]).max() > 0.02  # else there is nothing to compare
    frames = np.ones((8, 144, 192, 4), np.float32)
    frames[..., :3] = np.stack(pictures)
    return Shot(clip, model, frames, wanted)


@pytest.fixture(scope="module")
def engine(built: driving.Built) -> Iterator[driving.Host]:
    """One worker for all tests here; in a folder whose name is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="ofx-"))
    package = Path(deblur_engine.__file__).parents[1]
    environment = {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    program = driving.program(folder / "engine", sys.executable, "-m", "deblur_engine", **environment)
    yield driving.Host(built, folder, program)
    end_workers_of(folder / "run")
    shutil.rmtree(folder, ignore_errors=True)


def commands(shot: Shot, *words: str) -> tuple[str, ...]:
    return ("set:device=1", f"set:model={shot.model}", *words)


def test_a_float_frame_is_the_command_lines(engine: driving.Host, shot: Shot) -> None:
    ran = engine.run(shot.frames, *commands(shot, f"render:{BLURRY}", f"render:{SHARP}", "press:reload", "get:status"))
    assert [line["status"] for line in ran.lines] == [0] * len(ran.lines), ran.lines
    assert np.abs(ran.frames[0, ..., :3] - shot.wanted).max() <= 1e-3
    assert ran.frames[1].tobytes() == shot.frames[SHARP].tobytes()
    assert "nothing to deblur" in ran.of("get:status")["value"]


@pytest.mark.parametrize("manners", ["mlt", "natron", "hostdemo", "resolve"])
def test_a_byte_frame_is_the_command_lines(engine: driving.Host, shot: Shot, manners: str) -> None:
    clip = np.round(shot.frames * 255).astype(np.uint8)
    ran = engine.run(clip, f"--manners={manners}", *commands(shot, f"render:{BLURRY}"))
    assert ran.of(f"render:{BLURRY}")["status"] == 0, ran.lines
    difference = np.abs(ran.frames[0, ..., :3].astype(int) - np.clip(np.round(shot.wanted * 255), 0, 255))
    assert difference.max() <= 1


def test_references_from_the_host_are_as_good_as_the_files(engine: driving.Host, shot: Shot, tmp_path: Path) -> None:
    alone = replace(shot, model=Path(shutil.copy(shot.model, tmp_path / "alone.deblur.onnx")))
    words = (f"needed:{BLURRY}", f"render:{BLURRY}", "press:reload", "get:status")
    ran = engine.run(shot.frames, *commands(alone, *words))
    assert "from the host" in ran.of("get:status")["value"], ran.lines
    assert len(ran.of(f"needed:{BLURRY}")["value"]) >= 2
    assert np.abs(ran.frames[0, ..., :3] - shot.wanted).max() <= 1e-3


def test_a_host_with_neither_gets_the_frame_alone_and_is_told(engine: driving.Host, shot: Shot, tmp_path: Path) -> None:
    alone = replace(shot, model=Path(shutil.copy(shot.model, tmp_path / "alone.deblur.onnx")))
    ran = engine.run(shot.frames, "--manners=mlt", *commands(alone, f"render:{BLURRY}"))
    assert ran.of(f"render:{BLURRY}")["status"] == 0, ran.lines
    assert np.abs(ran.frames[0, ..., :3] - shot.frames[BLURRY, ..., :3]).max() > 0.02
    assert "no sharp reference" in ran.of(f"render:{BLURRY}")["message"], ran.lines


def test_strength_and_several_threads(engine: driving.Host, shot: Shot) -> None:
    ran = engine.run(shot.frames, *commands(shot, "set:strength=0.5", "threads:3:0-7"))
    renderer = Renderer(load_model(shot.model), RenderSettings(device="cpu", threads=1, strength=0.5))
    pictures = dict(enumerate(shot.frames[..., :3].copy()))
    assert np.abs(ran.frames[BLURRY, ..., :3] - renderer.render(BLURRY, pictures)).max() <= 1e-3
    assert ran.frames[SHARP].tobytes() == shot.frames[SHARP].tobytes()


def test_a_map_of_sharpness_is_grey_and_not_flat(engine: driving.Host, shot: Shot) -> None:
    picture = engine.run(shot.frames, *commands(shot, "set:view=3", f"render:{BLURRY}")).frames[0]
    assert np.ptp(picture[..., :3], axis=2).max() < 1e-6 and np.ptp(picture[..., 0]) > 0.05


def test_a_damaged_model_is_an_error_of_the_frame(engine: driving.Host, shot: Shot, tmp_path: Path) -> None:
    broken = tmp_path / "broken.deblur.onnx"
    broken.write_bytes(b"no model at all")
    ran = engine.run(
        shot.frames, *commands(replace(shot, model=broken), "render:2", f"set:model={shot.model}", "render:2")
    )
    first, second = [line for line in ran.lines if line["do"] == "render:2"]
    assert first["status"] == 1 and "broken.deblur.onnx" in first["message"]
    assert second["status"] == 0 and second["message"] == ""
