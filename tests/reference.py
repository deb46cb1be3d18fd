# SPDX-License-Identifier: Apache-2.0
"""The native ops once more, in plain NumPy and float64: slow, short, and what the kernels are held to.

Pictures are [H, W, C], flows [H, W, 2]. Positions are added up in float32, as the ops do: what is compared is the
interpolation, not the rounding of where it happens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TOLERANCE = {
    "warp": 2e-6,
    "warp in half precision": 6e-4,
    "warp_backward": 2e-6,
    "reblur": 4e-6,
    "reblur in linear light": 2e-5,
    "sharpness": 2e-5,
    "blend": 1e-6,
    "mix": 1e-6,
}
"""Largest difference to the reference for values in 0..1; sharpness: relative, of the largest tile's; warp_backward:
relative, of the largest sum of absolute terms."""


def luma(image: npt.NDArray[np.generic]) -> Array:
    full = {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)
    values = image.astype(np.float64) / full
    return values @ np.array([0.2126, 0.7152, 0.0722]) if values.ndim == 3 else values


def sharpness(image: npt.NDArray[np.generic], tile: int, measure: str) -> Array:
    p = np.pad(luma(image), 1, mode="edge")
    if measure == "laplacian":
        energy = (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]) ** 2
    else:
        smooth_down = p[:-2] + 2 * p[1:-1] + p[2:]
        smooth_across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
        energy = ((smooth_down[:, 2:] - smooth_down[:, :-2]) / 8) ** 2
        energy = energy + ((smooth_across[2:] - smooth_across[:-2]) / 8) ** 2
    height, width = energy.shape
    rows = [energy[y : y + tile] for y in range(0, height, tile)]
    return np.array([[row[:, x : x + tile].mean() for x in range(0, width, tile)] for row in rows])


def displaced(flow: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The flow as it counts: not finite is none, and nothing is longer than 2^20 pixels."""
    return np.clip(np.where(np.isfinite(flow), flow, np.float32(0)), -(2.0**20), 2.0**20).astype(np.float32)


def taps(x: Array, mode: str) -> tuple[npt.NDArray[np.int64], Array]:
    """Indices and weights of the taps at each position: [..., K] each."""
    base = np.floor(x)
    f = (x - base)[..., None]
    offsets = np.array([0, 1] if mode == "bilinear" else [-1, 0, 1, 2])
    d = np.abs(offsets - f)
    if mode == "bilinear":
        weights = 1 - d
    else:  # Keys' kernel with a = -1/2 is Catmull-Rom
        near = 1.5 * d**3 - 2.5 * d**2 + 1
        far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        weights = np.where(d <= 1, near, np.where(d < 2, far, 0.0))
    return base.astype(np.int64)[..., None] + offsets, weights


