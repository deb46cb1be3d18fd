# SPDX-License-Identifier: Apache-2.0
"""Colour by ITU-T H.273 code points: YCbCr matrices, code ranges and transfer curves.

Pictures stay in the clip's own primaries; nothing here converts between primaries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .types import ColourTags, Picture

__all__ = [
    "UNSPECIFIED",
    "assumed_matrix",
    "from_linear",
    "luma_weights",
    "rgb_from_ycbcr",
    "to_linear",
    "transfer_name",
]

UNSPECIFIED = 2

_LUMA_WEIGHTS = {  # Kr, Kb
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),  # constant luminance is approximated by the non-constant matrix
}
_YCGCO = 8


def assumed_matrix(tags: ColourTags, width: int, height: int) -> int:
    """The matrix code to decode with: the tagged one or, where none is given, what players assume from the size.

    BT.601 for standard definition (up to 1024x576), BT.709 above. Tags that no closed 3x3 matrix describes
    (ICtCp, derived from primaries) fall back to BT.2020's.
    """
    if tags.matrix in _LUMA_WEIGHTS or tags.matrix == _YCGCO:
        return tags.matrix
    if tags.matrix in (0, UNSPECIFIED, 3):
        return 6 if width <= 1024 and height <= 576 else 1
    return 9


def luma_weights(matrix: int) -> tuple[float, float, float]:
    """Kr, Kg, Kb of a matrix code; BT.709's for codes without any (RGB, YCgCo)."""
    kr, kb = _LUMA_WEIGHTS.get(matrix, _LUMA_WEIGHTS[1])
    return kr, 1.0 - kr - kb, kb


def rgb_from_ycbcr(matrix: int) -> npt.NDArray[np.float64]:
    """The 3x3 matrix that takes (Y in 0..1, Cb and Cr in -1/2..1/2) to R'G'B' in 0..1."""
    if matrix == _YCGCO:  # planes are stored as Y, Cg, Co
        return np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    kr, kg, kb = luma_weights(matrix)
    red, blue = 2 * (1 - kr), 2 * (1 - kb)
    return np.array([[1.0, 0.0, red], [1.0, -kb / kg * blue, -kr / kg * red], [1.0, blue, 0.0]])


# Transfer curves. Each pair maps one channel; negative values are mirrored, so that superblacks survive.
_BT709_ALPHA, _BT709_BETA = 1.09929682680944, 0.018053968510807
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073


def _bt709_to_linear(v: Picture) -> npt.NDArray[Any]:
    low = v / 4.5
    high = ((v + (_BT709_ALPHA - 1)) / _BT709_ALPHA) ** (1 / 0.45)
    return np.where(v < 4.5 * _BT709_BETA, low, high)


def _bt709_from_linear(v: Picture) -> npt.NDArray[Any]:
    high = _BT709_ALPHA * v ** np.float32(0.45) - np.float32(_BT709_ALPHA - 1)
    return np.where(v < _BT709_BETA, v * np.float32(4.5), high)


def _srgb_to_linear(v: Picture) -> npt.NDArray[Any]:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _srgb_from_linear(v: Picture) -> npt.NDArray[Any]:
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def _pq_to_linear(v: Picture) -> npt.NDArray[Any]:
    power = v ** (1 / _PQ_M2)
    # Codes past 1 would meet the curve's pole; nothing beyond 10 000 cd/m2 is defined.
    return (np.maximum(power - _PQ_C1, 0) / np.maximum(_PQ_C2 - _PQ_C3 * power, 1e-6)) ** (1 / _PQ_M1)


def _pq_from_linear(v: Picture) -> npt.NDArray[Any]:
    power = v**_PQ_M1
    return ((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2


def _hlg_to_linear(v: Picture) -> npt.NDArray[Any]:
    return np.where(v <= 0.5, v * v / 3, (np.exp((v - _HLG_C) / _HLG_A) + _HLG_B) / 12)


def _hlg_from_linear(v: Picture) -> npt.NDArray[Any]:
    high = _HLG_A * np.log(np.maximum(12 * v - _HLG_B, 1e-6)) + _HLG_C
    return np.where(v <= 1 / 12, np.sqrt(3 * v), high)


_CURVES = {
    1: ("bt709", _bt709_to_linear, _bt709_from_linear),
    4: ("gamma2.2", lambda v: v**2.2, lambda v: v ** (1 / 2.2)),
    5: ("gamma2.8", lambda v: v**2.8, lambda v: v ** (1 / 2.8)),
    8: ("linear", lambda v: v, lambda v: v),
    13: ("srgb", _srgb_to_linear, _srgb_from_linear),
    16: ("pq", _pq_to_linear, _pq_from_linear),
    18: ("hlg", _hlg_to_linear, _hlg_from_linear),
}
for _alias in (UNSPECIFIED, 6, 11, 12, 14, 15):  # unspecified video is taken as BT.709; the others share its curve
    _CURVES[_alias] = _CURVES[1]


def transfer_name(tags: ColourTags) -> str:
    """A short name of the curve that ``to_linear`` uses: bt709, srgb, gamma2.2, gamma2.8, linear, pq or hlg."""
    return _CURVES.get(tags.transfer, _CURVES[1])[0]


def to_linear(rgb: Picture, tags: ColourTags) -> Picture:
    """Linear light (float32, same shape) of an R'G'B' picture: the inverse of the tagged opto-electronic curve.

    Scene-referred and relative: 1.0 maps to 1.0 (for PQ 1.0 is 10 000 cd/m2, for HLG the nominal peak). Negative
    values are mirrored. An unspecified or unknown transfer is read as BT.709; image files carry their own default
    in ``ClipInfo.colour``.
    """
    curve = _CURVES.get(tags.transfer, _CURVES[1])[1]
    return _mirrored(rgb, curve)


def from_linear(linear: Picture, tags: ColourTags) -> Picture:
    """The R'G'B' picture (float32) of a linear-light one; undoes ``to_linear``."""
    curve = _CURVES.get(tags.transfer, _CURVES[1])[2]
    return _mirrored(linear, curve)


def _mirrored(values: Picture, curve) -> Picture:  # type: ignore[no-untyped-def]
    values = np.asarray(values, np.float32)
    return np.copysign(curve(np.abs(values)), values).astype(np.float32, copy=False)
