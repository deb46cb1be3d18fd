# SPDX-License-Identifier: Apache-2.0
"""A small exported model that the tests of a folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifact.small_net import SmallNet
from deblur_engine.artifact import Artifact, ModelMetadata, load_model
from deblur_engine.artifact.export import export_model


def metadata(**changes: object) -> ModelMetadata:
    values: dict[str, object] = {
        "clip": "shot.mov",
        "clip_fingerprint": "ab" * 32,
        "width": 64,
        "height": 48,
        "fps": 24.0,
        "frame_count": 30,
        "recipe": {"width": 4, "seed": 0},
        "reference_frames": ((3, 0.125), (11, 0.4583)),
        "held_out": {"gain_db": 1.5},
        "trust": ((0.0, 1.0), (20.0, 0.5)),
        "analysis": bytes(range(256)) * 40,
    }
    return ModelMetadata(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model(SmallNet(), metadata(), tmp_path_factory.mktemp("model") / "shot.deblur.onnx")


@pytest.fixture(scope="session")
def artifact(model_path: Path) -> Artifact:
    return load_model(model_path)
