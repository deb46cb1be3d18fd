# SPDX-License-Identifier: Apache-2.0
"""Which frame of its clip a host's picture is, whatever number the host gives it.

Near the number first; then, by pictures of 32 x 18 pixels, anywhere in the clip.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..media import open_clip
from ..settings import FrameRange
from .matching import BETTER, CLEAR, alike, far_apart, find_frame

__all__ = ["PROVEN", "Hint", "Seen", "Thumbnails", "look_for"]

Array = npt.NDArray[np.float32]
Own = Callable[[int], Array | None]
REACH = 3  # frames that a number is looked for off the one that it should be
PROVEN = 8  # times in a row that an offset was seen, after which sharp frames are shown at the host's word
_SIZE = (32, 18)
_FLAT = 1 / 255  # standard deviation, of a range of 1, below which a picture shows nothing
_ALIKE, _AS_ALIKE = 0.8, 0.03  # correlation of ranks from which, and within which of the best, a frame is looked at
_MOST = 8  # frames that are looked at
_SURE = 0.15  # distance (``alike``) up to which a frame far from its number is believed to be it
_POLL = 0.1
_NICE = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hint:
    """How far a host's frame numbers were found to be off the clip's, and how often in a row that was so."""

    offset: int = 0
    times: int = 0

    def after(self, offset: int) -> Hint:
        return Hint(offset, self.times + 1 if offset == self.offset else 1)


@dataclass(frozen=True)
class Seen:
    """What looking at a picture told."""

    offset: int = 0  # of the clip's frame to the host's number
    matches: bool = False  # whether it is that frame at all
    other_colours: bool = False
    final: bool = True  # False: the clip is still being looked through


class Thumbnails:
    """The ranks of the lumas of all of a clip's frames, each made tiny; decoded in a thread once they are wanted.

    Ranks are the same whatever curve a host puts on the picture. Safe to use from several threads.
    """

    def __init__(self, path: str | Path, frames: FrameRange | None = None) -> None:
        self._path, self._frames = path, frames
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._closed = False
        self.trouble = ""  # why not all of the clip has been looked through
        self._ranks = np.zeros((0, _SIZE[0] * _SIZE[1]), np.float32)

    def ready(self) -> bool:
        """Whether they are there; if not, they will be."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._make, name="deblur-thumbnails", daemon=True)
                thread.start()
                self._thread = thread
        return self._done.is_set()

    def wait(self, check: Callable[[], None]) -> None:
        """Until they are there; ``check`` is called meanwhile and may raise."""
        self.ready()
        while not self._done.wait(_POLL):
            check()

    def close(self) -> None:
        self._closed = True

    def like(self, luma: Array) -> list[int]:
        """The frames that may show the same as ``luma`` [H, W], the likeliest first."""
        wanted = _ranked(_tiny(luma))
        if not wanted.any():
            return []
        found = self._ranks @ wanted
        order = np.argsort(-found, kind="stable")[:_MOST]
        return [int(n) for n in order if found[n] >= max(_ALIKE, float(found[order[0]]) - _AS_ALIKE)]

    def _make(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # frames that are waited for come first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            self._ranks = self._read()
        except Exception as error:
            self.trouble = str(error) or type(error).__name__
            log.warning("%s is not looked through: %s", self._path, error)
        finally:
            self._done.set()  # whoever waits goes on without

    def _read(self) -> Array:
        rows: dict[int, Array] = {}
        try:
            with open_clip(self._path, frames=self._frames) as clip:
                for number, luma in clip.lumas():
                    if self._closed:
                        break
                    scale = 1 / np.iinfo(luma.dtype).max if luma.dtype.kind == "u" else 1.0
                    rows[number] = _ranked(_tiny(luma) * np.float32(scale))
        except Exception as error:  # where it breaks off, what came before will do
            self.trouble = str(error) or type(error).__name__
            log.warning("%s is looked through up to frame %d: %s", self._path, len(rows), error)
        ranks = np.zeros((max(rows, default=-1) + 1, self._ranks.shape[1]), np.float32)
        for number, row in rows.items():
            ranks[number] = row
        return ranks


def look_for(
    position: int,
    hint: Hint,
    picture: Array,
    own: Own,
    placed: tuple[float, float, float, float],
    thumbnails: Thumbnails,
    wait: Callable[[], None] | None,
) -> Seen:
    """Find out which of the clip's frames ``picture``, which the host calls frame ``position``, is.

    ``own``: a frame of the clip as the host would show it; ``placed``: where the clip lies in the picture. ``wait``:
    called while the clip is looked through, if that is to be waited for; None: what is known by now will do.
    """
    offset, matches, distance = find_frame(position, hint.offset, picture, own, REACH)
    final = True
    if not matches or (distance > CLEAR and hint.times < PROVEN):
        if wait is not None:
            thumbnails.wait(wait)
        final = thumbnails.ready()
        if final:
            far = _far(picture, own, placed, thumbnails)
            if far is not None and (not matches or far[1] < BETTER * distance):
                offset, matches = far[0] - position, True
    shown = own(position + offset) if matches else None
    return Seen(offset, matches, shown is not None and far_apart(shown, picture), final)


def _far(
    picture: Array, own: Own, placed: tuple[float, float, float, float], thumbnails: Thumbnails
) -> tuple[int, float] | None:
    """The frame anywhere in the clip that the picture shows, and its distance."""
    left, top = (max(0, round(side)) for side in placed[2:])
    height, width = picture.shape[:2]
    inside = picture[top : max(top + 1, height - top), left : max(left + 1, width - left)]
    best = None
    for number in thumbnails.like(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)):
        shown = own(number)
        same, distance = (False, 9.0) if shown is None else alike(shown, picture)
        if same and distance <= _SURE and (best is None or distance < best[1]):
            best = number, distance
    return best


def _tiny(luma: npt.NDArray[np.generic]) -> Array:
    return cv2.resize(luma, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)


def _ranked(tiny: Array) -> Array:
    """The ranks of the values, of mean 0 and length 1; zeros for what shows nothing."""
    values = np.nan_to_num(tiny).ravel()
    if float(values.std()) < _FLAT:
        return np.zeros(len(values), np.float32)
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values), dtype=np.float32)
    ranks -= (len(values) - 1) / 2
    return ranks / np.float32(np.linalg.norm(ranks))
