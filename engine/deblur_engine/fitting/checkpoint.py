# SPDX-License-Identifier: Apache-2.0
"""What a fit that was stopped leaves behind, so that the same command goes on where it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ..errors import OutputError
from ..task import Task

__all__ = ["checkpoint_path", "load_checkpoint", "remove_checkpoint", "save_checkpoint"]

_FORMAT = 1


def checkpoint_path(model: Path) -> Path:
    """Where the checkpoint of a fit that will write ``model`` lies."""
    return model.with_name(model.name + ".checkpoint")


def save_checkpoint(path: Path, identity: dict[str, Any], analysis: bytes, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays until the new one is whole.

    ``identity`` is what a fit must have in common with this one to go on from it. Raises ``OutputError``.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        torch.save({"format": _FORMAT, "identity": identity, "analysis": analysis, "state": state}, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as RuntimeError
        partial.unlink(missing_ok=True)
        raise OutputError(f"the checkpoint {path} cannot be written: {problem!s:.200}") from problem


def load_checkpoint(path: Path, identity: dict[str, Any], task: Task) -> tuple[bytes, dict[str, Any]] | None:
    """The analysis and state of a fit to go on with; None if there is none, or none that fits (which is said)."""
    if not path.is_file():
        return None
    try:
        # Nothing but tensors and plain values is unpickled, so that a file found in a folder cannot run code.
        kept = torch.load(path, map_location="cpu", weights_only=True)
        known, analysis, state = kept["identity"], kept["analysis"], kept["state"]
        current = kept["format"] == _FORMAT
    except Exception as problem:  # whatever a damaged file makes torch raise
        task.warn(f"{path.name} cannot be read ({type(problem).__name__}); starting anew")
        return None
    if not current or known != identity:
        task.warn(f"{path.name} is of a fit with another clip or other settings; starting anew")
        return None
    return analysis, state


def remove_checkpoint(path: Path) -> None:
    """Delete the checkpoint of a fit that is done."""
    path.unlink(missing_ok=True)
