# SPDX-License-Identifier: Apache-2.0
"""A picture found anywhere in its clip, whatever number, colours, size and place the host gives it."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_engine.worker.channel import GoneError
from deblur_engine.worker.finding import PROVEN, Hint, Seen, Thumbnails, look_for
from panned import Panned, Scene, write_lossless

SIZE, COUNT = (160, 90), 40


@pytest.fixture(scope="module")
def shown() -> list[np.ndarray]:
    """Two shots, the one of which pans slowly."""
    scenes = [Scene([0] * 20, speed=(2, 1)), Scene([0] * 20, speed=(5, -2), start=(300, 200))]
    return Panned(scenes, SIZE).pictures


@pytest.fixture(scope="module")
def clip(shown: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lossless(tmp_path_factory.mktemp("finding") / "clip.mkv", shown)


def find(shown, clip: Path, picture: np.ndarray, number: int, hint: Hint = Hint(), **options: object) -> Seen:  # noqa: B008
    height, width = picture.shape[:2]
    x = width / SIZE[0]
    placed = (x, x, 0.0, (height - x * SIZE[1]) / 2)
    thumbnails = options.get("thumbnails") or Thumbnails(clip)

    def own(frame: int) -> np.ndarray | None:
        if not 0 <= frame < COUNT:
            return None
        result = np.zeros(picture.shape, np.float32)
        top = round(placed[3])
        small = cv2.resize(shown[frame] / np.float32(255), (width, round(x * SIZE[1])), interpolation=cv2.INTER_AREA)
        result[top : top + small.shape[0]] = small
        return result

    return look_for(number, hint, picture, own, placed, thumbnails, options.get("wait", lambda: None))


def as_host(picture: np.ndarray, look: str) -> np.ndarray:
    values = picture.astype(np.float32) / 255
    if look == "graded":
        return (np.float32(0.7) * values ** np.float32(1.6) + np.float32(0.1)).astype(np.float32)
    if look == "proxy":
        return cv2.resize(values, (80, 45), interpolation=cv2.INTER_AREA)
    if look == "letterboxed":
        return np.concatenate([np.zeros((20, 160, 3), np.float32), values, np.zeros((20, 160, 3), np.float32)])
    return values


@pytest.mark.parametrize("look", ["plain", "graded", "proxy", "letterboxed"])
@pytest.mark.parametrize(("frame", "number"), [(31, 12), (5, 30), (17, 86417), (0, -500), (12, 13)])
def test_it_is_found(shown, clip: Path, look: str, frame: int, number: int) -> None:
    seen = find(shown, clip, as_host(shown[frame], look), number)
    assert seen.matches and seen.final and number + seen.offset == frame


def test_what_is_not_in_the_clip_is_not_found(shown, clip: Path) -> None:
    for strange in (as_host(shown[3], "plain")[::-1, ::-1].copy(), Scene([0], start=(700, 500)).look(0, SIZE)):
        assert not find(shown, clip, np.asarray(strange, np.float32), 70).matches


def test_who_does_not_wait_is_told_that_it_is_not_over(shown, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails, go_on = Thumbnails(clip), threading.Event()
    make = thumbnails._make
    monkeypatch.setattr(thumbnails, "_make", lambda: (go_on.wait(30), make()))
    picture = as_host(shown[31], "plain")
    assert find(shown, clip, picture, 1000, thumbnails=thumbnails, wait=None) == Seen(0, False, False, False)

    def gone() -> None:
        raise GoneError("the client has gone")

    with pytest.raises(GoneError):
        find(shown, clip, picture, 1000, thumbnails=thumbnails, wait=gone)
    go_on.set()
    assert find(shown, clip, picture, 1000, thumbnails=thumbnails).offset == -969


def test_a_proven_offset_that_matches_is_kept_and_one_that_does_not_is_not(shown, clip: Path) -> None:
    proven = Hint(4, PROVEN)
    nowhere = Thumbnails(clip / "missing")
    assert find(shown, clip, as_host(shown[9], "plain"), 5, proven, thumbnails=nowhere).offset == 4
    assert nowhere._thread is None  # nothing was decoded for it
    assert find(shown, clip, as_host(shown[33], "plain"), 5, proven).offset == 28


def test_a_clip_that_cannot_be_read_ends_the_waiting(shown, clip: Path) -> None:
    nowhere = Thumbnails(clip / "missing")
    assert not find(shown, clip, as_host(shown[31], "plain"), 1000, thumbnails=nowhere).matches
    assert nowhere.ready() and nowhere.like(np.zeros((9, 16), np.float32)) == []
    assert nowhere.trouble


def test_whatever_ends_the_looking_through_ends_the_waiting(shown, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = Thumbnails(clip)
    monkeypatch.setattr(thumbnails, "_read", lambda: [].pop())
    assert not find(shown, clip, as_host(shown[31], "plain"), 1000, thumbnails=thumbnails).matches
    assert thumbnails.trouble
    # Nor is a thread waited for that could not be started.
    later = Thumbnails(clip)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more threads")))
        later.ready()
    assert find(shown, clip, as_host(shown[31], "plain"), 1000, thumbnails=later).offset == -969
