# SPDX-License-Identifier: Apache-2.0
"""Random blur kernels of a hand-held camera.

The paper blurs its sharp frames by random kernels and says no more of them. These follow the shake model of Boracchi
and Foi (Modeling the Performance of Image Restoration from Motion Blur, IEEE TIP 2012), as later deblurring work does:
a particle with inertia that is pushed at random, drawn back, and now and then jerked.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["LENGTHS", "path_length", "random_kernel"]

Array = npt.NDArray[np.float32]

LENGTHS = (1.0, 40.0)  # pixels from one end of a kernel to the other, drawn evenly in the logarithm
_STEPS = 256  # of the path


def random_kernel(rng: np.random.Generator, longest: float = LENGTHS[1]) -> Array:
    """A kernel [K, K] of odd K: positive, of sum 1, centred on its centroid, so that it moves nothing.

    Its larger side is between 1 and ``longest`` pixels, of which ``LENGTHS[1]`` at most.
    """
    top = max(LENGTHS[0], min(longest, LENGTHS[1]))
    return _drawn(_path(rng) * np.exp(rng.uniform(math.log(LENGTHS[0]), math.log(top))))


def path_length(kernel: Array) -> tuple[float, float]:
    """(dx, dy) in pixels of the straight even exposure that spreads as far as ``kernel`` does along its main axis."""
    radius = len(kernel) // 2
    at = np.arange(-radius, radius + 1, dtype=np.float64)
    across, down = kernel.sum(0), kernel.sum(1)
    mean = np.array([(across * at).sum(), (down * at).sum()])
    xx, yy = (across * at * at).sum() - mean[0] ** 2, (down * at * at).sum() - mean[1] ** 2
    xy = (kernel * at[None] * at[:, None]).sum() - mean[0] * mean[1]
    values, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    # The variance of an even exposure of length l is l²/12; that of reading between pixels counts as none.
    length = math.sqrt(12 * max(0.0, float(values[1]) - 1 / 6))
    return length * float(axes[0, 1]), length * float(axes[1, 1])


def _path(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Places [steps, 2] over the exposure, whose larger extent is 1."""
    jerkiness = rng.uniform(0, 0.005)
    angle = rng.uniform(0, 2 * math.pi)
    velocity = np.array([math.cos(angle), math.sin(angle)]) / _STEPS
    inertia, pull, push = rng.uniform(0, 0.7), rng.uniform(0, 0.7), rng.uniform(0, 10) / _STEPS
    place, places = np.zeros(2), np.zeros((_STEPS, 2))
    pushes, jerks = rng.normal(0, 1, (_STEPS, 2)), rng.random(_STEPS)
    for step in range(_STEPS):
        change = push * pushes[step] - pull * place
        if jerks[step] < jerkiness:
            change -= 2 * velocity * _STEPS  # the hand catches itself
        velocity = velocity + (change - inertia * velocity) / _STEPS
        velocity /= max(np.hypot(*velocity), 1e-12) * _STEPS  # the path is as long as the exposure, whatever its turns
        place = place + velocity
        places[step] = place
    extent = float(np.ptp(places, axis=0).max())
    return places / max(extent, 1e-6)


def _drawn(path: npt.NDArray[np.float64]) -> Array:
    path = path - path.mean(0)
    radius = math.ceil(float(np.abs(path).max())) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    whole = np.floor(path).astype(int)
    part = path - whole
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(kernel, (whole[:, 1] + dy + radius, whole[:, 0] + dx + radius), share)
    return (kernel / kernel.sum()).astype(np.float32)
