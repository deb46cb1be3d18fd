# SPDX-License-Identifier: Apache-2.0
"""How fast the native ops are beside OpenCV, torch and NumPy doing the same, in one run.

    python tests/bench/ops.py [--op warp,blend] [--size 1920x1080] [--threads 1,2] [--rounds 15] [--device cuda]
                              [--cpu-time] [--json out.json]

Each pair is timed in turns, so that a machine's moods fall on both; a figure is the median of its rounds, the ratio
the peer's median over ours. Where the peer is a plain copy, of data that no cache holds, what it reads and writes a
second is what the bytes that our op must move at least are set beside; on a CUDA device, where times are taken with
events, that is what a plain copy of the device reaches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.table import Table

from deblur_engine import ops
from ops_pairs import blend, reblur, sharpness, warp
from ops_pairs.shared import Work

PAIRS = {"sharpness": sharpness, "warp": warp, "reblur": reblur, "blend": blend}


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


def on_processor(work: Work) -> float:
    """Time that the process had a processor: of work on one thread, whatever else the machine does meanwhile."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


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


def copy_bytes_per_ms() -> float:
    """Bytes read and written a millisecond by a plain copy on the device."""
    source = torch.empty(1 << 26, device="cuda")
    target = torch.empty_like(source)
    times = [on_device(lambda: target.copy_(source)) for _ in range(12)]
    return 2 * source.numel() * 4 / statistics.median(times[2:])


def measure_host(
    width: int,
    height: int,
    threads: int,
    rounds: int,
    names: Collection[str] = tuple(PAIRS),
    clock: Callable[[Work], float] = on_host,
) -> list[Row]:
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    rows = []
    for pairs in names:
        for (op, peer), (ours, theirs, *share) in PAIRS[pairs].host_pairs(width, height, threads).items():
            ours_ms, peer_ms = in_turns(ours, theirs, rounds, clock)
            rows.append(Row(op, peer, threads, ours_ms, peer_ms, share[0] * peer_ms / ours_ms if share else None))
    return rows


def measure_device(width: int, height: int, rounds: int, names: Collection[str] = tuple(PAIRS)) -> list[Row]:
    rows, copied = [], copy_bytes_per_ms()
    for pairs in names:
        for (op, peer), (ours, theirs, least) in PAIRS[pairs].device_pairs(width, height).items():
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
    parser.add_argument("--op", default=",".join(PAIRS), help="ops to time, of " + ", ".join(PAIRS))
    parser.add_argument("--size", default="1920x1080", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--threads", default="1,2", help="threads of both sides, one table part each")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="one thread's processor time, for a busy machine")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    names = options.op.split(",")
    if unknown := set(names) - set(PAIRS):
        parser.error(f"--op: {', '.join(sorted(unknown))}; known are {', '.join(PAIRS)}")
    width, height = (int(side) for side in options.size.split("x"))
    if options.device == "cuda":
        if not (ops.cuda_available() and torch.cuda.is_available()):
            print(f"no usable CUDA device: {ops.build_info()}", file=sys.stderr)
            return 7
        rows = measure_device(width, height, options.rounds, names)
        title = f"{torch.cuda.get_device_name()}, {width} x {height}"
    else:
        counts = [int(text) for text in options.threads.split(",")]
        if options.cpu_time and counts != [1]:
            parser.error("--cpu-time: is for --threads 1")
        clock = on_processor if options.cpu_time else on_host
        rows = [row for n in counts for row in measure_host(width, height, n, options.rounds, names, clock)]
        title = f"{ops.build_info()['instruction_set']}, {width} x {height}, medians of {options.rounds} rounds"
    show(rows, title)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
