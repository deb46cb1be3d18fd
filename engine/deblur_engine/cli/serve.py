# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from . import engine, options
from .session import Session


def serve(
    device: options.Device = "auto",
    idle: Annotated[
        float, typer.Option("--idle", metavar="SECONDS", help="Leave after so long without a client; 0: never.", min=0)
    ] = 300.0,
    threads: options.Threads = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Render frames for an editor's plug-in, which starts this by itself.

    Examples:
      deblur-engine serve
      deblur-engine serve --device cuda:1 --idle 0
      deblur-engine serve --device cpu --threads 8

    Ctrl-C or SIGTERM lets the frame in hand be finished and ends it, with exit code 0. Where a worker of this device
    serves already, it says so and ends.
    """
    with Session("serve", json=json, quiet=quiet, debug=debug) as session:
        options.render_settings(device=device, threads=threads)  # refuses what cannot be meant
        meeting = engine.Meeting(device)
        server = engine.Server(
            meeting,
            device,
            threads,
            idle if idle > 0 else float("inf"),
            on_ready=lambda: session.note(f"serving at {meeting.socket}; log: {meeting.log}"),
        )
        why = server.serve(lambda: session.task.cancelled)
        text = why or f"another worker serves {meeting.socket} already"
        session.result({"socket": meeting.socket, "served": why is not None, "ended": text}, summary=[text])
