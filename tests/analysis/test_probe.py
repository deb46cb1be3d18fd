# SPDX-License-Identifier: Apache-2.0
"""What ``probe`` says of clips that will, may and need not be deblurred."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_engine.analysis import Analysis, ProbeResult, probe
from deblur_engine.errors import BadInput, Cancelled, OutputError
from deblur_engine.settings import FrameRange
from deblur_engine.task import Event, Task
from panned import Panned, PictureClip, Scene, write_lossless


@pytest.fixture(scope="module")
def result(two_scenes: Panned) -> ProbeResult:
    return probe(two_scenes.clip())


def test_a_clip_with_sharp_and_blurry_frames_will_benefit(result: ProbeResult) -> None:
    assert result.verdict == "benefits" and result.advice().startswith("will benefit")
    assert 1 <= len(result.gains_db) <= 5 and float(np.median(result.gains_db)) > 0.3


def test_an_all_sharp_clip_needs_nothing() -> None:
    found = probe(Panned([Scene([0] * 6)], (192, 144)).clip())
    assert found.verdict == "nothing to do" and found.gains_db == ()
    assert not found.analysis.blurry.any() and "nothing to do" in dict(found.to_table())["verdict"]


def test_blur_without_a_sharp_frame_near_it_cannot_be_learned_from(result: ProbeResult) -> None:
    """``analyse`` judges by comparison, so it is told here."""
    a = result.analysis
    blind = replace(result, analysis=replace(a, sharp=np.zeros_like(a.sharp)), gains_db=())
    assert blind.verdict == "no sharp frames" and "no sharp frame" in blind.advice()
    json.dumps(blind.to_dict())


def test_where_references_bring_nothing_it_may_benefit(result: ProbeResult) -> None:
    assert replace(result, gains_db=(0.0, 0.1, 4.0)).verdict == "may benefit"


def test_the_record_is_ready_for_json(result: ProbeResult, two_scenes: Panned) -> None:
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record == result.to_dict()
    assert (record["width"], record["height"], record["fps"], record["frame_count"]) == (256, 192, 25.0, 16)
    assert (record["scenes"], record["sharp_frames"], record["blurry_frames"]) == (2, 10, 6)
    assert [f["frame"] for f in record["frames"]] == list(range(16))
    assert [f["blurry"] for f in record["frames"]] == two_scenes.blurry.tolist()
    assert record["frames"][2]["references"] == list(result.analysis.references_for(2))
    assert record["frames"][0]["references"] == []
    assert 0.2 < record["exposure"] < 0.8 and 2 < record["blur_px"] < 10
    assert record["trial_gains_db"] == [round(g, 2) for g in result.gains_db]


def test_the_table_is_for_people(result: ProbeResult) -> None:
    rows = dict(result.to_table())
    assert rows["sharp frames"] == "10 of 16  0-1, 4-5, 7-8, 11-12, 14-15"
    assert rows["blurry frames"] == "6 of 16  2-3, 6, 9-10, 13"
    assert rows["scenes"] == "2" and "256x192" in rows["clip"] and "25.000 fps" in rows["clip"]
    assert all(isinstance(part, str) for row in result.to_table() for part in row)


def test_many_runs_are_cut_short(result: ProbeResult) -> None:
    count = 60
    flags = np.arange(count) % 2 == 0
    analysis = Analysis(
        **{
            **{
                name: np.resize(getattr(result.analysis, name), count)
                for name in ("times", "scene", "sharpness", "drop", "speed", "exposure")
            },
            "width": 256,
            "height": 192,
            "homography": np.tile(np.eye(3), (count, 1, 1)),
            "sharp": flags,
            "blurry": ~flags,
        }
    )
    row = dict(replace(result, analysis=analysis).to_table())["sharp frames"]
    assert row.startswith("30 of 60  0, 2, 4") and row.endswith("and 22 more runs")


def test_the_plot_is_a_picture_of_it(result: ProbeResult, tmp_path: Path) -> None:
    result.plot(tmp_path / "plot.png")
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture is not None and picture.shape[0] > 300
    red = (picture[..., 2] > 180) & (picture[..., 0] < 100)
    assert red.sum() > 100  # the blurry frames' bars


@pytest.mark.parametrize("name", ["no_such_folder/plot.png", "plot.no_such_format"])
def test_a_plot_that_cannot_be_written(result: ProbeResult, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="plot"):
        result.plot(tmp_path / name)


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((5, 72, 96, 3), np.uint8),
        np.zeros((1, 72, 96, 3), np.uint8),
        Panned([Scene([0, 0.9, 0])], (8, 8)).pictures,
        Panned([Scene([0, 0.9, 0, 0])], (61, 47)).pictures,
        Panned([Scene([0.5])], (96, 72)).pictures,
    ],
    ids=["black", "one-black", "8x8", "odd", "one"],
)
def test_odd_clips_are_described_too(pictures: np.ndarray, tmp_path: Path) -> None:
    found = probe(PictureClip(pictures))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["frame_count"] == len(pictures)
    assert found.to_table()
    found.plot(tmp_path / "plot.png")
    if not pictures.any() or len(pictures) == 1:
        assert found.verdict == "nothing to do"


def test_a_file_and_a_range_of_it(two_scenes: Panned, tmp_path: Path, result: ProbeResult) -> None:
    path = write_lossless(tmp_path / "shot.mkv", two_scenes.pictures)
    assert probe(path).analysis.blurry.tolist() == result.analysis.blurry.tolist()
    part = probe(str(path), frames=FrameRange(8, 15))
    assert part.analysis.frame_count == 8 and set(part.analysis.scene.tolist()) == {0}
    assert part.analysis.blurry.tolist() == result.analysis.blurry[8:].tolist()


def test_what_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "text.mov"
    path.write_text("not a film")
    with pytest.raises(BadInput, match=r"text\.mov"):
        probe(path)
    with pytest.raises(BadInput, match="absent"):
        probe(tmp_path / "absent.mov")


def test_it_can_be_stopped_in_its_trials(two_scenes: Panned) -> None:
    stages: list[str] = []

    def listen(event: Event) -> None:
        stages.append(event.stage)
        if event.stage == "try":
            task.cancel()

    task = Task(listen)
    with pytest.raises(Cancelled):
        probe(two_scenes.clip(), task=task)
    assert stages.count("try") == 1 and "analyse" in stages
