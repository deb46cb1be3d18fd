# SPDX-License-Identifier: Apache-2.0
"""One clip on the bench, and what several rows need of it, made once: analysis, alignments, pairs, the fit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import deblur_engine
from deblur_engine.analysis import Aligner, Alignment, Analysis, analyse
from deblur_engine.artifact import ModelMetadata
from deblur_engine.artifact.export import export_model
from deblur_engine.artifact.load import Artifact, load_model
from deblur_engine.errors import DeblurError, NoBenefit
from deblur_engine.media import fingerprint, open_clip
from deblur_engine.media.colour import transfer_name
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.settings import FitSettings, RenderSettings
from deblur_engine.task import Event, Task

from .clips import Clip
from .pictures import Bytes, quantised, write_clip

__all__ = ["Bench", "FitOptions", "KeptAligner", "Made", "NotAvailable"]

Floats = npt.NDArray[np.float32]
Fitted = tuple[Path | None, float, dict[str, Any]]  # the model (None: no benefit), seconds, notes


class NotAvailable(Exception):
    """A row that cannot be made here; the text says why."""


@dataclass(frozen=True)
class FitOptions:
    """What of the fit can be chosen on the command line."""

    preset: Any = "standard"
    steps: int | None = None
    pairs: int | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    paper: tuple[tuple[str, Any], ...] = ()  # further settings of the paper's recipe, by name
    init: str | None = None  # a file of weights to start from; None: those that ship
    init_mark: str = ""  # what tells its weights from others

    def settings(self, **changed: Any) -> FitSettings:
        """The engine's settings."""
        own = {name: getattr(self, name) for name in ("preset", "steps", "pairs", "seed", "device", "threads", "init")}
        return FitSettings(**{**own, **changed})


@dataclass
class Made:
    """A row's pictures by frame number, uint8 [H, W, 3]; what it took; what there is to say."""

    pictures: dict[int, Bytes]
    fit_seconds: float | None = None
    frame_seconds: float | None = None  # a frame of the clip, sharp ones included
    notes: dict[str, Any] = field(default_factory=dict)


class KeptAligner:
    """An aligner that remembers: rows that align in the same way do it once. ``seconds`` counts what that took."""

    def __init__(self, aligner: Aligner) -> None:
        self.aligner = aligner
        self.analysis = aligner.analysis
        self.seconds = 0.0
        self._kept: dict[tuple[int, bool], Alignment] = {}

    def needs(self, i: int) -> tuple[int, ...]:
        return tuple(self.aligner.needs(i))

    def align(self, i: int, pictures: Mapping[int, Floats], references: bool = True) -> Alignment:
        key = (i, references)
        if key not in self._kept:
            start = time.perf_counter()
            self._kept[key] = self.aligner.align(i, pictures, references=references)
            self.seconds += time.perf_counter() - start
        return self._kept[key]


