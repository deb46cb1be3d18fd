# SPDX-License-Identifier: Apache-2.0
"""From a clip to its model file: ``fit``."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..analysis import Aligner, Analysis, analyse
from ..artifact import ModelMetadata, default_model_path
from ..artifact.export import export_model
from ..artifact.references import ReferencePacker
from ..errors import BadInput, Cancelled, MissingDevice, NoBenefit, OutputError, UsageError
from ..media import Clip, fingerprint, open_clip
from ..media.colour import transfer_name
from ..settings import FitSettings
from ..task import Task
from .checkpoint import checkpoint_path, load_checkpoint, remove_checkpoint, save_checkpoint
from .held_out import HeldOut
from .loop import FittingLoop
from .pairs import Pair
from .recipes import recipe_of

__all__ = ["FitResult", "check_clip", "check_output", "fit", "split", "torch_device"]

_SMALLEST = 32  # pixels, the shortest side that a network can be fitted to
_HELD_OUT = 6  # every so many of the target frames is held out
# Of the time allowed, kept back for what comes after the steps: how far a network looks is measured, and VGG looks far.
_EXPORT_SECONDS = {"reference-blend": 15.0, "paper": 40.0}


@dataclass(frozen=True)
class FitResult:
    """What ``fit`` made: the model's ``path`` and what the file says about itself, and the seconds that it took."""

    path: Path
    metadata: ModelMetadata
    seconds: float


def fit(
    clip: Clip | str | Path,
    out: str | Path | None = None,
    *,
    settings: FitSettings | None = None,
    task: Task | None = None,
    overwrite: bool = False,
    resume: bool = True,
) -> FitResult:
    """Fit a network to ``clip`` and write it to ``out`` (default: ``CLIP.deblur.onnx`` beside the clip).

    The clip is analysed, sharp frames are blurred as its blurry ones are, the network learns to undo that, and pairs
    that it never saw say how well. A fit that is stopped leaves ``OUT.checkpoint``, from which the next call with
    ``resume`` goes on. The same seed on the same device gives the same file as long as the settings' ``steps``, not
    its ``minutes``, end the fit.

    Raises ``BadInput``, ``ModelError`` (weights that are named or needed are missing or damaged), ``NoBenefit`` (no
    sharp frames, nothing blurry, or nothing gained on held-out pairs), ``OutputError`` (``out`` exists and
    ``overwrite`` is not set, or cannot be written), ``MissingDevice``, ``OutOfMemory``, ``UsageError`` or
    ``Cancelled``.
    """
    started = time.perf_counter()
    settings = (settings or FitSettings()).resolved()
    task = task or Task()
    device = torch_device(settings.device)
    threads_before = torch.get_num_threads()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads_before
    torch.set_num_threads(settings.threads or available)
    try:
        if isinstance(clip, Clip):
            return _fit(clip, out, settings, task, device, overwrite, resume, started)
        with open_clip(clip, frames=settings.frames) as opened:
            return _fit(opened, out, settings, task, device, overwrite, resume, started)
    finally:
        torch.set_num_threads(threads_before)


def _fit(
    clip: Clip,
    out: str | Path | None,
    settings: FitSettings,
    task: Task,
    device: torch.device,
    overwrite: bool,
    resume: bool,
    started: float,
) -> FitResult:
    path = Path(out) if out is not None else default_model_path(clip.info.path)
    check_output(path, overwrite)
    check_clip(clip)
    recipe = recipe_of(settings, device)
    if settings.init is not None:
        recipe.start(recipe.network())  # weights that do not fit are said before any work
    mark = fingerprint(clip)
    checkpoint = checkpoint_path(path)
    identity = {
        "fingerprint": mark,
        "engine": __version__,  # another version's network or analysis may be of another form
        **recipe.about,
        **{k: str(v) for k, v in asdict(settings).items() if k not in ("minutes", "threads", "vgg")},
    }
    kept = load_checkpoint(checkpoint, identity, task) if resume else None
    analysis = Analysis.from_bytes(kept[0]) if kept else analyse(clip, references=settings.references, task=task)
    for note in clip.notes:
        task.warn(note)
    transfer = transfer_name(clip.info.colour)
    aligner = Aligner(analysis, transfer=transfer, threads=settings.threads)
    training, watching = split(list(recipe.pairs(clip, analysis, aligner, task)), analysis)
    held_out = HeldOut(watching)
    loop = FittingLoop(training, held_out, settings, device, recipe=recipe, colour=clip.info.colour)
    warm = recipe.start(loop.network)
    loop.start_from_network(warm)
    if kept:
        loop.restore(kept[1])
        task.warn(f"going on from step {loop.progress.step} of the fit that was stopped")

    def save() -> None:
        save_checkpoint(checkpoint, identity, analysis.to_bytes(), loop.state())

    # Time that resumed steps took before counts; what was spent on analysis and pairs counts anew each time.
    budget = float(settings.minutes or 1) * 60 - (time.perf_counter() - started) - _EXPORT_SECONDS[settings.recipe]
    try:
        loop.run(task, max(1.0, budget), save)
    except Cancelled:
        save()
        raise
    task.report("export", 0, 1, "files")
    if warm and recipe.has_blend:
        loop.lean_to_start()
    metadata = _judged(clip, analysis, loop, held_out, settings, mark, transfer, warm, task)
    if settings.keep_references:
        metadata = replace(metadata, references=_kept(clip, metadata, task))
    export_model(loop.best, metadata, path, overwrite=overwrite)
    remove_checkpoint(checkpoint)
    task.report("export", 1, 1, "files")
    return FitResult(path, metadata, time.perf_counter() - started)


