# SPDX-License-Identifier: Apache-2.0
"""What a user can set, with defaults and legal ranges: one place, read by the command line, the API and the plug-in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .errors import UsageError

__all__ = ["PRESETS", "FitSettings", "FrameRange", "Preset", "RenderSettings"]

Preset = Literal["draft", "standard", "high"]


@dataclass(frozen=True)
class FrameRange:
    """A run of frames, first and last included, every ``step``-th: written ``A-B`` or ``A-BxS`` (as ``1-100x2``).

    Numbers count from 0 for clips and are file numbers for image sequences.
    """

    first: int
    last: int
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Read ``"7"``, ``"1-100"`` or ``"1-100x2"``; raises ``UsageError`` on anything else."""
        if ":" in text:
            raise UsageError(
                f"frame range {text!r}: a ':' step is read differently by different tools",
                hint="write 1-100x2 for every second frame of 1 to 100",
            )
        body, _, step_text = text.partition("x")
        first_text, dash, last_text = body.partition("-")
        parts = [first_text, last_text if dash else first_text, step_text if "x" in text else "1"]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise UsageError(f"frame range {text!r} is not of the form A, A-B or A-BxSTEP", hint="for example 1-100x2")
        first, last, step = (int(part) for part in parts)
        if last < first:
            raise UsageError(f"frame range {text!r} ends before it starts", hint=f"did you mean {last}-{first}?")
        if step < 1:
            raise UsageError(f"frame range {text!r}: the step must be at least 1")
        return cls(first, last, step)

    def __str__(self) -> str:
        text = f"{self.first}-{self.last}"
        return text if self.step == 1 else f"{text}x{self.step}"

    def __contains__(self, index: int) -> bool:
        return self.first <= index <= self.last and (index - self.first) % self.step == 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(range(self.first, self.last + 1, self.step))


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted to a clip. ``None`` means: as the preset says (see ``PRESETS``)."""

    preset: Preset = "standard"
    minutes: float | None = None  # upper bound on the whole fit's wall time
    seed: int = 0
    device: str = "auto"  # auto | cpu | cuda | cuda:N
    threads: int | None = None  # CPU threads; None: as many as there are
    frames: FrameRange | None = None
    pairs: int | None = None  # synthetic pairs with aligned references
    steps: int | None = None
    batch: int = 8
    crop: int = 96  # training crop's side in pixels
    width: int | None = None  # channels of the network's first level
    learning_rate: float = 1e-3
    references: int = 4  # sharp references tried for each blurry frame
    keep_references: bool = False  # inside the model, for hosts that give no other frame than the one they show

    def resolved(self) -> FitSettings:
        """The settings with every ``None`` filled in from the preset; raises ``UsageError`` outside legal ranges."""
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r} is unknown", hint="one of " + ", ".join(PRESETS))
        preset = PRESETS[self.preset]
        filled = {name: value for name, value in preset.items() if getattr(self, name) is None}
        settings = replace(self, **filled)  # type: ignore[arg-type]
        for name, low, high in (
            ("minutes", 0.05, 10_000.0),
            ("pairs", 2, 10_000),
            ("steps", 1, 10_000_000),
            ("batch", 1, 1024),
            ("crop", 32, 2048),
            ("width", 4, 256),
            ("references", 1, 16),
        ):
            value = getattr(settings, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value}; it must lie in {low}..{high}")
        return settings


PRESETS: dict[str, dict[str, float | int]] = {
    "draft": {"minutes": 3.0, "pairs": 24, "steps": 400, "width": 24},
    "standard": {"minutes": 12.0, "pairs": 48, "steps": 800, "width": 24},
    "high": {"minutes": 90.0, "pairs": 200, "steps": 20_000, "width": 24},
}
"""Bounds of each preset: whichever of ``minutes`` and ``steps`` comes first ends the fit."""


@dataclass(frozen=True)
class RenderSettings:
    """How a fitted model is applied to a clip."""

    strength: float = 1.0  # 0 leaves the clip as it is, 1 is the full effect
    device: str = "auto"
    threads: int | None = None
    frames: FrameRange | None = None
    tile: int | None = None  # tile side in pixels; None: as memory allows
    overlap: int = 32  # feathered overlap of tiles in pixels
    use_references: bool = True
    codec: str | None = None  # None: the source's own family
    overwrite: bool = False

    def checked(self) -> RenderSettings:
        """These settings; raises ``UsageError`` outside legal ranges."""
        if not 0.0 <= self.strength <= 1.0:
            raise UsageError(f"strength is {self.strength}; it must lie in 0..1")
        if self.tile is not None and not 64 <= self.tile <= 16384:
            raise UsageError(f"tile is {self.tile}; it must lie in 64..16384 pixels")
        if not 0 <= self.overlap <= 512:
            raise UsageError(f"overlap is {self.overlap}; it must lie in 0..512 pixels")
        return self
