# SPDX-License-Identifier: Apache-2.0
"""Motion blur: the mean of a picture along the path of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .. import _ops
from .buffers import Array, Call, choice, dtype_name, shape_text, whole

_TRANSFERS = {None: 0, "srgb": 1, "bt709": 2, "gamma2.2": 3}
_STORED = ("float32", "float16")
_MARGIN = 64  # pixels around a crop that a device takes into linear light at once; what lies further off, read by read


def reblur(
    image: Array,
    motion: Array,
    curvature: Array | None = None,
    samples: int | None = None,
    *,
    transfer: Literal["srgb", "bt709", "gamma2.2"] | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """``image``, float32 or float16, blurred by its motion during the exposure; of the same dtype.

    ``out(p) = mean over s in [-1/2, 1/2] of image(p + s motion(p) + (s² - 1/12) curvature(p))``, read bilinearly,
    borders replicated. ``motion`` and ``curvature``: float32, two channels, pixels. The mean is taken over the middles
    of ``samples`` equal parts (1..4096); None chooses for each pixel by the length of its path, one a pixel and one
    more, at most 65. ``transfer`` names the curve that is undone before and redone after, so that light is averaged;
    None averages the values as they are. Pixels with no motion and no curvature keep their bits. A value of the image
    that is not finite makes what is not finite of every pixel whose path reads it.
    """
    call = Call("image", image, dtypes=_STORED)
    code = choice("transfer", transfer, _TRANSFERS)
    count = 0 if samples is None else whole("samples", samples, 1, 4096)
    motion_view = call.field("motion", motion)
    curvature_view = None if curvature is None else call.field("curvature", curvature)
    result, out_view = call.output(out, dtype=call.dtype)
    # The device kernels read linear light from memory of torch's own allocator, which knows the stream.
    planar = (call.count, call.channels, call.height, call.width)
    scratch = call.new("transfer", planar) if call.cuda and code else None
    call.run(
        _ops.reblur,
        threads,
        reads={"image": call.view, "motion": motion_view, "curvature": curvature_view},
        writes={"out": out_view},
        transfer=code,
        samples=count,
        scratch=scratch,
    )
    return result


def reblur_crops(
    frames: Array,
    motions: Array,
    crops: Sequence[Sequence[int]],
    size: int,
    curvatures: Array | None = None,
    samples: int | None = None,
    *,
    scales: Sequence[float] | None = None,
    transfer: Literal["srgb", "bt709", "gamma2.2"] | None = None,
    out: tuple[Array, Array, Array] | None = None,
    threads: int | None = None,
) -> tuple[Array, Array, Array]:
    """A batch of training pairs in one call: crops of frames, blurred as ``reblur`` blurs the frame, and as they are.

    ``frames``: a batch, ``[F, H, W, C]`` or a tensor ``[F, C, H, W]``, float32 or float16; ``motions`` and
    ``curvatures``: the frames' own. ``crops``: on the host, for each of the N crops ``(frame, y, x, way)``: its upper
    left pixel and how it is turned, 0..7: bit 0 mirrors it left to right, bit 1 top to bottom, then bit 2 transposes
    it. ``scales``: factors of each crop's motion and curvature (another exposure), 1 by default.

    Returns, or fills the three of ``out`` with, the blurred crops and the sharp ones (of the frames' dtype, or both
    float32 or both float16 as ``out`` has it) and the crops' motion, scaled and turned as they are (float32, pixels;
    vectors that are not finite are none): ``[N, size, size, C | C | 2]``, of tensors ``[N, C | C | 2, size, size]``.
    Light from beside a crop comes in, and borders are replicated only where the frame ends.
    """
    call = Call("frames", frames, dtypes=_STORED)
    if not call.batched:
        raise ValueError(f"frames: shape {shape_text(call.shape)} is no batch; it must have four dimensions")
    code = choice("transfer", transfer, _TRANSFERS)
    count = 0 if samples is None else whole("samples", samples, 1, 4096)
    size = whole("size", size, 1, min(call.height, call.width))
    motion_view = call.field("motions", motions)
    curvature_view = None if curvatures is None else call.field("curvatures", curvatures)
    rows = _crop_rows(call, crops, size, scales)

    def shape(channels: int) -> tuple[int, ...]:
        return (len(rows), channels, size, size) if call.tensor else (len(rows), size, size, channels)

    axes = (0, 1, 2, 3) if call.tensor else (0, 3, 1, 2)
    names = ("out[0] (blurred)", "out[1] (sharp)", "out[2] (motion)")
    if out is None:
        results = (
            call.new("out", shape(call.channels), call.dtype),
            call.new("out", shape(call.channels), call.dtype),
            call.new("out", shape(2)),
        )
    else:
        if not isinstance(out, tuple) or len(out) != 3:
            raise TypeError("out: it must be a tuple of three: blurred and sharp crops and their motion")
        results = out
    blurred = call.argument(names[0], results[0], shape(call.channels), axes, dtypes=_STORED, writes=True)
    stored = dtype_name(blurred)
    sharp = call.argument(names[1], results[1], shape(call.channels), axes, dtypes=(stored,), writes=True)
    turned = call.argument(names[2], results[2], shape(2), axes, writes=True)
    scratch = None
    if call.cuda and code:
        around = (min(side, size + 2 * _MARGIN) for side in (call.height, call.width))
        scratch = call.new("transfer", (len(rows), call.channels, *around))

    def op(**given: Any) -> None:
        for name, native in zip(
            ("frames", "motions", "curvatures", *names),
            ("image", "motion", "curvature", "out", "sharp", "turned"),
            strict=True,
        ):
            given[native] = given.pop(name)
        _ops.reblur(**given)

    if rows:
        call.run(
            op,
            threads,
            reads={"frames": call.view, "motions": motion_view, "curvatures": curvature_view},
            writes=dict(zip(names, (blurred, sharp, turned), strict=True)),
            transfer=code,
            samples=count,
            crops=rows,
            scratch=scratch,
        )
    return results


def _crop_rows(
    call: Call, crops: Sequence[Sequence[int]], size: int, scales: Sequence[float] | None
) -> list[tuple[int, int, int, int, float]]:
    table = np.asarray(crops)
    if table.size == 0:
        table = np.zeros((0, 4), np.int64)
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iu":
        raise ValueError(
            f"crops: shape {shape_text(table.shape)}, {table.dtype}; it must be [N, 4] whole numbers: "
            "(frame, y, x, way) each"
        )
    factors = np.ones(len(table)) if scales is None else np.asarray(scales, np.float64)
    if factors.shape != (len(table),):
        raise ValueError(f"scales: shape {shape_text(factors.shape)}; it must be [{len(table)}], one a crop")
    for name, column, stop in (
        ("frame", 0, call.count),
        ("y", 1, call.height - size + 1),
        ("x", 2, call.width - size + 1),
        ("way", 3, 8),
    ):
        wrong = np.flatnonzero((table[:, column] < 0) | (table[:, column] >= stop))
        if len(wrong):
            first = int(wrong[0])
            raise ValueError(
                f"crops: {name} of crop {first} is {int(table[first, column])}; it must lie in 0..{stop - 1}"
            )
    return [(*map(int, row), float(factor)) for row, factor in zip(table.tolist(), factors.tolist(), strict=True)]  # type: ignore[misc]
