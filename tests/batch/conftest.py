# SPDX-License-Identifier: Apache-2.0
"""Tiny clips, and a fit and a render that write real files at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import deblur_engine
from deblur_engine.artifact.schema import ModelMetadata
from deblur_engine.artifact.variants import embed
from deblur_engine.media import fingerprint, open_clip
from tiny import identity_model, noise_clip


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """``make_clip("a.mp4", seed=1)``: four frames, different for each seed."""
    return lambda name, seed=0: noise_clip(tmp_path / name, seed)


@dataclass
class Fitted:
    path: Path
    metadata: ModelMetadata


@dataclass
class Rendered:
    path: Path
    frames: int = 4
    changed: int = 2
    provider: str = "CPUExecutionProvider"
    stages: dict[str, float] = field(default_factory=dict)


class Workshop:
    """A fit and a render that do no work but keep the engine's promises: what is written, what is refused."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.trouble: dict[tuple[str, str], Any] = {}  # (verb, clip's name): an exception, or a call

    def fit(self, clip: Any, out: Any = None, *, settings: Any, task: Any, overwrite: bool = False) -> Fitted:
        self._begin("fit", clip, task)
        with open_clip(clip) as opened:
            metadata = ModelMetadata(
                clip=Path(clip).name,
                clip_fingerprint=fingerprint(opened),
                width=opened.info.width,
                height=opened.info.height,
                recipe={"preset": settings.preset},
                held_out={"gain_db": 2.0},
                engine_version="0",
            )
        assert overwrite or not Path(out).exists()
        Path(out).write_bytes(embed(identity_model(), metadata))
        return Fitted(Path(out), metadata)

    def render(self, clip: Any, model: Any = None, out: Any = None, *, settings: Any, task: Any) -> Rendered:
        self._begin("render", clip, task)
        assert Path(model).exists()
        assert settings.overwrite or not Path(out).exists()
        Path(out).write_bytes(b"rendered")
        return Rendered(Path(out))

    def _begin(self, verb: str, clip: Any, task: Any) -> None:
        self.calls.append((verb, Path(clip).name))
        task.report(verb, 0, 1)
        trouble = self.trouble.get((verb, Path(clip).name))
        if isinstance(trouble, BaseException):
            raise trouble
        if trouble is not None:
            trouble()


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop()
    monkeypatch.setitem(vars(deblur_engine), "fit", made.fit)
    monkeypatch.setitem(vars(deblur_engine), "render", made.render)
    return made
