# SPDX-License-Identifier: Apache-2.0
"""A clip whose file is gone, damaged, or out of reach for a while: what is done without it, and what is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from deblur_engine.errors import BadInput
from deblur_engine.worker import clips, finding, models, wire
from deblur_engine.worker.client import Client
from tiny import noise_clip
from worker.conftest import Shot


def test_a_clip_that_moved_or_is_another_one(client: Client, shot: Shot, pictures, tmp_path: Path) -> None:
    model, clip = shot.alone(tmp_path), Path(shutil.copy(shot.clip, tmp_path / "moved.mkv"))
    assert client.render(model, 5, {5: pictures[5]}, clip=clip)[0].route == 1
    clip.rename(tmp_path / "elsewhere.mkv")
    answer, _ = client.render(model, 2, {2: pictures[2]}, clip=clip)
    assert answer.references == 0 and "cannot be read" in answer.note
    assert answer.flags == wire.Rendered.NOTED | wire.Rendered.FORSAKEN
    (tmp_path / "moved.mkv").write_bytes(b"no video")
    assert "cannot be read" in client.ask(wire.Model(str(model), str(clip)), wire.ModelInfo).note
    # The references are in the file, and so is what tells that this picture is one of its frames.
    for frame, unchanged in ((5, 0), (99, wire.Rendered.UNCHANGED)):
        answer, _ = client.render(model, frame, {frame: pictures[5]}, clip=clip)
        assert answer.flags == unchanged | wire.Rendered.NOTED | wire.Rendered.FORSAKEN
    # With the host's own frames beside it nothing is amiss.
    answer, _ = client.render(model, 5, dict(enumerate(pictures)), clip=clip)
    assert answer.references == 4 and answer.flags == wire.Rendered.NOTED
    shutil.copy(shot.clip, tmp_path / "moved.mkv")
    assert client.ask(wire.Model(str(model), str(clip)), wire.ModelInfo).route == 1
    other = client.ask(wire.Model(str(model), str(noise_clip(tmp_path / "other.mp4"))), wire.ModelInfo)
    assert other.route == 0 and "another clip" in other.note


def test_a_clip_that_breaks_off_leaves_what_the_analysis_tells(serve, shot: Shot, pictures, monkeypatch) -> None:
    def broken(self: object, numbers: object) -> None:
        raise BadInput("shot.mkv: frame 5 cannot be decoded", hint="the file is damaged")

    with serve().client() as client:
        monkeypatch.setattr(clips.ClipPictures, "get", broken)
        answer, given = client.render(shot.model, 5, {5: pictures[5]})
        assert answer.references == answer.route == 0 and "cannot be decoded" in answer.note
        assert answer.flags == wire.Rendered.NOTED | wire.Rendered.FORSAKEN
        want = shot.renderer()
        alignment = want.align(5, {5: pictures[5]}, some=True)
        assert np.abs(given - want.restore(pictures[5], alignment)).max() <= 1e-6
        answer, _ = client.render(shot.model, 4, {4: pictures[4]})
        assert answer.flags == wire.Rendered.UNCHANGED | wire.Rendered.NOTED


def test_a_clip_that_is_no_clip_for_a_moment_is_opened_again(serve, shot: Shot, pictures, monkeypatch) -> None:
    """As after a drive that was away: the file is what it was, what is open of it is useless."""

    def gone(numbers: object) -> None:
        raise BadInput("shot.mkv: stale file handle")

    served = serve()
    with served.client() as client:
        assert client.render(shot.model, 5, {5: pictures[5]})[0].references == 4
        use = served.server.desk().models.use(str(shot.model), "")
        monkeypatch.setattr(use.pictures, "get", gone)
        answer, _ = client.render(shot.model, 2, {2: pictures[2]})
        assert answer.flags & wire.Rendered.FORSAKEN and "stale" in answer.note
        monkeypatch.setattr(models, "_REOPENED", 0.0)
        answer, _ = client.render(shot.model, 2, {2: pictures[2]})
        assert answer.references == 4 and not answer.flags and not answer.note


def test_a_clip_that_could_not_be_looked_through_is_looked_through_again(
    serve, shot: Shot, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that was not found because of that is not taken for one that is not in the clip."""
    with serve().client() as client, monkeypatch.context() as patch:
        patch.setattr(finding, "open_clip", lambda *_, **__: (_ for _ in ()).throw(BadInput("no such drive")))
        answer, _ = client.render(shot.model, 99, {99: pictures[5]})
        assert answer.flags == 1 | wire.Rendered.NOTED | wire.Rendered.FORSAKEN and "no such drive" in answer.note
        patch.undo()
        patch.setattr(models, "_REOPENED", 0.0)
        answer, _ = client.render(shot.model, 99, {99: pictures[5]})
        assert answer.references == 4 and not answer.flags
