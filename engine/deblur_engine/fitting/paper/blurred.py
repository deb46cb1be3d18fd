# SPDX-License-Identifier: Apache-2.0
"""Training pairs of the paper's recipe: the clip's sharp frames, blurred by random kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...analysis import Analysis
from ...analysis.alignment import treated
from ...artifact.schema import INPUTS
from ...media import Clip, ColourTags
from ...media.colour import from_linear, to_linear
from ...task import Task
from ..batches import Batch
from ..pairs import Frames, Pair, a_piece, sharp_targets
from .kernels import LENGTHS, path_length, random_kernel

__all__ = ["KernelBatches", "blurred", "make_kernel_pairs"]

Array = npt.NDArray[np.float32]

_OF_A_CROP = 0.4  # of a crop's side, how long a kernel may be: of more, hardly anything of a thing stays inside


def blurred(sharp: Array, kernel: Array, colour: ColourTags) -> Array:
    """``sharp`` [H, W, 3] under ``kernel`` [K, K] in linear light, clipped and rounded as an 8-bit picture is.

    That light is what blurs is not said in the paper; its real clips were blurred that way by the camera. Borders are
    mirrored.
    """
    light = cv2.filter2D(to_linear(sharp, colour), -1, kernel, borderType=cv2.BORDER_REFLECT)
    return np.round(np.clip(from_linear(np.maximum(light, 0), colour), 0, 1) * 255).astype(np.float32) / np.float32(255)


def make_kernel_pairs(clip: Clip, analysis: Analysis, count: int, seed: int, task: Task) -> Iterator[Pair]:
    """``count`` pairs of sharp frames and these under one random kernel each; the same for the same seed.

    Nothing is told of references (zeros). ``motion`` is the straight path that spreads as far as the kernel, so that
    trust can be told by its length; ``weight`` follows from it as it does at render time. Raises ``NoBenefit`` as
    ``sharp_targets`` does.
    """
    rng = np.random.default_rng(seed)
    frames = Frames(clip)
    for done, target in enumerate(sharp_targets(clip, analysis, count)):
        sharp = frames.get([target])[target]
        kernel = random_kernel(rng, _OF_A_CROP * min(sharp.shape[:2]))
        where = a_piece(sharp.shape, rng)
        frame = blurred(sharp, kernel, clip.info.colour)[where]
        height, width = frame.shape[:2]
        motion = np.array(path_length(kernel), np.float16)
        weight = treated(motion[None, None].astype(np.float32)).astype(np.float16)

        def even(values: npt.NDArray[np.float16], height: int = height, width: int = width) -> npt.NDArray[np.float16]:
            return np.broadcast_to(values, (height, width, values.shape[-1]))

        nothing = {name: even(np.zeros(INPUTS[name], np.float16)) for name in ("estimate", "reference", "confidence")}
        yield Pair(
            frame=frame.astype(np.float16),
            sharp=sharp[where].astype(np.float16),
            **nothing,
            motion=even(motion),
            weight=even(weight[0]),
            target=target,
            blurred=bool(weight.any()),
        )
        task.report("pairs", done + 1, count, "pairs")


class KernelBatches:
    """Random crops of the pairs' sharp pictures, each under a kernel of its own, drawn anew every time."""

    def __init__(
        self, pairs: Sequence[Pair], crop: int, batch: int, device: torch.device, seed: int, colour: ColourTags
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._batch, self._device, self._colour = batch, device, colour
        self._pictures = [pair.sharp for pair in pairs]
        self._crop = min(crop, *(min(picture.shape[:2]) for picture in self._pictures))

    def draw(self) -> Batch:
        """One batch; the same sequence of batches for the same seed."""
        made = [self._example(int(n)) for n in self._rng.integers(len(self._pictures), size=self._batch)]
        frame, sharp = (
            torch.from_numpy(np.stack(part).transpose(0, 3, 1, 2).copy()).to(self._device)
            for part in zip(*made, strict=True)
        )
        rest = (
            frame.new_zeros(()).expand(len(frame), count, *frame.shape[2:])
            for name, count in INPUTS.items()
            if name != "frame"
        )
        return Batch((frame.contiguous(memory_format=torch.channels_last), *rest), sharp)

    def _example(self, number: int) -> tuple[Array, Array]:
        rng, side, picture = self._rng, self._crop, self._pictures[number]
        kernel = random_kernel(rng, min(LENGTHS[1], _OF_A_CROP * side))
        height, width = picture.shape[:2]
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        # Light from beside the crop comes in; where the picture ends there is none.
        margin = len(kernel) // 2
        top, left = max(0, y - margin), max(0, x - margin)
        around = picture[top : y + side + margin, left : x + side + margin].astype(np.float32)
        inside = (slice(y - top, y - top + side), slice(x - left, x - left + side))
        pair = blurred(around, kernel, self._colour)[inside], around[inside]
        mirrored, turns = bool(rng.integers(2)), int(rng.integers(4))
        one, two = (np.rot90(p[:, ::-1] if mirrored else p, turns) for p in pair)
        return one, two

    def state(self) -> dict[str, object]:
        """Where the random sequence stands, for a checkpoint."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, object]) -> None:
        self._rng.bit_generator.state = state
