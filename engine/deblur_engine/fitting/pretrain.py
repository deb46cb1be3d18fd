# SPDX-License-Identifier: Apache-2.0
"""How the warm start that ships with the package was trained, so that anyone can do it again.

    python -m deblur_engine.fitting.pretrain --minutes 60 --out warm_start.safetensors PICTURES...

``PICTURES`` are sharp photographs (any format that OpenCV reads) or clips whose frames are sharp; folders are searched.
From each a crop is taken, moved and blurred at random, and given a reference that is warped by a random error, so that
what is learned is how to undo motion blur along a roughly known path, and how far to believe a reference. Fitting then
replaces these guesses by the clip's own blur and its aligner's own errors.

What ships was trained on one core in three runs, each going on from the one before (``--init``): 8,500 steps and 6,000
with earlier forms of these examples and of the network's inputs, then 4,300 with these.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .. import ops
from ..analysis.alignment import treated
from ..analysis.undoing import estimated_change
from ..artifact.schema import INPUTS
from ..media import open_clip
from .losses import restoration_loss
from .network import DeblurNet
from .pairs import turned
from .synthetic import expose_photograph, smooth_noise
from .warm_start import load_warm_start, save_warm_start

__all__ = ["find_pictures", "main", "sample"]

Array = npt.NDArray[np.float32]

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
_CLIPS = {".mp4", ".mov", ".mkv"}
_MARGIN = 32  # pixels around the crop, for blur that reaches in from outside
_BATCH = 8
_TIMES_SEEN = 4  # of each example, before new ones are made
_NO_REFERENCE = 0.35  # share of examples shown without one, as a renderer without the clip's other frames is


def find_pictures(given: Sequence[Path]) -> list[npt.NDArray[np.uint8]]:
    """``read_pictures`` of files and of what lies in folders."""
    inside = [found for path in given for found in (path.rglob("*") if path.is_dir() else [path])]
    return read_pictures([path for path in inside if path.suffix.lower() in _PICTURES | _CLIPS])


def read_pictures(paths: Sequence[Path]) -> list[npt.NDArray[np.uint8]]:
    """Sharp RGB pictures, uint8: photographs at several smaller, thus crisp, sizes; every 12th frame of clips."""
    found: list[npt.NDArray[np.uint8]] = []
    for path in sorted(paths):
        if path.suffix.lower() in _CLIPS:
            with open_clip(path) as clip:
                found += [
                    np.round(np.clip(f.rgb, 0, 1) * 255).astype(np.uint8) for f in clip.frames() if f.index % 12 == 0
                ]
            continue
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            continue
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        for side in (1600, 960, 600):
            factor = side / max(rgb.shape[:2])
            if factor <= 0.8:
                found.append(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    return found


def sample(picture: npt.NDArray[np.uint8], side: int, rng: np.random.Generator) -> npt.NDArray[np.float16] | None:
    """One example, float16 [side, side, 16]: the sharp picture, then what ``DeblurNet`` takes, in its order.

    None where the crop shows nothing to learn from.
    """
    made = expose_photograph(picture, side + 2 * _MARGIN, rng)
    if made is None:
        return None
    told = _told(made.motion, rng)
    estimate = estimated_change(made.frame, told, treated(told), "srgb")
    reference, confidence = _reference(made.sharp, made.frame, estimate, told, rng)
    stacked = np.concatenate([made.sharp, made.frame, estimate, reference, confidence, told], 2)
    return stacked[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].astype(np.float16)


def _told(blur: Array, rng: np.random.Generator) -> Array:
    """The motion as an analysis would have it: its length, its direction and its places are off."""
    if rng.random() < 0.08:
        return np.zeros_like(blur)
    turn, factor = rng.normal(0, 0.12), float(np.exp(rng.normal(0, 0.2)))
    length = float(np.hypot(blur[..., 0], blur[..., 1]).mean())
    blur = cv2.GaussianBlur(blur, (0, 0), float(rng.uniform(0.5, 6.0)))  # where motions meet, flow is smoothed
    return np.ascontiguousarray(
        turned(blur, turn, factor) + smooth_noise(len(blur), 4, 2, rng) * np.float32(rng.uniform(0, 0.2) * length + 0.1)
    )


def _reference(
    sharp: Array, frame: Array, estimate: Array, told: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """A reference with the errors that alignment makes, less the frame, and a confidence of the aligner's kind."""
    side = len(sharp)
    if rng.random() < _NO_REFERENCE:
        return np.zeros_like(sharp), np.zeros((side, side, 2), np.float32)
    error = smooth_noise(side, int(rng.choice([2, 4, 8, 16])), 2, rng) * np.float32(np.exp(rng.uniform(-3.0, 1.8)))
    reference = ops.warp(sharp, np.ascontiguousarray(error), mode="bicubic")
    if rng.random() < 0.5:  # something in the way
        y, x = rng.integers(0, side, 2)
        reference[y : y + side // 3, x : x + side // 3] = sharp[::-1][y : y + side // 3, x : x + side // 3]
    again = ops.reblur(cv2.cvtColor(reference, cv2.COLOR_RGB2GRAY), told, transfer="srgb")
    mismatch = again - cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    residual = cv2.GaussianBlur(np.square(mismatch), (0, 0), 6.0)
    change = cv2.GaussianBlur(np.square(reference - frame).mean(2), (0, 0), 6.0)
    # Alignment is more careful in some clips than in others; how careful, the network cannot know.
    caution = np.float32(np.exp(rng.uniform(0.0, 2.5)))
    believed = np.clip(1 - caution * np.maximum(residual, 1.5e-5) / (change + 1e-9), 0, 1)
    return reference - frame, np.stack([believed, mismatch], 2)


def _examples(
    pictures: Sequence[npt.NDArray[np.uint8]], count: int, side: int, rng: np.random.Generator
) -> torch.Tensor:
    # Every photograph counts alike whatever its size; a large one has more different crops all the same.
    pool: list[npt.NDArray[np.float16]] = []
    while len(pool) < count:
        made = sample(pictures[int(rng.integers(len(pictures)))], side, rng)
        if made is not None:
            pool.append(made)
    return torch.from_numpy(np.stack(pool).transpose(0, 3, 1, 2).copy())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the warm start; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="weights to go on from")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--pool", type=int, default=1200, help="examples made at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    pictures = find_pictures(options.pictures)
    if not pictures:
        parser.error("none of these can be read as a sharp picture large enough")
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    network = DeblurNet(options.width)
    if options.init:
        load_warm_start(network, options.init)
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = DeblurNet(options.width).to(device)
    mean.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=1e-4)
    started, step, pool, used, shown = time.perf_counter(), 0, None, 0, 0.0
    order = np.arange(0)
    while (share := (time.perf_counter() - started) / (options.minutes * 60)) < 1:
        if pool is None or used + _BATCH > len(order):
            if pool is None or step * _BATCH % (_TIMES_SEEN * options.pool) < _BATCH:
                pool = _examples(pictures, options.pool, options.crop, rng)
            order, used = rng.permutation(len(pool)), 0
        rate = 2e-3 * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        picked = pool[torch.from_numpy(order[used : used + _BATCH])].to(device).float()
        used += _BATCH
        sharp, *inputs = torch.split(picked, [3, *INPUTS.values()], 1)
        restored = network(*(given.contiguous(memory_format=torch.channels_last) for given in inputs))
        loss = restoration_loss(restored, sharp)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        step += 1
        with torch.no_grad():
            keep = min(0.999, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(mean.parameters()), list(network.parameters()), 1 - keep)
            before = -10 * math.log10(float((inputs[0] - sharp).square().mean()) + 1e-9)
            after = -10 * math.log10(float((restored - sharp).square().mean()) + 1e-9)
            shown += (after - before - shown) * 0.02
        if step % 100 == 0:
            print(
                f"step {step}  {share:.0%}  loss {loss.item():.4f}  gain over the input, running {shown:+.2f} dB",
                flush=True,
            )
            save_warm_start(mean, options.out)
    save_warm_start(mean, options.out)


if __name__ == "__main__":
    main()
