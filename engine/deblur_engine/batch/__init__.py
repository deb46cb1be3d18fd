# SPDX-License-Identifier: Apache-2.0
"""Many clips: find them, fit and render each, tell what became of it; and what it will cost beforehand."""

from .finding import find_clips
from .forecast import Forecast, forecast_batch, forecast_fit, forecast_render, forecast_run
from .many import run_batch
from .one import ClipRun, Standing, look, run_clip
from .outcome import BatchResult, ClipOutcome

__all__ = [
    "BatchResult",
    "ClipOutcome",
    "ClipRun",
    "Forecast",
    "Standing",
    "find_clips",
    "forecast_batch",
    "forecast_fit",
    "forecast_render",
    "forecast_run",
    "look",
    "run_batch",
    "run_clip",
]
