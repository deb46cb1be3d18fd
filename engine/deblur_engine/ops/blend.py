# SPDX-License-Identifier: Apache-2.0
"""Laying a result over something: tiles that overlap, and a mix by weight, both to the type a frame is stored as."""

from __future__ import annotations

from typing import Literal

from .. import _ops
from .buffers import Array, Call, choice, shape_text, whole

Sample = Literal["uint8", "uint16", "float16", "float32"]

_BITS = {"uint8": 8, "uint16": 16, "float16": 0, "float32": 0}


def blend_tiles(
    accumulator: Array, weight_sum: Array, tile: Array, y: int, x: int, feather: int, *, threads: int | None = None
) -> None:
    """Add a tile, weighted, to ``accumulator``, and its weights to ``weight_sum``; both change in place.

    The tile's first pixel lies at ``(y, x)`` and all of it inside. Its weight rises from 0 to 1 over ``feather``
    pixels from each edge that is not an edge of the accumulator, so that tiles which overlap by ``feather`` add up to
    a weight of 1. When all tiles are in, ``finish_tiles`` makes the picture. ``weight_sum``: one value a pixel.
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


def finish_tiles(
    accumulator: Array,
    weight_sum: Array,
    dtype: Sample = "float32",
    *,
    bits: int | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """The picture that ``blend_tiles`` has gathered, ``accumulator / weight_sum``, as ``dtype``.

    As an integer type: 0..1 is cut to and becomes 0..2^bits - 1, rounded to the nearest code (halves to even);
    ``bits`` is the type's own unless given (10 for 10-bit video in uint16). Float types are not cut. Where no tile lies
    (weight 0), or the accumulator holds a NaN, floats are NaN or infinite and integers 0 or the largest code.
    """
    call = Call("accumulator", accumulator)
    total_view = call.map("weight_sum", weight_sum)
    depth = _depth(dtype, bits)
    result, out_view = call.output(out, dtype=dtype)
    call.run(
        _ops.finish,
        threads,
        reads={"accumulator": call.view, "weight_sum": total_view},
        writes={"out": out_view},
        bits=depth,
    )
    return result


def mix(
    base: Array,
    result: Array,
    weight: Array,
    *,
    strength: float = 1.0,
    bits: int | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``base + strength * weight * (result - base)`` in the base's type; where the weight is 0, the base's own bits.

    ``base``: uint8, uint16, float16 or float32; integers stand for 0..1 by a full scale of 2^bits - 1, ``bits`` being
    the type's own unless given (10 for 10-bit video in uint16). ``result``: float32 in 0..1. Mixed codes are cut to
    their scale and rounded to the nearest (halves to even; NaN: 0), floats are not cut. ``weight``: float32, one value
    a pixel, nominally 0..1. What ``result`` holds where the weight is 0 (NaN, say) does not matter.
    """
    call = Call("base", base, dtypes=tuple(_BITS))
    depth = _depth(call.dtype, bits)
    result_view = call.like("result", result)
    weight_view = call.map("weight", weight)
    strength = float(strength)
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength: is {strength}; it must lie in 0..1")
    mixed, out_view = call.output(out, dtype=call.dtype)
    call.run(
        _ops.mix,
        threads,
        reads={"base": call.view, "result": result_view, "weight": weight_view},
        writes={"out": out_view},
        strength=strength,
        bits=depth,
    )
    return mixed


def _depth(dtype: str, bits: int | None) -> int:
    """The bits of an integer dtype's codes; 0 for floats."""
    own = choice("dtype", dtype, _BITS)
    if bits is None:
        return own
    if own == 0:
        raise ValueError(f"bits: is {bits!r}; it must be None for {dtype}, which has no codes")
    return whole("bits", bits, 1, own)
