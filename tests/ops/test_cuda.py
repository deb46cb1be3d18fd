# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels against the CPU's loops: one text compiled twice without contraction, so the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_engine import ops

pytestmark = pytest.mark.gpu
sides = st.integers(1, 70)
seeds = st.integers(0, 2**31)


def made(seed: int, n: int, c: int, h: int, w: int, reach: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(((rng.random((n, c, h, w), np.float32) - 0.2) * np.float32(reach)).astype(np.float32))


def odd(flow: torch.Tensor) -> torch.Tensor:
    """The flow with some vectors nobody wants."""
    flat = flow.view(-1)
    for i, value in enumerate((float("nan"), float("inf"), -1e30, 1e9, 0.0)):
        flat[i :: max(7, flat.numel() // 3)] = value
    return flow


def same(on_device: torch.Tensor, on_host: torch.Tensor) -> None:
    assert on_device.device.type == "cuda"
    np.testing.assert_array_equal(on_device.cpu().numpy(), on_host.numpy())


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    sides,
    sides,
    st.sampled_from(["bilinear", "bicubic"]),
    st.sampled_from(["replicate", "zero", "reflect"]),
    st.booleans(),
    seeds,
)
def test_warp(n: int, c: int, h: int, w: int, mode: str, border: str, channels_last: bool, seed: int) -> None:
    image, flow = made(seed, n, c, h, w), odd(made(seed + 1, n, 2, h, w, 12))
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    for got, wanted in zip(
        ops.warp(image.cuda(), flow.cuda(), mode, border, return_mask=True),
        ops.warp(image, flow, mode, border, return_mask=True),
        strict=True,
    ):
        same(got, wanted)


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    sides,
    sides,
    st.sampled_from(["bilinear", "bicubic"]),
    st.sampled_from(["replicate", "zero", "reflect"]),
    st.booleans(),
    seeds,
)
def test_warp_backward(n: int, c: int, h: int, w: int, mode: str, border: str, half: bool, seed: int) -> None:
    kind = torch.float16 if half else torch.float32
    image, grad = made(seed, n, c, h, w).to(kind), made(seed + 1, n, c, h, w, 3).to(kind)
    flow = odd(made(seed + 2, n, 2, h, w, 12))
    same(ops.warp(image.cuda(), flow.cuda(), mode, border), ops.warp(image, flow, mode, border))
    there = [v.cuda() for v in (grad, image, flow)]
    to_image, to_flow = ops.warp_backward(*there, mode, border)
    here_image, here_flow = ops.warp_backward(grad, image, flow, mode, border)
    same(to_flow, here_flow)
    # Summed in fixed point there, in float here: rounded differently, and there the same every time.
    step = 2e-3 if half else 3e-5
    np.testing.assert_allclose(to_image.float().cpu(), here_image.float(), rtol=step, atol=step)
    assert torch.equal(ops.warp_backward(*there, mode, border)[0], to_image)


def test_gradients_that_are_not_finite() -> None:
    image, grad = made(1, 1, 3, 20, 30), made(2, 1, 3, 20, 30)
    grad[0, :, 5, 7] = torch.tensor([float("inf"), -float("inf"), float("nan")])
    flow = torch.full((1, 2, 20, 30), 0.5)
    there = ops.warp_backward(grad.cuda(), image.cuda(), flow.cuda())[0].cpu()
    np.testing.assert_allclose(there, ops.warp_backward(grad, image, flow)[0], rtol=1e-5, atol=1e-6)
    none = ops.warp_backward(torch.zeros_like(grad).cuda(), image.cuda(), flow.cuda())
    assert not none[0].any() and not none[1].any()


@settings(max_examples=40)
@given(
    st.integers(1, 2),
    st.integers(1, 5),
    sides,
    sides,
    st.sampled_from([None, "srgb", "bt709", "gamma2.2"]),
    st.one_of(st.none(), st.integers(1, 90)),
    st.booleans(),
    seeds,
)
def test_reblur(
    n: int, c: int, h: int, w: int, transfer: str | None, samples: int | None, bend: bool, seed: int
) -> None:
    image, motion = made(seed, n, c, h, w), odd(made(seed + 1, n, 2, h, w, 30))
    curvature = made(seed + 2, n, 2, h, w, 9) if bend else None
    got = ops.reblur(
        image.cuda(), motion.cuda(), None if curvature is None else curvature.cuda(), samples, transfer=transfer
    )
    same(got, ops.reblur(image, motion, curvature, samples, transfer=transfer))


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([None, "srgb"]),
    st.one_of(st.none(), st.integers(1, 20)),
    st.booleans(),
    st.sampled_from([torch.float16, torch.float32]),
    seeds,
)
def test_reblur_crops(
    f: int,
    c: int,
    h: int,
    w: int,
    transfer: str | None,
    samples: int | None,
    bend: bool,
    dtype: torch.dtype,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, min(h, w, 60) + 1))
    crops = np.stack([rng.integers(stop, size=70) for stop in (f, h - size + 1, w - size + 1, 8)], -1)
    scales = rng.uniform(-2, 2, 70)
    frames, motions = made(seed, f, c, h, w).to(dtype), odd(made(seed + 1, f, 2, h, w, 60))
    curvatures = made(seed + 2, f, 2, h, w, 9) if bend else None
    there = ops.reblur_crops(
        frames.cuda(),
        motions.cuda(),
        crops,
        size,
        None if curvatures is None else curvatures.cuda(),
        samples,
        scales=scales,
        transfer=transfer,
    )
    here = ops.reblur_crops(frames, motions, crops, size, curvatures, samples, scales=scales, transfer=transfer)
    for got, wanted in zip(there, here, strict=True):
        same(got, wanted)


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.sampled_from([1, 3]),
    sides,
    sides,
    st.integers(1, 80),
    st.sampled_from(["laplacian", "tenengrad"]),
    st.sampled_from([torch.uint8, torch.uint16, torch.float16, torch.float32]),
    st.booleans(),
    seeds,
)
def test_sharpness(
    n: int, c: int, h: int, w: int, tile: int, measure: str, dtype: torch.dtype, words: bool, seed: int
) -> None:
    if words:  # 8-bit luma that is read four pixels at a time
        w, tile = 4 * w, 4 * tile
    image = made(seed, n, c, h, w)
    image = (image.abs() * {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)).to(dtype)
    same(ops.sharpness(image.cuda(), tile, measure), ops.sharpness(image, tile, measure))