class Bench:
    """A clip, stored losslessly in ``folder``, and what the engine finds out about it."""

    def __init__(self, clip: Clip, folder: Path, options: FitOptions, engine: str = "") -> None:
        self.clip = clip
        self.folder = folder
        self.options = options
        self.engine = engine  # what tells this engine's code from another's: a kept fit is of the same
        self.count = len(clip.blurry)
        self.pairs: dict[Any, list[Any]] = {}  # those that fits have made, see ablations.sharing

    @cached_property
    def path(self) -> Path:
        """The clip as a file."""
        return write_clip(self.clip.blurry, self.folder / "clip.mkv", self.clip.fps)

    @cached_property
    def pictures(self) -> dict[int, Floats]:
        """The clip as the engine reads it, float32 [H, W, 3] by frame number."""
        with open_clip(self.path) as clip:
            return {frame.index: frame.rgb for frame in clip.frames()}

    @cached_property
    def transfer(self) -> str:
        with open_clip(self.path) as clip:
            return transfer_name(clip.info.colour)

    @cached_property
    def analysis(self) -> Analysis:
        start = time.perf_counter()
        with open_clip(self.path) as clip:
            found = analyse(clip, references=FitSettings().references, task=Task())
        self.analysis_seconds = time.perf_counter() - start  # which fits that are given it do not spend
        return found

    @cached_property
    def aligner(self) -> KeptAligner:
        """The engine's aligner, shared by all rows that leave it as it is."""
        return KeptAligner(self.fresh_aligner())

    def fresh_aligner(self, **changed: Any) -> Aligner:
        """An aligner of one's own; ``changed`` fields of the analysis."""
        analysis = replace(self.analysis, **changed) if changed else self.analysis
        return Aligner(analysis, transfer=self.transfer, threads=self.options.threads)

    def align(self, i: int) -> Alignment | None:
        """Frame ``i``'s alignment; None for a frame that the engine leaves alone."""
        return self.aligner.align(i, self.pictures) if self.analysis.blurry[i] else None

    def by_frame(self, work: Callable[[int], npt.NDArray[Any]], *, aligned: bool = False) -> Made:
        """A row of which each frame is made by itself; ``aligned``: from the shared alignments, whose time counts."""
        seconds = 0.0
        if aligned:
            for i in range(self.count):
                self.align(i)
            seconds = self.aligner.seconds
        start = time.perf_counter()
        pictures = {i: quantised(work(i)) for i in range(self.count)}
        return Made(pictures, frame_seconds=(seconds + time.perf_counter() - start) / self.count)

    def fit(self, name: str, **changed: Any) -> Fitted:
        """Fit to the clip: the model file, the seconds that it took and notes; no file where the fit has no benefit.

        Raises ``NotAvailable`` with the engine's reason where it refuses for another one.
        """
        path = self.folder / f"{name}.deblur.onnx"
        notes: dict[str, Any] = {}

        def listen(event: Event) -> None:
            if event.stage == "warning":
                notes.setdefault("warnings", []).append(str(event.figures.get("message")))

        start = time.perf_counter()
        try:
            made = deblur_engine.fit(
                self.path,
                path,
                settings=self.options.settings(**changed),
                task=Task(listen),
                overwrite=True,
                resume=False,
            )
        except NoBenefit as refusal:
            return None, time.perf_counter() - start, {**notes, "no_benefit": str(refusal)}
        except DeblurError as refusal:
            raise NotAvailable(str(refusal)) from refusal
        recipe = made.metadata.recipe
        notes |= {key: recipe[key] for key in ("steps_done", "best_step", "kept") if key in recipe}
        return path, time.perf_counter() - start, {**notes, "held_out": made.metadata.held_out}

    def kept_fit(self, name: str, fit: Callable[[], Fitted]) -> Fitted:
        """What ``fit`` gives, or what it gave before for the same engine and options: several rows render one fit."""
        note = self.folder / f"{name}.fit.json"
        mark = [self.engine, repr(self.options)]
        if self.engine and note.is_file():
            kept = json.loads(note.read_text())
            model = self.folder / kept["model"] if kept["model"] else None
            if kept["of"] == mark and (model is None or model.is_file()):
                return model, kept["seconds"], kept["notes"]
        _ = self.analysis  # now, or its time would count twice
        model, seconds, notes = fit()
        seconds += self.analysis_seconds
        kept = {"of": mark, "model": model.name if model else None, "seconds": seconds, "notes": notes}
        note.write_text(json.dumps(kept))
        return model, seconds, notes

    def frozen(self) -> Path:
        """A model of the warm start, without any fitting; raises ``NotAvailable`` where none ships."""
        from deblur_engine.fitting.network import DeblurNet
        from deblur_engine.fitting.warm_start import load_warm_start

        network = DeblurNet(int(self.options.settings().resolved().width or 24))
        if not load_warm_start(network, self.options.init):
            raise NotAvailable(f"no warm start of width {network.width} ships with this engine")
        with open_clip(self.path) as clip:
            info, mark = clip.info, fingerprint(clip)
        metadata = ModelMetadata(
            clip=info.path.name,
            clip_fingerprint=mark,
            width=info.width,
            height=info.height,
            frame_count=self.count,
            transfer=self.transfer,
            analysis=self.analysis.to_bytes(),
        )
        return export_model(network, metadata, self.folder / "frozen.deblur.onnx", overwrite=True)

    def rendered(
        self,
        model: Path | None,
        aligner: Any,
        *,
        use_references: bool = True,
        protect: bool = True,
        change: Callable[[Artifact], Artifact] = lambda artifact: artifact,
    ) -> Made:
        """All frames through a model, as ``deblur_engine.render`` does it; without a model they stay as they are.

        ``aligner``: None for one made from what the model holds.
        """
        if model is None:
            return Made(dict(enumerate(self.clip.blurry)))
        settings = RenderSettings(
            device=self.options.device, threads=self.options.threads, use_references=use_references
        )
        before = aligner.seconds if isinstance(aligner, KeptAligner) else 0.0
        start = time.perf_counter()
        renderer = Renderer(change(load_model(model)), settings, aligner, cache_bytes=0)
        pictures = {i: quantised(self._render(renderer, i, protect)) for i in range(self.count)}
        seconds = time.perf_counter() - start
        if isinstance(aligner, KeptAligner):  # whoever came first paid for all
            seconds += before
        return Made(pictures, frame_seconds=seconds / self.count)

    def _render(self, renderer: Renderer, i: int, protect: bool) -> Floats:
        needed: Iterable[int] = {i, *renderer.needs(i, protect=protect)}
        return renderer.render(i, {k: self.pictures[k] for k in needed}, protect=protect)
