# SPDX-License-Identifier: Apache-2.0
"""One made-up clip of two scenes, looked at once for all tests of this folder."""

from __future__ import annotations

import cv2
import pytest

from deblur_engine.analysis import Analysis, analyse
from panned import FIRST, SECOND, SIZE, Panned

cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def two_scenes() -> Panned:
    return Panned([FIRST, SECOND], SIZE)


@pytest.fixture(scope="session")
def analysis(two_scenes: Panned) -> Analysis:
    return analyse(two_scenes.clip())
