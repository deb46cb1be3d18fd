# SPDX-License-Identifier: Apache-2.0
"""The weights that a fit starts from: they ship with the package (see ``pretrain`` for how they were made)."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import BadInput
from .network import DeblurNet

__all__ = ["WARM_START", "load_warm_start", "save_warm_start"]

WARM_START = Path(__file__).with_name("warm_start.safetensors")


def save_warm_start(network: DeblurNet, path: Path) -> None:
    """Write the network's weights as float16 safetensors."""
    partial = path.with_name(path.name + ".partial")
    weights = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, partial, {"width": str(network.width)})
    partial.replace(path)


def load_warm_start(network: DeblurNet, path: Path | None = None) -> bool:
    """Start ``network`` from the weights in ``path`` (None: the package's own).

    False, and nothing changed, if the package's own are of another width. Raises ``BadInput`` for a file given by
    name that is damaged or does not fit.
    """
    own = path is None
    path = path or WARM_START
    try:
        weights = load_file(path)
        fits = {n: v.shape for n, v in weights.items()} == {n: v.shape for n, v in network.state_dict().items()}
        if not fits and not own:
            raise BadInput(
                f"{path}: these weights are of another network", hint=f"one of width {network.width} is wanted"
            )
        if not fits:
            return False
    except FileNotFoundError as problem:
        if own:
            return False
        raise BadInput(f"{path}: no such file") from problem
    except (SafetensorError, OSError) as problem:
        raise BadInput(f"{path}: not a safetensors file ({problem!s:.100})") from problem
    network.load_state_dict({name: value.to(torch.float32) for name, value in weights.items()})
    return True
