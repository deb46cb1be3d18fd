# SPDX-License-Identifier: Apache-2.0
"""Frames from a live worker: the very picture of the command line's renderer, whatever way the references come."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from deblur_engine.analysis import Aligner
from deblur_engine.artifact import load_model
from deblur_engine.artifact.references import ReferencePacker
from deblur_engine.artifact.variants import embed
from deblur_engine.errors import OutOfMemory
from deblur_engine.rendering import Renderer
from deblur_engine.rendering.session import Session
from deblur_engine.worker import wire
from deblur_engine.worker.client import Client, WorkerError
from worker.conftest import BLURRY, SHARP, Served, Shot

UNCHANGED, NOTED = wire.Rendered.UNCHANGED, wire.Rendered.NOTED
PROTECT, INTERACTIVE, ALONE = wire.Render.PROTECT, wire.Render.INTERACTIVE, wire.Render.ALONE


def expected(shot: Shot, pictures: list[np.ndarray], frame: int, **options: object) -> np.ndarray:
    renderer = shot.renderer()
    protect = bool(options.get("protect", True))
    given = {j: pictures[j] for j in renderer.needs(frame, protect=protect)}
    return renderer.render(frame, given, **options)  # type: ignore[arg-type]


def test_a_model_says_what_it_is(client: Client, shot: Shot, tmp_path: Path) -> None:
    info = client.ask(wire.Model(str(shot.model), ""), wire.ModelInfo)
    assert (info.width, info.height, info.frames, info.transfer, info.route, info.note) == (192, 144, 10, 1, 1, "")
    assert (info.model, info.clip) == (str(shot.model), str(shot.clip))
    assert client.ask(wire.Model("", str(shot.clip)), wire.ModelInfo) == info
    alone = client.ask(wire.Model(str(shot.alone(tmp_path)), ""), wire.ModelInfo)
    assert (alone.route, alone.clip) == (2, "")


@pytest.mark.parametrize(
    ("transfer", "tag", "code"),
    [("bt709", 1, 1), ("srgb", 13, 2), ("gamma2.2", 4, 3), ("linear", 8, 4), ("gamma2.8", 5, 5), ("pq", 16, 6),
     ("hlg", 18, 7), ("bt709", 9, 8), ("bt709", 10, 8), ("bt709", 2, 9), ("bt709", "x", 1), ("new", 99, 0)],
)  # fmt: skip
def test_a_model_says_what_its_clip_is_coded_by(client, shot, tmp_path: Path, transfer, tag, code: int) -> None:
    artifact = load_model(shot.model)
    path = tmp_path / "coded.deblur.onnx"
    metadata = replace(artifact.metadata, transfer=transfer, colour={"transfer": tag})
    path.write_bytes(embed(onnx.ModelProto.FromString(artifact.model_bytes), metadata))
    assert client.ask(wire.Model(str(path), ""), wire.ModelInfo).transfer == code


def test_needs_are_the_clips_frames_where_the_host_gives_them(client: Client, shot: Shot, tmp_path: Path) -> None:
    alone = str(shot.alone(tmp_path))
    needed = client.ask(wire.Needs(alone, "", BLURRY), wire.Needed)
    assert (needed.route, needed.frames) == (2, shot.renderer().needs(BLURRY))
    for frame in (SHARP, -5, 10**12):
        assert client.ask(wire.Needs(alone, "", frame), wire.Needed).frames == (frame,)
    assert client.ask(wire.Needs(str(shot.model), "", BLURRY), wire.Needed) == wire.Needed(1, (BLURRY,))


@pytest.mark.parametrize("strength", [1.0, 0.25])
@pytest.mark.parametrize("protect", [True, False])
def test_a_frame_is_that_of_the_command_line(client, shot, pictures, strength: float, protect: bool) -> None:
    for frame in (BLURRY, 5, 3):
        answer, given = client.render(
            shot.model, frame, {frame: pictures[frame]}, strength=strength, flags=PROTECT * protect
        )
        want = expected(shot, pictures, frame, strength=strength, protect=protect)
        assert np.abs(given - want).max() <= 1e-6
        assert bool(answer.flags & UNCHANGED) == (want is pictures[frame]) == (protect and frame == 3)
        assert answer.references == (0 if answer.flags & UNCHANGED else 4) and answer.route == 1 and not answer.note


def test_the_hosts_references_give_what_the_files_do(client, shot, pictures, tmp_path: Path) -> None:
    alone = shot.alone(tmp_path)
    given = {j: pictures[j] for j in client.ask(wire.Needs(str(alone), "", 5), wire.Needed).frames}
    from_host, host_picture = client.render(alone, 5, given)
    from_file, file_picture = client.render(shot.model, 5, {5: pictures[5]})
    np.testing.assert_array_equal(host_picture, file_picture)
    assert (from_host.route, from_file.route) == (2, 1)
    assert from_host.references == from_file.references == 4


def test_references_kept_with_the_model_do_as_well(client, shot, pictures, tmp_path: Path) -> None:
    kept = ReferencePacker(192 * 144, 10)
    for number in (3, 4, 6):
        kept.add(number, pictures[number])
    artifact = load_model(shot.model)
    path = tmp_path / "kept.deblur.onnx"
    metadata = replace(artifact.metadata, clip="elsewhere.mov", references=kept.data())
    path.write_bytes(embed(onnx.ModelProto.FromString(artifact.model_bytes), metadata))
    needed = client.ask(wire.Needs(str(path), "", 5), wire.Needed)
    others = [j for j in needed.frames if j != 5]
    assert needed.route == 3 and len(others) == 1 and others[0] not in (3, 4, 6)
    answer, given = client.render(path, 5, {j: pictures[j] for j in needed.frames})
    assert (answer.references, answer.route, answer.note) == (4, 3, "")
    # 16 bits hold 8 exactly, but for the rounding of what an eighth of a bit is.
    assert np.abs(given - expected(shot, pictures, 5)).max() < 2e-3
    answer, _ = client.render(path, 5, {5: pictures[5]})
    assert (answer.references, answer.route) == (3, 3) and "1 of 4" in answer.note
    half = cv2.resize(pictures[5], (96, 72), interpolation=cv2.INTER_AREA)
    assert client.render(path, 5, {5: half})[0].references == 3


def test_what_is_missing_is_done_without_and_said(client, shot, pictures, tmp_path: Path) -> None:
    alone = shot.alone(tmp_path)
    answer, given = client.render(alone, 5, {5: pictures[5]})
    assert answer.flags == NOTED and "no sharp reference" in answer.note and answer.references == answer.route == 0
    assert np.abs(given - pictures[5]).max() > 1e-3
    answer, _ = client.render(alone, 5, {j: pictures[j] for j in (4, 5, 6)})
    assert answer.references == 2 and "2 of 4 sharp references were missing" in answer.note and answer.route == 2


def test_no_references_are_taken_where_none_are_wanted(client, shot, pictures) -> None:
    answer, given = client.render(shot.model, 5, {5: pictures[5]}, flags=PROTECT | ALONE)
    assert answer.references == answer.route == 0 and not answer.note
    want = shot.renderer()
    want = want.restore(pictures[5], want.align(5, {5: pictures[5]}, some=True))
    assert np.abs(given - want).max() <= 1e-6


def test_a_slider_or_going_back_costs_no_second_alignment(client, shot, pictures) -> None:
    client.render(shot.model, 7, {7: pictures[7]})
    for strength in (1.0, 0.7, 0.1):
        answer, given = client.render(shot.model, 7, {7: pictures[7]}, strength=strength)
        assert answer.aligned == 0 < answer.restored <= answer.total
        assert np.abs(given - expected(shot, pictures, 7, strength=strength)).max() <= 1e-6
    # But a picture that the host has changed meanwhile is another one.
    assert client.render(shot.model, 7, {7: pictures[7] * np.float32(0.999)})[0].aligned > 0


def test_a_mark_stands_for_the_picture(client, shot, pictures) -> None:
    """So that the worker need not read it to find its alignment again."""
    aligned = [
        client.render(shot.model, 7, {7: pictures[7] * np.float32(gain)}, marks={7: mark})[0].aligned
        for gain, mark in ((1.0, 11), (1.0, 11), (0.998, 12), (1.0, 11))
    ]
    assert [bool(each) for each in aligned] == [True, False, True, False]


def test_a_final_frame_of_a_clip_that_was_cut_does_not_stay_blurred(serve, shot, pictures) -> None:
    """A clip twice on a time line, with other numbers each time: what proved right for one is wrong for the other."""
    with serve().client() as client:
        for frame in range(9):
            client.render(shot.model, frame, {frame: pictures[frame]})
        answer, given = client.render(shot.model, SHARP, {SHARP: pictures[BLURRY]})
        assert answer.references == 4 and str(BLURRY) in answer.note
        assert np.abs(given - expected(shot, pictures, BLURRY)).max() <= 1e-6


def test_whether_a_frame_needs_its_picture_is_told_beforehand(serve, shot, pictures, tmp_path: Path) -> None:
    def foretold(client: Client, frame: int, model: Path = shot.model, **changes: object) -> wire.Rendered:
        request = wire.Render(str(model), "", frame, 192, 144, 1.0, PROTECT | INTERACTIVE, 0, 0.0, (), 0, 0)
        return client.ask(replace(request, **changes), wire.Rendered)  # type: ignore[arg-type]

    wanted = wire.Rendered.WANTED
    with serve().client() as client:
        # The host's numbers may be off until pictures have shown that they are not.
        assert [foretold(client, frame).flags for frame in (SHARP, BLURRY)] == [wanted, wanted]
        for frame in range(8):
            client.render(shot.model, frame, {frame: pictures[frame]})
        assert [foretold(client, frame).flags for frame in (SHARP, 3, BLURRY)] == [UNCHANGED, UNCHANGED, wanted]
        assert foretold(client, SHARP).route == 1
        assert foretold(client, SHARP, flags=PROTECT).flags == wanted  # a final frame is always looked at
        assert foretold(client, SHARP, width=96, height=72).flags == wanted  # of another timeline
        for changes in ({"flags": 0}, {"view": 1}):
            assert foretold(client, SHARP, **changes).flags == wanted
        assert foretold(client, BLURRY, strength=0.0).flags == UNCHANGED
        for changes, code in (({"width": 0}, wire.NO_SURFACE), ({"strength": 2.0}, 2), ({"view": 2}, 2)):
            with pytest.raises(WorkerError) as caught:
                foretold(client, SHARP, **changes)
            assert caught.value.code == code
        # Where the host's own frames are all that there is, its numbers are the clip's, of final frames too.
        alone = shot.alone(tmp_path)
        assert [foretold(client, frame, alone).flags for frame in (SHARP, BLURRY)] == [UNCHANGED, wanted]
        assert foretold(client, SHARP, alone, flags=PROTECT).flags == UNCHANGED
        outside = foretold(client, 99, alone)
        assert outside.flags == UNCHANGED | NOTED and "99" in outside.note


def test_frames_that_need_nothing_are_left_to_the_host(client, shot, pictures) -> None:
    for frame, strength in ((SHARP, 1.0), (BLURRY, 0.0)):
        number = client.attach(2 * 192 * 144 * 12)
        memory = client.surface(number)
        memory.picture(192, 144)[:] = pictures[frame]
        out = memory.picture(192, 144, 192 * 144 * 12)
        out[:] = 7
        request = wire.Render(
            str(shot.model), "", frame, 192, 144, strength, PROTECT, 0, 1.0, ((frame, number, 0, 0),), number, 331776
        )
        assert client.ask(request, wire.Rendered).flags == UNCHANGED
        assert (out == 7).all()
        client.detach(number)


def test_the_result_may_be_asked_for_in_the_place_of_the_frame(client, shot, pictures) -> None:
    number = client.attach(192 * 144 * 12)
    shown = client.surface(number).picture(192, 144)
    shown[:] = pictures[5]
    client.ask(
        wire.Render(str(shot.model), "", 5, 192, 144, 1.0, PROTECT, 0, 0.0, ((5, number, 0, 0),), number, 0),
        wire.Rendered,
    )
    assert np.abs(shown - expected(shot, pictures, 5)).max() <= 1e-6
    client.detach(number)


def test_a_proxy_is_aligned_in_its_own_pixels(client, shot, pictures) -> None:
    half = {j: cv2.resize(p, (96, 72), interpolation=cv2.INTER_AREA) for j, p in enumerate(pictures)}
    answer, given = client.render(shot.model, 5, {5: half[5]})
    assert answer.references == 4 and not answer.note
    analysis = shot.renderer().analysis.scaled(96, 72)  # type: ignore[union-attr]
    plain = shot.renderer()
    small = Renderer(
        plain.artifact,
        plain.settings,
        Aligner(analysis, threads=1),
        analysis=analysis,
        session=plain.session,
        scale=0.5,
    )
    want = small.render(5, {j: half[j] for j in small.needs(5)})
    assert np.abs(given - want).max() <= 1e-6
    full = expected(shot, pictures, 5)
    treated = np.abs(given - half[5]).max(axis=2) > 0
    assert treated.mean() == pytest.approx((np.abs(full - pictures[5]).max(axis=2) > 0).mean(), abs=0.15)


def test_a_letterboxed_timeline_shows_the_clip_in_its_middle(client, shot, pictures) -> None:
    boxed = np.zeros((200, 192, 3), np.float32)
    boxed[28:172] = pictures[5]
    answer, given = client.render(shot.model, 5, {5: boxed})
    assert answer.references == 4 and not answer.note
    inside = (slice(48, 152), slice(20, 172))
    full, plain = expected(shot, pictures, 5), pictures[5]
    off = np.abs(given[28:172] - full)[20:-20, 20:-20].mean()
    assert off < 0.35 * np.abs(full - plain)[20:-20, 20:-20].mean()
    assert np.abs(given[inside] - boxed[inside]).max() > 0.01
    assert not given[:28].any() and not given[172:].any()


def test_colours_that_the_host_has_changed_are_changed_in_the_references_too(client, shot, pictures) -> None:
    def graded(picture: np.ndarray) -> np.ndarray:
        return (0.85 * picture ** np.float32(1.3) + np.float32(0.05)).astype(np.float32)

    answer, given = client.render(shot.model, 5, {5: graded(pictures[5])})
    assert answer.references == 4 and not answer.note
    far, _ = client.render(shot.model, 5, {5: np.float32(0.4) + np.float32(0.3) * pictures[5]})
    assert far.references == 4 and far.flags == 0 and "far from those" in far.note  # told, not warned of
    want = shot.renderer()
    want = want.render(5, {j: graded(pictures[j]) for j in want.needs(5)})
    # As if the host had graded the references itself, but for what quantiles do not tell.
    assert np.abs(given - want).mean() < 0.1 * np.abs(want - graded(pictures[5])).mean()


def test_a_host_that_counts_otherwise_is_understood(serve, shot, pictures) -> None:
    with serve().client() as client:
        for frame in (1, 4, 6):
            answer, given = client.render(shot.model, frame, {frame: pictures[frame + 1]})
            assert f"the clip's frame {frame + 1}, not {frame}" in answer.note and answer.references == 4
            assert np.abs(given - expected(shot, pictures, frame + 1)).max() <= 1e-6


def test_pictures_of_something_else_get_no_references(client, shot, pictures) -> None:
    strange = np.ascontiguousarray(pictures[5][::-1, ::-1])
    answer, _ = client.render(shot.model, 5, {5: strange})
    assert answer.flags == NOTED and "does not match the clip" in answer.note
    assert answer.references == answer.route == 0


def test_frames_beyond_the_clip_are_left_alone_and_that_is_said(client, shot, pictures, tmp_path: Path) -> None:
    strange = np.ascontiguousarray(pictures[0][::-1, ::-1])
    for model, picture in ((shot.model, strange), (shot.alone(tmp_path), pictures[0])):
        for frame in (-1, 10, 2**40):
            answer, _ = client.render(model, frame, {frame: picture})
            assert answer.flags == UNCHANGED | NOTED and str(frame) in answer.note


def test_frames_that_the_host_numbers_by_its_own_time_line_are_found(serve, shot, pictures) -> None:
    with serve().client() as client:
        for frame in (5, 2, 7):
            answer, given = client.render(shot.model, 86400 + frame, {86400 + frame: pictures[frame]})
            assert f"the clip's frame {frame}, not {86400 + frame}" in answer.note and answer.flags == 0
            assert answer.references == 4 and np.abs(given - expected(shot, pictures, frame)).max() <= 1e-6


def test_values_that_are_no_numbers_stay_what_they_are(client, shot, pictures) -> None:
    odd = pictures[5].copy()
    odd[3, 4, 0], odd[60, 70, 1], odd[100, 20] = np.nan, np.inf, 1e30
    answer, given = client.render(shot.model, 5, {5: odd})
    assert np.isnan(given[3, 4, 0]) and np.isinf(given[60, 70, 1])
    assert np.isfinite(given).sum() == given.size - 2 and answer.references == 4


def test_the_map_of_sharpness_is_grey_and_tells_sharp_from_blurry(client, shot, pictures) -> None:
    _, sharp = client.render(shot.model, 4, {4: pictures[4]}, view=1)
    _, blurry = client.render(shot.model, 5, {5: pictures[5]}, view=1)
    assert (sharp[..., :1] == sharp).all() and sharp.min() >= 0 and sharp.max() <= 1
    assert sharp.mean() > blurry.mean() + 0.1


def test_many_clients_at_once_get_each_its_own_frame(worker: Served, shot: Shot, pictures) -> None:
    want = {frame: expected(shot, pictures, frame) for frame in (2, 5, 7)}
    wrong: list[object] = []

    def play(first: int) -> None:
        try:
            with worker.client() as own:
                for step in range(9):
                    frame = (2, 5, 7)[(first + step) % 3]
                    _, given = own.render(shot.model, frame, {frame: pictures[frame]}, flags=PROTECT | 2 * (first % 2))
                    if np.abs(given - want[frame]).max() > 1e-6:
                        wrong.append(frame)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=play, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong


def test_memory_that_runs_out_is_said_and_the_next_frame_works(serve, shot, pictures, monkeypatch) -> None:
    with serve().client() as client:
        client.render(shot.model, 5, {5: pictures[5]})
        opened = []
        real_run, real_init = Session.run, Session.__init__

        def starve(self: Session, *arguments: np.ndarray) -> np.ndarray:
            raise OutOfMemory("the network ran out of memory on cuda:0", hint="give a smaller --tile")

        def count(self: Session, *arguments: object) -> None:
            opened.append(self)
            real_init(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Session, "run", starve)
        monkeypatch.setattr(Session, "__init__", count)
        with pytest.raises(WorkerError, match="ran out") as caught:
            client.render(shot.model, 5, {5: pictures[5]})
        assert (caught.value.code, caught.value.hint) == (5, "give a smaller --tile")
        monkeypatch.setattr(Session, "run", real_run)
        answer, given = client.render(shot.model, 5, {5: pictures[5]})
        assert len(opened) == 1 and answer.aligned > 0  # session and alignments were let go
        assert np.abs(given - expected(shot, pictures, 5)).max() <= 1e-6
