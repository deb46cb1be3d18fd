# SPDX-License-Identifier: Apache-2.0
"""Pictures of a clip's file made to look as the host's picture of the same frame does: its size, place and colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Curves", "Look", "alike", "colours", "far_apart", "find_frame", "place"]

Array = npt.NDArray[np.float32]
_SMALL = 192  # pixels, longest side of the pictures that are compared
_SAME_COLOUR = 2 / 255  # mean difference up to which colours are taken for the same
_FAR_COLOUR, _CONTRAST = 0.2, 1.6  # mean difference and ratio of contrasts beyond which they are of another kind
_SAME_THING = 0.8  # correlation of lumas from which two pictures show the same thing
CLEAR = 0.02  # distance up to which nothing nearer is looked for
BETTER = 0.6  # of the distance, below which another frame matches clearly better
_FLAT = 1 / 255  # standard deviation below which a picture shows nothing
_QUANTILES = np.linspace(0, 1, 257)
_SAMPLES = 1 << 18


@dataclass(frozen=True)
class Curves:
    """A monotone curve for each channel."""

    points: tuple[tuple[Array, Array], ...]  # for R', G', B': values of the file, values of the host

    @classmethod
    def between(cls, own: Array, host: Array) -> Curves:
        """The curves that take the distribution of ``own``'s values to that of ``host``'s; both [H, W, 3]."""
        step = max(1, int(np.sqrt(own.shape[0] * own.shape[1] / _SAMPLES)))
        points = []
        for channel in range(3):
            x = np.quantile(own[::step, ::step, channel], _QUANTILES).astype(np.float32)
            y = np.quantile(host[::step, ::step, channel], _QUANTILES).astype(np.float32)
            rising = np.concatenate([[True], np.diff(x) > 1e-6])  # of equal values the first, the curve has to be one
            points.append((x[rising], y[rising]))
        return cls(tuple(points))

    def apply(self, picture: Array) -> Array:
        result = np.empty_like(picture)
        for channel, (x, y) in enumerate(self.points):
            values = picture[..., channel]
            mapped = np.interp(values, x, y)
            # Beyond what the frame held the curve goes on at the scale's own slope.
            mapped += np.minimum(values - x[0], 0) + np.maximum(values - x[-1], 0)
            result[..., channel] = mapped
        return result


@dataclass(frozen=True)
class Look:
    """How a clip's pictures become the host's: ``placed`` as ``Analysis.placed`` has it, then ``curves``."""

    width: int
    height: int
    placed: tuple[float, float, float, float]
    curves: Curves | None = None

    def __call__(self, picture: Array) -> Array:
        sized = place(picture, self.width, self.height, self.placed)
        return sized if self.curves is None else self.curves.apply(sized)


def place(picture: Array, width: int, height: int, placed: tuple[float, float, float, float]) -> Array:
    """A picture [h, w, 3] at its place in one of ``width`` x ``height`` pixels, black around it."""
    x, y, left, top = placed
    if (picture.shape[1], picture.shape[0]) == (width, height) and (left, top) == (0, 0):
        return picture
    if (left, top) == (0, 0):
        return _resized(picture, width, height)
    sized = _resized(picture, max(1, round(picture.shape[1] * x)), max(1, round(picture.shape[0] * y)))
    result = np.zeros((height, width, 3), np.float32)
    row, column = round(top), round(left)
    inside = sized[max(0, -row) : height - row, max(0, -column) : width - column]
    result[max(0, row) :, max(0, column) :][: inside.shape[0], : inside.shape[1]] = inside
    return result


def colours(own: Array, host: Array) -> Curves | None:
    """The curves from ``own`` to ``host``, the same frame at the same size; None where they are alike already."""
    small_own, small_host = _small(own), _small(host)
    if float(np.minimum(np.abs(small_own - small_host), 1).mean()) <= _SAME_COLOUR:
        return None
    return Curves.between(own, host)


def far_apart(own: Array, host: Array) -> bool:
    """Whether the same frame, at the same size, has colours of another kind: log for display, say, or inverted ones.

    A log curve leaves half of the contrast; grades seldom change it by that much.
    """
    small_own, small_host = _small(own), _small(host)
    if float(np.minimum(np.abs(small_own - small_host), 1).mean()) > _FAR_COLOUR:
        return True
    first, second = float(_shape(own).std()), float(_shape(host).std())
    return min(first, second) > _FLAT and not 1 / _CONTRAST < first / second < _CONTRAST


def alike(own: Array, host: Array) -> tuple[bool, float]:
    """Whether two pictures of one size show the same thing, and how far they are apart in what is no colour change.

    The distance is the mean difference of lumas after the one's values are made those of the other, over the other's
    standard deviation.
    """
    first, second = _shape(own), _shape(host)
    spread = float(second.std())
    if spread < _FLAT or float(first.std()) < _FLAT:
        return True, 0.0  # a fade: nothing tells, nothing speaks against it
    correlation = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    order = np.sort(second, axis=None)
    ranked = np.empty_like(order)
    ranked[np.argsort(first, axis=None, kind="stable")] = order
    return correlation >= _SAME_THING, float(np.mean(np.abs(ranked - second.ravel()))) / spread


def find_frame(
    number: int, hint: int, host: Array, picture_of: Callable[[int], Array | None], reach: int
) -> tuple[int, bool, float]:
    """Which frame of the clip the host's frame ``number`` is: offset to its number, whether it is that, distance.

    ``hint``: the offset of the frame before; ``picture_of`` gives a frame of the clip as the host would have it.
    """
    tried: dict[int, tuple[bool, float]] = {}

    def distance(offset: int) -> float:
        if offset not in tried:
            own = picture_of(number + offset)
            tried[offset] = (False, 9.0) if own is None else alike(own, host)
        return tried[offset][1]

    best = hint
    if distance(hint) > CLEAR or not tried[hint][0]:
        for offset in sorted({0, *range(-reach, reach + 1)}, key=abs):
            if distance(offset) < BETTER * distance(best) and tried[offset][0]:
                best = offset
    return best, *tried[best]


def _shape(picture: Array) -> Array:
    """The luma of a small picture; a few lamps that outshine all else do not count."""
    luma = cv2.cvtColor(_small(picture), cv2.COLOR_RGB2GRAY)
    return np.clip(luma, *np.percentile(luma, (1, 99)))


def _small(picture: Array) -> Array:
    height, width = picture.shape[:2]
    factor = min(1.0, _SMALL / max(height, width))
    return _resized(picture, max(1, round(width * factor)), max(1, round(height * factor)))


def _resized(picture: Array, width: int, height: int) -> Array:
    if (picture.shape[1], picture.shape[0]) == (width, height):
        return picture
    smaller = width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
