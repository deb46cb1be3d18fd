# SPDX-License-Identifier: Apache-2.0
"""Results depend neither on threads nor on the instruction set."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deblur_engine import ops
from ops_inputs import F32

rng = np.random.default_rng(11)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    image, flow = rng.random((300, 200, 3), np.float32), (rng.random((300, 200, 2), np.float32) - 0.5) * 20
    calls: list[Callable[[int], F32]] = [
        lambda n: ops.warp(image, flow, threads=n),
        lambda n: ops.warp_backward(image[::-1].copy(), image, flow * 9, threads=n)[0],
        lambda n: ops.reblur(image, flow, transfer="srgb", threads=n),
        lambda n: ops.reblur_crops(image[None], flow[None], [(0, 9, 5, 6)] * 5, 170, threads=n)[0],
        lambda n: ops.sharpness(image, threads=n),
        lambda n: ops.mix(image, image[::-1].copy(), flow[..., 0].copy(), threads=n),
    ]
    for call in calls:
        np.testing.assert_array_equal(call(threads), call(1))


_WHO_WORKS = """
import json, os, time
import numpy as np
from deblur_engine import ops

def clocks():  # seconds that each thread has had of a processor: Linux' own clock of the thread with that number
    return {name: time.clock_gettime((~int(name) << 3) | 6) for name in os.listdir("/proc/self/task")}

rng = np.random.default_rng(2)
image, flow = rng.random((900, 800, 3), np.float32), (rng.random((900, 800, 2), np.float32) - 0.5) * 20
weight = rng.random((900, 800), np.float32)
many = np.stack([image] * 4)
calls = {
    "sharpness": lambda n: ops.sharpness(many, threads=n),
    "warp": lambda n: ops.warp(image, flow, "bicubic", threads=n),
    "warp_backward": lambda n: ops.warp_backward(image, image, flow, threads=n),
    "reblur": lambda n: ops.reblur(image, flow, threads=n),
    "reblur_crops": lambda n: ops.reblur_crops(image[None], flow[None], [(0, 0, 0, 0)] * 9, 300, threads=n),
    "blend_tiles": lambda n: ops.blend_tiles(image.copy(), weight.copy(), image, 0, 0, 9, threads=n),
    "finish_tiles": lambda n: ops.finish_tiles(image, weight, threads=n),
    "mix": lambda n: ops.mix(image, image, weight, threads=n),
}
started = [len(clocks())]
found = []
for n in (1, 2, 5):  # a thread that was started once stays, and might help where it should not
    for call in calls.values():
        call(n)
    started.append(len(clocks()))
for name, call in calls.items():
    for n in (1, 2, 3) * 3:
        if n > 1 and name in ("warp_backward", "reblur"):
            continue  # several passes, one after the other, each with helpers of its own
        before = clocks()
        call(n)
        spent = sorted((after - before[thread] for thread, after in clocks().items()), reverse=True)
        found.append((name, n, spent))
