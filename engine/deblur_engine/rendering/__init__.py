# SPDX-License-Identifier: Apache-2.0
"""Applying a fitted model: the session that runs it, the renderer of one frame, the pipeline over a clip. No torch."""

from .estimate import Estimate, estimate
from .pipeline import RenderResult, render
from .renderer import Renderer
from .session import Session

__all__ = ["Estimate", "RenderResult", "Renderer", "Session", "estimate", "render"]
