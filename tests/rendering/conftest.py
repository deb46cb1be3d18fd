# SPDX-License-Identifier: Apache-2.0
"""One small model for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifact.small_net import SmallNet
from deblur_engine.artifact import Artifact, ModelMetadata, load_model
from deblur_engine.artifact.export import export_model
from deblur_engine.rendering.session import Session


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    path: Path = tmp_path_factory.mktemp("model") / "shot.deblur.onnx"
    return load_model(export_model(SmallNet(), ModelMetadata("shot.mov", "ab" * 32, 80, 48), path))


@pytest.fixture(scope="session")
def session(artifact: Artifact) -> Session:
    return Session(artifact, "cpu", 1)
