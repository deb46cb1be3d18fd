# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_engine.artifact import Artifact
from deblur_engine.errors import BadInput, Cancelled, OutOfMemory, OutputError
from deblur_engine.media import open_clip
from deblur_engine.rendering import pipeline
from deblur_engine.rendering.pipeline import render
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.rendering.session import Session
from deblur_engine.settings import FrameRange, RenderSettings
from deblur_engine.task import Event, Task
from rendering.fakes import FakeAligner, FakeClip, FakeWriter, picture

COUNT = 25


def run_stages(clip, order, renderer, writer, task):  # type: ignore[no-untyped-def]
    return pipeline.run_stages(clip, order, renderer, writer, task, pixels=80 * 48)


@pytest.fixture
def renderer(artifact: Artifact, session: Session) -> Renderer:
    return Renderer(artifact, RenderSettings(threads=4), FakeAligner(COUNT), session=session, cache_bytes=0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    before = set(threading.enumerate())
    yield
    left = [
        thread.name for thread in threading.enumerate() if thread not in before and thread.name.startswith("deblur")
    ]
    assert not left


def test_every_frame_in_order_and_as_the_renderer_makes_it(renderer: Renderer) -> None:
    writer = FakeWriter()
    counts, clocks, _ = run_stages(FakeClip(COUNT), range(COUNT), renderer, writer, Task())
    blurry = [number for number in range(COUNT) if number % 3]
    assert counts == (COUNT, len(blurry))
    assert list(writer.written) == list(range(COUNT))
    for number in range(COUNT):
        pictures = {needed: picture(needed) for needed in renderer.needs(number)}
        np.testing.assert_array_equal(writer.written[number], renderer.render(number, pictures))
    assert {name: clock.count for name, (clock, _) in clocks.items()} == {
        "decode": COUNT,
        "align": len(blurry),
        "restore": len(blurry),
        "encode": COUNT,
    }


def test_frames_in_memory_do_not_grow_with_the_clip(artifact: Artifact, session: Session) -> None:
    peaks = []
    for count in (40, 120):
        renderer = Renderer(artifact, RenderSettings(threads=4), FakeAligner(count), session=session, cache_bytes=0)
        peaks.append(run_stages(FakeClip(count), range(count), renderer, FakeWriter(), Task())[2])
    frame = picture(0).nbytes * 5 // 4
    # What one job needs spans 9 frames, 8 are decoded ahead, and 2 workers may be some jobs apart.
    assert max(peaks) <= (9 + 8 + 6) * frame


def test_a_range_of_frames(renderer: Renderer) -> None:
    writer = FakeWriter()
    order = range(5, 20, 4)
    run_stages(FakeClip(COUNT), order, renderer, writer, Task())
    assert list(writer.written) == list(order)


def test_progress_is_told_frame_by_frame(renderer: Renderer) -> None:
    events: list[Event] = []
    run_stages(FakeClip(COUNT), range(COUNT), renderer, FakeWriter(), Task(events.append))
    assert [event.done for event in events] == list(range(1, COUNT + 1))
    assert {(event.stage, event.total) for event in events} == {("render", COUNT)}


def test_a_clip_that_breaks_off_gives_what_it_has(renderer: Renderer) -> None:
    writer = FakeWriter()
    counts, _, _ = run_stages(FakeClip(COUNT, breaks_at=11), range(COUNT), renderer, writer, Task())
    assert counts[0] == 11
    assert list(writer.written) == list(range(11))


def test_a_clip_that_breaks_off_at_once_is_an_error(renderer: Renderer) -> None:
    with pytest.raises(BadInput, match="no frame"):
        run_stages(FakeClip(COUNT, breaks_at=0), range(COUNT), renderer, FakeWriter(), Task())


class FailingSession(Session):
    def run(self, *planes: np.ndarray) -> np.ndarray:  # type: ignore[override]
        raise MemoryError


def test_an_error_in_any_stage_ends_all(artifact: Artifact, session: Session) -> None:
    def run(clip: FakeClip, writer: FakeWriter, aligner: FakeAligner, with_session: Session = session) -> None:
        renderer = Renderer(artifact, RenderSettings(threads=4), aligner, session=with_session, cache_bytes=0)
        run_stages(clip, range(COUNT), renderer, writer, Task())

    with pytest.raises(OSError, match="disk is gone"):
        run(FakeClip(COUNT, fails_at=9), FakeWriter(), FakeAligner(COUNT))
    with pytest.raises(RuntimeError, match="no luck with frame 7"):
        run(FakeClip(COUNT), FakeWriter(), FakeAligner(COUNT, fail_at=7))
    with pytest.raises(OSError, match="No space left"):
        run(FakeClip(COUNT), FakeWriter(fail_at=6), FakeAligner(COUNT))
    with pytest.raises(OutOfMemory):
        run(FakeClip(COUNT), FakeWriter(), FakeAligner(COUNT), FailingSession(artifact, "cpu", 1))


def test_a_cancel_ends_all(renderer: Renderer) -> None:
    task = Task()
    writer = FakeWriter()

    def stop_at_five(event: Event) -> None:
        if event.done == 5:
            task.cancel()

    task._on_event = stop_at_five
    with pytest.raises(Cancelled):
        run_stages(FakeClip(COUNT), range(COUNT), renderer, writer, task)
    assert len(writer.written) < COUNT


# ---- the whole, with files


def _film(path: Path, frames: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "yuv444p"
        for number in range(frames):
            rgb = (np.clip(picture(number), 0, 1) * 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    return path


class PlainAligner(FakeAligner):
    """As ``FakeAligner``, but of whatever pictures it gets."""

    def align(self, i, pictures, references=True):  # type: ignore[no-untyped-def]
        assert set(self.needs(i)) <= set(pictures)
        return super().align(i, {number: picture(number) for number in pictures}, references)


@pytest.fixture
def film(tmp_path: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Path:
    def make(clip: object, artifact: Artifact, settings: RenderSettings, task: Task) -> Renderer:
        return Renderer(artifact, settings, PlainAligner(len(clip)), cache_bytes=0)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "make_renderer", make)
    return _film(tmp_path / "shot.mkv")


def test_a_clip_is_rendered_beside_itself(film: Path, artifact: Artifact) -> None:
    result = render(film, artifact, settings=RenderSettings(device="cpu", threads=2))
    assert (result.path, result.frames, result.changed) == (film.with_name("shot_deblur.mkv"), 12, 8)
    assert result.provider == "CPUExecutionProvider"
    assert set(result.stages) == {"decode", "align", "restore", "encode"}
    assert result.to_dict()["path"] == str(result.path)
    with open_clip(film) as before, open_clip(result.path) as after:
        assert len(after) == len(before)
        for one, other in zip(before.frames(), after.frames(), strict=True):
            same = np.array_equal(one.rgb, other.rgb)
            assert same == (one.index % 3 == 0)  # sharp frames: not a bit changed


def test_strength_zero_is_the_source(film: Path, artifact: Artifact) -> None:
    result = render(film, artifact, settings=RenderSettings(strength=0.0))
    assert result.changed == 0
    with open_clip(film) as before, open_clip(result.path) as after:
        for one, other in zip(before.frames(), after.frames(), strict=True):
            np.testing.assert_array_equal(one.rgb, other.rgb)


def test_only_the_frames_asked_for(film: Path, artifact: Artifact) -> None:
    result = render(film, artifact, settings=RenderSettings(frames=FrameRange(2, 8, 3)))
    assert (result.frames, result.changed) == (3, 3)
    with open_clip(result.path) as after:
        assert len(after) == 3


def test_an_output_that_is_there_stays(film: Path, artifact: Artifact) -> None:
    out = film.with_name("mine.mkv")
    out.write_text("mine")
    with pytest.raises(OutputError):
        render(film, artifact, out)
    assert out.read_text() == "mine"
    render(film, artifact, out, settings=RenderSettings(overwrite=True))
    assert out.stat().st_size > 100


@pytest.mark.parametrize("how", ["cancel", "interrupt", "error"])
def test_nothing_half_written_is_left(
    how: str, film: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task()

    def at_four(event: Event) -> None:
        if event.done == 4 and how == "cancel":
            task.cancel()
        if event.done == 4 and how == "interrupt":
            raise KeyboardInterrupt
        if event.done == 4 and how == "error":
            raise OSError(28, "No space left on device")

    task._on_event = at_four
    expected: dict[str, type[BaseException]] = {"cancel": Cancelled, "interrupt": KeyboardInterrupt, "error": OSError}
    with pytest.raises(expected[how]):
        render(film, artifact, task=task)
    assert [entry.name for entry in film.parent.iterdir()] == ["shot.mkv"]


# ---- which analysis is used


class Home:
    """Stands in for the analysis package."""

    def __init__(self) -> None:
        self.analysed = 0

    def analyse(self, clip: object, task: Task) -> object:
        self.analysed += 1
        return FakeAligner(12).analysis

    def Aligner(self, analysis: object, transfer: str) -> FakeAligner:  # noqa: N802
        return FakeAligner(12)


def test_a_model_of_another_clip_is_used_with_a_warning(
    tmp_path: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, told = Home(), []
    monkeypatch.setattr("deblur_engine.analysis", home, raising=False)
    say: Callable[[Event], None] = told.append
    with open_clip(_film(tmp_path / "other.mkv")) as clip:
        pipeline.make_renderer(clip, artifact, RenderSettings(device="cpu"), Task(say))
    assert home.analysed == 1
    assert "another clip (shot.mov)" in str(told[0].figures["message"])
