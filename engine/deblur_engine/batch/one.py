# SPDX-License-Identifier: Apache-2.0
"""One clip from the source to the rendered result: fit unless a model of this very clip is there, then render."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import deblur_engine

from ..artifact import default_model_path, load_model
from ..errors import ModelError, OutputError
from ..media import default_output, fingerprint, open_clip
from ..media.pattern import SequencePattern
from ..settings import FitSettings, RenderSettings
from ..task import Task

__all__ = ["ClipRun", "Standing", "look", "run_clip"]


@dataclass(frozen=True)
class Standing:
    """How far a clip is already.

    ``model_fits``: a model lies at ``model`` and was fitted to this very clip. ``rendered``: a whole result lies at
    ``output`` that is no older than the model.
    """

    model: Path
    output: Path
    model_exists: bool
    model_fits: bool
    rendered: bool
    recipe: dict[str, Any]  # of the model that fits; {} without one

    @property
    def finished(self) -> bool:
        return self.model_fits and self.rendered


@dataclass(frozen=True)
class ClipRun:
    """What ``run_clip`` did."""

    model: Path
    output: Path
    fitted: bool  # False where the model was there already
    fit: Any  # fitting.FitResult, or None
    render: Any  # rendering.RenderResult


def look(
    clip: str | Path, *, model: str | Path | None = None, out: str | Path | None = None, task: Task | None = None
) -> Standing:
    """How far ``clip`` is; reads its head and its model's, decodes nothing. Raises ``BadInput`` for a bad clip.

    A model that is damaged counts as one that does not fit, and ``task`` is warned of it.
    """
    model = Path(model) if model is not None else default_model_path(clip)
    output = Path(out) if out is not None else default_output(Path(clip))
    with open_clip(clip) as opened:
        identity = fingerprint(opened)
    metadata = None
    if model.exists():
        try:
            metadata = load_model(model).metadata
        except ModelError as error:
            (task or Task()).warn(f"the model that is there cannot be used: {error.message}")
    fits = metadata is not None and metadata.clip_fingerprint == identity
    rendered_at = _modified(output)
    return Standing(
        model=model,
        output=output,
        model_exists=model.exists(),
        model_fits=fits,
        rendered=rendered_at is not None and fits and rendered_at >= model.stat().st_mtime,
        recipe=dict(metadata.recipe) if metadata is not None and fits else {},
    )


def run_clip(
    clip: str | Path,
    *,
    model: str | Path | None = None,
    out: str | Path | None = None,
    fit_settings: FitSettings | None = None,
    render_settings: RenderSettings | None = None,
    task: Task | None = None,
    overwrite: bool = False,
    standing: Standing | None = None,
) -> ClipRun:
    """Fit and render ``clip``; paths left out lie beside it. Long; stops when ``task`` is cancelled.

    A model that was fitted to this very clip is used as it is, so that a run that was stopped while rendering goes
    on from there; ``overwrite`` fits anew. Raises ``OutputError`` before any work is done if a file stands in the
    way, and whatever ``fit`` and ``render`` raise.
    """
    task = task or Task()
    standing = standing or look(clip, model=model, out=out, task=task)
    if not overwrite:
        if _modified(standing.output) is not None:
            raise OutputError(f"{standing.output} exists already", hint="give -y to replace it, or another --out")
        if standing.model_exists and not standing.model_fits:
            raise OutputError(
                f"{standing.model} exists already and is not a model of this clip",
                hint="give -y to replace it, or another --model",
            )
    fitted = None
    if overwrite or not standing.model_fits:
        fitted = deblur_engine.fit(
            clip, standing.model, settings=fit_settings or FitSettings(), task=task, overwrite=overwrite
        )
    rendered = deblur_engine.render(
        clip,
        standing.model,
        standing.output,
        settings=replace(render_settings or RenderSettings(), overwrite=overwrite),
        task=task,
    )
    return ClipRun(standing.model, standing.output, fitted is not None, fitted, rendered)


def _modified(output: Path) -> float | None:
    """When a result was finished, in seconds since the epoch; None if there is none. For a sequence: its last file."""
    pattern = SequencePattern.parse(output)
    if pattern is None or not pattern.folder.is_dir():
        files = [output]
    else:
        files = [pattern.file(number) for number in pattern.numbers()]
    return max((file.stat().st_mtime for file in files if file.exists()), default=None)
