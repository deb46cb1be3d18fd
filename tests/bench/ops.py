# SPDX-License-Identifier: Apache-2.0
"""How fast the native ops are beside OpenCV, torch and NumPy doing the same, in one run.

    python tests/bench/ops.py [--size 1920x1080] [--threads 1,2] [--rounds 15] [--device cuda] [--json out.json]

Each pair is timed in turns, so that a machine's moods fall on both; a figure is the median of its rounds, the ratio
the peer's median over ours. On a CUDA device times are taken with events, and the bytes that an op must move at least
are set beside what a plain copy of the device reaches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from deblur_engine import ops

Work = Callable[[], object]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    op: str
    peer: str
    threads: int  # 0 on a CUDA device
    ours_ms: float
    peer_ms: float
    bandwidth: float | None = None  # share of a plain copy's bytes per second

    @property
    def ratio(self) -> float:
        return self.peer_ms / self.ours_ms


def on_host(work: Work) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def on_device(work: Work) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def in_turns(ours: Work, peer: Work, rounds: int, clock: Callable[[Work], float]) -> tuple[float, float]:
    """Medians in milliseconds after two warm-up rounds."""
    ours_ms, peer_ms = [], []
    for number in range(rounds + 2):
        a, b = clock(ours), clock(peer)
        if number >= 2:
            ours_ms.append(a)
            peer_ms.append(b)
    return statistics.median(ours_ms), statistics.median(peer_ms)


def smooth_flow(rng: np.random.Generator, height: int, width: int, reach: float) -> F32:
    """A flow as clips have it: neighbouring pixels move alike."""
    coarse = (rng.random((6, 8, 2), np.float32) - 0.5) * 2 * reach
    return np.ascontiguousarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def nchw(picture: F32, device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, -1, -3))).to(device)


def grid_of(flow: torch.Tensor) -> torch.Tensor:
    """Positions as grid_sample wants them, made outside the timed part."""
    _, _, height, width = flow.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    base = torch.stack([x, y], -1).to(flow)
    scale = torch.tensor([max(1, width - 1) / 2, max(1, height - 1) / 2]).to(flow)
    return (base + flow.permute(0, 2, 3, 1)) / scale - 1


def sample(image: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True)


def host_pairs(width: int, height: int, threads: int) -> dict[tuple[str, str], tuple[Work, Work]]:
    """Ours and the peer's, by op and peer."""
    rng = np.random.default_rng(0)
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    rgb = rng.random((height, width, 3), np.float32)
    gray8 = (rng.random((height, width)) * 255).astype(np.uint8)
    gray = rng.random((height, width), np.float32)
    rgb8 = (rgb * 255).astype(np.uint8)
    flow = smooth_flow(rng, height, width, 12)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    map_x, map_y = x + flow[..., 0], y + flow[..., 1]
    out, remapped = np.empty_like(rgb), np.empty_like(rgb)
    image, grid = nchw(rgb[None], "cpu"), grid_of(nchw(flow[None], "cpu"))
    tensor_flow = nchw(flow[None], "cpu")

    crops = rng.random((16, 256, 256, 3), np.float32)
    motions = np.stack([smooth_flow(rng, 256, 256, 12) for _ in range(16)])
    blurred = np.empty_like(crops)
    moments = [(i + 0.5) / 17 - 0.5 for i in range(17)]
    cx, cy = np.meshgrid(np.arange(256, dtype=np.float32), np.arange(256, dtype=np.float32))
    crop_tensor, motion_tensor = nchw(crops, "cpu"), nchw(motions, "cpu")
    half = [motion_tensor * s for s in moments]
    grids = [grid_of(m) for m in half]

    def remap(how: int) -> Work:
        return lambda: cv2.remap(rgb, map_x, map_y, how, dst=remapped, borderMode=cv2.BORDER_REPLICATE)

    def remap_loop() -> F32:
        for n in range(16):
            total = np.zeros((256, 256, 3), np.float32)
            for s in moments:
                mx, my = cx + np.float32(s) * motions[n, ..., 0], cy + np.float32(s) * motions[n, ..., 1]
                total += cv2.remap(crops[n], mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            blurred[n] = total / 17
        return blurred

    def grid_loop() -> torch.Tensor:
        total = torch.zeros_like(crop_tensor)
        for g in grids:
            total += sample(crop_tensor, g)
        return total / 17

    weight, result = rng.random((height, width), np.float32), rng.random((height, width, 3), np.float32)

    def numpy_mix() -> F32:
        return rgb + weight[..., None] * (result - rgb)

    return {
        ("sharpness u8", "cv2.Laplacian.var"): (
            lambda: ops.sharpness(gray8, threads=threads),
            lambda: cv2.Laplacian(gray8, cv2.CV_64F).var(),
        ),
        ("sharpness f32", "cv2.Laplacian.var"): (
            lambda: ops.sharpness(gray, threads=threads),
            lambda: cv2.Laplacian(gray, cv2.CV_32F).var(),
        ),
        ("sharpness u8x3", "cv2 gray + Laplacian.var"): (
            lambda: ops.sharpness(rgb8, threads=threads),
            lambda: cv2.Laplacian(cv2.cvtColor(rgb8, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var(),
        ),
        ("sharpness f32", "copy of the bytes"): (lambda: ops.sharpness(gray, threads=threads), gray.copy),
        ("warp bilinear f32x3", "cv2.remap"): (
            lambda: ops.warp(rgb, flow, out=out, threads=threads),
            remap(cv2.INTER_LINEAR),
        ),
        ("warp bicubic f32x3", "cv2.remap cubic"): (
            lambda: ops.warp(rgb, flow, "bicubic", out=out, threads=threads),
            remap(cv2.INTER_CUBIC),
        ),
        ("warp bilinear NCHW", "torch grid_sample"): (
            lambda: ops.warp(image, tensor_flow, threads=threads),
            lambda: sample(image, grid),
        ),
        ("reblur 17 x 16 x 256²", "loop of cv2.remap"): (
            lambda: ops.reblur(crops, motions, samples=17, out=blurred, threads=threads),
            remap_loop,
        ),
        ("reblur 17 x 16 x 256²", "loop of grid_sample"): (
            lambda: ops.reblur(crop_tensor, motion_tensor, samples=17, threads=threads),
            grid_loop,
        ),
        ("mix f32x3", "NumPy"): (lambda: ops.mix(rgb, result, weight, out=out, threads=threads), numpy_mix),
    }


def device_pairs(width: int, height: int) -> dict[tuple[str, str], tuple[Work, Work, float | None]]:
    """Ours, the peer's, and the bytes that the op must move at least where memory bounds it."""
    rng = np.random.default_rng(0)
    picture = nchw(rng.random((1, height, width, 3), np.float32), "cuda")
    flow = nchw(smooth_flow(rng, height, width, 12)[None], "cuda")
    grid, out = grid_of(flow), torch.empty_like(picture)
    crops = torch.rand(16, 3, 256, 256, device="cuda")
    motions = nchw(np.stack([smooth_flow(rng, 256, 256, 12) for _ in range(16)]), "cuda")
    blurred = torch.empty_like(crops)
    grids = [grid_of(motions * ((i + 0.5) / 17 - 0.5)) for i in range(17)]
    gray = torch.rand(1, 1, height, width, device="cuda")
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device="cuda")[None, None]
    result, weight = torch.rand_like(picture), torch.rand(1, 1, height, width, device="cuda")
    pixels = width * height

    def grid_loop() -> torch.Tensor:
        total = torch.zeros_like(crops)
        for g in grids:
            total += sample(crops, g)
        return total / 17

    def tiles_by_torch() -> torch.Tensor:
        energy = F.conv2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), kernel) ** 2
        return F.avg_pool2d(energy, 32, ceil_mode=True, count_include_pad=False)

    return {
        ("sharpness f32", "conv2d + avg_pool2d"): (lambda: ops.sharpness(gray), tiles_by_torch, pixels * 4),
        ("warp bilinear f32x3", "grid_sample"): (
            lambda: ops.warp(picture, flow, out=out),
            lambda: sample(picture, grid),
            pixels * 4 * (3 + 2 + 3),
        ),
        ("warp bicubic f32x3", "grid_sample bicubic"): (
            lambda: ops.warp(picture, flow, "bicubic", out=out),
            lambda: sample(picture, grid, "bicubic"),
            pixels * 4 * (3 + 2 + 3),
        ),
        ("reblur 17 x 16 x 256²", "loop of grid_sample"): (
            lambda: ops.reblur(crops, motions, samples=17, out=blurred),
            grid_loop,
            None,
        ),
        ("mix f32x3", "torch"): (
            lambda: ops.mix(picture, result, weight, out=out),
            lambda: picture + weight * (result - picture),
            pixels * 4 * (3 + 3 + 1 + 3),
        ),
    }


