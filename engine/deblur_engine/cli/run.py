# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine run``."""

from __future__ import annotations

from . import engine, options, showing
from .fit import RESUMES
from .session import Session


def run(
    clip: options.Clip,
    model: options.Model = None,
    out: options.Out = None,
    preset: options.PresetName = "standard",
    minutes: options.Minutes = None,
    seed: options.Seed = 0,
    strength: options.Strength = 1.0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    frames: options.Frames = None,
    references: options.References = 4,
    tile: options.Tile = None,
    codec: options.Codec = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    json_events: options.JsonEvents = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    farm: options.Farm = False,
) -> None:
    """Fit, then render: both files beside the clip.

    Examples:
      deblur-engine run clip.mov
      deblur-engine run clip.mov --preset draft --strength 0.8
      deblur-engine run "shot.####.exr" --farm

    Prints the result's path. A model of this very clip is used if it is there; -y fits anew. --frames says what is
    rendered; the fit looks at the whole clip.
    """
    with Session(
        "run", json=json, json_events=json_events, quiet=quiet, debug=debug, farm=farm, if_stopped=RESUMES
    ) as session:
        fitting = options.fit_settings(
            preset=preset,
            minutes=minutes,
            seed=seed,
            device=device,
            threads=threads,
            frames=None,  # parts of a clip that are rendered apart share one model, fitted to all of it
            references=references,
        )
        rendering = options.render_settings(
            strength=strength, device=device, threads=threads, frames=frames, tile=tile, codec=codec, overwrite=yes
        )
        if dry_run:
            expected = engine.forecast_run(
                clip, model, out, fit_settings=fitting, render_settings=rendering, overwrite=yes
            )
            showing.forecast(session, expected)
            return
        done = engine.run_clip(
            clip,
            model=model,
            out=out,
            fit_settings=fitting,
            render_settings=rendering,
            task=session.task,
            overwrite=yes,
        )
        session.result(
            showing.run_data(done),
            str(done.output),
            summary=showing.run_summary(done),
            following=["deblur-engine", "probe", done.output],
        )
