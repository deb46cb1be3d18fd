# SPDX-License-Identifier: Apache-2.0
# The native module as the package ops calls it: arrays are [N, C, H, W] views of NumPy arrays, or objects with
# __cuda_array_interface__ where a device is named.
from typing import Any

def sharpness(
    image: Any, out: Any, tile: int, measure: int, device: int | None = None, stream: int = 0, threads: int = 0
) -> None: ...
def warp(
    image: Any,
    flow: Any,
    out: Any,
    mask: Any | None,
    filter: int,
    border: int,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def warp_backward(
    grad: Any,
    image: Any,
    flow: Any,
    grad_image: Any | None,
    grad_flow: Any | None,
    filter: int,
    border: int,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def reblur(
    image: Any,
    motion: Any,
    curvature: Any | None,
    out: Any,
    transfer: int,
    samples: int,
    crops: list[tuple[int, int, int, int, float]] | None = None,
    sharp: Any | None = None,
    turned: Any | None = None,
    scratch: Any | None = None,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def blend(
    accumulator: Any,
    weight_sum: Any,
    tile: Any,
    y: int,
    x: int,
    feather: int,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def finish(
    accumulator: Any,
    weight_sum: Any,
    out: Any,
    bits: int,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def mix(
    base: Any,
    result: Any,
    weight: Any,
    out: Any,
    strength: float,
    bits: int,
    device: int | None = None,
    stream: int = 0,
    threads: int = 0,
) -> None: ...
def build_info() -> dict[str, Any]: ...
def cuda_devices() -> int: ...
def read_dlpack(capsule: Any) -> tuple[int, tuple[int, ...], tuple[int, ...], str, bool]: ...
