# SPDX-License-Identifier: Apache-2.0
"""Pictures read from files with few seeks, and threads that wait for their turn."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from deblur_engine.errors import BadInput
from deblur_engine.media import open_clip
from deblur_engine.settings import FrameRange
from deblur_engine.worker import clips
from deblur_engine.worker.clips import ClipPictures, PictureCache
from deblur_engine.worker.turns import Turns
from worker.conftest import Shot

PICTURE = 192 * 144 * 12


def test_pictures_are_those_of_the_file_in_whatever_order(shot: Shot, pictures) -> None:
    source = ClipPictures(shot.clip, PictureCache(4 * PICTURE))
    dice = np.random.default_rng(1)
    for _ in range(20):
        wanted = [int(n) for n in dice.integers(0, 10, 3)]
        found = source.get(wanted)
        assert set(found) == set(wanted)
        for number, picture in found.items():
            np.testing.assert_array_equal(picture, pictures[number])
    source.close()


def test_playing_forwards_decodes_each_frame_once(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ClipPictures(shot.clip, PictureCache(100 * PICTURE))
    started = []
    real = clips._Reader.__init__
    monkeypatch.setattr(
        clips._Reader, "__init__", lambda self, clip, start: started.append(start) or real(self, clip, start)
    )
    decoded = []
    keep = ClipPictures._keep
    monkeypatch.setattr(ClipPictures, "_keep", lambda self, frame: decoded.append(frame.index) or keep(self, frame))
    for number in range(10):
        source.get({max(0, number - 2), number, min(9, number + 2)})
    assert started == [0] and decoded == list(range(10))
    source.close()


def test_what_is_kept_is_bounded_and_the_least_used_goes(shot: Shot) -> None:
    cache = PictureCache(3 * PICTURE)
    source = ClipPictures(shot.clip, cache)
    for number in range(10):
        source.get([number])
        assert cache.held_bytes <= cache.most_bytes
    assert cache.get(source._key(9)) is not None and cache.get(source._key(0)) is None
    source.close()


def test_a_range_counts_from_its_first(shot: Shot, pictures) -> None:
    source = ClipPictures(shot.clip, PictureCache(100 * PICTURE), FrameRange(3, 9, 2))
    np.testing.assert_array_equal(source.get([2])[2], pictures[7])
    assert len(source) == 4
    source.close()


def test_sequences_and_frames_that_are_not_there(shot: Shot, pictures, tmp_path: Path) -> None:
    import cv2

    for number in range(4):
        code = (pictures[number][..., ::-1] * 255 + 0.5).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"s.{number + 1001}.png"), code)
    source = ClipPictures(tmp_path / "s.####.png", PictureCache(100 * PICTURE))
    np.testing.assert_allclose(source.get([2])[2], pictures[2], atol=1e-6)
    with pytest.raises(BadInput):
        source.get([4])
    video = ClipPictures(shot.clip, PictureCache(100 * PICTURE))
    with pytest.raises(BadInput):
        video.get([10])
    with open_clip(shot.clip) as clip:
        assert len(clip) == 10


def test_turns_are_taken_one_by_one_urgent_ones_first() -> None:
    turns, order = Turns(1), []
    started = threading.Barrier(2)

    def work(name: str, urgent: bool) -> None:
        with turns.one(urgent, lambda: None):
            order.append(name)

    def hold() -> None:
        with turns.one(False, lambda: None):
            started.wait(10)
            while len(turns._waiting) < 4:
                time.sleep(0.01)

    holder = threading.Thread(target=hold)
    holder.start()
    started.wait(10)
    threads = []
    for number, (name, urgent) in enumerate([("a", False), ("b", False), ("C", True), ("D", True)]):
        threads.append(threading.Thread(target=work, args=(name, urgent)))
        threads[-1].start()
        while len(turns._waiting) <= number:
            time.sleep(0.01)
    for thread in (holder, *threads):
        thread.join(20)
    assert order == ["C", "D", "a", "b"]


def test_who_gives_up_waiting_is_in_nobodys_way() -> None:
    turns = Turns(1)

    class Over(Exception):
        pass

    def give_up() -> None:
        raise Over

    with turns.one(False, lambda: None):
        with pytest.raises(Over), turns.one(True, give_up):
            pass
        assert not turns._waiting
    with turns.one(False, give_up):  # free again, and there was nothing to wait for
        pass