@given(sides, sides, st.integers(0, 9), seeds)
def test_blend_and_mix(h: int, w: int, feather: int, seed: int) -> None:
    base, result, weight = made(seed, 1, 3, h, w), made(seed + 1, 1, 3, h, w), made(seed + 2, 1, 1, h, w)
    weight[weight < 0.1] = 0
    result[weight.expand_as(result) == 0] = float("nan")
    same(ops.mix(base.cuda(), result.cuda(), weight.cuda()), ops.mix(base, result, weight))
    for dtype, bits in ((torch.uint8, None), (torch.uint16, 10), (torch.float16, None)):
        codes = (base.abs() * (1 if bits is None and dtype is torch.float16 else 255)).to(dtype)
        same(ops.mix(codes.cuda(), result.cuda(), weight.cuda(), bits=bits), ops.mix(codes, result, weight, bits=bits))
    for name, bits in (("uint8", None), ("uint16", 12), ("float16", None), ("float32", None)):
        same(
            ops.finish_tiles(base.cuda(), weight.cuda(), name, bits=bits),
            ops.finish_tiles(base, weight, name, bits=bits),
        )
    there, here = torch.zeros(1, 3, h + 9, w + 5).cuda(), torch.zeros(1, 3, h + 9, w + 5)
    there_sum, here_sum = torch.zeros(1, 1, h + 9, w + 5).cuda(), torch.zeros(1, 1, h + 9, w + 5)
    ops.blend_tiles(there, there_sum, base.cuda(), 4, 5, feather)
    ops.blend_tiles(here, here_sum, base, 4, 5, feather)
    same(there, here)
    same(there_sum, here_sum)


def test_work_is_queued_on_the_current_stream() -> None:
    image, flow = made(1, 2, 3, 400, 500).cuda(), made(2, 2, 2, 400, 500, 9).cuda()
    wanted = ops.reblur(image, flow, transfer="srgb")
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # what was queued before has to be waited for ...
        moved = image + 0.0
        got = ops.reblur(moved, flow, transfer="srgb")
        assert not stream.query()  # ... but not by the caller
    stream.synchronize()
    assert torch.equal(got, wanted)


class ByDLPack:
    """A CUDA tensor seen as something that is not torch's."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values
        self.streams: list[int] = []

    def __dlpack__(self, *, stream: int) -> object:
        self.streams.append(stream)
        return self.values.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, number = self.values.__dlpack_device__()
        return int(kind), int(number)


def test_by_dlpack() -> None:
    rng = np.random.default_rng(6)
    image, flow = rng.random((40, 50, 3), np.float32), (rng.random((40, 50, 2), np.float32) - 0.5) * 9
    there, moves, out = (ByDLPack(torch.from_numpy(v).cuda()) for v in (image, flow, np.empty_like(image)))
    assert ops.warp(there, moves, out=out) is out
    assert there.streams == moves.streams == out.streams == [1]  # the legacy default stream
    same(out.values, torch.from_numpy(ops.warp(image, flow)))
    with pytest.raises(ValueError, match=r"out: needs new memory on cuda:0"):
        ops.warp(there, moves)


def test_a_device_of_another_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flow: is on cpu; it must be on cuda:0"):
        ops.warp(torch.zeros(3, 8, 8).cuda(), torch.zeros(2, 8, 8))
