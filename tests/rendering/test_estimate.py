# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_engine.analysis import analyse
from deblur_engine.artifact import Artifact
from deblur_engine.errors import ModelError
from deblur_engine.media import fingerprint, open_clip
from deblur_engine.rendering import estimate
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.settings import FrameRange, RenderSettings
from rendering.fakes import picture


def _film(path: Path, frames: int = 10) -> Path:
    """A textured picture that shakes: every third frame is an average over its path."""
    large = np.clip(picture(0, 200, 300), 0, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv444p"
        for number in range(frames):
            steps = range(-6, 7) if number % 3 else range(1)
            views = [large[20 : 20 + 96, 40 + 5 * number + step : 200 + 5 * number + step] for step in steps]
            rgb = (np.mean(views, axis=0) * 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return _film(tmp_path / "shot.mkv")


def _fitted(artifact: Artifact, film: Path) -> Artifact:
    with open_clip(film) as clip:
        analysis = analyse(clip)
        metadata = replace(artifact.metadata, clip=film.name, clip_fingerprint=fingerprint(clip))
    return replace(artifact, metadata=metadata, analysis_bytes=analysis.to_bytes())


def test_an_estimate_counts_and_writes_nothing(artifact: Artifact, film: Path) -> None:
    found = estimate(film, _fitted(artifact, film), settings=RenderSettings(device="cpu", threads=1))
    assert found.frames == 10
    assert 0 < found.treated < 10
    assert found.seconds > 0
    assert found.memory_bytes > 100 << 20
    assert found.disk_bytes > 1000
    assert found.provider == "CPUExecutionProvider"
    assert found.to_dict()["out"].endswith("shot_deblur.mkv")
    assert not found.notes
    assert [entry.name for entry in film.parent.iterdir()] == ["shot.mkv"]


def test_fewer_frames_take_less(artifact: Artifact, film: Path) -> None:
    model = _fitted(artifact, film)
    some = estimate(film, model, settings=RenderSettings(frames=FrameRange(0, 1)))
    assert some.frames == 2
    assert some.disk_bytes < estimate(film, model).disk_bytes


def test_a_model_of_another_clip_is_noted(artifact: Artifact, film: Path) -> None:
    assert any("another clip" in note for note in estimate(film, artifact).notes)


def test_the_analysis_inside_the_model_makes_the_aligner(artifact: Artifact, film: Path) -> None:
    model = _fitted(artifact, film)
    renderer = Renderer(model, RenderSettings(threads=1))
    blurry = next(number for number in range(10) if not renderer.untouched(number))
    with open_clip(film) as clip:
        pictures = {number: frame.rgb for number, frame in clip.read(renderer.needs(blurry)).items()}
    assert renderer.render(blurry, pictures).shape == (96, 160, 3)


def test_a_damaged_analysis_is_told(artifact: Artifact) -> None:
    with pytest.raises(ModelError, match="analysis"):
        Renderer(replace(artifact, analysis_bytes=b"no analysis at all"))