def placed(index: npt.NDArray[np.int64], size: int, border: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where a tap reads inside the picture, and whether it counts."""
    inside = (index >= 0) & (index < size)
    if border == "reflect":
        if size == 1:
            return np.zeros_like(index), np.ones_like(inside)
        r = index % (2 * (size - 1))
        return np.where(r < size, r, 2 * (size - 1) - r), np.ones_like(inside)
    return np.clip(index, 0, size - 1), inside | (border == "replicate")


def sampled(image: Array, x: Array, y: Array, mode: str, border: str) -> Array:
    height, width, _ = image.shape
    ix, wx = taps(x, mode)
    iy, wy = taps(y, mode)
    ix, use_x = placed(ix, width, border)
    iy, use_y = placed(iy, height, border)
    out = np.zeros((*x.shape, image.shape[2]))
    for j in range(wy.shape[-1]):
        for i in range(wx.shape[-1]):
            use = (use_y[..., j] & use_x[..., i])[..., None]  # not a zero weight: it would keep a NaN
            out += (wy[..., j] * wx[..., i])[..., None] * np.where(use, image[iy[..., j], ix[..., i]], 0)
    return out


def grid(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def warp(image: npt.NDArray[np.float32], flow: npt.NDArray[np.float32], mode: str, border: str) -> tuple[Array, Array]:
    """The warped picture and the mask of what lay inside."""
    height, width, _ = image.shape
    x, y = grid(height, width)
    u = displaced(flow)
    px, py = (x + u[..., 0]).astype(np.float64), (y + u[..., 1]).astype(np.float64)
    inside = np.clip(np.minimum(px + 1, width - px), 0, 1) * np.clip(np.minimum(py + 1, height - py), 0, 1)
    mask = inside * np.isfinite(flow).all(axis=-1)
    return sampled(image.astype(np.float64), px, py, mode, border), mask


def to_linear(v: Array, transfer: str | None) -> Array:
    a = np.abs(v)
    if transfer is None:
        return v
    if transfer == "srgb":
        out = np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)
    elif transfer == "bt709":
        out = np.where(a < 0.081, a / 4.5, ((a + 0.099) / 1.099) ** (1 / 0.45))
    else:
        out = a**2.2
    return np.copysign(out, v)


def from_linear(v: Array, transfer: str | None) -> Array:
    a = np.abs(v)
    if transfer is None:
        return v
    if transfer == "srgb":
        out = np.where(a <= 0.0031308, a * 12.92, 1.055 * a ** (1 / 2.4) - 0.055)
    elif transfer == "bt709":
        out = np.where(a < 0.018, a * 4.5, 1.099 * a**0.45 - 0.099)
    else:
        out = a ** (1 / 2.2)
    return np.copysign(out, v)


def sample_count(motion: npt.NDArray[np.float32], curvature: npt.NDArray[np.float32] | None) -> npt.NDArray[np.int64]:
    """How many points of each pixel's path are read where the caller leaves it open."""
    length = np.hypot(*np.moveaxis(displaced(motion).astype(np.float64), -1, 0))
    if curvature is not None:
        length = length + 0.5 * np.hypot(*np.moveaxis(displaced(curvature).astype(np.float64), -1, 0))
    return np.minimum(1 + np.floor(np.minimum(length, 65) + 0.9999), 65).astype(np.int64)


def reblur(
    image: npt.NDArray[np.float32],
    motion: npt.NDArray[np.float32],
    curvature: npt.NDArray[np.float32] | None,
    samples: int | npt.NDArray[np.int64],
    transfer: str | None,
) -> Array:
    height, width, _ = image.shape
    x, y = grid(height, width)
    m = displaced(motion)
    k = np.zeros_like(m) if curvature is None else displaced(curvature)
    count = np.broadcast_to(np.asarray(samples), (height, width))
    linear = to_linear(image.astype(np.float64), transfer)
    total = np.zeros_like(linear)
    for i in range(int(count.max())):
        s = (i + 0.5) / count - 0.5
        u = s[..., None] * m + (s * s - 1 / 12)[..., None] * k
        px = np.clip(x + u[..., 0], 0, width - 1)
        py = np.clip(y + u[..., 1], 0, height - 1)
        total += np.where((i < count)[..., None], sampled(linear, px, py, "bilinear", "replicate"), 0)
    return from_linear(total / count[..., None], transfer)


def feathered(size: int, total: int, at: int, feather: int) -> Array:
    """A tile's weights along one axis."""
    i = np.arange(size)
    w = np.ones(size)
    if feather and at > 0:
        w = np.minimum(w, (i + 0.5) / feather)
    if feather and at + size < total:
        w = np.minimum(w, (size - 1 - i + 0.5) / feather)
    return w


def mix(base: Array, result: Array, weight: Array, strength: float, full: float = 1.0) -> Array:
    """In units of the base, whose ``full`` stands for 1; not rounded."""
    w = (strength * weight)[..., None]
    return np.where(w == 0, base, base + w * (result * full - base))
