# SPDX-License-Identifier: Apache-2.0
"""SMPTE timecode arithmetic, for clips that start later than their source."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["advanced"]

_TIMECODE = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")


def advanced(timecode: str, frames: int, fps: Fraction) -> str | None:
    """``timecode`` plus a number of frames at a rate, drop-frame counting where it is written with ``;`` or ``.``.

    None where the text is no timecode. Wraps at 24 hours.
    """
    match = _TIMECODE.fullmatch(timecode.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups()[:3])
    separator, frame = match[4], int(match[5])
    nominal = round(fps)
    drop = nominal // 15 if separator in ";." and nominal % 30 == 0 else 0
    total_minutes = hours * 60 + minutes
    number = (total_minutes * 60 + seconds) * nominal + frame
    number -= drop * (total_minutes - total_minutes // 10)
    number += frames
    per_ten = nominal * 600 - 9 * drop
    number %= per_ten * 144
    tens, rest = divmod(number, per_ten)
    number += 9 * drop * tens
    if drop and rest >= nominal * 60:
        number += drop * (1 + (rest - nominal * 60) // (nominal * 60 - drop))
    frame = number % nominal
    seconds = number // nominal
    digits = len(match[5])
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{frame:0{digits}d}"
