# SPDX-License-Identifier: Apache-2.0
"""Every argument and option that verbs share, each declared once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import UsageError
from ..settings import FitSettings, FrameRange, RenderSettings

__all__ = [
    "Clip",
    "Clips",
    "Codec",
    "Debug",
    "Device",
    "DryRun",
    "Farm",
    "Frames",
    "Init",
    "Json",
    "JsonEvents",
    "KeepReferences",
    "Minutes",
    "Model",
    "Out",
    "PresetName",
    "Quiet",
    "RecipeName",
    "References",
    "Seed",
    "Strength",
    "Threads",
    "Tile",
    "UseReferences",
    "Vgg",
    "Yes",
    "fit_settings",
    "frame_range",
    "picture_size",
    "render_settings",
]

_FIT, _RENDER = FitSettings(), RenderSettings()

Clip = Annotated[
    str, typer.Argument(metavar="CLIP", help="A video file, or an image sequence: name.####.exr, name.%04d.png.")
]
Clips = Annotated[
    list[str],
    typer.Argument(metavar="CLIPS...", help="Clips, folders, glob patterns (quoted or not), image sequences."),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="PATH", help="Where to write; beside the clip if left.")
]
Model = Annotated[
    Path | None,
    typer.Option("--model", "-m", metavar="FILE", help="The model; CLIP.deblur.onnx beside the clip if left."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Replace what exists already.")]
Frames = Annotated[
    str | None,
    typer.Option("--frames", metavar="RANGE", help="Only these frames: 7, 1-100, or 1-100x2 for every second one."),
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where to compute.")]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", help="CPU threads; all of them if left.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do nothing; estimate time, memory and disk space.")]

PresetName = Annotated[
    Literal["draft", "standard", "high"], typer.Option("--preset", help="How much work the fit may be.")
]
RecipeName = Annotated[
    Literal["reference-blend", "paper"],
    typer.Option("--recipe", help="How to fit: this program's own way, or that of Ren, Qian and Chen (2020)."),
]
Init = Annotated[
    str | None, typer.Option("--init", metavar="FILE", help="Weights to start from, as meta-train writes them.")
]
Vgg = Annotated[
    str | None,
    typer.Option("--vgg", metavar="FILE", help="VGG-19's weights, for --recipe paper: vgg19-dcbb9e9d.pth or a .mat."),
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", metavar="M", help="Upper bound on the fit's time; the preset's if left.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed on the same device gives the same file.")]
References = Annotated[
    int, typer.Option("--references", metavar="N", help="Sharp frames tried as references for each blurry one.")
]

KeepReferences = Annotated[
    bool, typer.Option("--keep-references", help="Keep the sharp frames inside the model, for editors that need them.")
]

Strength = Annotated[
    float, typer.Option("--strength", metavar="0..1", help="0 leaves the clip as it is, 1 is the full effect.")
]
UseReferences = Annotated[
    bool, typer.Option("--no-references", help="Render each frame by itself, without the clip's sharp frames.")
]
Tile = Annotated[int | None, typer.Option("--tile", metavar="PIXELS", help="Tile side; as memory allows if left.")]
Codec = Annotated[
    str | None,
    typer.Option("--codec", metavar="NAME", help="Video codec of the result; the clip's own family if left."),
]

Json = Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")]
JsonEvents = Annotated[
    bool, typer.Option("--json-events", help="NDJSON on stdout while it runs: progress, warnings, then the result.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings and errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Farm = Annotated[bool, typer.Option("--farm", help="Print progress lines that Open Job Description and Deadline read.")]

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


def fit_settings(
    *,
    preset: Literal["draft", "standard", "high"],
    minutes: float | None,
    seed: int,
    device: str,
    threads: int | None,
    frames: str | None,
    references: int,
    keep_references: bool = False,
    recipe: Literal["reference-blend", "paper"] = "reference-blend",
    init: str | None = None,
    vgg: str | None = None,
) -> FitSettings:
    """The options of a fit as settings; raises ``UsageError`` for one that cannot be meant."""
    settings = FitSettings(
        preset=preset,
        minutes=minutes,
        seed=seed,
        device=_device(device),
        threads=_threads(threads),
        frames=frame_range(frames),
        references=references,
        keep_references=keep_references,
        recipe=recipe,
        init=init,
        vgg=vgg,
    )
    settings.resolved()  # refuses values outside the legal ranges
    return settings


def render_settings(
    *,
    strength: float = _RENDER.strength,
    device: str = _RENDER.device,
    threads: int | None = None,
    frames: str | None = None,
    tile: int | None = None,
    no_references: bool = False,
    codec: str | None = None,
    overwrite: bool = False,
) -> RenderSettings:
    """The options of a render as settings; raises ``UsageError`` for one that cannot be meant."""
    return RenderSettings(
        strength=strength,
        device=_device(device),
        threads=_threads(threads),
        frames=frame_range(frames),
        tile=tile,
        use_references=not no_references,
        codec=codec,
        overwrite=overwrite,
    ).checked()


def frame_range(text: str | None) -> FrameRange | None:
    """``--frames`` as it is meant; raises ``UsageError``."""
    return None if text is None else FrameRange.parse(text)


def picture_size(text: str | None) -> tuple[int, int] | None:
    """``1920x1080`` as (width, height); raises ``UsageError``."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not found:
        raise UsageError(f"size {text!r} is not of the form WIDTHxHEIGHT", hint="for example 1920x1080")
    return int(found[1]), int(found[2])


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise UsageError(f"device {text!r} is unknown", hint="one of auto, cpu, cuda, cuda:0, cuda:1, ...")
    return text


def _threads(count: int | None) -> int | None:
    if count is not None and not 1 <= count <= 1024:
        raise UsageError(f"threads is {count}; it must lie in 1..1024")
    return count
