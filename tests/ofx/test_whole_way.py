# SPDX-License-Identifier: Apache-2.0
"""Host, plug-in, the real worker and a model: the pictures are those of the command line's renderer."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from deblur_engine.analysis import Aligner
from deblur_engine.artifact import load_model
from deblur_engine.artifact.references import ReferencePacker, decode_reference, split_references
from deblur_engine.artifact.variants import embed
from deblur_engine.rendering import Renderer
from ofx.conftest import Workplace
from ofx.hosting import FAILED, OK, Frame, Host, numbers, rgba, stored
from worker.conftest import BLURRY, SHARP, Shot

PROTECTED = 3  # sharp frames around it


def wanted(shot: Shot, pictures: list[np.ndarray], frame: int, **options: object) -> np.ndarray:
    renderer = shot.renderer()
    protect = bool(options.get("protect", True))
    return renderer.render(frame, {j: pictures[j] for j in renderer.needs(frame, protect=protect)}, **options)


def as_given(pictures: list[np.ndarray], frame: int, depth: str) -> list[np.ndarray]:
    """The pictures with this frame as a host of that depth has it: references come from the clip's file as they are."""
    given = list(pictures)
    given[frame] = numbers(stored(pictures[frame], depth))
    return given


def clip_of(pictures: list[np.ndarray], depth: str) -> dict[int, np.ndarray]:
    return {n: stored(rgba(picture, 1.0), depth) for n, picture in enumerate(pictures)}


def assert_equal(frame: Frame, want: np.ndarray, depth: str) -> None:
    """At most a code value at 8 bit, 1e-3 else."""
    assert frame.status == OK and not frame.said["violations"], frame.said
    got = frame.picture[..., :3]
    if depth == "byte":
        assert np.abs(got.astype(int) - stored(want, "byte").astype(int)).max() <= 1
    else:
        expected = np.clip(want, 0, 1) if depth == "short" else want
        assert np.abs(numbers(got) - expected).max() <= 1e-3


def start(place: Workplace, frames: dict[int, np.ndarray], *options: str, **values: object) -> Host:
    host = place.host(frames, *options)
    host.set(**{"device": "cpu", "footage": "Display referred", **values})
    host.do("interactive 0")
    return host


@pytest.mark.parametrize(
    ("manner", "depth"),
    [
        ("mlt", "byte"),
        ("mlt", "short"),
        ("mlt", "half"),
        ("natron", "float"),
        ("hostdemo", "byte"),
        ("runner", "float"),
        ("resolve", "byte"),
        ("resolve", "float"),
        ("nuke", "float"),
    ],
)
def test_references_from_the_clips_file(real: Workplace, shot: Shot, pictures, manner: str, depth: str) -> None:
    frames = clip_of(pictures, depth)
    options, values = ["--manner", manner], {"model": shot.model}
    if manner == "resolve":  # which finds the model by itself
        options, values = [*options, "--source-file", str(shot.clip)], {}
    host = start(real, frames, *options, **values)
    for number in (BLURRY, 5):
        frame = host.one(number)
        assert_equal(frame, wanted(shot, as_given(pictures, number, depth), number), depth)
        assert not frame.message
    bits = np.uint8
    for number in (PROTECTED, SHARP):
        np.testing.assert_array_equal(host.one(number).picture.view(bits), frames[number].view(bits))


@pytest.mark.timeout(600)
def test_a_fit_by_the_button_and_the_frame_after_it(real: Workplace, shot: Shot, pictures, tmp_path: Path) -> None:
    clip = Path(shutil.copy(shot.clip, tmp_path / "clip.mkv"))
    host = start(real, clip_of(pictures, "float"), clip=clip, preset="draft")
    host.tell("press fit")
    (said,) = host.answers(500)
    model = Path(said["values"]["model"])
    assert model == tmp_path / "clip.deblur.onnx" and said["progress_updates"] > 3, said
    fitted = load_model(model)
    assert fitted.metadata.held_out["gain_db"] > 0
    renderer = Renderer(fitted)
    treated = [n for n in range(len(pictures)) if not renderer.untouched(n)]
    for number in treated[:2]:
        want = renderer.render(number, {j: pictures[j] for j in renderer.needs(number)})
        assert np.abs(want - pictures[number]).max() > 0.02
        assert_equal(host.one(number), want, "float")


@pytest.mark.parametrize("manner", ["natron", "nuke", "plain"])
def test_references_from_the_host(real: Workplace, shot: Shot, pictures, tmp_path: Path, manner: str) -> None:
    host = start(real, clip_of(pictures, "float"), "--manner", manner, model=shot.alone(tmp_path))
    frame = host.one(5)
    assert_equal(frame, wanted(shot, pictures, 5), "float")
    assert set(shot.renderer().needs(5)) == set(frame.fetched)
    told = frame.said["needed"]
    assert all(any(a <= n <= b for a, b in zip(told[::2], told[1::2], strict=True)) for n in frame.fetched)
    assert "from the host" in host.do("press reload")[0]["values"]["status"]


def test_the_first_frames_place_need_not_be_told(real: Workplace, shot: Shot, pictures) -> None:
    """Where the clip is there to look into."""
    frames = {86400 + n: picture for n, picture in clip_of(pictures, "float").items()}
    host = start(real, frames, model=shot.model)
    for number in (5, 2):
        frame = host.one(86400 + number)
        assert_equal(frame, wanted(shot, pictures, number), "float")
        assert not frame.message
    assert "frame 2, not 86402" in host.do("press reload")[0]["values"]["status"]