print(json.dumps([started, found]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux what each thread has done")
def test_no_more_threads_work_than_are_asked_for() -> None:
    # In a process of its own, whose threads nobody else has started. How the machine shares out its processors does not
    # matter: fewer may have worked.
    environment = {**os.environ, "OMP_NUM_THREADS": "5", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _WHO_WORKS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    started, found = json.loads(done.stdout)
    assert [count - started[0] for count in started[1:]] == [0, 1, 4]
    for name, threads, spent in found:
        # Who wakes, finds nothing to do and sleeps again has used some microseconds.
        assert sum(spent[threads:]) <= 0.02 * sum(spent) + 2e-4, (name, threads, spent)


def test_the_environment_bounds_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert ops.build_info()["threads"] == 3


def test_calls_from_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    image, flow = rng.random((120, 100, 3), np.float32), (rng.random((120, 100, 2), np.float32) - 0.5) * 20
    wanted = ops.reblur(image, flow)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            if not np.array_equal(ops.reblur(image, flow), wanted):
                wrong.append(number)

    crowd = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in crowd)
    assert not wrong


def test_python_runs_beside_every_op() -> None:
    image, flow = rng.random((500, 400, 3), np.float32), (rng.random((500, 400, 2), np.float32) - 0.5) * 20
    weight = rng.random((500, 400), np.float32)
    calls: dict[str, Callable[[], object]] = {
        "sharpness": lambda: ops.sharpness(image, threads=1),
        "warp": lambda: ops.warp(image, flow, threads=1),
        "warp_backward": lambda: ops.warp_backward(image, image, flow, threads=1),
        "reblur": lambda: ops.reblur(image, flow, threads=1),
        "reblur_crops": lambda: ops.reblur_crops(image[None], flow[None], [(0, 0, 0, 0)], 300, threads=1),
        "blend_tiles": lambda: ops.blend_tiles(image.copy(), weight.copy(), image, 0, 0, 9, threads=1),
        "finish_tiles": lambda: ops.finish_tiles(image, weight, threads=1),
        "mix": lambda: ops.mix(image, image, weight, threads=1),
    }
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # from here on a thread has to let go of the GIL by itself
    try:
        for name, call in calls.items():
            beside = threading.Event()

            def work(call: Callable[[], object] = call, beside: threading.Event = beside) -> None:
                for _ in range(2000):
                    call()
                    if beside.is_set():
                        return

            worker = threading.Thread(target=work)
            worker.start()
            beside.set()
            held = not worker.is_alive()
            worker.join()
            assert not held, name
    finally:
        sys.setswitchinterval(interval)


def _in_a_child(image: F32, flow: F32, answer: Any) -> None:
    answer.put(ops.warp(image, flow))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_threads_work_again_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    image, flow = rng.random((64, 64, 3), np.float32), (rng.random((64, 64, 2), np.float32) - 0.5) * 20
    wanted = ops.warp(image, flow)  # starts the parent's threads, which the child does not inherit
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    child = context.Process(target=_in_a_child, args=(image, flow, answer))
    child.start()
    np.testing.assert_array_equal(answer.get(timeout=60), wanted)
    child.join(timeout=60)


@pytest.mark.skipif(ops.cuda_available(), reason="this machine can use CUDA")
def test_without_a_device_the_ops_say_so() -> None:
    assert ops.cuda_available() is False
    assert ops.build_info()["cuda_devices"] == 0


_DIGEST = """
import hashlib, numpy as np
from deblur_engine import ops
rng = np.random.default_rng(4)
image = rng.random((61, 83, 3), dtype=np.float32)
flow = ((rng.random((61, 83, 2)) - 0.5) * 30).astype(np.float32)
sums, weights = np.zeros_like(image), np.zeros((61, 83), np.float32)
ops.blend_tiles(sums, weights, image[:40, :50], 3, 4, 9)
results = [ops.warp(image, flow, mode, border) for mode in ("bilinear", "bicubic") for border in ("zero", "reflect")]
planar, half = np.moveaxis(image, -1, 0).copy().transpose(1, 2, 0), image.astype(np.float16)
for mode in ("bilinear", "bicubic"):
    results += [ops.warp(planar, flow, mode), ops.warp(image[..., :2].copy(), flow, mode), ops.warp(half, flow, mode)]
    results += ops.warp_backward(image[::-1].copy(), image, flow, mode, "replicate")
results += [ops.reblur(image, flow, flow[::-1], transfer=t) for t in (None, "srgb", "bt709", "gamma2.2")]
results += [ops.reblur(image, flow), ops.reblur(image.astype(np.float16), flow / 9, samples=9)]
results += ops.reblur_crops(image[None], flow[None], [(0, 3, 9, way) for way in range(8)], 50, transfer="srgb")
results += [ops.sharpness(image, 20, m) for m in ("laplacian", "tenengrad")]
results += [ops.sharpness((image - 0.5).astype(np.float16), 20), ops.sharpness(image[..., 0].astype(np.float16), 20)]
results += [ops.sharpness(image.astype(np.float16) * 2 - 1, 7), ops.sharpness((image * 65535).astype(np.uint16), 9)]
codes = (image * 255).astype(np.uint8)
for m in ("laplacian", "tenengrad"):
    results += [ops.sharpness(codes[..., 0], 16, m), ops.sharpness(codes[..., 0].copy(), 20, m)]
    results += [ops.sharpness(codes[..., 0] // 128 * 255, 32, m)]
results += [ops.sharpness(codes, 32), ops.mix(codes, image[::-1], flow[..., 0])]
results += [ops.finish_tiles(image, weights + 0.5, t) for t in ("uint8", "uint16", "float16")]
results += [sums, weights, ops.mix(image, image[::-1], flow[..., 0])]
print(ops.build_info()["instruction_set"], hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest())
"""


def test_every_instruction_set_gives_the_same_bits() -> None:
    found = {}
    for limit in ("base", "v3", "v4"):
        environment = {**os.environ, "DEBLUR_ISA": limit}
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        name, digest = done.stdout.split()
        found[name] = digest
    assert "base" in found
    assert len(set(found.values())) == 1, found
