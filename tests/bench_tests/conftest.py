# SPDX-License-Identifier: Apache-2.0
"""The measuring stand and the demo are scripts beside the package: their folders are put where imports find them."""

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "demo")]
cv2.setNumThreads(1)


@pytest.fixture
def texture() -> npt.NDArray[np.uint8]:
    """A detailed uint8 picture, 96 x 128."""
    rng = np.random.default_rng(5)
    coarse = cv2.resize(rng.uniform(0, 255, (24, 32, 3)).astype(np.float32), (128, 96), interpolation=cv2.INTER_NEAREST)
    fine = rng.uniform(-30, 30, (96, 128, 3))
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)