def _kept(clip: Clip, metadata: ModelMetadata, task: Task) -> bytes:
    """The pictures of the frames that serve as references, read one by one."""
    numbers = [number for number, _ in metadata.reference_frames]
    packer = ReferencePacker(metadata.width * metadata.height, len(numbers))
    for number in numbers:
        packer.add(number, clip.read([number])[number].rgb)
    if packer.left_out:
        task.warn(f"{packer.left_out} of {len(numbers)} sharp frames did not fit into the model and are not kept")
    return packer.data()


def split(pairs: list[Pair], analysis: Analysis) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to watch; no sharp frame is a target in both, unless there are too few of them.

    Each scene is watched by frames of its own, since one may be hopeless where the next is easy.
    """
    targets = sorted({pair.target for pair in pairs})
    if len(targets) >= 4:
        scenes = [[t for t in targets if analysis.scene[t] == n] for n in np.unique(analysis.scene[targets])]
        watched = {t for own in scenes if len(own) > 1 for t in own[min(_HELD_OUT, len(own)) // 2 :: _HELD_OUT]}
        watched = watched or set(targets[_HELD_OUT // 2 :: _HELD_OUT])
        return [p for p in pairs if p.target not in watched], [p for p in pairs if p.target in watched]
    return [p for n, p in enumerate(pairs) if n % _HELD_OUT != 1], [
        p for n, p in enumerate(pairs) if n % _HELD_OUT == 1
    ]


def torch_device(name: str) -> torch.device:
    """The torch device of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; raises ``MissingDevice`` or ``UsageError``."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if name == "auto":
        return torch.device("cuda")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number == "" or number.isdigit()):
        raise UsageError(f"device {name!r} is unknown", hint="one of auto, cpu, cuda, cuda:N")
    if not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count():
        built = "" if torch.version.cuda else "; this torch is built without CUDA"
        raise MissingDevice(
            f"device {name} is not there for torch{built}", hint="--device cpu, or see deblur-engine doctor"
        )
    return torch.device(name)


def check_output(path: Path, overwrite: bool) -> None:
    """Say now, not after the work, that the result could not be written."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists", hint="-y to overwrite it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} cannot be written to", hint="--out to write elsewhere")


def check_clip(clip: Clip) -> None:
    info = clip.info
    if min(info.width, info.height) < _SMALLEST:
        raise BadInput(
            f"{info.path.name} is {info.width}x{info.height}", hint=f"at least {_SMALLEST} pixels a side are needed"
        )
    if len(clip) < 2:
        raise NoBenefit(
            f"{info.path.name} has one frame", hint="fitting needs sharp and blurry frames of the same shot"
        )


def _judged(
    clip: Clip,
    analysis: Analysis,
    loop: FittingLoop,
    held_out: HeldOut,
    settings: FitSettings,
    mark: str,
    transfer: str,
    warm: bool,
    task: Task,
) -> ModelMetadata:
    """The metadata of the better of network and blend; raises ``NoBenefit`` where neither beats the input."""
    figures: dict[str, Any] = dict(held_out.figures(loop.best, loop.device))
    kept = "network"
    if loop.recipe.has_blend and figures["psnr"] < figures["blend_psnr"]:
        task.warn("on held-out frames the network did not beat the plain blend, so the blend is kept")
        loop.best.keep_blend()
        kept = "blend"
        figures |= held_out.figures(loop.best, loop.device)
    trust, trust_believed = held_out.trust(loop.best, loop.device)
    if all(factor == 0 for _, factor in trust + trust_believed):
        raise NoBenefit(
            f"{clip.info.path.name}: on held-out sharp frames the fit made nothing better",
            hint="more sharp frames, or --preset high, may help",
        )
    figures["gain_db"] = round(figures["psnr"] - figures["input_psnr"], 3)
    info = clip.info
    used = sorted({j for i in np.flatnonzero(analysis.blurry) for j in analysis.references_for(int(i))})
    recipe = {
        **{name: value for name, value in asdict(replace(settings, frames=None)).items() if name != "recipe"},
        # Of files, their names only: folders are nobody else's business.
        **{name: Path(given).name for name in ("init", "vgg") if (given := getattr(settings, name))},
        "frames": None if settings.frames is None else str(settings.frames),
        "name": settings.recipe,
        "steps_done": loop.progress.step,
        "best_step": loop.progress.best_step,
        "warm_start": warm,
        "kept": kept,
        "trained_on": str(loop.device),
    }
    return ModelMetadata(
        clip=info.path.name,
        clip_fingerprint=mark,
        width=info.width,
        height=info.height,
        fps=float(Fraction(info.fps)),
        frame_count=analysis.frame_count,
        colour=asdict(info.colour),
        transfer=transfer,
        recipe=recipe,
        reference_frames=tuple((j, float(analysis.times[j])) for j in used),
        held_out=figures,
        trust=trust,
        trust_believed=trust_believed,
        analysis=analysis.to_bytes(),
    )
