# SPDX-License-Identifier: Apache-2.0
"""Whose memory the ops read and write: tensors, batches, out, odd alignment, DLPack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine import ops
from deblur_engine.ops import buffers
from deblur_engine.ops.buffers import DeviceArray
from ops_inputs import (
    BORDERS,
    F32,
    FLOW,
    HW,
    IMAGE,
    MODES,
    READ_ONLY,
    T_FLOW,
    T_IMAGE,
    field,
    laid_out,
    picture,
    seeds,
    sides,
    tensor,
)


@given(sides, sides, st.integers(1, 5), st.sampled_from(MODES), st.sampled_from(BORDERS), seeds)
def test_tensors_and_arrays_agree(height: int, width: int, channels: int, mode: str, border: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, flow = picture(rng, height, width, channels), field(rng, height, width, 9.0)
    other, weight = picture(rng, height, width, channels), picture(rng, height, width, 1)

    def same(got: torch.Tensor, wanted: F32) -> None:
        np.testing.assert_array_equal(np.moveaxis(got[0].numpy(), 0, -1), wanted)

    warped, mask = ops.warp(tensor(image), tensor(flow), mode, border, return_mask=True)
    wanted, wanted_mask = ops.warp(image, flow, mode, border, return_mask=True)
    same(warped, wanted)
    same(mask, wanted_mask[..., None])
    same(
        ops.reblur(tensor(image), tensor(flow), tensor(flow[::-1]), transfer="srgb"),
        ops.reblur(image, flow, flow[::-1], transfer="srgb"),
    )
    same(ops.mix(tensor(image), tensor(other), tensor(weight)), ops.mix(image, other, weight[..., 0]))
    sums, weights = tensor(image), torch.zeros(1, 1, height, width)
    ops.blend_tiles(sums, weights, tensor(other), 0, 0, 3)
    sums_wanted, weights_wanted = image.copy(), np.zeros((height, width), np.float32)
    ops.blend_tiles(sums_wanted, weights_wanted, other, 0, 0, 3)
    same(sums, sums_wanted)
    same(weights, weights_wanted[..., None])
    if channels in (1, 3):
        sharp = ops.sharpness(tensor(image), 8)
        np.testing.assert_array_equal(sharp[0].numpy(), ops.sharpness(image, 8))


def test_batches_are_their_pictures_one_by_one() -> None:
    rng = np.random.default_rng(8)
    images, flows = rng.random((3, 20, 30, 3), np.float32), (rng.random((3, 20, 30, 2), np.float32) - 0.5) * 8
    warped = ops.warp(images, flows)
    blurred = ops.reblur(images, flows, transfer="bt709")
    sharp = ops.sharpness(images, 8)
    assert sharp.shape == (3, 3, 4)
    for i in range(3):
        np.testing.assert_array_equal(warped[i], ops.warp(images[i], flows[i]))
        np.testing.assert_array_equal(blurred[i], ops.reblur(images[i], flows[i], transfer="bt709"))
        np.testing.assert_array_equal(sharp[i], ops.sharpness(images[i], 8))
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)  # channels last in memory
    same = ops.warp(nchw, torch.from_numpy(flows).permute(0, 3, 1, 2))
    np.testing.assert_array_equal(same.permute(0, 2, 3, 1).numpy(), warped)


def test_an_empty_batch_is_an_empty_result() -> None:
    assert ops.warp(torch.zeros(0, 3, 8, 9), torch.zeros(0, 2, 8, 9)).shape == (0, 3, 8, 9)
    assert ops.sharpness(np.zeros((0, 8, 9, 3), np.uint8), 4).shape == (0, 2, 3)


def test_out_is_filled_and_returned() -> None:
    rng = np.random.default_rng(9)
    image, flow = picture(rng, 12, 13, 3), field(rng, 12, 13, 3.0)
    for layout in ("plain", "mirrored", "planar", "spread"):
        out = laid_out(np.zeros_like(image), layout)
        assert ops.warp(image, flow, out=out) is out
        np.testing.assert_array_equal(out, ops.warp(image, flow))
        assert ops.reblur(image, flow, out=out, transfer="srgb") is out
        np.testing.assert_array_equal(out, ops.reblur(image, flow, transfer="srgb"))
        assert ops.mix(image, image[::-1].copy(), flow[..., 0].copy(), out=out) is out
        np.testing.assert_array_equal(out, ops.mix(image, image[::-1].copy(), flow[..., 0].copy()))


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


# ---- DLPack


class ByDLPack:
    """An array that is known by DLPack alone, on the CPU or, as it says, elsewhere."""

    def __init__(self, values: Any, device: tuple[int, int] = (1, 0), versioned: bool = True) -> None:
        self.values, self.device, self.versioned = values, device, versioned
        self.streams: list[Any] = []

    def __dlpack__(self, *, stream: Any = None, **wanted: Any) -> Any:
        if wanted and not self.versioned:
            raise TypeError(f"unexpected {list(wanted)}")
        self.streams.append(stream)
        wanted.pop("dl_device", None)
        return self.values.__dlpack__(**wanted)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


@pytest.mark.parametrize("versioned", [True, False])
def test_objects_with_dlpack_are_arrays(versioned: bool) -> None:
    values = IMAGE[:, ::-1]
    got = ops.warp(ByDLPack(values, versioned=versioned), ByDLPack(FLOW, versioned=versioned))
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, ops.warp(values, FLOW))
    out = np.empty_like(IMAGE)
    target = ByDLPack(torch.from_numpy(out))
    assert ops.warp(ByDLPack(values), FLOW, out=target) is target
    np.testing.assert_array_equal(out, got)


def test_dlpack_memory_is_not_copied() -> None:
    sums, weights = np.zeros((9, 14, 3), np.float32), np.zeros((9, 14), np.float32)
    ops.blend_tiles(ByDLPack(torch.from_numpy(sums)), ByDLPack(torch.from_numpy(weights)), IMAGE, 0, 0, 0)
    np.testing.assert_array_equal(sums, IMAGE)
    assert (weights == 1).all()
    with pytest.raises(ValueError, match="out: shares memory with image"):
        image = IMAGE.copy()
        ops.warp(ByDLPack(image), FLOW, out=image)


@pytest.mark.parametrize(
    ("kind", "says", "call"),
    [
        (TypeError, "image: is float64; it must be", lambda: ops.warp(ByDLPack(IMAGE.astype(float)), FLOW)),
        (TypeError, "image: .* cannot be borrowed", lambda: ops.warp(ByDLPack(T_IMAGE.bfloat16()), FLOW)),
        (TypeError, "flow: is a ByDLPack; it must be a torch tensor", lambda: ops.warp(T_IMAGE, ByDLPack(FLOW))),
        (TypeError, "flow: is a Tensor; it must be a NumPy array", lambda: ops.warp(ByDLPack(IMAGE), T_FLOW)),
        (ValueError, r"image: is on DLPack device \(8, 0\)", lambda: ops.warp(ByDLPack(IMAGE, (8, 0)), FLOW)),
        (ValueError, "flow: is on cpu; it must be on cuda:1", lambda: ops.warp(ByDLPack(IMAGE, (2, 1)), FLOW)),
        (ValueError, "out: needs new memory on cuda:0", lambda: ops.mix(on_cuda(IMAGE), on_cuda(IMAGE), on_cuda(HW))),
    ],
)
def test_errors_of_dlpack_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()


def on_cuda(values: Any, **settings: Any) -> ByDLPack:
    """Memory of the CPU that says it is a device's: it is looked at, and never touched."""
    return ByDLPack(values, (2, 0), **settings)


