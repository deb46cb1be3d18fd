# SPDX-License-Identifier: Apache-2.0
"""Names of outputs: where a result goes by default, and where it is written until it is whole."""

from __future__ import annotations

from pathlib import Path

from .pattern import SequencePattern

__all__ = ["default_output", "partial_path"]


def default_output(path: str | Path, suffix: str = "_deblur") -> Path:
    """Beside the source: ``clip.mov`` -> ``clip_deblur.mov``, ``shot.####.exr`` -> ``shot_deblur.####.exr``.

    A folder that holds one sequence, or one file of a sequence, stands for that sequence.
    """
    path = Path(path)
    pattern = SequencePattern.of(path)
    if pattern is None:
        return path.with_name(path.stem + suffix + path.suffix)
    return pattern.renamed(suffix).as_path()


def partial_path(path: Path) -> Path:
    """Where ``path`` is written until it is whole: same folder, so that renaming is atomic."""
    return path.with_name(path.name + ".partial")
