# SPDX-License-Identifier: Apache-2.0
"""What a clip is like: scenes, sharpness, motion, exposure; and the alignment of sharp references to blurry frames."""

from __future__ import annotations

from .alignment import Aligner, Alignment
from .probing import ProbeResult, probe
from .record import Analysis
from .survey import analyse

__all__ = ["Aligner", "Alignment", "Analysis", "ProbeResult", "analyse", "probe"]
