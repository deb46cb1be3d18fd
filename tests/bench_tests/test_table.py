# SPDX-License-Identifier: Apache-2.0
"""The table: what it says of each clip, for people and for machines, and that a missed floor cannot hide."""

import json
import math

import pytest

from quality.figures import Figures
from quality.table import Result, from_json, markdown, to_json, verdict

GOOD = {
    "frames": 4,
    "blurry": 3,
    "blurry_left": 1,
    "blurry_psnr": 24.0,
    "blurry_ssim": 0.7,
    "blurry_gain": 0.0,
    "blurry_ssim_gain": 0.0,
    "aligned_psnr": 24.5,
    "aligned_gain": 0.0,
    "aligned_ssim": 0.72,
    "aligned_ssim_gain": 0.0,
    "gmsd": 0.1,
    "gmsd_gain": 0.0,
    "sharpness": 0.5,
    "flicker": 8.0,
    "flicker_ratio": 1.0,
    "sharp_psnr": math.inf,
    "sharp_touched": 0,
    "harmed": 0,
    "worst_change": 0.0,
    "worst_frame": 0,
}


def result(row: str, clip: str = "demo", seed: int = 0, **changed: float) -> Result:
    figures = Figures(**{**GOOD, **changed})  # type: ignore[arg-type]
    return Result(
        clip, seed, row, row.upper(), figures, 12.0, 0.25, {"kept": "network"}, {"psnr": {0: math.inf, 3: 24.0}}
    )


def line_of(text: str, *words: str) -> list[str]:
    """The cells of the one line that starts like this."""
    lines = [line for line in text.splitlines() if line.startswith("| " + " | ".join(words) + " |")]
    assert len(lines) == 1, text
    return [cell.strip() for cell in lines[0].split("|")[1:-1]]


def test_verdict_is_silent_when_every_floor_holds() -> None:
    ours = result("ours", blurry_gain=3.0, blurry_ssim_gain=0.01, worst_change=-0.1, flicker_ratio=1.0)
    assert verdict([result("input"), ours]) == []
    assert verdict([result("input")]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"blurry_gain": 2.9}, "gain +2.90 dB"),
        ({"blurry_ssim_gain": 0.0}, "SSIM"),
        ({"worst_change": -0.11, "worst_frame": 7}, "frame 7"),
        ({"worst_change": -math.inf}, "falls"),
        ({"blurry_gain": math.nan}, "gain"),
        ({"sharp_touched": 1}, "touched"),
        ({"flicker_ratio": 1.02}, "flickers"),
    ],
)
def test_verdict_names_what_is_missed(changed: dict[str, float], said: str) -> None:
    good = {"blurry_gain": 3.1, "blurry_ssim_gain": 0.1}
    missed = verdict([result("input"), result("ours", **(good | changed))])
    assert len(missed) == 1 and said in missed[0]


def test_the_flicker_of_the_truth_is_told_beside_ours() -> None:
    ours = result("ours", "karma", flicker_ratio=1.02)
    (missed,) = verdict([ours, result("truth", "karma", flicker_ratio=1.04), result("truth", "demo", flicker_ratio=2)])
    assert "1.020" in missed and "truth itself 1.040" in missed
    assert "truth" not in verdict([ours])[0]


def test_clips_without_a_floor_are_only_checked_for_harm() -> None:
    assert verdict([result("ours", "karma", blurry_gain=-0.01)]) == []
    assert len(verdict([result("ours", "karma", worst_change=-0.2)])) == 1


def test_one_seed_that_harms_is_enough() -> None:
    good = {"blurry_gain": 4.0, "blurry_ssim_gain": 0.1}
    assert len(verdict([result("ours", **good), result("ours", seed=1, **good, worst_change=-0.5)])) == 1


def test_json_comes_back_as_it_was() -> None:
    results = [result("input"), result("ours", blurry_gain=math.nan, worst_change=-math.inf, harmed=2)]
    text = to_json(results, {"revision": "abc", "missed": ["something"]})
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    back, about = from_json(text)
    assert about == {"revision": "abc", "missed": ["something"]}
    assert back[0] == results[0]
    assert math.isnan(back[1].figures.blurry_gain) and back[1].figures.worst_change == -math.inf
    assert (back[1].figures.harmed, type(back[1].figures.harmed)) == (2, int)
    assert back[1].frames == {"psnr": {0: math.inf, 3: 24.0}}


def test_markdown_has_means_and_spread_over_seeds() -> None:
    text = markdown([result("ours", seed=0, blurry_gain=1.0), result("ours", seed=1, blurry_gain=2.0, sharp_touched=3)])
    cells = line_of(text, "demo", "OURS")
    assert cells[2:4] == ["24.00", "+1.50 (+1.00..+2.00)"] and cells[10:12] == ["2/6", "3/2"]
    assert cells[-2:] == ["12", "0.25"]


def test_every_clip_counts_alike_whatever_its_seeds() -> None:
    seeds = [result("ours", "karma", seed, blurry_gain=1.0) for seed in range(3)]
    cells = line_of(markdown([*seeds, result("ours", "demo", blurry_gain=4.0)]), "mean of 2", "OURS")
    assert cells[3] == "+2.50 (+1.00..+4.00)"


def test_a_row_that_some_clips_lack_has_no_mean_over_clips() -> None:
    text = markdown([result("input"), result("input", "karma"), result("paper", "karma")])
    assert "| mean of 2 | PAPER |" not in text and "| karma | PAPER |" in text


def test_rows_that_could_not_be_made_are_told_once_with_the_reason() -> None:
    text = markdown([result("input")], [("the paper's recipe", "no weights"), ("the paper's recipe", "no weights")])
    assert text.count("the paper's recipe: not available: no weights") == 1


def test_a_fit_that_was_refused_is_told() -> None:
    refused = result("ours", "karma", 4)
    refused.notes = {"no_benefit": "nothing blurry"}
    told = [line for line in markdown([result("input", "karma"), refused]).splitlines() if "nothing blurry" in line]
    assert told == ["- karma, seed 4: OURS: no fit, so the clip stays as it is: nothing blurry"]


def test_nothing_known_is_a_dash() -> None:
    unknown = Result("karma", 0, "input", "input", Figures(**{**GOOD, "flicker_ratio": math.nan}))  # type: ignore[arg-type]
    cells = line_of(markdown([unknown]), "karma", "input")
    assert cells[9] == "-" and cells[-2:] == ["-", "-"]
