# SPDX-License-Identifier: Apache-2.0
"""How sharp each tile of a picture is."""

from __future__ import annotations

from typing import Literal

from .. import _ops
from .buffers import Array, Call, choice, whole

_MEASURES = {"laplacian": 0, "tenengrad": 1}


def sharpness(
    image: Array,
    tile: int = 32,
    measure: Literal["laplacian", "tenengrad"] = "laplacian",
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """How sharp each tile of a picture is.

    ``image``: one channel, or three whose BT.709 luma is taken; uint8, uint16, float16 or float32, read as 0..1
    (integers by their full scale). Returns float32 ``[ceil(H / tile), ceil(W / tile)]`` (with ``N`` in front for a
    batch): the mean over each tile of the squared Laplacian (4 neighbours), or of the squared Sobel gradient per pixel
    for "tenengrad". Borders are replicated; tiles at the right and the bottom may be smaller.
    """
    call = Call("image", image, dtypes=("uint8", "uint16", "float16", "float32"), channels=(1, 3))
    tile = whole("tile", tile, 1, 1 << 30)
    kind = choice("measure", measure, _MEASURES)
    down, across = -(-call.height // tile), -(-call.width // tile)
    # Like a map of one value a pixel, of another size; a batch of tensors too is [N, H, W] here.
    shape, axes = (
        ((call.count, down, across), (0, None, 1, 2)) if call.batched else ((down, across), (None, None, 0, 1))
    )
    result, out_view = call.output(out, shape, axes)
    call.run(_ops.sharpness, threads, reads={"image": call.view}, writes={"out": out_view}, tile=tile, measure=kind)
    return result
