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
Doubles = npt.NDArray[np.float64]
Trust = tuple[tuple[float, float], ...]

_SIDE = 320  # pixels of each held-out pair that are looked at ...
# ... and where, from its top and left (0) to its bottom and right (1): a walk forward has its long blurs far from the
# middle.
_PLACES = ((0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0))
_LENGTHS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # pixels of blur, the nodes of the trust table
_PRIOR = 0.25  # of what an average length has in evidence: what the whole has to say on each
_OTHER_KIND = 0.1  # of all evidence: where one kind of pixels has less, all pixels fill up to it
# Real frames are harder than synthetic ones, so a little less is done than pays on these. Not where the reference is
# believed: that already rests on what the real frame shows.
_PRUDENCE = (0.9, 1.0)


class HeldOut:
    """Measures a restoration on held-out pairs, on those that are blurred: of the others analysis keeps it away."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        chosen = [pair for pair in pairs if pair.blurred] or pairs
        self._pieces = [_piece(pair, *_PLACES[k % len(_PLACES)]) for k, pair in enumerate(chosen)]

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

    def trust(self, network: torch.nn.Module, device: torch.device) -> tuple[Trust, Trust]:
        """How much of the network's change is worth taking at each blur length: alone, and believing the reference.

        Each a table of (blur length in pixels, factor 0..1). The factor that leaves the least squared error is
        <change, true change> / <change, change>; it falls to 0 where the change is no better than none. What a network
        makes of a reference that fits is of another kind than what it makes of the frame, so pixels count for the
        one table as far as the reference is believed, and for the other as far as it is not. Some lengths have a few
        pixels only, which say little, so all lengths together count at each as much as a part of the average one.
        """
        top = np.zeros((2, len(_LENGTHS)))
        bottom = np.zeros((2, len(_LENGTHS)))
        for p, restored in self._restored(network, device):
            change, wanted = restored - p["frame"], p["sharp"] - p["frame"]
            length = np.hypot(p["motion"][..., 0], p["motion"][..., 1])
            shown = p["weight"][..., 0] > 0
            along, of = (change * wanted).sum(2), (change * change).sum(2)
            believed = p["confidence"][..., 0]
            for k, node in enumerate(_LENGTHS):
                low = 0.0 if k == 0 else (_LENGTHS[k - 1] + node) / 2
                high = np.inf if k + 1 == len(_LENGTHS) else (_LENGTHS[k + 1] + node) / 2
                inside = shown & (length >= low) & (length < high)
                for kind, share in enumerate((1 - believed[inside], believed[inside])):
                    top[kind, k] += (along[inside] * share).sum()
                    bottom[kind, k] += (of[inside] * share).sum()
        of_all = _PRUDENCE[0] * float(top.sum()), float(bottom.sum())
        alone, believing = (_table(_PRUDENCE[kind] * top[kind], bottom[kind], *of_all) for kind in (0, 1))
        return alone, believing

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


def _table(top: Doubles, bottom: Doubles, top_of_all: float, bottom_of_all: float) -> Trust:
    seen = bottom > 1e-3
    lengths = max(1, int(seen.sum()))
    lacking = max(0.0, _OTHER_KIND - float(bottom.sum()) / max(bottom_of_all, 1e-9))

    def with_all(own: Doubles, of_all: float) -> Doubles:
        return own + _PRIOR * (own.sum() + lacking * of_all) / lengths

    factors = np.clip(with_all(top, top_of_all) / np.maximum(with_all(bottom, bottom_of_all), 1e-9), 0, 1)
    if seen.any():  # lengths that no held-out pair has are trusted as the nearest that one has
        factors = np.interp(_LENGTHS, np.asarray(_LENGTHS)[seen], factors[seen])
    return tuple((length, round(float(factor), 4)) for length, factor in zip(_LENGTHS, factors, strict=True))


def _shown(p: dict[str, Array], restored: Array) -> Array:
    """What rendering would show: sharp places passed through."""
    return p["frame"] + p["weight"] * (restored - p["frame"])


def psnr(picture: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Peak signal to noise ratio in dB for a peak of 1; 60 where the error is below what 8 bits can show."""
    error = float(np.mean(np.square(picture - truth)))
    return 60.0 if error < 1e-6 else -10 * float(np.log10(error))


def _piece(pair: Pair, down: float, right: float) -> dict[str, Array]:
    height, width = pair.frame.shape[:2]
    top, left = round(down * max(0, height - _SIDE)), round(right * max(0, width - _SIDE))
    box = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    return {name: getattr(pair, name)[box].astype(np.float32) for name in (*INPUTS, "sharp", "weight")}