def copy_bytes_per_ms() -> float:
    """Bytes read and written a millisecond by a plain copy on the device."""
    source = torch.empty(1 << 26, device="cuda")
    target = torch.empty_like(source)
    times = [on_device(lambda: target.copy_(source)) for _ in range(12)]
    return 2 * source.numel() * 4 / statistics.median(times[2:])


def measure_host(width: int, height: int, threads: int, rounds: int) -> list[Row]:
    return [
        Row(op, peer, threads, *in_turns(ours, theirs, rounds, on_host))
        for (op, peer), (ours, theirs) in host_pairs(width, height, threads).items()
    ]


def measure_device(width: int, height: int, rounds: int) -> list[Row]:
    rows, copied = [], copy_bytes_per_ms()
    for (op, peer), (ours, theirs, least) in device_pairs(width, height).items():
        ours_ms, peer_ms = in_turns(ours, theirs, rounds, on_device)
        rows.append(Row(op, peer, 0, ours_ms, peer_ms, least and least / ours_ms / copied))
    return rows


def show(rows: list[Row], title: str) -> None:
    table = Table(title=title)
    for name in ("op", "peer", "threads", "ours, ms", "peer, ms", "peer / ours", "of copy bandwidth"):
        table.add_column(name, justify="left" if name in ("op", "peer") else "right")
    for row in rows:
        table.add_row(
            row.op,
            row.peer,
            str(row.threads or "CUDA"),
            f"{row.ours_ms:.3f}",
            f"{row.peer_ms:.3f}",
            f"{row.ratio:.1f} x",
            "" if row.bandwidth is None else f"{row.bandwidth:.0%}",
        )
    Console(width=120).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--threads", default="1,2", help="threads of both sides, one table part each")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    if options.device == "cuda":
        if not (ops.cuda_available() and torch.cuda.is_available()):
            print(f"no usable CUDA device: {ops.build_info()}", file=sys.stderr)
            return 7
        rows = measure_device(width, height, options.rounds)
        title = f"{torch.cuda.get_device_name()}, {width} x {height}"
    else:
        counts = [int(text) for text in options.threads.split(",")]
        rows = [row for threads in counts for row in measure_host(width, height, threads, options.rounds)]
        title = f"{ops.build_info()['instruction_set']}, {width} x {height}, medians of {options.rounds} rounds"
    show(rows, title)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
