# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import engine, options, showing
from .session import Session


def probe(
    clip: options.Clip,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", help="Also draw sharpness over time into this file.")
    ] = None,
    frames: options.Frames = None,
    yes: options.Yes = False,
    json: options.Json = False,
    json_events: options.JsonEvents = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Say what is in a clip, where it is sharp, and whether it will benefit.

    Examples:
      deblur-engine probe clip.mov
      deblur-engine probe clip.mov --plot clip.png
      deblur-engine probe "shot.####.exr" --json

    Nothing is fitted; it takes about as long as decoding the clip.
    """
    with Session("probe", json=json, json_events=json_events, quiet=quiet, debug=debug) as session:
        showing.check_free(plot, overwrite=yes)
        found = engine.probe(clip, frames=options.frame_range(frames), task=session.task)
        data = found.to_dict()
        if plot is not None:
            found.plot(plot)
            data = {**data, "plot": plot}
        following = ["deblur-engine", "fit", clip]
        session.result(data, showing.table(found.to_table()), following=following)
