# SPDX-License-Identifier: Apache-2.0
"""Random crops of the pairs, mirrored and transposed, as batches of tensors on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..artifact.schema import INPUTS
from .pairs import Pair

__all__ = ["Batch", "Batches"]

_NO_REFERENCE = 0.25  # share of crops shown without their reference: the same file must work on a single frame
_NO_MOTION = 0.08  # share of crops shown without their motion and what follows from it
_TRIES = 4  # places looked at for a crop, of which the one with most to restore is taken ...
_ANYWHERE = 0.3  # ... but for this share, taken where it fell: flat and sharp areas must stay as they are
_CELL = 16  # pixels, of the maps of what there is to restore


@dataclass(frozen=True)
class Batch:
    """Float32 tensors: ``inputs`` as ``DeblurNet.forward`` takes them, and the ``sharp`` frame [N, 3, H, W]."""

    inputs: tuple[Tensor, ...]
    sharp: Tensor


class Batches:
    """Draws batches from pairs that are kept on the device as float16."""

    def __init__(self, pairs: Sequence[Pair], crop: int, batch: int, device: torch.device, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._batch = batch
        smallest = min(min(pair.frame.shape[:2]) for pair in pairs)
        self._crop = min(crop, smallest)
        self._device = device
        self._pairs: list[Tensor] = []
        self._need: list[np.ndarray] = []
        for pair in pairs:
            self.add(pair)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, pair: Pair, instead_of: int | None = None) -> None:
        """Draw from this pair too, or instead of the one with this number, counted from 0."""
        # Channels of a pair side by side, so that one slice cuts all.
        channels = np.concatenate([pair.sharp, *(getattr(pair, name) for name in INPUTS)], 2).transpose(2, 0, 1)
        where = slice(len(self), None) if instead_of is None else slice(instead_of, instead_of + 1)
        self._pairs[where] = [torch.from_numpy(channels.copy()).to(self._device)]
        self._need[where] = [_need(pair)]

    def draw(self) -> Batch:
        """One batch; the same sequence of batches for the same seed."""
        rng, side = self._rng, self._crop
        pieces = []
        for index in rng.integers(len(self._pairs), size=self._batch):
            pair = self._pairs[int(index)]
            y, x = self._place(int(index), pair.shape[1], pair.shape[2])
            pieces.append(_turned(pair[:, y : y + side, x : x + side].float(), int(rng.integers(8))))
        stacked = torch.stack(pieces)
        sharp, frame, estimate, reference, confidence, motion = torch.split(stacked, [3, *INPUTS.values()], 1)
        # Without its motion nothing is known about a frame; without references still how it looks with its blur undone.
        draw = torch.from_numpy(rng.random(self._batch).astype(np.float32)).to(stacked.device).view(-1, 1, 1, 1)
        with_motion = (draw >= _NO_MOTION).float()
        with_reference = (draw >= _NO_MOTION + _NO_REFERENCE).float()
        # A straight path and its reverse blur alike, so either may be told.
        way = torch.from_numpy(np.sign(rng.random(self._batch) - 0.5).astype(np.float32)).to(stacked.device)
        inputs = (
            frame,
            estimate * with_motion,
            reference * with_reference,
            confidence * with_reference,
            motion * with_motion * way.view(-1, 1, 1, 1),
        )
        return Batch(inputs, sharp)

    def _place(self, index: int, height: int, width: int) -> tuple[int, int]:
        """The top left corner of a crop of a pair."""
        rng, side = self._rng, self._crop
        places = [(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))) for _ in range(_TRIES)]
        if rng.random() < _ANYWHERE:
            return places[0]

        def need(place: tuple[int, int]) -> float:
            top, left = place[0] // _CELL, place[1] // _CELL
            return float(self._need[index][top : top + side // _CELL + 1, left : left + side // _CELL + 1].mean())

        return max(places, key=need)

    def state(self) -> dict[str, object]:
        """Where the random sequence stands, for a checkpoint."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, object]) -> None:
        self._rng.bit_generator.state = state


def _need(pair: Pair) -> np.ndarray:
    """How far a pair's blurred frame is from the sharp one, by cells."""
    off = np.abs(pair.frame.astype(np.float32) - pair.sharp.astype(np.float32)).mean(2)
    height, width = off.shape
    off = np.pad(off, ((0, -height % _CELL), (0, -width % _CELL)))
    return off.reshape(off.shape[0] // _CELL, _CELL, -1, _CELL).mean((1, 3))


def _turned(piece: Tensor, way: int) -> Tensor:
    """One of the eight mirrorings and quarter turns of a crop; its blur vectors (the last two channels) turn along."""
    if way & 1:
        piece = piece.flip(2)
        piece[-2] = -piece[-2]
    if way & 2:
        piece = piece.flip(1)
        piece[-1] = -piece[-1]
    if way & 4:
        piece = piece.transpose(1, 2)
        piece = torch.cat([piece[:-2], piece[-1:], piece[-2:-1]])
    return piece
