# SPDX-License-Identifier: Apache-2.0
"""One made-up clip, its analysis and its pairs, for all tests of this folder."""

from __future__ import annotations

import cv2
import pytest

from deblur_engine.analysis import Aligner, Analysis, analyse
from deblur_engine.fitting.pairs import Pair, make_pairs
from deblur_engine.task import Task
from panned import Panned, Scene

cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def shot() -> Panned:
    """Ten frames of 192x144, of which three are blurred."""
    return Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0.7, 0, 0], start=(60, 80))], (192, 144))


@pytest.fixture(scope="session")
def analysis(shot: Panned) -> Analysis:
    found = analyse(shot.clip())
    assert found.blurry.tolist() == shot.blurry.tolist()  # else the tests that follow would test something else
    return found


@pytest.fixture(scope="session")
def pairs(shot: Panned, analysis: Analysis) -> list[Pair]:
    return list(make_pairs(shot.clip(), analysis, Aligner(analysis), 8, 0, Task()))
