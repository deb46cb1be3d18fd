# SPDX-License-Identifier: Apache-2.0
"""Pairs that the fit never trains on: they say when the network is at its best, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..artifact.schema import INPUTS
from .pairs import Pair

__all__ = ["HeldOut"]

Array = npt.NDArray[np.float32]

_SIDE = 320  # pixels of each held-out pair that are looked at
_LENGTHS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # pixels of blur, the nodes of the trust table
_PRIOR = 0.25  # of what an average length has in evidence: what the whole has to say on each
_PRUDENCE = 0.9  # real frames are harder than synthetic ones, so a little less is done than pays on these


class HeldOut:
    """Measures a restoration on held-out pairs, on those that are blurred: of the others analysis keeps it away."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pieces = [_piece(pair) for pair in pairs if pair.blurred] or [_piece(pair) for pair in pairs]

    def gain(self, network: torch.nn.Module, device: torch.device) -> float:
        """Mean over the blurred pairs of PSNR gained over the input, dB, as rendering would use the network."""
        return float(
            np.mean(
                [
                    psnr(_shown(p, restored), p["sharp"]) - psnr(p["frame"], p["sharp"])
                    for p, restored in self._restored(network, device)
                ]
            )
        )

    def figures(self, network: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Mean PSNR over the held-out pairs of the input, of the plain blend and of the network, dB."""
        rows = []
        for p, restored in self._restored(network, device):
            believed = p["confidence"][..., :1]
            blend = _shown(p, p["frame"] + p["estimate"] + believed * (p["reference"] - p["estimate"]))
            shown = _shown(p, restored)
            rows.append([psnr(x, p["sharp"]) for x in (p["frame"], blend, shown)])
        means = np.mean(rows, axis=0)
        return {name: round(float(v), 3) for name, v in zip(("input_psnr", "blend_psnr", "psnr"), means, strict=True)}

    def trust(self, network: torch.nn.Module, device: torch.device) -> tuple[tuple[float, float], ...]:
        """(blur length in pixels, factor 0..1): how much of the network's change is worth taking at each length.

        The factor that leaves the least squared error is <change, true change> / <change, change>; it falls to 0
        where the change is no better than none. Some lengths have a few pixels only, which say little, so all lengths
        together count at each as much as a part of the average one.
        """
        top = np.zeros(len(_LENGTHS))
        bottom = np.zeros(len(_LENGTHS))
        for p, restored in self._restored(network, device):
            change, wanted = restored - p["frame"], p["sharp"] - p["frame"]
            length = np.hypot(p["motion"][..., 0], p["motion"][..., 1])
            shown = p["weight"][..., 0] > 0
            along, of = (change * wanted).sum(2), (change * change).sum(2)
            for k, node in enumerate(_LENGTHS):
                low = 0.0 if k == 0 else (_LENGTHS[k - 1] + node) / 2
                high = np.inf if k + 1 == len(_LENGTHS) else (_LENGTHS[k + 1] + node) / 2
                inside = shown & (length >= low) & (length < high)
                top[k] += along[inside].sum()
                bottom[k] += of[inside].sum()
        share = _PRIOR / max(1, int((bottom > 1e-3).sum()))
        of_all = np.maximum(bottom + share * bottom.sum(), 1e-9)
        factors = np.clip(_PRUDENCE * (top + share * top.sum()) / of_all, 0, 1)
        seen = bottom > 1e-3
        if seen.any():  # lengths that no held-out pair has are trusted as the nearest that one has
            factors = np.interp(_LENGTHS, np.asarray(_LENGTHS)[seen], factors[seen])
        return tuple((length, round(float(factor), 4)) for length, factor in zip(_LENGTHS, factors, strict=True))

    def _restored(self, network: torch.nn.Module, device: torch.device) -> list[tuple[dict[str, Array], Array]]:
        result = []
        with torch.no_grad():
            for p in self._pieces:
                inputs = [
                    torch.from_numpy(np.ascontiguousarray(p[name].transpose(2, 0, 1)))[None].to(device)
                    for name in INPUTS
                ]
                result.append((p, network(*inputs)[0].float().cpu().numpy().transpose(1, 2, 0)))
        return result


def _shown(p: dict[str, Array], restored: Array) -> Array:
    """What rendering would show: sharp places passed through."""
    return p["frame"] + p["weight"] * (restored - p["frame"])


def psnr(picture: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Peak signal to noise ratio in dB for a peak of 1; 60 where the error is below what 8 bits can show."""
    error = float(np.mean(np.square(picture - truth)))
    return 60.0 if error < 1e-6 else -10 * float(np.log10(error))


def _piece(pair: Pair) -> dict[str, Array]:
    height, width = pair.frame.shape[:2]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    box = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    return {name: getattr(pair, name)[box].astype(np.float32) for name in (*INPUTS, "sharp", "weight")}
