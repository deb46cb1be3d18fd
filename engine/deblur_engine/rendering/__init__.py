# SPDX-License-Identifier: Apache-2.0
"""Applying a fitted model: the session that runs it, the renderer of one frame, the pipeline over a clip. No torch."""

from .renderer import Renderer
from .session import Session

__all__ = ["Renderer", "Session"]
