# SPDX-License-Identifier: Apache-2.0
"""Backward warp by a flow field."""

from __future__ import annotations

from typing import Any, Literal

from .. import _ops
from .buffers import Array, Call, choice

_FILTERS = {"bilinear": 0, "bicubic": 1}
_BORDERS = {"replicate": 0, "zero": 1, "reflect": 2}


def warp(
    image: Array,
    flow: Array,
    mode: Literal["bilinear", "bicubic"] = "bilinear",
    border: Literal["replicate", "zero", "reflect"] = "replicate",
    out: Array | None = None,
    return_mask: bool = False,
    *,
    threads: int | None = None,
) -> Any:
    """``image`` read at ``p + flow(p)`` for every pixel ``p``.

    ``flow``: float32, two channels, of the image's height and width. ``mode`` "bicubic" is Catmull-Rom. Beyond its
    border the picture goes on by its edge pixels ("replicate"), by zeros, or mirrored about the edge pixels' centres
    ("reflect"). With ``return_mask`` the result is a pair with a float32 map of how much of each bilinear read lay
    inside the picture: 1 inside, 0 from one pixel outside on, 0 where the flow is not finite.
    Values of the image that are not finite reach every pixel that has one among its taps.
    """
    call = Call("image", image)
    mode_code = choice("mode", mode, _FILTERS)
    border_code = choice("border", border, _BORDERS)
    flow_view = call.field("flow", flow)
    result, out_view = call.output(out)
    mask = call.new("return_mask", call.map_shape) if return_mask else None
    call.run(
        _ops.warp,
        threads,
        reads={"image": call.view, "flow": flow_view},
        writes={"out": out_view, "mask": None if mask is None else call.map("mask", mask)},
        filter=mode_code,
        border=border_code,
    )
    return result if mask is None else (result, mask)
