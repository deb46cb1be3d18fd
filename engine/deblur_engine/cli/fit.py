# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine fit``."""

from __future__ import annotations

from . import engine, options, showing
from .session import Session

RESUMES = "what was fitted so far is kept: running the same command again resumes"


def fit(
    clip: options.Clip,
    out: options.Out = None,
    preset: options.PresetName = "standard",
    recipe: options.RecipeName = "reference-blend",
    minutes: options.Minutes = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    frames: options.Frames = None,
    references: options.References = 4,
    keep_references: options.KeepReferences = False,
    init: options.Init = None,
    vgg: options.Vgg = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    json_events: options.JsonEvents = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    farm: options.Farm = False,
) -> None:
    """Fit a network to a clip by its own sharp frames: CLIP.deblur.onnx beside it.

    Examples:
      deblur-engine fit clip.mov
      deblur-engine fit clip.mov --preset draft
      deblur-engine fit clip.mov --minutes 30 --device cuda:1 -o models/clip.deblur.onnx
      deblur-engine fit clip.mov --recipe paper --vgg vgg19-dcbb9e9d.pth
      deblur-engine fit clip.mov --dry-run

    Prints the model's path. Ctrl-C keeps what was fitted so far; the same command resumes.
    """
    with Session(
        "fit", json=json, json_events=json_events, quiet=quiet, debug=debug, farm=farm, if_stopped=RESUMES
    ) as session:
        settings = options.fit_settings(
            preset=preset,
            minutes=minutes,
            seed=seed,
            device=device,
            threads=threads,
            frames=frames,
            references=references,
            keep_references=keep_references,
            recipe=recipe,
            init=init,
            vgg=vgg,
        )
        if dry_run:
            showing.forecast(session, engine.forecast_fit(clip, out, settings=settings))
            return
        fitted = engine.fit(clip, out, settings=settings, task=session.task, overwrite=yes)
        following = ["deblur-engine", "render", clip, *(["--model", out] if out is not None else [])]
        session.result(
            showing.fit_data(fitted), str(fitted.path), summary=showing.fit_summary(fitted), following=following
        )
