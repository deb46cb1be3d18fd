# SPDX-License-Identifier: Apache-2.0
"""What a fit, a render, both, or a batch of them would take, before it is started: for ``--dry-run``.

A render is timed on one of its frames here and now (``rendering.estimate``). A fit ends by the clock, so its bound is
known; its memory is reckoned from what it keeps. Nothing is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..artifact import default_model_path
from ..errors import BadInput, DeblurError
from ..media import Clip, open_clip
from ..media.pattern import SequencePattern
from ..rendering.estimate import estimate
from ..settings import FitSettings, RenderSettings
from .finding import find_clips
from .one import look

__all__ = ["Forecast", "forecast_batch", "forecast_fit", "forecast_render", "forecast_run"]

# Of a fit. The first and the last two were measured on the CPU, the others follow from what ``fitting.pairs`` keeps.
_BASE_BYTES = 500 << 20  # the interpreter, torch, OpenCV, FFmpeg
_PAIR_PIXELS = 640 * 640  # at most, of each pair
_PAIR_BYTES_PER_PIXEL = 50  # 13 planes of float16 as made, 12 as trained on
_FRAMES_DECODED = 32  # float32 pictures in hand while pairs are made
_ALIGN_BYTES_PER_PIXEL = 400
_CROP_BYTES_PER_PIXEL = 1000  # activations and gradients, and as much again for each 33 channels of the network
_CROP_BYTES_PER_PIXEL_AND_CHANNEL = 30
_WEIGHTS_PER_SQUARED_WIDTH = 840
_PAPER_CROP_BYTES_PER_PIXEL = 14_000  # of the paper's recipe: VGG's features, twice, and gradients
_PAPER_WEIGHTS_PER_SQUARED_WIDTH = 90
_VGG_READ_BYTES, _VGG_KEPT_BYTES = 600 << 20, 62 << 20  # its file, of which the model keeps the convolutions


@dataclass(frozen=True)
class Forecast:
    """About what the work takes.

    ``seconds`` is None where nothing can be said yet. ``at_most``: the time is a bound and no estimate.
    ``free_bytes`` is what the disk has where the results go.
    """

    seconds: float | None
    at_most: bool
    memory_bytes: int
    disk_bytes: int
    free_bytes: int
    outputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(vars(self))


def forecast_fit(clip: str | Path, out: str | Path | None = None, *, settings: FitSettings | None = None) -> Forecast:
    """What ``fit`` would take; opens the clip and decodes nothing. Raises ``BadInput`` for a bad clip."""
    settings = (settings or FitSettings()).resolved()
    assert settings.minutes is not None and settings.pairs is not None and settings.width is not None
    assert settings.batch is not None and settings.crop is not None
    paper = settings.recipe == "paper"
    target = Path(out) if out is not None else default_model_path(clip)
    with open_clip(clip, frames=settings.frames) as opened:
        pixels = opened.info.width * opened.info.height
        count = opened.info.frame_count or len(opened)
    pairs = settings.pairs * min(pixels, _PAIR_PIXELS) * _PAIR_BYTES_PER_PIXEL
    making = pixels * (12 * min(count, _FRAMES_DECODED) + _ALIGN_BYTES_PER_PIXEL)
    per_pixel = _CROP_BYTES_PER_PIXEL + _CROP_BYTES_PER_PIXEL_AND_CHANNEL * settings.width
    training = settings.batch * settings.crop**2 * (_PAPER_CROP_BYTES_PER_PIXEL if paper else per_pixel)
    weights = 4 * settings.width**2 * (_PAPER_WEIGHTS_PER_SQUARED_WIDTH if paper else _WEIGHTS_PER_SQUARED_WIDTH)
    return _checked(
        Forecast(
            seconds=60.0 * settings.minutes,
            at_most=True,
            memory_bytes=_BASE_BYTES + pairs + max(making, training, _VGG_READ_BYTES if paper else 0),
            # The model with its analysis, and the checkpoint: weights, their mean, the best, and two moments of each.
            disk_bytes=6 * weights + (_VGG_KEPT_BYTES if paper else 0) + count * 4096,
            free_bytes=_free(target),
            outputs=(target,),
        )
    )


def forecast_render(
    clip: str | Path,
    model: str | Path | None = None,
    out: str | Path | None = None,
    *,
    settings: RenderSettings | None = None,
) -> Forecast:
    """What ``render`` would take; renders one frame to know. Raises what ``render`` would raise."""
    found = estimate(clip, model, out, settings=settings)
    treated = f"{found.treated} of {found.frames} frames are treated, on {found.provider}"
    return _checked(
        Forecast(
            seconds=found.seconds,
            at_most=False,
            memory_bytes=found.memory_bytes,
            disk_bytes=found.disk_bytes,
            free_bytes=_free(found.out),
            outputs=(found.out,),
            notes=(treated, *found.notes),
        )
    )


def forecast_run(
    clip: str | Path,
    model: str | Path | None = None,
    out: str | Path | None = None,
    *,
    fit_settings: FitSettings | None = None,
    render_settings: RenderSettings | None = None,
    overwrite: bool = False,
) -> Forecast:
    """What ``run_clip`` would take. The render is counted only where the model is there already."""
    standing = look(clip, model=model, out=out)
    if standing.model_fits and not overwrite:
        found = forecast_render(clip, standing.model, standing.output, settings=render_settings)
        return replace(found, notes=("the model is there already; only the render is to do", *found.notes))
    fit = forecast_fit(clip, standing.model, settings=fit_settings)
    with open_clip(clip) as opened:
        result = _source_bytes(opened)
    note = "the render that follows can be timed once the model is there (render --dry-run)"
    return _checked(
        replace(
            fit,
            disk_bytes=fit.disk_bytes + result,
            outputs=(standing.model, standing.output),
            notes=(note, "disk: the result is taken to be as large as the source"),
        )
    )


def forecast_batch(
    clips: Iterable[str | os.PathLike[str]],
    *,
    fit_settings: FitSettings | None = None,
    render_settings: RenderSettings | None = None,
    overwrite: bool = False,
) -> Forecast:
    """What ``run_batch`` would take: times and disk space added up, the largest memory. A bad clip is noted."""
    parts: list[Forecast] = []
    notes: list[str] = []
    skipped = 0
    names = find_clips(clips)
    for name in names:
        try:
            if look(name).finished and not overwrite:
                skipped += 1
                continue
            parts.append(
                forecast_run(name, fit_settings=fit_settings, render_settings=render_settings, overwrite=overwrite)
            )
        except DeblurError as error:
            notes.append(f"{name}: {error}")
    if not parts and notes:
        raise BadInput(f"none of {len(names)} clips can be worked on: {notes[0]}")
    return _checked(_together(parts, [f"clips to do: {len(parts)}; finished already: {skipped}", *notes]))


def _together(parts: Sequence[Forecast], notes: Sequence[str]) -> Forecast:
    seconds = [part.seconds for part in parts if part.seconds is not None]
    every = dict.fromkeys(note for part in parts for note in part.notes)
    return Forecast(
        seconds=sum(seconds),
        at_most=any(part.at_most for part in parts),
        memory_bytes=max((part.memory_bytes for part in parts), default=0),
        disk_bytes=sum(part.disk_bytes for part in parts),
        free_bytes=min((part.free_bytes for part in parts), default=_free(Path.cwd() / "x")),
        outputs=tuple(output for part in parts for output in part.outputs),
        notes=(*notes, *every),
    )


def _checked(forecast: Forecast) -> Forecast:
    if forecast.disk_bytes <= forecast.free_bytes:
        return forecast
    return replace(forecast, notes=(*forecast.notes, "there is not enough room on the disk"))


def _free(target: Path) -> int:
    """Bytes free where ``target`` would be written."""
    folder = target.resolve().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _source_bytes(clip: Clip) -> int:
    pattern = SequencePattern.of(clip.path)
    files = [clip.path] if pattern is None else [pattern.file(number) for number in pattern.numbers()]
    return sum(file.stat().st_size for file in files)
