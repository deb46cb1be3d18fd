# SPDX-License-Identifier: Apache-2.0
"""What a recipe is made of: pairs, batches, a network, a loss, an optimiser. The loop is the same for all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..analysis import Aligner, Analysis
from ..media import Clip, ColourTags
from ..settings import FitSettings
from ..task import Task
from .ahead import Source
from .batches import Batches
from .losses import restoration_loss
from .network import DeblurNet
from .pairs import Pair, make_pairs
from .paper.blurred import KernelBatches, make_kernel_pairs
from .paper.losses import FeatureLoss
from .paper.network import HypercolumnNet
from .paper.vgg_file import find_vgg, load_vgg
from .warm_start import load_warm_start

__all__ = ["Recipe", "recipe_of", "twin"]


@dataclass(frozen=True)
class Recipe:
    """A way to fit, of resolved ``settings``, on one device.

    ``network()`` makes a network (seed torch first), ``pairs`` the examples to train on and to hold out, ``batches``
    draws from the former, ``loss(restored, sharp)`` is a scalar. ``about`` tells its weights from others'.
    ``has_blend``: whether a network that was just made does something of use, the plain blend of the references.
    """

    settings: FitSettings
    network: Callable[[], nn.Module]
    pairs: Callable[[Clip, Analysis, Aligner, Task], Iterator[Pair]]
    batches: Callable[[Sequence[Pair], ColourTags, int], Source]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimiser: Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
    about: dict[str, str]
    has_blend: bool

    def start(self, network: nn.Module) -> bool:
        """Load the weights that the settings name, or the package's own, if it has any; says whether it did."""
        if self.settings.init is None and not self.has_blend:
            return False
        return load_warm_start(network, self.settings.init, self.about)


def recipe_of(settings: FitSettings, device: torch.device) -> Recipe:
    """The recipe that resolved ``settings`` name. Raises ``ModelError`` if it needs weights that are not there."""
    return _paper(settings, device) if settings.recipe == "paper" else _reference_blend(settings, device)


def _reference_blend(settings: FitSettings, device: torch.device) -> Recipe:
    crop, batch, width = int(settings.crop or 96), int(settings.batch or 8), int(settings.width or 24)
    count, seed = int(settings.pairs or 1), settings.seed

    def optimiser(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        graphs = device.type == "cuda"  # which see the rate in memory only
        at = torch.tensor(rate, device=device) if graphs else rate
        return torch.optim.AdamW(parameters, at, betas=(0.9, 0.95), weight_decay=1e-4, fused=True, capturable=graphs)

    return Recipe(
        settings,
        network=lambda: DeblurNet(width).to(device),
        pairs=lambda clip, analysis, aligner, task: make_pairs(clip, analysis, aligner, count, seed, task),
        batches=lambda pairs, colour, seed: Batches(pairs, crop, batch, device, seed),
        loss=restoration_loss,
        optimiser=optimiser,
        about={"recipe": settings.recipe},
        has_blend=True,
    )


def _paper(settings: FitSettings, device: torch.device) -> Recipe:
    vgg = load_vgg(find_vgg(settings.vgg))
    about = {"recipe": settings.recipe, "vgg": vgg.digest()}
    vgg.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    crop, batch, width = int(settings.crop or 192), int(settings.batch or 1), int(settings.width or 64)
    count, seed = int(settings.pairs or 1), settings.seed

    def optimiser(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        graphs = device.type == "cuda"
        at = torch.tensor(rate, device=device) if graphs else rate
        return torch.optim.Adam(parameters, at, fused=True, capturable=graphs)

    return Recipe(
        settings,
        network=lambda: HypercolumnNet(vgg, width).to(device),
        pairs=lambda clip, analysis, aligner, task: make_kernel_pairs(clip, analysis, count, seed, task),
        batches=lambda pairs, colour, seed: KernelBatches(pairs, crop, batch, device, seed, colour),
        loss=FeatureLoss(vgg),
        optimiser=optimiser,
        about=about,
        has_blend=False,
    )


def twin(network: nn.Module) -> Any:
    """A copy of the network for weights of its own; what is frozen is shared."""
    frozen = getattr(network, "vgg", None)
    return copy.deepcopy(network, {} if frozen is None else {id(frozen): frozen})
