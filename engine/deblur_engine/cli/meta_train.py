# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine meta-train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..settings import MetaSettings
from . import engine, options, showing
from .session import Session

RESUMES = "what was learned so far is kept: running the same command again resumes"
_DEFAULT = MetaSettings()

Weights = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The safetensors file to write.")]
Method = Annotated[Literal["reptile", "maml"], typer.Option("--method", help="How weights are learned over clips.")]
Steps = Annotated[int, typer.Option("--steps", metavar="N", help="Outer steps, each over one clip.")]
Inner = Annotated[int, typer.Option("--inner", metavar="N", help="Steps of fitting to a clip in each outer step.")]
Bound = Annotated[float, typer.Option("--minutes", metavar="M", help="Upper bound on the training's time.")]


def meta_train(
    clips: options.Clips,
    out: Weights,
    recipe: options.RecipeName = "reference-blend",
    method: Method = "reptile",
    steps: Steps = _DEFAULT.steps,
    inner: Inner = _DEFAULT.inner,
    minutes: Bound = _DEFAULT.minutes,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    init: options.Init = None,
    vgg: options.Vgg = None,
    yes: options.Yes = False,
    json: options.Json = False,
    json_events: options.JsonEvents = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    farm: options.Farm = False,
) -> None:
    """Learn weights over several clips, from which fits to other clips are quicker.

    Examples:
      deblur-engine meta-train footage/*.mov -o start.safetensors
      deblur-engine meta-train footage/*.mov -o start.safetensors --recipe paper --method maml
      deblur-engine fit clip.mov --init start.safetensors

    Prints the file's path. A clip with nothing to learn from is left out. Ctrl-C keeps what was learned so far; the
    same command resumes.
    """
    with Session(
        "meta-train", json=json, json_events=json_events, quiet=quiet, debug=debug, farm=farm, if_stopped=RESUMES
    ) as session:
        fitting = options.fit_settings(
            preset="draft",
            minutes=None,
            seed=seed,
            device=device,
            threads=threads,
            frames=None,
            references=4,
            recipe=recipe,
            init=init,
            vgg=vgg,
        )
        settings = MetaSettings(method=method, steps=steps, minutes=minutes, inner=inner, fit=fitting)
        settings.resolved()  # refuses values outside the legal ranges
        trained = engine.meta_train(engine.find_clips(clips), out, settings=settings, task=session.task, overwrite=yes)
        again = ["--recipe", recipe] if recipe != "reference-blend" else []
        session.result(
            showing.meta_data(trained),
            str(trained.path),
            summary=showing.meta_summary(trained),
            following=["deblur-engine", "fit", "CLIP", *again, "--init", trained.path],
        )
