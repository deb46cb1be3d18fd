# SPDX-License-Identifier: Apache-2.0
"""What a user can set, with defaults and legal ranges: one place, read by the command line, the API and the plug-in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .errors import UsageError

__all__ = ["PRESETS", "RECIPES", "FitSettings", "FrameRange", "MetaSettings", "Preset", "Recipe", "RenderSettings"]

Preset = Literal["draft", "standard", "high"]
Recipe = Literal["reference-blend", "paper"]


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
    """How a network is fitted to a clip. ``None`` means: as the preset and the recipe say (``PRESETS``, ``RECIPES``).

    ``recipe``: ``reference-blend`` is this project's own (ARCHITECTURE.md), ``paper`` that of Ren, Qian and Chen
    (2020): see ``fitting.paper``.
    """

    preset: Preset = "standard"
    recipe: Recipe = "reference-blend"
    minutes: float | None = None  # upper bound on the whole fit's wall time
    seed: int = 0
    device: str = "auto"  # auto | cpu | cuda | cuda:N
    threads: int | None = None  # CPU threads; None: as many as there are
    frames: FrameRange | None = None
    pairs: int | None = None  # synthetic pairs with aligned references
    steps: int | None = None
    batch: int | None = None
    crop: int | None = None  # training crop's side in pixels
    width: int | None = None  # channels of the network's first level
    learning_rate: float | None = None
    init: str | None = None  # a safetensors file of weights to start from, as meta-train writes it
    vgg: str | None = None  # recipe paper: VGG-19's weights; None: as DEBLUR_VGG says, else in torch's hub cache
    references: int = 4  # sharp references tried for each blurry frame
    keep_references: bool = False  # inside the model, for hosts that give no other frame than the one they show

    def resolved(self) -> FitSettings:
        """The settings with every ``None`` filled in from the preset; raises ``UsageError`` outside legal ranges."""
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r} is unknown", hint="one of " + ", ".join(PRESETS))
        if self.recipe not in RECIPES:
            raise UsageError(f"recipe {self.recipe!r} is unknown", hint="one of " + ", ".join(RECIPES))
        if self.vgg is not None and self.recipe != "paper":
            raise UsageError("VGG weights are given, which only the paper's recipe takes", hint="--recipe paper")
        preset = {**PRESETS[self.preset], **RECIPES[self.recipe]}
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
    "draft": {"minutes": 3.0, "pairs": 24, "steps": 400},
    "standard": {"minutes": 12.0, "pairs": 96, "steps": 1600},
    "high": {"minutes": 90.0, "pairs": 200, "steps": 20_000},
}
"""Bounds of each preset: whichever of ``minutes`` and ``steps`` comes first ends the fit."""

RECIPES: dict[str, dict[str, float | int]] = {
    "reference-blend": {"batch": 8, "crop": 96, "width": 24, "learning_rate": 1e-3},
    "paper": {"batch": 1, "crop": 192, "width": 64, "learning_rate": 1e-3},
}
"""What each recipe trains with. The paper's numbers are not known but for the width, which is inferred."""


@dataclass(frozen=True)
class MetaSettings:
    """How weights to start from are learned over several clips (``meta-train``).

    ``method``: ``reptile`` (Nichol, Achiam and Schulman, arXiv 1803.02999) or ``maml``, of first order (Finn, Abbeel
    and Levine, ICML 2017), which the paper uses. Each of ``steps`` takes one clip and goes ``inner`` steps into it, as
    a fit would. ``fit``: what of a fit's settings counts here: recipe, width, batch, crop, pairs, seed, device, ...
    """

    method: Literal["reptile", "maml"] = "reptile"
    steps: int = 1000
    minutes: float = 60.0  # whichever of the two comes first ends the training
    inner: int = 8
    inner_rate: float | None = None  # of learning inside a clip; None: 1e-2 with maml, the recipe's own with reptile
    outer_rate: float | None = None  # None: 1e-3 with maml, with reptile 0.5 of the way, falling to 0
    fit: FitSettings = FitSettings(preset="draft")

    def resolved(self) -> MetaSettings:
        """The settings with every ``None`` filled in; raises ``UsageError`` outside legal ranges."""
        if self.method not in ("reptile", "maml"):
            raise UsageError(f"method {self.method!r} is unknown", hint="reptile or maml")
        fit = self.fit.resolved()
        assert fit.learning_rate is not None
        maml = self.method == "maml"
        settings = replace(
            self,
            fit=fit,
            inner_rate=(1e-2 if maml else fit.learning_rate) if self.inner_rate is None else self.inner_rate,
            outer_rate=(1e-3 if maml else 0.5) if self.outer_rate is None else self.outer_rate,
        )
        for name, low, high in (
            ("steps", 1, 10_000_000),
            ("minutes", 0.05, 100_000.0),
            ("inner", 1, 1000),
            ("inner_rate", 0.0, 1.0),
            ("outer_rate", 0.0, 1.0),
        ):
            value = getattr(settings, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value}; it must lie in {low}..{high}")
        return settings


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
