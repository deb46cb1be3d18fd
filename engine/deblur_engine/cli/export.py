# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import UsageError
from . import engine, options
from .session import Session

Form = Literal["torchscript", "flame", "fp16", "fixed"]

_SUFFIX = {"torchscript": ".pt", "flame": "_flame.onnx", "fp16": "_fp16.onnx", "fixed": "_{}x{}.onnx"}
_NEXT = {
    "torchscript": "next: load it in Nuke with CatFileCreator",
    "flame": "next: load the .onnx in Flame's Inference node; the .json must stay beside it",
    "fp16": "next: deblur-engine render CLIP --model {}",
    "fixed": "next: load it where free picture sizes are not supported",
}


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A CLIP.deblur.onnx.")],
    to: Annotated[Form, typer.Option("--to", help="torchscript; flame (model and .json); fp16; fixed (one size).")],
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Picture size for fixed (the clip's if left) and flame.")
    ] = None,
    out: options.Out = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write a model in another form, for other programs.

    Examples:
      deblur-engine export clip.deblur.onnx --to torchscript
      deblur-engine export clip.deblur.onnx --to flame
      deblur-engine export clip.deblur.onnx --to fp16
      deblur-engine export clip.deblur.onnx --to fixed --size 1920x1080

    Nothing is written unless the result agrees with the model. Prints the paths.
    """
    with Session("export", json=json, quiet=quiet, debug=debug) as session:
        measures = options.picture_size(size)
        if measures is not None and to not in ("fixed", "flame"):
            raise UsageError(f"--size means nothing for {to}", hint="it goes with --to fixed and --to flame")
        source = engine.load_model(model)
        width, height = measures or (source.metadata.width, source.metadata.height)
        target = out or model.with_name(model.stem + _SUFFIX[to].format(width, height))
        if to == "torchscript":
            written = [engine.to_torchscript(source, target, overwrite=yes)]
        elif to == "flame":
            written = list(engine.to_flame_json(source, target, size=measures, overwrite=yes))
        elif to == "fp16":
            written = [engine.to_fp16(source, target, overwrite=yes)]
        else:
            written = [engine.to_fixed_size(source, target, width, height, overwrite=yes)]
        session.result(
            {"form": to, "files": written}, "\n".join(map(str, written)), summary=[_NEXT[to].format(written[0])]
        )
