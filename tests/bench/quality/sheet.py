# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of what was measured: figures tell how much, only looking tells what kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from .clips import Clip
from .likeness import psnr
from .pictures import Bytes, write_png

__all__ = ["contact_sheet", "place_of_most_error"]

CROP = (288, 216)  # width, height in pixels
BAR = 20  # height of a label
COLUMNS = 6  # at most


def contact_sheet(clip: Clip, rows: Mapping[str, Mapping[int, Bytes]], judged: str, path: Path) -> None:
    """Write a PNG: some frames of a clip as each row (label -> frame -> picture) has them, and the truth last.

    The frames are the blurriest, the median one of the blurry, and those that the row ``judged`` changed for the
    worst and for the best; the crop is where the input differs most from the truth.
    """
    blocks = []
    for reason, i in _frames_to_show(clip, rows[judged]):
        y, x = place_of_most_error(clip.sharp[i], clip.blurry[i])
        shown = [
            (f"{label} {psnr(clip.sharp[i], pictures[i]):.2f}", pictures[i])
            for label, pictures in rows.items()
            if i in pictures
        ]
        shown.append((f"truth: {clip.name} {i}, {reason}", clip.sharp[i]))
        cells = [_labelled(picture[y : y + CROP[1], x : x + CROP[0]], label) for label, picture in shown]
        lines = -(-len(cells) // COLUMNS)
        columns = -(-len(cells) // lines)
        cells += [np.zeros_like(cells[0])] * (lines * columns - len(cells))
        blocks += [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
        blocks.append(np.full((4, blocks[-1].shape[1], 3), 128, np.uint8))
    width = max(block.shape[1] for block in blocks)
    write_png(np.vstack([np.pad(b, ((0, 0), (0, width - b.shape[1]), (0, 0))) for b in blocks]), path)


def place_of_most_error(truth: Bytes, picture: Bytes) -> tuple[int, int]:
    """Top and left of the CROP-sized part of ``picture`` that differs most from ``truth``."""
    error = ((truth.astype(np.float32) - picture.astype(np.float32)) ** 2).mean(2)
    height, width = min(CROP[1], error.shape[0]), min(CROP[0], error.shape[1])
    total = cv2.integral(error)
    parts = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    y, x = np.unravel_index(int(np.argmax(parts)), parts.shape)
    return int(y), int(x)


def _frames_to_show(clip: Clip, outputs: Mapping[int, Bytes]) -> list[tuple[str, int]]:
    """Why and which; a frame only once."""
    before = {i: psnr(clip.sharp[i], clip.blurry[i]) for i in outputs}
    after = {i: psnr(clip.sharp[i], outputs[i]) for i in outputs}
    order = sorted((i for i in outputs if clip.is_blurry[i]), key=before.__getitem__) or list(outputs)[:1]
    # A sharp frame that was touched has lost an infinity; one that was not is not worth a look.
    touched = [i for i in outputs if not np.array_equal(outputs[i], clip.blurry[i])] or order
    gained = {i: 0.0 if after[i] == before[i] else max(-1e3, after[i] - before[i]) for i in touched}
    blurry_gains = {i: gained[i] for i in touched if i in order} or gained
    wanted = [
        ("worst change", min(gained, key=gained.__getitem__)),
        ("median", order[len(order) // 2]),
        ("blurriest", order[0]),
        ("best change", max(blurry_gains, key=blurry_gains.__getitem__)),
    ]
    return list({i: (reason, i) for reason, i in reversed(wanted)}.values())[::-1]


def _labelled(picture: Bytes, text: str) -> Bytes:
    cell = np.zeros((CROP[1] + BAR, CROP[0], 3), np.uint8)
    cell[BAR : BAR + picture.shape[0], : picture.shape[1]] = picture
    cv2.putText(cell, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return cell
