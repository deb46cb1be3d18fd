# SPDX-License-Identifier: Apache-2.0
"""Laying a result over something: tiles that overlap, and a mix by weight."""

from __future__ import annotations

from .. import _ops
from .buffers import Array, Call, shape_text, whole


def blend_tiles(
    accumulator: Array, weight_sum: Array, tile: Array, y: int, x: int, feather: int, *, threads: int | None = None
) -> None:
    """Add a tile, weighted, to ``accumulator``, and its weights to ``weight_sum``; both change in place.

    The tile's first pixel lies at ``(y, x)`` and all of it inside. Its weight rises from 0 to 1 over ``feather``
    pixels from each edge that is not an edge of the accumulator, so that tiles which overlap by ``feather`` add up to
    a weight of 1. Divide the accumulator by ``weight_sum`` when all tiles are in. ``weight_sum``: one value a pixel.
    """
    call = Call("accumulator", accumulator, writes=True)
    total_view = call.map("weight_sum", weight_sum, writes=True)
    y, x = whole("y", y, 0, 1 << 40), whole("x", x, 0, 1 << 40)
    feather = whole("feather", feather, 0, 1 << 30)
    part = Call("tile", tile, beside=call)
    if (part.count, part.channels) != (call.count, call.channels) or part.batched != call.batched:
        raise ValueError(
            f"tile: shape {shape_text(part.shape)} does not fit the accumulator's {shape_text(call.shape)}: "
            "all but height and width must be alike"
        )
    if y + part.height > call.height or x + part.width > call.width:
        raise ValueError(
            f"tile: {part.height} x {part.width} pixels (height x width) at y={y}, x={x} reach beyond the "
            f"accumulator's {call.height} x {call.width}"
        )
    call.run(
        _ops.blend,
        threads,
        reads={"tile": part.view},
        writes={"accumulator": call.view, "weight_sum": total_view},
        y=y,
        x=x,
        feather=feather,
    )


def mix(
    base: Array,
    result: Array,
    weight: Array,
    *,
    strength: float = 1.0,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``base + strength * weight * (result - base)``; where the weight is 0, the base's bits exactly.

    ``weight``: float32, one value a pixel, nominally 0..1. What ``result`` holds where the weight is 0 (NaN, say)
    does not matter.
    """
    call = Call("base", base)
    result_view = call.like("result", result)
    weight_view = call.map("weight", weight)
    strength = float(strength)
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength: is {strength}; it must lie in 0..1")
    mixed, out_view = call.output(out)
    call.run(
        _ops.mix,
        threads,
        reads={"base": call.view, "result": result_view, "weight": weight_view},
        writes={"out": out_view},
        strength=strength,
    )
    return mixed
