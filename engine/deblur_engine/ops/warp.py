# SPDX-License-Identifier: Apache-2.0
"""Backward warp by a flow field, and its gradients."""

from __future__ import annotations

from typing import Any, Literal

from .. import _ops
from .buffers import Array, Call, choice, dtype_name

Mode = Literal["bilinear", "bicubic"]
Border = Literal["replicate", "zero", "reflect"]

_FILTERS = {"bilinear": 0, "bicubic": 1}
_BORDERS = {"replicate": 0, "zero": 1, "reflect": 2}
_FLOATS = ("float32", "float16")


def warp(
    image: Array,
    flow: Array,
    mode: Mode = "bilinear",
    border: Border = "replicate",
    out: Array | None = None,
    return_mask: bool = False,
    *,
    mask: Array | None = None,
    threads: int | None = None,
) -> Any:
    """``image`` read at ``p + flow(p)`` for every pixel ``p``.

    ``image``: float32 or float16; the result has its dtype, sums are float32. ``flow``: float32 or float16, two
    channels, of the image's height and width. ``mode`` "bicubic" is Catmull-Rom. Beyond its border the picture goes on
    by its edge pixels ("replicate"), by zeros, or mirrored about the edge pixels' centres ("reflect"). With
    ``return_mask``, or memory for it in ``mask``, the result is a pair with a float32 map of how much of each bilinear
    read lay inside the picture: 1 inside, 0 from one pixel outside on, 0 where the flow is not finite.
    Values of the image that are not finite reach every pixel that has one among its taps.
    """
    call = Call("image", image, dtypes=_FLOATS)
    mode_code = choice("mode", mode, _FILTERS)
    border_code = choice("border", border, _BORDERS)
    flow_view = call.field("flow", flow, dtypes=_FLOATS)
    result, out_view = call.output(out, dtype=call.dtype)
    if mask is None and return_mask:
        mask = call.new("mask", call.map_shape)
    call.run(
        _ops.warp,
        threads,
        reads={"image": call.view, "flow": flow_view},
        writes={"out": out_view, "mask": None if mask is None else call.map("mask", mask, writes=True)},
        filter=mode_code,
        border=border_code,
    )
    return result if mask is None else (result, mask)


def warp_backward(
    grad: Array,
    image: Array,
    flow: Array,
    mode: Mode = "bilinear",
    border: Border = "replicate",
    *,
    needs: tuple[bool, bool] = (True, True),
    grad_image: Array | None = None,
    grad_flow: Array | None = None,
    threads: int | None = None,
) -> tuple[Array | None, Array | None]:
    """The gradients of a loss to ``image`` and ``flow``, from ``grad``, that to ``warp(image, flow, mode, border)``.

    ``grad`` has the image's shape and dtype; so has the gradient to the image, and that to the flow has the flow's.
    Sums are float32. ``needs`` says which of the two are wanted (None stands for the other), ``grad_image`` and
    ``grad_flow`` where to write them. At a kink (for "bilinear" every whole position, and the border) the gradient to
    the flow is the derivative to the right; where the displacement is not finite, or longer than 2^20 pixels, it is
    zero. The gradient to the image is summed in an order that does not depend on the threads; on a CUDA device in fixed
    point, whose step is at most 2^-29 (at 1080p 2^-39) of the largest finite ``grad``: the same every time there too.
    """
    call = Call("image", image, dtypes=_FLOATS)
    mode_code = choice("mode", mode, _FILTERS)
    border_code = choice("border", border, _BORDERS)
    flow_view = call.field("flow", flow, dtypes=_FLOATS)
    grad_view = call.like("grad", grad, dtypes=(call.dtype,))
    flow_dtype = dtype_name(flow_view)
    image_out = flow_out = None
    if needs[0]:
        grad_image = call.new("grad_image", call.shape, call.dtype) if grad_image is None else grad_image
        image_out = call.like("grad_image", grad_image, dtypes=(call.dtype,), writes=True)
    if needs[1]:
        grad_flow = call.new("grad_flow", call.field_shape, flow_dtype) if grad_flow is None else grad_flow
        flow_out = call.field("grad_flow", grad_flow, dtypes=(flow_dtype,), writes=True)
    call.run(
        _ops.warp_backward,
        threads,
        reads={"grad": grad_view, "image": call.view, "flow": flow_view},
        writes={"grad_image": image_out, "grad_flow": flow_out},
        filter=mode_code,
        border=border_code,
    )
    return grad_image if needs[0] else None, grad_flow if needs[1] else None
