# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of what was measured: figures tell how much, only looking tells what kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from measure import Bytes, psnr
from synth import SyntheticClip

__all__ = ["contact_sheet", "place_of_most_error"]

CROP = (288, 216)  # width, height in pixels
BAR = 20  # height of a label


def contact_sheet(
    clips: Sequence[tuple[str, SyntheticClip, Mapping[str, Sequence[Bytes]]]], labels: Mapping[str, str], path: Path
) -> None:
    """Write a PNG: for each (name, clip, pictures by method) three frames, one method a column and the truth last.

    The frames are the blurriest, the median one of the blurry, and the one that the last method changed for the
    worst; the crop is where the input differs most from the truth.
    """
    rows = []
    for name, clip, results in clips:
        last = list(results)[-1]
        for reason, i in _frames_to_show(clip, results[last]):
            y, x = place_of_most_error(clip.sharp[i], clip.blurry[i])
            shown = [(labels.get(method, method), pictures[i]) for method, pictures in results.items()]
            shown.append((f"truth: {name} {i}, {reason}", clip.sharp[i]))
            cells = []
            for k, (label, picture) in enumerate(shown):
                gained = "" if k == len(shown) - 1 else f" {psnr(clip.sharp[i], picture):.2f}"
                cells.append(_labelled(picture[y : y + CROP[1], x : x + CROP[0]], label + gained))
            rows.append(np.hstack(cells))
    width = max(row.shape[1] for row in rows)
    page = np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
    if not cv2.imwrite(str(path), page[..., ::-1]):
        raise OSError(f"{path} cannot be written")


def place_of_most_error(truth: Bytes, picture: Bytes) -> tuple[int, int]:
    """Top and left of the CROP-sized part of ``picture`` that differs most from ``truth``."""
    error = ((truth.astype(np.float32) - picture.astype(np.float32)) ** 2).mean(2)
    height, width = min(CROP[1], error.shape[0]), min(CROP[0], error.shape[1])
    total = cv2.integral(error)
    parts = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    y, x = np.unravel_index(int(np.argmax(parts)), parts.shape)
    return int(y), int(x)


def _frames_to_show(clip: SyntheticClip, outputs: Sequence[Bytes]) -> list[tuple[str, int]]:
    before = np.array([psnr(t, b) for t, b in zip(clip.sharp, clip.blurry, strict=True)])
    after = np.array([psnr(t, a) for t, a in zip(clip.sharp, outputs, strict=True)])
    order = [int(i) for i in np.argsort(before) if clip.is_blurry[i]] or [0]
    gained = np.where(np.isinf(before) & np.isinf(after), 0.0, after - np.where(np.isinf(before), 1e3, before))
    return [("blurriest", order[0]), ("median", order[len(order) // 2]), ("worst change", int(np.argmin(gained)))]


def _labelled(picture: Bytes, text: str) -> Bytes:
    cell = np.zeros((CROP[1] + BAR, CROP[0], 3), np.uint8)
    cell[BAR : BAR + picture.shape[0], : picture.shape[1]] = picture
    cv2.putText(cell, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return cell
