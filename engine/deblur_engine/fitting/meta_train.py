# SPDX-License-Identifier: Apache-2.0
"""Weights from which a fit to any clip is quick: learned over several clips by MAML or Reptile.

Each outer step takes one clip and fits a copy of the weights to it for a few steps. Reptile then moves the weights
towards where that led; MAML asks there for the gradient on sharp frames that the copy did not see and takes that, the
derivative of the inner steps left out (first order). MAML is what the paper uses (Ren, Qian, Chen 2020); how many steps
at which rates it does not say.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..analysis import Aligner, Analysis, analyse
from ..errors import BadInput, Cancelled, NoBenefit, OutOfMemory, UsageError
from ..media import Clip, fingerprint, open_clip
from ..media.colour import transfer_name
from ..settings import MetaSettings
from ..task import Task
from .ahead import Source
from .checkpoint import checkpoint_path, load_checkpoint, remove_checkpoint, save_checkpoint
from .fit_clip import check_clip, check_output, split, torch_device
from .loop import computes_in_bf16
from .pairs import sharp_targets
from .recipes import Recipe, recipe_of, twin
from .warm_start import learned, load_learned, save_warm_start

__all__ = ["MetaResult", "meta_train"]

_SAVE_SECONDS = 120.0  # between checkpoints
_CLIP_NORM = 0.5


@dataclass(frozen=True)
class MetaResult:
    """What ``meta_train`` made: ``path`` is what ``FitSettings.init`` takes."""

    path: Path
    clips: tuple[str, ...]  # those that it learned from
    steps: int
    loss: float  # running mean of the loss after the inner steps
    seconds: float


@dataclass
class _Lesson:
    """One clip to learn from."""

    name: str
    training: Source
    query: Source  # from other sharp frames than ``training``


@dataclass
class _State:
    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan


def meta_train(
    clips: Sequence[Clip | str | Path],
    out: str | Path,
    *,
    settings: MetaSettings | None = None,
    task: Task | None = None,
    overwrite: bool = False,
    resume: bool = True,
) -> MetaResult:
    """Learn weights to start fits from over ``clips`` and write them to ``out``, float16 safetensors.

    A clip that has nothing to learn from (no sharp or no blurry frames) is left out with a warning. Stopped, it leaves
    ``OUT.checkpoint``, from which the next call with ``resume`` goes on as if nothing had been. The same seed on the
    same device gives the same file where ``steps``, not ``minutes``, end the training.

    Raises ``BadInput``, ``ModelError``, ``NoBenefit`` (no clip is of use), ``OutputError``, ``MissingDevice``,
    ``OutOfMemory``, ``UsageError`` or ``Cancelled``.
    """
    started = time.perf_counter()
    settings = (settings or MetaSettings()).resolved()
    task = task or Task()
    path = Path(out)
    if not clips:
        raise UsageError("there is no clip to learn from", hint="give one or more")
    check_output(path, overwrite)
    device = torch_device(settings.fit.device)
    threads_before = torch.get_num_threads()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads_before
    torch.set_num_threads(settings.fit.threads or available)
    try:
        training = _MetaTraining(clips, path, settings, task, device, resume)
        training.run(started)
        save_warm_start(training.network, path, training.recipe.about)
        remove_checkpoint(training.checkpoint)
    finally:
        torch.set_num_threads(threads_before)
    names = tuple(lesson.name for lesson in training.lessons)
    return MetaResult(path, names, training.state.step, training.state.loss, time.perf_counter() - started)


class _MetaTraining:
    def __init__(
        self,
        clips: Sequence[Clip | str | Path],
        path: Path,
        settings: MetaSettings,
        task: Task,
        device: torch.device,
        resume: bool,
    ) -> None:
        self.settings, self.task, self.device = settings, task, device
        self.recipe: Recipe = recipe_of(settings.fit, device)
        torch.manual_seed(settings.fit.seed)
        self.network = self.recipe.network()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe.start(self.network)
        self.worker = twin(self.network)
        self.half = computes_in_bf16(device)
        self.pairs = [
            (w, n) for w, n in zip(self.worker.parameters(), self.network.parameters(), strict=True) if n.requires_grad
        ]
        self.outer = torch.optim.Adam([n for _, n in self.pairs], float(settings.outer_rate or 0))  # MAML's alone
        self.rng = np.random.default_rng(settings.fit.seed)
        self.state = _State()
        self.checkpoint = checkpoint_path(path)
        self._lessons(clips, resume)

    def _lessons(self, clips: Sequence[Clip | str | Path], resume: bool) -> None:
        opened: list[Clip] = []
        try:
            for clip in clips:
                opened.append(clip if isinstance(clip, Clip) else open_clip(clip))
            told = {**asdict(self.settings), "minutes": 0, "fit": {**asdict(self.settings.fit), "threads": 0, "vgg": 0}}
            marks = " ".join(map(fingerprint, opened))
            self.identity = {
                "meta": __version__, "clips": marks, "settings": str(told), **self.recipe.about
            }  # fmt: skip
            kept = load_checkpoint(self.checkpoint, self.identity, self.task) if resume else None
            self.analyses: list[bytes | None] = kept[1]["analyses"] if kept else [self._analysed(c) for c in opened]
            self.lessons: list[_Lesson] = []
            for number, (clip, analysis) in enumerate(zip(opened, self.analyses, strict=True)):
                if analysis is not None:
                    self._lesson(clip, Analysis.from_bytes(analysis), number)
        finally:
            for given, clip in zip(clips, opened, strict=False):
                if given is not clip:
                    clip.close()
        if not self.lessons:
            raise NoBenefit("none of the clips has both sharp and blurry frames", hint="see: deblur-engine probe CLIP")
        if kept:
            self.restore(kept[1])
            self.task.warn(f"going on from step {self.state.step} of the training that was stopped")

    def _analysed(self, clip: Clip) -> bytes | None:
        """The clip's analysis; None if there is nothing to learn from it."""
        self.task.report("clip", 0, None, "clips", clip=clip.info.path.name)
        try:
            check_clip(clip)
            analysis = analyse(clip, references=self.settings.fit.references, task=self.task)
            sharp_targets(clip, analysis, 1)
        except (BadInput, NoBenefit) as problem:
            self.task.warn(f"{problem.message}; the clip is left out")
            return None
        return analysis.to_bytes()

    def _lesson(self, clip: Clip, analysis: Analysis, number: int) -> None:
        fit = self.settings.fit
        aligner = Aligner(analysis, transfer=transfer_name(clip.info.colour), threads=fit.threads)
        parts = split(list(self.recipe.pairs(clip, analysis, aligner, self.task)), analysis)
        training, query = (
            self.recipe.batches(part, clip.info.colour, fit.seed + 1 + 2 * number + which)
            for which, part in enumerate(parts)
        )
        self.lessons.append(_Lesson(clip.info.path.name, training, query))

    def run(self, started: float) -> None:
        """Outer steps until steps or minutes are used up; time of runs before counts, their preparation does not."""
        settings, state = self.settings, self.state
        budget = max(1.0, settings.minutes * 60 - (time.perf_counter() - started))
        last = saved = time.perf_counter()
        try:
            while state.step < settings.steps and state.seconds < budget:
                share = max(state.step / settings.steps, state.seconds / budget)
                lesson = self.lessons[int(self.rng.integers(len(self.lessons)))]
                loss = self._step(lesson, share)
                state.loss = loss if math.isnan(state.loss) else state.loss + 0.05 * (loss - state.loss)
                now = time.perf_counter()
                state.seconds, last = state.seconds + now - last, now
                state.step += 1
                if now - saved > _SAVE_SECONDS:
                    self.save()
                    saved = time.perf_counter()
                done = max(state.step / settings.steps, min(1.0, state.seconds / budget))
                figures: dict[str, float | str] = {"loss": state.loss, "step": state.step, "clip": lesson.name}
                self.task.report("meta-train", round(done * settings.steps), settings.steps, "steps", **figures)
        except Cancelled:
            self.save()
            raise

    def _step(self, lesson: _Lesson, share: float) -> float:
        """One clip; returns the loss that its inner steps led to, on frames that they did not see."""
        settings, maml = self.settings, self.settings.method == "maml"
        rate, outer = float(settings.inner_rate or 0), float(settings.outer_rate or 0)
        load_learned(self.worker, learned(self.network))
        weights = [w for w, _ in self.pairs]
        # Plain descent inside MAML, whose step the outer gradient is about; Adam without momentum, as Reptile has it.
        inner: torch.optim.Optimizer = (
            torch.optim.SGD(weights, rate) if maml else torch.optim.Adam(weights, rate, betas=(0.0, 0.999))
        )
        for _ in range(settings.inner):
            self._gradient(lesson.training)
            inner.step()
        loss = self._gradient(lesson.query)
        if maml:
            for group in self.outer.param_groups:
                group["lr"] = outer * 0.5 * (1 + math.cos(math.pi * share))
            for theta, phi in self.pairs:
                phi.grad = None if theta.grad is None else theta.grad.clone()
            self.outer.step()
        else:
            with torch.no_grad():
                torch._foreach_lerp_(
                    [n.detach() for _, n in self.pairs], [w.detach() for w in weights], outer * (1 - share)
                )
        return loss

    def _gradient(self, source: Source) -> float:
        batch = source.draw()
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                loss = self.recipe.loss(self.worker(*batch.inputs), batch.sharp)
            self.worker.zero_grad(set_to_none=True)
            loss.backward()
        except torch.OutOfMemoryError as problem:
            raise OutOfMemory(f"meta-training ran out of memory on {self.device}", hint="--device cpu") from problem
        torch.nn.utils.clip_grad_norm_([w for w, _ in self.pairs], _CLIP_NORM)
        return float(loss.detach())

    def save(self) -> None:
        state = {
            "analyses": self.analyses,
            "network": learned(self.network),
            "outer": self.outer.state_dict(),
            "rng": dict(self.rng.bit_generator.state),
            "sources": [(lesson.training.state(), lesson.query.state()) for lesson in self.lessons],
            "state": asdict(self.state),
        }
        # The analyses are several here. (Where a fit has its one, torch.load would refuse bytes that are empty.)
        save_checkpoint(self.checkpoint, self.identity, b"several", state)

    def restore(self, kept: dict[str, Any]) -> None:
        load_learned(self.network, kept["network"])
        self.outer.load_state_dict(kept["outer"])
        self.rng.bit_generator.state = kept["rng"]
        for lesson, (training, query) in zip(self.lessons, kept["sources"], strict=True):
            lesson.training.restore(training)
            lesson.query.restore(query)
        self.state = _State(**kept["state"])
