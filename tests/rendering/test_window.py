# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_engine.media.types import Frame
from deblur_engine.rendering.window import FrameWindow
from rendering.fakes import FakeClip, picture

ONE = picture(0).nbytes * 5 // 4


def _run(needs: list[tuple[int, ...]], most: int, clip: FakeClip, workers: int = 1) -> FrameWindow:
    """Feed the window from one thread, work on the jobs in others; every job must get exactly its frames."""
    window = FrameWindow(needs, most, clip.read)
    first, stop = window.span
    errors: list[BaseException] = []
    positions = iter(range(len(needs)))
    lock = threading.Lock()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        return run

    def feed() -> None:
        for frame in clip.frames(first, stop):
            window.put(frame)
        window.end()

    def work() -> None:
        while True:
            with lock:
                position = next(positions, None)
            if position is None:
                return
            frames = window.take(position)
            assert frames is not None
            have = {number for number in needs[position] if clip.breaks_at is None or number < clip.breaks_at}
            assert set(frames) == have
            for number, frame in frames.items():
                np.testing.assert_array_equal(frame.rgb, picture(number))
            window.done(position)

    threads = [threading.Thread(target=guarded(feed), daemon=True)]
    threads += [threading.Thread(target=guarded(work), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "the window is stuck"
    if errors:
        raise errors[0]
    return window


@settings(max_examples=25)
@given(
    needs=st.lists(
        st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda x: tuple(sorted(set(x)))), max_size=8
    ),
    most=st.sampled_from([0, ONE, 3 * ONE, 100 * ONE]),
    workers=st.integers(1, 3),
)
def test_every_job_gets_its_frames_under_any_bound(needs: list[tuple[int, ...]], most: int, workers: int) -> None:
    window = _run(needs, most, FakeClip(13), workers)
    assert window._bytes == 0
    assert not window._held


@pytest.mark.parametrize("count", [40, 200])
def test_memory_does_not_grow_with_the_clip(count: int) -> None:
    needs = [tuple(range(max(0, i - 3), min(count, i + 4))) for i in range(count)]
    window = _run(needs, 1 << 40, FakeClip(count))
    assert window.peak_bytes <= (7 + 9) * ONE
    assert window.read_again == 0


def test_a_tight_bound_reads_again_instead_of_growing() -> None:
    # Every job wants frame 0 and one of its own: frame 0 is needed to the end, the bound leaves room for three.
    needs = [(0, i) for i in range(1, 20)]
    clip = FakeClip(20)
    window = _run(needs, 3 * ONE, clip)
    assert window.peak_bytes <= 3 * ONE
    far = [(i, 19 - i) for i in range(9)]
    clip = FakeClip(20)
    window = _run([tuple(sorted(pair)) for pair in far], 3 * ONE, clip)
    assert window.peak_bytes <= 4 * ONE
    assert clip.read_again


def test_a_clip_that_breaks_off_leaves_frames_out() -> None:
    _run([(i, i + 1) for i in range(9)], 1 << 30, FakeClip(10, breaks_at=5))


def test_a_stop_wakes_everybody() -> None:
    stop = threading.Event()
    window = FrameWindow([(0, 1)], 1, FakeClip(2).read, stop.is_set)
    results: list[object] = []
    taking = threading.Thread(target=lambda: results.append(window.take(0)), daemon=True)
    taking.start()
    stop.set()
    taking.join(5)
    assert results == [None]
    assert window.put(Frame(0, 0.0, picture(0))) is False
