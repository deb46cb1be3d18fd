# SPDX-License-Identifier: Apache-2.0
"""Results in the shape of the engine's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class FakeMetadata:
    held_out: dict[str, float] = field(default_factory=lambda: {"gain_db": 1.5})

    recipe: dict[str, str] = field(default_factory=lambda: {"trained_on": "cuda:1"})

    def to_dict(self) -> dict[str, Any]:
        return {"held_out": self.held_out, "recipe": {"preset": "standard"}}


@dataclass
class FakeFit:
    path: Path
    metadata: FakeMetadata = field(default_factory=FakeMetadata)
    seconds: float = 187.0


@dataclass
class FakeRender:
    path: Path
    frames: int = 30
    changed: int = 14
    provider: str = "CPUExecutionProvider"
    stages: dict[str, float] = field(default_factory=lambda: {"decode": 0.5})