@pytest.mark.parametrize("versioned", [True, False])
def test_memory_of_a_device_is_described_as_it_is(versioned: bool) -> None:
    values = np.arange(24, dtype=np.float16).reshape(4, 6)[::-1, 1:5:2]
    seen = DeviceArray.of(on_cuda(values, versioned=versioned), 7)
    assert seen.pointer == values.__array_interface__["data"][0]
    assert (seen.shape, seen.strides, seen.typestr, seen.device) == (values.shape, values.strides, "<f2", "cuda:0")
    assert not seen.read_only


def test_a_device_array_as_output_must_be_writable() -> None:
    image = on_cuda(IMAGE)
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this NumPy does not pass on that an array is read-only")
    with pytest.raises(ValueError, match="out: is read-only"):
        ops.warp(image, on_cuda(FLOW), out=on_cuda(READ_ONLY))


def test_owners_are_asked_to_order_their_work_before_the_pictures_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    class Cupyish(ByDLPack):
        __cuda_array_interface__ = {"stream": 1234}  # noqa: RUF012

    monkeypatch.setattr(buffers._ops, "cuda_devices", lambda: 1)
    monkeypatch.setattr(buffers._ops, "warp", lambda **arguments: calls.append(arguments))
    for image, stream in ((on_cuda(IMAGE), 1), (Cupyish(IMAGE, (2, 0)), 1234)):
        flow, out = on_cuda(FLOW), on_cuda(np.empty_like(IMAGE))
        assert ops.warp(image, flow, out=out) is out
        assert image.streams == flow.streams == out.streams == [stream]
        assert calls[-1]["device"] == 0 and calls[-1]["stream"] == stream
        view = calls[-1]["image"].__cuda_array_interface__
        assert view["shape"] == (1, 3, 9, 14) and view["strides"] == (0, 4, 168, 12)


def test_a_capsule_that_was_read_is_refused() -> None:
    capsule = IMAGE.__dlpack__()
    torch.from_dlpack(capsule)
    with pytest.raises(BufferError, match="yet to be read"):
        buffers._ops.read_dlpack(capsule)
