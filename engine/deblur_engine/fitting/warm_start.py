# SPDX-License-Identifier: Apache-2.0
"""The weights that a fit starts from: they ship with the package (see ``pretrain`` for how they were made)."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import ModelError, OutputError

__all__ = ["WARM_START", "learned", "load_learned", "load_warm_start", "save_warm_start"]

WARM_START = Path(__file__).with_name("warm_start.safetensors")
_MAX_BYTES = 256 << 20
_FROZEN = "vgg."  # weights of this prefix are the user's own file's: never fitted, never stored


def learned(network: nn.Module) -> dict[str, torch.Tensor]:
    """Those of the network's weights that a fit learns."""
    return {name: value for name, value in network.state_dict().items() if not name.startswith(_FROZEN)}


def load_learned(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put back what ``learned`` gave; raises ``RuntimeError`` where names or shapes differ."""
    frozen = {name: value for name, value in network.state_dict().items() if name.startswith(_FROZEN)}
    network.load_state_dict({**frozen, **weights})


def save_warm_start(network: nn.Module, path: Path, about: dict[str, str] | None = None) -> None:
    """Write the network's learned weights as float16 safetensors, with ``about`` and the width in its metadata.

    Raises ``OutputError``.
    """
    partial = path.with_name(path.name + ".partial")
    weights = {name: value.detach().half().cpu().contiguous() for name, value in learned(network).items()}
    try:
        # One entry: of several, safetensors writes each time another first.
        save_file(
            weights, partial, {_ABOUT: json.dumps({"width": str(network.width), **(about or {})}, sort_keys=True)}
        )
        partial.replace(path)
    except (SafetensorError, OSError) as problem:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {problem!s:.200}") from problem


def load_warm_start(network: nn.Module, path: str | Path | None = None, about: dict[str, str] | None = None) -> bool:
    """Start ``network`` from the weights in ``path`` (None: the package's own).

    False, and nothing changed, if the package's own are of another width. Raises ``ModelError`` for a file given by
    name that is damaged or does not fit: other shapes, or another value of an entry of ``about`` in its metadata.
    """
    own = path is None
    path = Path(path or WARM_START)
    wanted = learned(network)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: {path.stat().st_size} bytes; weights of at most {_MAX_BYTES} are read")
        with safe_open(path, "pt") as file:
            told = _told((file.metadata() or {}).get(_ABOUT, "{}"))
            names = set(file.keys())
            fits = names == set(wanted) and all(
                file.get_slice(name).get_shape() == list(value.shape) for name, value in wanted.items()
            )
            if not fits and own:
                return False
            for name, value in (about or {}).items():
                if told.get(name, value) != value:
                    raise ModelError(
                        f"{path}: these weights are of {name} {told[name]!r:.40}; {value!r} is wanted", hint=_HINT
                    )
            if not fits:
                raise ModelError(
                    f"{path}: these weights are of another network (width {told.get('width', 'unknown'):.20})",
                    hint=f"weights of width {network.width} are wanted; {_HINT}",
                )
            weights = {name: file.get_tensor(name).to(torch.float32) for name in wanted}
    except FileNotFoundError as problem:
        if own:
            return False
        raise ModelError(f"{path}: no such file", hint=_HINT) from problem
    except (SafetensorError, OSError) as problem:
        raise ModelError(f"{path}: not a safetensors file ({problem!s:.100})", hint=_HINT) from problem
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise ModelError(f"{path}: it holds weights that are not finite", hint=_HINT)
    load_learned(network, weights)
    return True


def _told(text: str) -> dict[str, str]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}


_ABOUT = "deblur_engine"  # the entry of the file's metadata
_HINT = "deblur-engine meta-train makes such a file; --recipe has to be the same for both"
