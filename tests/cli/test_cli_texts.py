# SPDX-License-Identifier: Apache-2.0
"""Words, numbers and JSON."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.cli import wording
from deblur_engine.cli.jsonable import dumps
from deblur_engine.errors import ExitCode
from deblur_engine.settings import FrameRange


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1:00"), (187, "3:07"), (3723, "1:02:03"), (math.inf, "unknown")],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512 B"), (2048, "2.0 KiB"), (3.5 * 2**20, "3.5 MiB"), (2**41, "2.0 TiB")]
)
def test_sizes(count, text):
    assert wording.size(count) == text


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (12.34, "12.3"), (99.96, "100"), (1234.5, "1234")])
def test_rates(value, text):
    assert wording.rate(value) == text


def test_figures_are_worded():
    values = {"loss": 0.0123456, "held_out_gain_db": 1.234, "fps": 23.976, "stage": "warm", "blend_psnr": 30.0}
    assert wording.figures(values) == "loss 0.01235  held-out gain +1.23 dB  23.98 fps  stage warm  blend PSNR 30.00 dB"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_commands_can_be_pasted(words):
    assert shlex.split(wording.command_line(words)) == words


def test_everything_the_engine_hands_out_is_json():
    @dataclass
    class Thing:
        path: Path
        rate: Fraction
        frames: FrameRange
        numbers: np.ndarray
        one: np.float32
        code: ExitCode

    thing = Thing(
        Path("a"), Fraction(30000, 1001), FrameRange(1, 9, 2), np.array([True, False]), np.float32(0.5), ExitCode.MODEL
    )
    assert json.loads(dumps({"thing": thing, "nan": math.nan, "set": {1}, "none": None})) == {
        "thing": {
            "path": "a",
            "rate": "30000/1001",
            "frames": {"first": 1, "last": 9, "step": 2},
            "numbers": [True, False],
            "one": 0.5,
            "code": 9,
        },
        "nan": None,
        "set": [1],
        "none": None,
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_strict_and_on_one_line(value):
    text = dumps(value)
    assert "\n" not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
