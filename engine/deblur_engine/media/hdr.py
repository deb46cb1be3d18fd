# SPDX-License-Identifier: Apache-2.0
"""HDR static metadata: mastering display (SMPTE ST 2086) and content light level, as decoded frames carry them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av

__all__ = ["HdrMetadata", "hdr_of", "side_data_of"]


@dataclass(frozen=True)
class HdrMetadata:
    """Chromaticities in units of 1/50000, luminances in units of 1/10000 cd/m2, light levels in cd/m2."""

    primaries: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = None  # red, green, blue
    white: tuple[int, int] | None = None
    luminance: tuple[int, int] | None = None  # lowest, highest
    light_level: tuple[int, int] | None = None  # MaxCLL, MaxFALL

    def master_display(self) -> str | None:
        """As x264 and x265 write it: ``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)``."""
        if not (self.primaries and self.white and self.luminance):
            return None
        red, green, blue = self.primaries
        low, high = self.luminance
        parts = [f"{name}({x},{y})" for name, (x, y) in zip("GBR", (green, blue, red), strict=True)]
        return "".join(parts) + f"WP({self.white[0]},{self.white[1]})L({high},{low})"

    def master_display_decimal(self) -> str | None:
        """As SVT-AV1 writes it: the same in decimal units."""
        if not (self.primaries and self.white and self.luminance):
            return None
        red, green, blue = self.primaries
        low, high = self.luminance
        named = zip(("G", "B", "R", "WP"), (green, blue, red, self.white), strict=True)
        parts = [f"{name}({x / 50000:.5f},{y / 50000:.5f})" for name, (x, y) in named]
        return "".join(parts) + f"L({high / 10000:.4f},{low / 10000:.4f})"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, in CIE xy and cd/m2."""
        result: dict[str, Any] = {}
        if self.primaries and self.white:
            result["primaries_xy"] = [[x / 50000, y / 50000] for x, y in self.primaries]
            result["white_xy"] = [value / 50000 for value in self.white]
        if self.luminance:
            result["min_luminance"], result["max_luminance"] = (value / 10000 for value in self.luminance)
        if self.light_level:
            result["max_cll"], result["max_fall"] = self.light_level
        return result

    def __bool__(self) -> bool:
        return self.primaries is not None or self.luminance is not None or self.light_level is not None


def side_data_of(frame: av.VideoFrame) -> list[Any]:
    """The side data entries of a frame (PyAV's stubs call them strings, which they are not)."""
    return list(frame.side_data)


def hdr_of(frame: av.VideoFrame) -> HdrMetadata:
    """The HDR metadata attached to a decoded frame (empty, and false, where there is none)."""
    primaries = white = luminance = light_level = None
    for entry in side_data_of(frame):
        if entry.type.name == "MASTERING_DISPLAY_METADATA":
            # AVMasteringDisplayMetadata: 10 rationals (3 primaries, white point, luminances), then two flags.
            numbers = struct.unpack_from("=22i", bytes(entry))
            ratios = [numbers[i] / numbers[i + 1] if numbers[i + 1] else 0.0 for i in range(0, 20, 2)]
            if numbers[20]:
                points = [(round(ratios[i] * 50000), round(ratios[i + 1] * 50000)) for i in range(0, 8, 2)]
                primaries, white = (points[0], points[1], points[2]), points[3]
            if numbers[21]:
                luminance = (round(ratios[8] * 10000), round(ratios[9] * 10000))
        elif entry.type.name == "CONTENT_LIGHT_LEVEL":
            highest, average = struct.unpack_from("=2I", bytes(entry))
            light_level = (highest, average)
    return HdrMetadata(primaries, white, luminance, light_level)
