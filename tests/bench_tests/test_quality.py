# SPDX-License-Identifier: Apache-2.0
"""The table: what it says of each clip, and that a missed floor cannot hide."""

import json
import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import quality
from measure import Figures
from sheet import CROP, place_of_most_error
from synth import write_clip

Bytes = npt.NDArray[np.uint8]


def row(method: str, clip: str = "demo", **changed: float) -> quality.Row:
    values = {"blurry_psnr": 24.0, "blurry_ssim": 0.7, "sharp_psnr": math.inf, "sharp_touched": 0}
    values |= {"worst_change": 0.0, "worst_frame": 0}
    return quality.Row(clip, method, Figures(**(values | changed)))  # type: ignore[arg-type]


def source(texture: Bytes, folder: Path) -> Path:
    wide = np.hstack([texture, texture[:, ::-1], texture])
    return write_clip([wide[:, 3 * n : 3 * n + 128] for n in range(40)], folder / "pan.mkv", Fraction(30))


def test_verdict_is_silent_when_every_floor_holds() -> None:
    assert quality.verdict([row("input"), row("ours", blurry_psnr=27.0, blurry_ssim=0.71, worst_change=-0.1)]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"blurry_psnr": 26.9}, "gain +2.90 dB"),
        ({"blurry_ssim": 0.7}, "SSIM"),
        ({"worst_change": -0.11, "worst_frame": 7}, "frame 7"),
        ({"worst_change": -math.inf}, "falls"),
        ({"blurry_psnr": math.nan}, "gain"),
    ],
)
def test_verdict_names_what_is_missed(changed: dict[str, float], said: str) -> None:
    good = {"blurry_psnr": 27.1, "blurry_ssim": 0.8}
    missed = quality.verdict([row("input"), row("ours", **(good | changed))])
    assert len(missed) == 1 and said in missed[0]


def test_clips_without_a_floor_are_only_checked_for_harm() -> None:
    assert quality.verdict([row("input", "karma"), row("ours", "karma", blurry_psnr=23.99)]) == []
    assert len(quality.verdict([row("input", "karma"), row("ours", "karma", worst_change=-0.2)])) == 1


def test_json_holds_infinities_as_text() -> None:
    told = json.loads(quality.as_json([row("ours")], ["something"]), parse_constant=lambda name: pytest.fail(name))
    assert told["rows"][0]["figures"]["sharp_psnr"] == "inf" and told["missed"] == ["something"]


def test_line_shows_gain_over_the_input() -> None:
    text = quality.line(row("ours", blurry_psnr=27.5, blurry_ssim=0.82), row("input").figures)
    assert "+3.50" in text and "+0.1200" in text and "inf" in text


@pytest.mark.parametrize("arguments", [["--methods", "magic"], ["--windows", "one"], ["--preset", "best"]])
def test_wrong_options_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        quality.parse(arguments)
    assert stop.value.code == 2


def test_a_clip_that_is_not_there_is_an_error_only_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.mp4"):
        quality.main(["--clips", "nowhere.mp4", "--methods", "input"])


def test_the_demo_clip_has_truth_and_both_kinds_of_frames() -> None:
    clip = quality.demo_clip(20)
    assert len(clip.blurry) == len(clip.sharp) == 20
    assert 0.3 < clip.is_blurry.mean() < 0.7


def test_the_table_is_made_from_a_clip_of_ones_own(
    texture: Bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    path = source(texture, tmp_path)
    arguments = ["--clips", str(path), "--frames", "6", "--methods", "input,unsharp", "--work", str(tmp_path / "work")]
    code = quality.main([*arguments, "--json", "--sheet", str(sheet), "--check"])
    told = json.loads(capsys.readouterr().out)
    before, sharpened = (entry["figures"] for entry in told["rows"])
    assert code == 0 and [entry["method"] for entry in told["rows"]] == ["input", "unsharp"]
    assert before["worst_change"] == 0 and before["sharp_psnr"] == "inf"
    assert sharpened["worst_change"] == "-inf"  # an unsharp mask harms sharp frames, and the table says so
    assert sharpened["sharp_touched"] > 0
    page = cv2.imread(str(sheet))
    assert page.shape[1] == 3 * CROP[0]  # input, unsharp mask, truth
    assert (tmp_path / "work" / "pan.mkv").is_file()


def test_the_crop_lies_where_the_error_is() -> None:
    truth = np.zeros((480, 640, 3), np.uint8)
    picture = truth.copy()
    picture[300:400, 500:600] = 200
    y, x = place_of_most_error(truth, picture)
    assert y <= 300 and y + CROP[1] >= 400 and x <= 500 and x + CROP[0] >= 600


def test_the_crop_of_a_small_picture_is_all_of_it(texture: Bytes) -> None:
    assert place_of_most_error(texture, texture[::-1]) == (0, 0)
