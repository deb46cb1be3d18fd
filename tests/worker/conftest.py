# SPDX-License-Identifier: Apache-2.0
"""A clip whose blur is known, a model with its analysis, and a worker that serves in a thread of the test's own."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from artifact.small_net import SmallNet
from deblur_engine.analysis import analyse
from deblur_engine.artifact import ModelMetadata, load_model
from deblur_engine.artifact.export import export_model
from deblur_engine.media import fingerprint, open_clip
from deblur_engine.rendering import Renderer
from deblur_engine.settings import RenderSettings
from deblur_engine.worker import wire
from deblur_engine.worker.client import Client, connect
from deblur_engine.worker.meeting import Meeting
from deblur_engine.worker.server import Server
from panned import Panned, Scene, write_lossless

BLURRY, SHARP = 2, 0


@dataclass(frozen=True)
class Shot:
    """A clip and the model beside it."""

    clip: Path
    model: Path

    def pictures(self) -> list[np.ndarray]:
        with open_clip(self.clip) as clip:
            return [frame.rgb for frame in clip.frames()]

    def renderer(self) -> Renderer:
        return Renderer(load_model(self.model), RenderSettings(device="cpu", threads=1))

    def alone(self, folder: Path) -> Path:
        """The model without its clip."""
        return Path(shutil.copy(self.model, folder / self.model.name))


@pytest.fixture(scope="session")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """Ten frames of 192x144, of which three are blurred."""
    folder = tmp_path_factory.mktemp("shot")
    shown = Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0.7, 0, 0], start=(60, 80))], (192, 144))
    clip = write_lossless(folder / "shot.mkv", shown.pictures)
    with open_clip(clip) as opened:
        found = analyse(opened)
        assert found.blurry.tolist() == shown.blurry.tolist()  # else the tests that follow would test something else
        # A trust that depends on the blur's length, so that a proxy's shorter blur must be told from the clip's.
        metadata = ModelMetadata(
            clip.name, fingerprint(opened), 192, 144, frame_count=10, trust=((2.0, 0.5), (6.0, 1.0))
        )
    metadata = replace(metadata, analysis=found.to_bytes())
    model = export_model(SmallNet(), metadata, folder / "shot.deblur.onnx")
    return Shot(clip, model)


@pytest.fixture(scope="session")
def pictures(shot: Shot) -> list[np.ndarray]:
    return shot.pictures()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder of one's own with a name that is short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    yield folder
    left = connect("cpu", folder)
    if left is not None:  # a worker that a failed test has left behind
        left.ask(wire.Stop(), wire.Done)
        left.close()
    shutil.rmtree(folder, ignore_errors=True)


class Served:
    """A worker in a thread."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.meeting = Meeting("cpu", folder)
        ready = threading.Event()
        self.server = Server(self.meeting, "cpu", 1, on_ready=ready.set, **options)  # type: ignore[arg-type]
        self.why: str | None = "still serves"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        assert ready.wait(20)

    def _serve(self) -> None:
        self.why = self.server.serve()

    def client(self) -> Client:
        return Client(self.meeting, "test")

    def log(self) -> str:
        return self.meeting.log.read_text()

    def end(self) -> None:
        self.server.stop("the test is over")
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def serve(short: Path) -> Iterator[Callable[..., Served]]:
    """``serve(...)`` starts a worker that ends with the test."""
    started: list[Served] = []

    def start(**options: object) -> Served:
        started.append(Served(short, **options))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture(scope="module")
def worker() -> Iterator[Served]:
    """One worker for all tests of a module that leave it as they found it."""
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    served = Served(folder)
    yield served
    served.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(worker: Served) -> Iterator[Client]:
    with worker.client() as connected:
        yield connected
