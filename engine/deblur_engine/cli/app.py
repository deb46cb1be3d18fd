# SPDX-License-Identifier: Apache-2.0
"""The list of verbs, and the way in and out of the program."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from .. import __version__
from ..errors import DeblurError, ExitCode, UsageError, deliberate
from . import batch, doctor, export, fit, meta_train, plugin, probe, render, run, serve
from .helping import VerbHelp, VerbsHelp
from .jsonable import dumps
from .session import fault, report_error

__all__ = ["app", "main"]

app = typer.Typer(
    cls=VerbsHelp,
    add_completion=False,  # it would write into the user's shell profile
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)

_VERBS = (
    probe.probe,
    fit.fit,
    render.render,
    run.run,
    batch.batch,
    export.export,
    meta_train.meta_train,
    serve.serve,
    plugin.plugin,
    doctor.doctor,
)
for _verb in _VERBS:
    app.command(cls=VerbHelp)(_verb)


@app.callback(invoke_without_command=True)
def deblur_engine(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False
) -> None:
    """Fit a small network to one clip and deblur that clip with it.

    Examples:
      deblur-engine probe clip.mov      will it benefit?
      deblur-engine fit clip.mov        learn from its sharp frames: clip.deblur.onnx
      deblur-engine render clip.mov     make clip_deblur.mov
      deblur-engine doctor              what works on this machine

    Each verb has its own --help.
    """
    if version:
        print(f"deblur-engine {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. ``arguments`` defaults to the process's own."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _take_any_name(sys.stdout, sys.stderr)
    try:
        return int(app(words, prog_name="deblur-engine", standalone_mode=False) or 0)
    except Exception as error:
        if "--debug" in words:
            raise
        known = _usage(error) or deliberate(error) or fault(error)
        report_error(known, Console(stderr=True, markup=False, highlight=False, soft_wrap=True))
        if "--json" in words or "--json-events" in words:
            failure = {"kind": type(known).__name__, "message": known.message, "hint": known.hint}
            print(dumps({"status": "failed", "exit_code": known.exit_code, "error": failure}))
        return known.exit_code


def _take_any_name(*streams: object) -> None:
    """Let file names be printed that are not valid text, or that the stream's encoding lacks."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def _usage(error: Exception) -> DeblurError | None:
    """What Typer has against the words it was given, in our own form."""
    # Typer has no public name for the base of its usage errors; BadParameter's parent is it.
    words = getattr(error, "format_message", None)
    if words is None or not isinstance(error, typer.BadParameter.__mro__[1]):
        return None
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "deblur-engine"
    return UsageError(words().rstrip("."), hint=f"see: {where} --help")
