# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from artifact.small_net import SmallNet
from deblur_engine.artifact import Artifact
from deblur_engine.device import CudaDriver, parse_device
from deblur_engine.errors import MissingDevice, OutOfMemory, UsageError
from deblur_engine.rendering import session as sessions
from deblur_engine.rendering.session import Session, cpu_threads
from rendering.fakes import alignment, guides, picture


def test_it_computes_what_torch_computes(session: Session) -> None:
    frame, found = picture(1, 45, 71), alignment(1, 45, 71)
    given = session.run(frame, *guides(found))
    planes = [torch.from_numpy(x).permute(2, 0, 1)[None] for x in (frame, *guides(found))]
    expected = SmallNet()(*planes)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(given, expected, atol=1e-4)
    assert given.dtype == np.float32


def test_the_provider_is_stated(session: Session) -> None:
    assert (session.provider, session.device, session.note) == ("CPUExecutionProvider", "cpu", "")


def test_views_of_a_picture_will_do(session: Session) -> None:
    frame, found = picture(2, 64, 96), alignment(2, 64, 96)
    cut = (slice(16, 56), slice(32, 80))
    inputs = (frame, *guides(found))
    whole = session.run(*(np.ascontiguousarray(x[cut]) for x in inputs))
    np.testing.assert_array_equal(session.run(*(x[cut] for x in inputs)), whole)


def test_wrong_shapes_are_named(session: Session) -> None:
    frame, found = picture(1), alignment(1)
    with pytest.raises(ValueError, match="reference"):
        session.run(frame, found.estimate, found.reference[:-1], found.confidence, found.motion)
    with pytest.raises(ValueError, match="motion"):
        session.run(frame, found.estimate, found.reference, found.confidence, found.motion[..., :1])


def _no_driver(monkeypatch: pytest.MonkeyPatch, driver: CudaDriver) -> None:
    monkeypatch.setattr(sessions, "probe_cuda", lambda: driver)
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [sessions._CUDA, sessions._CPU])


def test_a_gpu_asked_for_and_missing_is_an_error(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    _no_driver(monkeypatch, CudaDriver(0, "the NVIDIA driver shows no device (CUDA_VISIBLE_DEVICES is '')"))
    for device in ("cuda", "cuda:0", "cuda:3"):
        with pytest.raises(MissingDevice, match="CUDA_VISIBLE_DEVICES"):
            Session(artifact, device, 1)
    assert Session(artifact, "auto", 1).device == "cpu"


def test_a_gpu_number_too_high_is_an_error(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    _no_driver(monkeypatch, CudaDriver(2))
    with pytest.raises(MissingDevice, match="cuda:0, cuda:1"):
        Session(artifact, "cuda:2", 1)


def test_an_onnx_runtime_without_cuda_is_an_error(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "probe_cuda", lambda: CudaDriver(1))
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [sessions._CPU])
    with pytest.raises(MissingDevice, match="no CUDA support"):
        Session(artifact, "cuda", 1)
    assert Session(artifact, "auto", 1).provider == "CPUExecutionProvider"


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu(artifact: Artifact, session: Session) -> None:
    gpu = Session(artifact, "cuda", 1)
    assert (gpu.provider, gpu.device) == ("CUDAExecutionProvider", "cuda:0")
    assert gpu.free_memory() > 0
    found = alignment(3)
    inputs = (picture(3), *guides(found))
    np.testing.assert_allclose(gpu.run(*inputs), session.run(*inputs), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "meaning"), [("auto", ("auto", 0)), ("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:12", ("cuda", 12))]
)
def test_devices_are_read(text: str, meaning: tuple[str, int]) -> None:
    assert parse_device(text) == meaning


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "auto:1", "cuda:1:2", "cuda:²"])
def test_other_devices_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        parse_device(text)


def test_memory_that_runs_out_is_an_error_of_its_own(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "available_memory", lambda: 8 << 20)
    small = Session(artifact, "cpu", 1)
    found = alignment(1, 512, 512)
    with pytest.raises(OutOfMemory, match="512x512"):
        small.run(picture(1, 512, 512), *guides(found))


def test_threads_are_as_asked() -> None:
    assert cpu_threads(3) == 3
    assert cpu_threads(None) >= 1


def test_importing_rendering_brings_no_torch() -> None:
    import subprocess
    import sys

    import deblur_engine

    code = "import sys, deblur_engine.rendering; print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    engine = str(Path(deblur_engine.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=engine, check=True)
    assert done.stdout.strip() == "[]"
