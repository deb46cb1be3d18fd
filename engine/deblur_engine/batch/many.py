# SPDX-License-Identifier: Apache-2.0
"""Many clips one after another: a failure stops no other, and a second call skips what is finished."""

from __future__ import annotations

import gc
import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..errors import Cancelled, ExitCode, NoBenefit, deliberate
from ..settings import FitSettings, RenderSettings
from ..task import Task
from .finding import find_clips
from .one import ClipRun, look, run_clip
from .outcome import BatchResult, ClipOutcome

__all__ = ["run_batch"]


def run_batch(
    clips: Iterable[str | os.PathLike[str]],
    *,
    fit_settings: FitSettings | None = None,
    render_settings: RenderSettings | None = None,
    task: Task | None = None,
    overwrite: bool = False,
    on_outcome: Callable[[ClipOutcome], None] | None = None,
) -> BatchResult:
    """Fit and render each of ``clips`` (clips, folders, glob patterns: see ``find_clips``), results beside them.

    What goes wrong with a clip is told in its outcome and not raised, nor is a cancelled ``task``: the clips after
    it are then "waiting". ``on_outcome`` is called after each clip. A clip is skipped if a model of that very clip
    and a result no older than the model are there, unless ``overwrite`` is set.
    """
    task = task or Task()
    fit_settings = (fit_settings or FitSettings()).resolved()
    render_settings = (render_settings or RenderSettings()).checked()
    names = find_clips(clips)
    outcomes: list[ClipOutcome] = []
    for number, name in enumerate(names):
        if task.cancelled:
            outcome = ClipOutcome(name, "waiting", ExitCode.CANCELLED)
        else:
            outcome = _attempt(name, number, len(names), fit_settings, render_settings, task, overwrite)
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    return BatchResult(tuple(outcomes))


def _attempt(
    name: str,
    number: int,
    count: int,
    fit_settings: FitSettings,
    render_settings: RenderSettings,
    task: Task,
    overwrite: bool,
) -> ClipOutcome:
    start = time.monotonic()
    try:
        task.report("clip", number, count, "clips", clip=os.path.basename(name))
        standing = look(name, task=task)
        if standing.finished and not overwrite:
            return ClipOutcome(
                name,
                "skipped",
                model=standing.model,
                output=standing.output,
                message=_why_skipped(standing.recipe, fit_settings),
            )
        run = run_clip(
            name,
            fit_settings=fit_settings,
            render_settings=render_settings,
            task=task,
            overwrite=overwrite,
            standing=standing,
        )
    except BaseException as error:
        outcome = _failure(name, error, time.monotonic() - start)
        if outcome is None:
            raise
    else:
        return _success(name, run, time.monotonic() - start)
    # The error held on to the clip's pictures; the next clip needs their memory.
    gc.collect()
    return outcome


def _success(name: str, run: ClipRun, seconds: float) -> ClipOutcome:
    return ClipOutcome(
        name, "done", model=run.model, output=run.output, fitted=run.fitted, seconds=seconds, figures=_figures(run)
    )


def _figures(run: ClipRun) -> dict[str, Any]:
    rendered = run.render
    figures = {"frames": rendered.frames, "changed": rendered.changed, "provider": rendered.provider}
    if run.fit is not None:
        figures["held_out"] = dict(run.fit.metadata.held_out)
    return figures


def _failure(name: str, error: BaseException, seconds: float) -> ClipOutcome | None:
    """The outcome that an exception amounts to; None where it must not be kept from the caller."""
    if not isinstance(error, Exception):
        return None  # KeyboardInterrupt, SystemExit
    known = deliberate(error)
    if known is None:
        first_line = str(error).strip().partition("\n")[0]
        return ClipOutcome(
            name,
            "failed",
            ExitCode.INTERNAL,
            seconds=seconds,
            message=f"unexpected {type(error).__name__}: {first_line}",
            hint="this is a fault of deblur-engine; run it with --debug and report what it prints",
            trace="".join(traceback.format_exception(error)),
        )
    outcome = ClipOutcome(name, "failed", known.exit_code, seconds=seconds, message=known.message, hint=known.hint)
    if isinstance(known, Cancelled):
        return replace(outcome, status="cancelled")
    return replace(outcome, status="no_benefit") if isinstance(known, NoBenefit) else outcome


def _why_skipped(recipe: dict[str, Any], settings: FitSettings) -> str:
    preset = recipe.get("preset", settings.preset)
    if preset != settings.preset:
        return f"finished already, with preset {preset}; -y fits again with {settings.preset}"
    return "finished already"
