# SPDX-License-Identifier: Apache-2.0
"""The fitting loop: steps on random crops, a running mean of the weights, and a watch on held-out pairs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import OutOfMemory
from ..media import ColourTags
from ..settings import FitSettings
from ..task import Task
from .ahead import Ahead
from .batches import Batch
from .graphed import Graphed
from .held_out import HeldOut
from .pairs import Pair
from .recipes import Recipe, recipe_of, twin
from .warm_start import learned, load_learned

__all__ = ["FittingLoop", "Progress", "computes_in_bf16"]

_WARM_UP = 40  # steps over which the learning rate rises
_LOOKS = 12  # at the held-out pairs, over the whole fit
_CLIP_NORM = 0.5
_LEAN = 0.25  # of the way back to the weights it started from, that the fitted network is taken
_LOSS_EVERY = 8  # steps after which a GPU is waited for to show the loss


@dataclass
class Progress:
    """How far a fit is; goes into the checkpoint."""

    step: int = 0
    seconds: float = 0.0  # spent in steps, over all runs
    best_gain: float = -math.inf  # dB over the input on held-out pairs
    best_step: int = 0
    looked: float = 0.0  # share of the fit that was done at the last look at the held-out pairs


class FittingLoop:
    """Fits a network to pairs. ``run`` may be called again after ``restore``; ``best`` is the result.

    ``settings``: resolved; ``recipe``: of these settings, made if left; ``colour``: the clip's tags.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        held_out: HeldOut,
        settings: FitSettings,
        device: torch.device,
        *,
        recipe: Recipe | None = None,
        colour: ColourTags | None = None,
    ) -> None:
        self.settings = settings = settings.resolved()
        self.device = device
        self.held_out = held_out
        self.recipe = recipe or recipe_of(settings, device)
        torch.manual_seed(settings.seed)
        self.network = self.recipe.network()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = twin(self.network).eval().requires_grad_(False)
        self.best = twin(self.mean)
        both = zip(self.network.parameters(), self.mean.parameters(), strict=True)
        self._fitted = [(of_network, of_mean) for of_network, of_mean in both if of_network.requires_grad]
        self._rate_at_most = float(settings.learning_rate or 0)
        self.optimiser = self.recipe.optimiser([n for n, _ in self._fitted], self._rate_at_most)
        self.half = computes_in_bf16(device)
        source = self.recipe.batches(pairs, colour or ColourTags(), settings.seed + 1)
        self.batches = Ahead(source, self._prepared, thread=torch.get_num_threads() > 1)
        self.progress = Progress()
        self._learn: Callable[[Batch], Tensor] = self._learn_from
        self._start: dict[str, Tensor] = {}  # the warm start's weights, if there is one

    def start_from_network(self, warm: bool = True) -> None:
        """Let the running mean and the best so far begin at the network. If ``warm``, that may stay the best."""
        load_learned(self.mean, learned(self.network))
        load_learned(self.best, learned(self.network))
        if warm:
            self._start = {name: value.clone() for name, value in learned(self.network).items()}

    def lean_to_start(self) -> None:
        """Take the best a part of the way back to the warm start that it began at.

        Pairs are not quite what real frames are. Between the weights of a network that knows other footage and those
        fitted to these pairs lie some that do as well on the pairs, and better elsewhere (Wortsman et al., "Robust
        fine-tuning of zero-shot models", CVPR 2022).
        """
        with torch.no_grad():
            for name, value in learned(self.best).items():
                value.lerp_(self._start[name], _LEAN)

    def use_graph(self, warn: Callable[[str], None]) -> None:
        """On a GPU, replay the steps that follow as a CUDA graph; ``warn`` is told if that cannot be."""
        self._learn = Graphed(self._learn_from, warn) if self.device.type == "cuda" else self._learn_from

    def run(self, task: Task, budget: float, on_look: Callable[[], None] | None = None) -> None:
        """Step until the settings' steps or ``budget`` seconds (of this run and those before) are used up.

        ``on_look`` is called each time the held-out pairs have been looked at (to save a checkpoint). Raises
        ``Cancelled`` at a step's end.
        """
        self.use_graph(task.warn)
        try:
            self._run(task, budget, on_look)
        finally:
            self.batches.close()

    def _run(self, task: Task, budget: float, on_look: Callable[[], None] | None) -> None:
        steps = int(self.settings.steps or 1)
        progress = self.progress
        last = time.perf_counter()
        loss = math.nan
        if progress.step == 0 and self._start:
            self._look()
        while (share := self._share(budget)) < 1.0:
            self._set_rate(self._rate(share))
            shown = self._step()
            if self.device.type != "cuda" or progress.step % _LOSS_EVERY == 0:
                loss = float(shown)
            now = time.perf_counter()
            progress.seconds, last = progress.seconds + now - last, now
            progress.step += 1
            share = min(1.0, self._share(budget))
            if share - progress.looked >= 1.0 / _LOOKS:
                progress.looked = share
                self._look()
                if on_look is not None:
                    on_look()
            gain = {} if math.isinf(progress.best_gain) else {"held_out_gain_db": round(progress.best_gain, 2)}
            task.report("fit", round(share * steps), steps, "steps", loss=loss, step=progress.step, **gain)
        if progress.looked < 1.0:
            self._look()

    def _share(self, budget: float) -> float:
        """How much of the fit is done, 0..1, by whichever of steps and time is further on."""
        return max(self.progress.step / int(self.settings.steps or 1), self.progress.seconds / max(budget, 1e-3))

    def _rate(self, share: float) -> float:
        warm = min(1.0, (self.progress.step + 1) / _WARM_UP)
        return self._rate_at_most * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def _prepared(self, batch: Batch) -> Batch:
        """The part of the network's work of which nothing is learned, so that it can be done ahead."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            told, *rest = self.network.told(*batch.inputs)  # type: ignore[operator]
        told = told.to(torch.bfloat16 if self.half else torch.float32, memory_format=torch.channels_last)
        return Batch((told, *rest), batch.sharp)

    def _step(self) -> Tensor:
        """One step; its loss, a scalar on the device."""
        batch = self.batches.draw()
        try:
            loss = self._learn(batch)
        except torch.OutOfMemoryError as problem:
            raise OutOfMemory(
                f"fitting ran out of memory on {self.device}",
                hint="--device cpu, or in Python smaller FitSettings.crop and batch",
            ) from problem
        keep = min(0.995, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            torch._foreach_lerp_([m for _, m in self._fitted], [n.detach() for n, _ in self._fitted], 1 - keep)
        return loss

    def _learn_from(self, batch: Batch) -> Tensor:
        """Forward, backward and the optimiser's step: what a CUDA graph holds, so that nothing here may wait for it."""
        height, width = batch.sharp.shape[2:]
        # Each weight is used once a step: a cache of their halves would only be in the way of a graph.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half, cache_enabled=False):
            restored = self.network.restored(*batch.inputs)[:, :, :height, :width]  # type: ignore[operator]
            loss = self.recipe.loss(restored, batch.sharp)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([n for n, _ in self._fitted], _CLIP_NORM)
        self.optimiser.step()
        return loss.detach()

    def _set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _look(self) -> None:
        """Measure the running mean on the held-out pairs, and keep it if it is the best so far."""
        gain = self.held_out.gain(self.mean, self.device)
        if gain > self.progress.best_gain:
            self.progress.best_gain, self.progress.best_step = gain, self.progress.step
            load_learned(self.best, learned(self.mean))

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs to go on as if nothing had happened."""
        return {
            "network": learned(self.network),
            "mean": learned(self.mean),
            "best": learned(self.best),
            "optimiser": self.optimiser.state_dict(),
            "batches": self.batches.state(),
            "progress": self.progress.__dict__.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        load_learned(self.network, state["network"])
        load_learned(self.mean, state["mean"])
        load_learned(self.best, state["best"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):  # a graph would not see one in the host's memory change
                group["lr"] = group["lr"].to(self.device)
        self.batches.restore(state["batches"])
        self.progress = Progress(**state["progress"])


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by itself; weights, their mean and the optimiser stay float32 anyway."""
    if device.type == "cuda":
        return True
    # torch has no public name for this so far.
    asks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and ask() for ask in asks)
