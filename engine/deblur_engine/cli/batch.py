# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine batch``."""

from __future__ import annotations

import sys

from . import engine, options, showing
from .session import Session

RESUMES = "finished clips are kept: running the same command again goes on with the others"


def batch(
    clips: options.Clips,
    preset: options.PresetName = "standard",
    minutes: options.Minutes = None,
    seed: options.Seed = 0,
    strength: options.Strength = 1.0,
    device: options.Device = "auto",
    threads: options.Threads = None,
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
    """Fit and render many clips, one after another; results beside each.

    Examples:
      deblur-engine batch footage/
      deblur-engine batch "footage/**/*.mov" extra.mp4 --preset draft
      deblur-engine batch footage/ --json > report.json

    A failure stops no other clip. A second call skips what is finished; -y does it again. The exit code is 0 if
    every clip is finished, otherwise that of the first failure.
    """
    with Session(
        "batch", json=json, json_events=json_events, quiet=quiet, debug=debug, farm=farm, if_stopped=RESUMES
    ) as session:
        fitting = options.fit_settings(
            preset=preset,
            minutes=minutes,
            seed=seed,
            device=device,
            threads=threads,
            frames=None,
            references=references,
        )
        rendering = options.render_settings(
            strength=strength, device=device, threads=threads, tile=tile, codec=codec, overwrite=yes
        )
        if dry_run:
            expected = engine.forecast_batch(clips, fit_settings=fitting, render_settings=rendering, overwrite=yes)
            showing.forecast(session, expected)
            return
        result = engine.run_batch(
            clips,
            fit_settings=fitting,
            render_settings=rendering,
            task=session.task,
            overwrite=yes,
            on_outcome=lambda outcome: session.note(showing.outcome_line(outcome)),
        )
        if debug:
            for outcome in result.outcomes:
                print(outcome.trace, end="", file=sys.stderr)
        session.result(
            result.to_dict(),
            showing.batch_table(result),
            summary=[f"hint: {RESUMES}"] if result.count("cancelled", "waiting") else [],
            following=showing.batch_following(result),
            exit_code=result.exit_code,
        )
