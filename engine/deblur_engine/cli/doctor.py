# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ExitCode
from . import engine, options, showing
from .session import Session


def doctor(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="PATH", help="Where results would be written.", exists=True)
    ] = Path("."),
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Say what works on this machine, and what to do about what does not.

    Examples:
      deblur-engine doctor
      deblur-engine doctor --folder /mnt/renders
      deblur-engine doctor --json

    Exit code 1 if something that is needed does not work; what can be done without is only noted.
    """
    with Session("doctor", json=json, quiet=quiet, debug=debug) as session:
        report = engine.examine(folder)
        session.result(
            report.to_dict(),
            showing.doctor_table(report),
            following=["deblur-engine", "probe", "CLIP"] if report.works else (),
            exit_code=ExitCode.DONE if report.works else ExitCode.INTERNAL,
        )
