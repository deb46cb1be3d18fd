# SPDX-License-Identifier: Apache-2.0
"""Motion blur: the mean of a picture along the path of each pixel."""

from __future__ import annotations

from typing import Literal

from .. import _ops
from .buffers import Array, Call, choice, whole

_TRANSFERS = {None: 0, "srgb": 1, "bt709": 2, "gamma2.2": 3}


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
    """``image`` blurred by its motion during the exposure.

    ``out(p) = mean over s in [-1/2, 1/2] of image(p + s motion(p) + (s² - 1/12) curvature(p))``, read bilinearly,
    borders replicated. ``motion`` and ``curvature``: float32, two channels, pixels. The mean is taken over the middles
    of ``samples`` equal parts (1..4096); None chooses for each pixel by the length of its path, one a pixel and one
    more, at most 65. ``transfer`` names the curve that is undone before and redone after, so that light is averaged;
    None averages the values as they are. Pixels with no motion and no curvature keep their bits.
    """
    call = Call("image", image)
    code = choice("transfer", transfer, _TRANSFERS)
    count = 0 if samples is None else whole("samples", samples, 1, 4096)
    motion_view = call.field("motion", motion)
    curvature_view = None if curvature is None else call.field("curvature", curvature)
    result, out_view = call.output(out)
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
