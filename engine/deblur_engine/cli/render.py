# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine render``."""

from __future__ import annotations

from . import engine, options, showing
from .session import Session

NOTHING_KEPT = "no result was written: running the same command again starts the render anew"


def render(
    clip: options.Clip,
    model: options.Model = None,
    out: options.Out = None,
    strength: options.Strength = 1.0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    frames: options.Frames = None,
    tile: options.Tile = None,
    no_references: options.UseReferences = False,
    codec: options.Codec = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    json_events: options.JsonEvents = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    farm: options.Farm = False,
) -> None:
    """Render a clip with the model that was fitted to it: CLIP_deblur.<ext>, everything else as it was.

    Examples:
      deblur-engine render clip.mov
      deblur-engine render clip.mov --strength 0.7 -o soft.mov
      deblur-engine render "shot.####.exr" --frames 1001-1100 --device cuda
      deblur-engine render clip.mov --model models/clip.deblur.onnx --dry-run

    Prints the result's path. Frames and parts of frames that are sharp pass through untouched.
    """
    with Session(
        "render", json=json, json_events=json_events, quiet=quiet, debug=debug, farm=farm, if_stopped=NOTHING_KEPT
    ) as session:
        settings = options.render_settings(
            strength=strength,
            device=device,
            threads=threads,
            frames=frames,
            tile=tile,
            no_references=no_references,
            codec=codec,
            overwrite=yes,
        )
        if dry_run:
            showing.forecast(session, engine.forecast_render(clip, model, out, settings=settings))
            return
        rendered = engine.render(clip, model, out, settings=settings, task=session.task)
        session.result(
            showing.render_data(rendered),
            str(rendered.path),
            summary=showing.render_summary(rendered),
            following=["deblur-engine", "probe", rendered.path],
        )
