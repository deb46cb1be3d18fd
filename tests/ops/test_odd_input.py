# SPDX-License-Identifier: Apache-2.0
"""What the ops do with values nobody wants, and what they say to calls that cannot be meant."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine import ops

F32 = npt.NDArray[np.float32]
rng = np.random.default_rng(11)
IMAGE = rng.random((9, 14, 3), dtype=np.float32)
FLOW = (rng.random((9, 14, 2), dtype=np.float32) - 0.5) * 6
odd = st.sampled_from([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e20, 2.0**31, -(2.0**31), 1e-45, -0.0, 5.25])


@given(odd, odd, st.sampled_from(["bilinear", "bicubic"]), st.sampled_from(["replicate", "zero", "reflect"]))
def test_any_flow_gives_a_defined_picture(dx: float, dy: float, mode: str, border: str) -> None:
    flow = np.empty((9, 14, 2), np.float32)
    flow[...] = dx, dy
    got, mask = ops.warp(IMAGE, flow, mode, border, return_mask=True)
    assert np.isfinite(got).all()
    low, high = (min(0.0, IMAGE.min()), IMAGE.max()) if mode == "bilinear" else (-0.6, 1.6)
    assert got.min() >= low and got.max() <= high + 1e-6
    if not np.isfinite([dx, dy]).all():
        assert not mask.any()
    if not np.isfinite(dx) and not np.isfinite(dy):
        np.testing.assert_array_equal(got, IMAGE)
    elif max(abs(dx), abs(dy)) > 1e6 and border == "zero":
        assert not got.any() and not mask.any()


@given(odd, odd, odd, odd, st.sampled_from([None, "srgb"]))
def test_any_motion_gives_a_defined_picture(mx: float, my: float, kx: float, ky: float, transfer: str | None) -> None:
    motion, curvature = np.empty((9, 14, 2), np.float32), np.empty((9, 14, 2), np.float32)
    motion[...], curvature[...] = (mx, my), (kx, ky)
    got = ops.reblur(IMAGE, motion, curvature, transfer=transfer)
    assert np.isfinite(got).all()
    assert got.min() >= IMAGE.min() - 1e-5 and got.max() <= IMAGE.max() + 1e-5


def test_odd_values_in_a_picture_stay_near_where_they_are() -> None:
    image = IMAGE.copy()
    image[4, 7] = np.nan, np.inf, -np.inf
    got = ops.warp(image, np.full((9, 14, 2), 0.25, np.float32))
    touched = ~np.isfinite(got).all(axis=-1)
    assert set(map(tuple, np.argwhere(touched))) == {(3, 6), (3, 7), (4, 6), (4, 7)}
    blurred = ops.reblur(image, np.full((9, 14, 2), 1.0, np.float32), transfer="srgb")
    far = np.ones((9, 14), bool)
    far[3:6, 6:9] = False
    assert np.isfinite(blurred[far]).all()
    assert not np.isfinite(ops.sharpness(image, 3)[1, 2])


def test_nan_in_the_result_does_not_pass_where_the_weight_is_zero() -> None:
    got = ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.zeros((9, 14), np.float32))
    assert got.tobytes() == IMAGE.tobytes()
    assert ops.mix(IMAGE, np.full_like(IMAGE, np.nan), np.ones((9, 14), np.float32), strength=0).tobytes() == (
        IMAGE.tobytes()
    )


def test_misaligned_input_is_read_all_the_same() -> None:
    memory = np.zeros(IMAGE.nbytes + 1, np.uint8)
    image = memory[1:].view(np.float32).reshape(IMAGE.shape)
    image[...] = IMAGE
    assert not image.flags.aligned
    np.testing.assert_array_equal(ops.warp(image, FLOW), ops.warp(IMAGE, FLOW))


def test_broadcast_input_is_read_all_the_same() -> None:
    flow = np.broadcast_to(np.float32([1.5, -2.0]), (9, 14, 2))
    np.testing.assert_array_equal(ops.warp(IMAGE, flow), ops.warp(IMAGE, flow.copy()))
    np.testing.assert_array_equal(ops.reblur(IMAGE, flow), ops.reblur(IMAGE, flow.copy()))


def test_the_last_pixel_in_memory_is_read_without_its_neighbour() -> None:
    # A picture that ends where its memory ends, read at its last pixel: nothing behind it may be touched or matter.
    for size in ((1, 1), (1, 7), (6, 1), (9, 14)):
        image = rng.random((*size, 3), dtype=np.float32)
        far = np.full((*size, 2), 100, np.float32)
        np.testing.assert_array_equal(ops.warp(image, far), np.broadcast_to(image[-1, -1], image.shape))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    image, flow = rng.random((300, 200, 3), np.float32), (rng.random((300, 200, 2), np.float32) - 0.5) * 20
    calls: list[Callable[[int], F32]] = [
        lambda n: ops.warp(image, flow, threads=n),
        lambda n: ops.reblur(image, flow, transfer="srgb", threads=n),
        lambda n: ops.sharpness(image, threads=n),
        lambda n: ops.mix(image, image[::-1].copy(), flow[..., 0].copy(), threads=n),
    ]
    for call in calls:
        np.testing.assert_array_equal(call(threads), call(1))


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


# ---- errors

READ_ONLY = IMAGE.copy()
READ_ONLY.flags.writeable = False
T_IMAGE, T_FLOW = torch.from_numpy(IMAGE).permute(2, 0, 1), torch.from_numpy(FLOW).permute(2, 0, 1)
HW = np.zeros((9, 14), np.float32)

CASES: list[tuple[str, type[Exception], str, Callable[[], Any]]] = [
    ("not an array", TypeError, "image: is a list", lambda: ops.warp([[1.0]], FLOW)),
    ("dtype", TypeError, "image: is float64; it must be float32", lambda: ops.warp(IMAGE.astype(float), FLOW)),
    ("tensor dtype", TypeError, "image: is float16", lambda: ops.warp(T_IMAGE.half(), T_FLOW)),
    ("byte order", TypeError, "image: is >f4", lambda: ops.warp(IMAGE.astype(">f4"), FLOW)),
    ("dimensions", ValueError, r"image: shape \[9\] has 1 dim", lambda: ops.warp(HW[:, 0], FLOW)),
    ("tensor dimensions", ValueError, "image: shape .* has 2 dim", lambda: ops.warp(T_IMAGE[0], T_FLOW)),
    ("no pixels", ValueError, r"image: shape \[0, 14, 3\] holds no", lambda: ops.warp(IMAGE[:0], FLOW[:0])),
    ("flow dtype", TypeError, "flow: is float64", lambda: ops.warp(IMAGE, FLOW.astype(float))),
    (
        "flow size",
        ValueError,
        r"flow: shape \[9, 13, 2\]; it must be \[9, 14, 2\]",
        lambda: ops.warp(IMAGE, FLOW[:, 1:]),
    ),
    ("flow channels", ValueError, r"flow: shape \[9, 14\];", lambda: ops.warp(IMAGE, HW)),
    ("flow layout", ValueError, "flow: shape", lambda: ops.warp(T_IMAGE, torch.from_numpy(FLOW))),
    ("mixed kinds", TypeError, "flow: is a ndarray; it must be a torch tensor", lambda: ops.warp(T_IMAGE, FLOW)),
    ("mode", ValueError, "mode: is 'nearest'; it must be one of 'bilinear'", lambda: ops.warp(IMAGE, FLOW, "nearest")),
    ("border", ValueError, "border: is 'wrap'", lambda: ops.warp(IMAGE, FLOW, border="wrap")),
    ("out shape", ValueError, "out: shape", lambda: ops.warp(IMAGE, FLOW, out=IMAGE[1:].copy())),
    ("out dtype", TypeError, "out: is float64", lambda: ops.warp(IMAGE, FLOW, out=IMAGE.astype(float))),
    ("out read-only", ValueError, "out: is read-only", lambda: ops.warp(IMAGE, FLOW, out=READ_ONLY)),
    ("out is the input", ValueError, "out: shares memory with image", lambda: ops.warp(IMAGE, FLOW, out=IMAGE)),
    (
        "out shares its own memory",
        ValueError,
        "out: several of its elements share memory",
        lambda: ops.warp(IMAGE, FLOW, out=np.lib.stride_tricks.as_strided(IMAGE.copy(), IMAGE.shape, (56, 4, 4))),
    ),
    ("threads", ValueError, "threads: is 0", lambda: ops.warp(IMAGE, FLOW, threads=0)),
    ("threads type", TypeError, "threads: is 1.5", lambda: ops.warp(IMAGE, FLOW, threads=1.5)),
    ("gradient", ValueError, "image: requires a gradient", lambda: ops.warp(T_IMAGE.clone().requires_grad_(), T_FLOW)),
    ("sparse", TypeError, "image: is torch.sparse", lambda: ops.warp(T_IMAGE.to_sparse(), T_FLOW)),
    ("motion", ValueError, "motion: shape", lambda: ops.reblur(IMAGE, FLOW[1:])),
    ("curvature", TypeError, "curvature: is uint8", lambda: ops.reblur(IMAGE, FLOW, FLOW.astype(np.uint8))),
    ("samples", ValueError, "samples: is 0; it must lie in 1..4096", lambda: ops.reblur(IMAGE, FLOW, samples=0)),
    (
        "transfer",
        ValueError,
        "transfer: is 'pq'; it must be one of None",
        lambda: ops.reblur(IMAGE, FLOW, transfer="pq"),
    ),
    (
        "sharpness dtype",
        TypeError,
        "uint8 or uint16 or float16 or float32",
        lambda: ops.sharpness(IMAGE.astype(np.int64)),
    ),
    (
        "sharpness channels",
        ValueError,
        "image: shape .* has 2 channels; it must have 1 or 3",
        lambda: ops.sharpness(FLOW),
    ),
    ("tile", ValueError, "tile: is 0", lambda: ops.sharpness(IMAGE, 0)),
    ("measure", ValueError, "measure: is 'sobel'", lambda: ops.sharpness(IMAGE, measure="sobel")),
    (
        "tile outside",
        ValueError,
        "tile: 9 x 14 .* reach",
        lambda: ops.blend_tiles(IMAGE.copy(), HW, IMAGE.copy(), 0, 1, 2),
    ),
    ("tile before", ValueError, "y: is -1", lambda: ops.blend_tiles(IMAGE.copy(), HW, IMAGE.copy(), -1, 0, 2)),
    ("tile channels", ValueError, "tile: shape", lambda: ops.blend_tiles(IMAGE.copy(), HW, FLOW, 0, 0, 2)),
    ("weight sum", ValueError, "weight_sum: shape", lambda: ops.blend_tiles(IMAGE.copy(), HW[1:], IMAGE, 0, 0, 2)),
    ("strength", ValueError, "strength: is 2.0", lambda: ops.mix(IMAGE, IMAGE, HW, strength=2)),
    ("result", ValueError, "result: shape", lambda: ops.mix(IMAGE, IMAGE[1:], HW)),
    ("weight", ValueError, "weight: shape", lambda: ops.mix(IMAGE, IMAGE, HW[1:])),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()


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
results += [ops.reblur(image, flow, flow[::-1], transfer=t) for t in (None, "srgb", "bt709", "gamma2.2")]
results += [ops.sharpness(image, 20, m) for m in ("laplacian", "tenengrad")]
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
