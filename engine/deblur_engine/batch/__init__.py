# SPDX-License-Identifier: Apache-2.0
"""Many clips: find them, fit and render each, tell what became of it; and what it will cost beforehand."""

from .finding import find_clips
from .many import run_batch
from .one import ClipRun, Standing, look, run_clip
from .outcome import BatchResult, ClipOutcome

__all__ = [
    "BatchResult",
    "ClipOutcome",
    "ClipRun",
    "Standing",
    "find_clips",
    "look",
    "run_batch",
    "run_clip",
]
