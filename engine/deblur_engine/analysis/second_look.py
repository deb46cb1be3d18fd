# SPDX-License-Identifier: Apache-2.0
"""A second look at frames that are not taken for blurry but lack a little of the sharpest around them.

Where the camera rests a small thing's blur hardly shows in the whole, and other things come and go; where it walks,
sharpness drifts with what comes into view, and mild blur takes no more of it. But a sharper frame shows what things
look like, and alignment whether this one is a blurred picture of the same.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ..media import Clip
from ..media.colour import transfer_name
from ..task import Task
from .alignment import Aligner, Alignment
from .flow import reduced, size_by
from .record import Analysis

__all__ = ["look_again", "proof_of_blur"]

Array = npt.NDArray[np.float32]

_SIDE = 640  # longest side of the pictures that are looked at
_DOUBTFUL = 0.08  # log energy that a frame looked at lacks of the sharpest around it, and of its references
_RESTS = 0.006  # of the picture's longest side, that its corners move by in an interval of a camera at rest
_FAST = 8.0  # pixels in an interval: what moves by less there is judged by its track
_MOVES = 3.0  # pixels in an interval of another camera's frames: less leaves no blur to speak of
_REFERENCES = 2
_PROOF = 1e-4  # mean square, R'G'B' 0..1, of what believed references change: what 40 dB are short of ...
_PROOF_MOVING = 1.5e-6  # ... where all moves there is more to tell by, and less to be told wrong
_SHARPER = 0.4  # log Laplacian energy that they have more, there


def look_again(clip: Clip, analysis: Analysis, task: Task) -> Analysis:
    """``analysis`` with those frames blurry that sharper ones prove to be; the others stay as they are."""
    asked = {i: references for i in _doubtful(analysis) if (references := _sharper(analysis, i))}
    if not asked:
        return analysis
    factor = min(1.0, _SIDE / max(analysis.width, analysis.height))
    size = size_by(factor, analysis.width, analysis.height)
    aligner = Aligner(analysis.scaled(*size), transfer=transfer_name(clip.info.colour))
    sharp, blurry, exposure = analysis.sharp.copy(), analysis.blurry.copy(), analysis.exposure.copy()
    for done, (i, references) in enumerate(asked.items()):
        numbers = {i, *analysis.neighbours(i), *references}
        pictures = {n: reduced(frame.rgb, size) for n, frame in clip.read(numbers).items()}
        motion = aligner.motion(i, pictures)
        usual = float(np.median(analysis.exposure[_blurry_with(analysis, i)]))
        found = aligner.fuse(i, pictures[i], motion, {j: pictures[j] for j in references}, usual, agree=False)
        changed, sharper = proof_of_blur(pictures[i], found)
        if changed > (_PROOF if _rests(analysis, i) else _PROOF_MOVING) and sharper > _SHARPER:
            sharp[i], blurry[i], exposure[i] = False, True, found.exposure
        task.report("expose", done + 1, len(asked))
    return replace(analysis, sharp=sharp, blurry=blurry, exposure=exposure)


def proof_of_blur(picture: Array, found: Alignment) -> tuple[float, float]:
    """Mean square of what the references change where they are believed, and the log of the detail they have more."""
    share = found.believed * found.weight
    luma, change = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.cvtColor(found.reference, cv2.COLOR_RGB2GRAY)
    before, after = (
        float((np.square(cv2.Laplacian(shown, cv2.CV_32F)) * share).sum()) + 1e-4 for shown in (luma, luma + change)
    )
    return float(np.mean(share * np.square(change))), float(np.log(after / before))


def _doubtful(analysis: Analysis) -> list[int]:
    """Frames not taken for blurry that lack a little of the sharpest around them, and may be by what moves."""
    asks = ~analysis.blurry & (analysis.drop >= _DOUBTFUL)
    return [i for i in np.flatnonzero(asks).tolist() if _blurry_with(analysis, i).any() and _may_be(analysis, i)]


def _may_be(analysis: Analysis, i: int) -> bool:
    if _rests(analysis, i):
        return bool(analysis.sharp[i] and analysis.speed[i] >= _FAST)
    return bool(analysis.speed[i] >= _MOVES)


def _blurry_with(analysis: Analysis, i: int) -> npt.NDArray[np.bool_]:
    return analysis.blurry & (analysis.scene == analysis.scene[i]) & (analysis.exposure > 0)


def _rests(analysis: Analysis, i: int) -> bool:
    width, height = analysis.width, analysis.height
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)[None]
    moved = [cv2.perspectiveTransform(corners, analysis.between(i, j)) - corners for j in analysis.neighbours(i)]
    return bool(moved) and max(float(np.abs(m).max()) for m in moved) < _RESTS * max(width, height)


def _sharper(analysis: Analysis, i: int) -> tuple[int, ...]:
    every = analysis.references_for(i, 2 * analysis.reach)
    return tuple(j for j in every if analysis.drop[j] <= analysis.drop[i] - _DOUBTFUL)[:_REFERENCES]