@pytest.mark.parametrize("manner", ["mlt", "runner"])
def test_a_host_with_neither_gets_the_frame_alone_and_is_told(
    real, shot: Shot, pictures, tmp_path, manner: str
) -> None:
    host = start(real, clip_of(pictures, "float"), "--manner", manner, model=shot.alone(tmp_path))
    frame = host.one(5)
    alone = shot.renderer()
    want = alone.restore(pictures[5], alone.align(5, {5: pictures[5]}, some=True))
    assert_equal(frame, want, "float")
    if manner == "mlt":
        assert "no sharp reference" in frame.message


@pytest.mark.parametrize("manner", ["mlt", "runner"])
def test_references_kept_with_the_model_serve_such_a_host(real, shot: Shot, pictures, tmp_path, manner: str) -> None:
    needed = [j for j in shot.renderer().needs(5) if j != 5]
    kept = ReferencePacker(192 * 144, len(needed))
    for number in needed:
        kept.add(number, pictures[number])
    artifact = load_model(shot.model)
    metadata = replace(artifact.metadata, clip="elsewhere.mov", references=kept.data())
    path = tmp_path / "kept.deblur.onnx"
    path.write_bytes(embed(onnx.ModelProto.FromString(artifact.model_bytes), metadata))
    host = start(real, clip_of(pictures, "float"), "--manner", manner, model=path)
    frame = host.one(5)
    assert frame.status == OK and not frame.message and set(frame.fetched) == {5}
    given = list(pictures)  # what is found depends on the very bits: the references as they were kept
    for number, image in split_references(kept.data()).items():
        given[number] = decode_reference(image, 192, 144)
    assert np.abs(frame.picture[..., :3] - wanted(shot, given, 5)).max() < 2e-3
    if manner == "runner":  # the other one has an instance for each frame: nobody sees its status line
        assert "kept with the model" in host.do("press reload")[0]["values"]["status"]


@pytest.mark.parametrize("values", [{"strength": 0.4}, {"protect": 0}, {"strength": 0.7, "protect": 0}])
def test_strength_and_protection(real: Workplace, shot: Shot, pictures, values: dict[str, float]) -> None:
    host = start(real, clip_of(pictures, "float"), model=shot.model, **values)
    for number in (BLURRY, PROTECTED):
        want = wanted(shot, pictures, number, strength=values.get("strength", 1.0), protect=values.get("protect") != 0)
        assert_equal(host.one(number), want, "float")


def test_a_proxy_looks_like_the_full_frame_made_smaller(real: Workplace, shot: Shot, pictures) -> None:
    half = [cv2.resize(p, (96, 72), interpolation=cv2.INTER_AREA) for p in pictures]
    frame = start(real, clip_of(half, "float"), "--scale", "0.5", model=shot.model).one(5)
    assert not frame.message
    plain = shot.renderer()
    analysis = plain.analysis.scaled(96, 72)
    small = Renderer(
        plain.artifact,
        plain.settings,
        Aligner(analysis, threads=1),
        analysis=analysis,
        session=plain.session,
        scale=0.5,
    )
    assert_equal(frame, small.render(5, {j: half[j] for j in small.needs(5)}), "float")
    treated = lambda a, b: (np.abs(a - b).max(axis=2) > 1e-6).mean()  # noqa: E731
    full = treated(wanted(shot, pictures, 5), pictures[5])
    assert treated(frame.picture[..., :3], half[5]) == pytest.approx(full, abs=0.15)


def test_alpha_and_what_is_no_number_survive(real: Workplace, shot: Shot, pictures) -> None:
    alpha = np.random.default_rng(2).random((144, 192)).astype(np.float32)
    odd = pictures[5].copy()
    odd[10, 20, 1], odd[30, 40, 0], odd[50, 60, 2] = np.nan, np.inf, -7e4
    host = start(real, {n: rgba(odd if n == 5 else p, alpha) for n, p in enumerate(pictures)}, model=shot.model)
    frame = host.one(5)
    np.testing.assert_array_equal(frame.picture[..., 3], alpha)
    broken = ~(np.abs(odd) <= 65504)
    np.testing.assert_array_equal(frame.picture[..., :3][broken], odd[broken])
    assert np.isfinite(frame.picture[..., :3][~broken]).all()


def test_several_instances_and_threads(real: Workplace, shot: Shot, pictures) -> None:
    frames = clip_of(pictures, "half")
    host = start(real, frames, "--instances", "4", "--threads", "3", model=shot.model)
    want = {n: wanted(shot, as_given(pictures, n, "half"), n) for n in (BLURRY, 5, 7)}
    done = host.render(*want, verb="parallel")
    assert len(done) == 12
    for frame in done:
        assert_equal(frame, want[int(frame.said["time"])], "half")


def test_a_model_that_is_damaged_or_missing(real: Workplace, shot: Shot, pictures, tmp_path: Path) -> None:
    host = start(real, clip_of(pictures, "float"), model=tmp_path / "none.deblur.onnx")
    missing = host.one(5)
    (tmp_path / "none.deblur.onnx").write_bytes(shot.model.read_bytes()[:4000])
    host.do("press reload")
    damaged = host.one(5)
    for frame in (missing, damaged):
        assert frame.status == FAILED and "none.deblur.onnx" in frame.message
        np.testing.assert_array_equal(frame.picture[..., :3], pictures[5])
    (tmp_path / "none.deblur.onnx").write_bytes(shot.model.read_bytes())
    host.do("press reload")
    assert host.one(5).status == OK


def test_the_worker_is_killed_and_the_next_frame_works(real: Workplace, shot: Shot, pictures) -> None:
    host = start(real, clip_of(pictures, "float"), model=shot.model)
    want = wanted(shot, pictures, 5)
    assert_equal(host.one(5), want, "float")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((real.folder / "worker-1-cpu.lock").read_text()), signal.SIGKILL)
    time.sleep(0.3)  # a kill takes effect a little later
    assert_equal(host.one(5), want, "float")
    assert not host.one(5).message
