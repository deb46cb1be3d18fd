# SPDX-License-Identifier: Apache-2.0
"""The warp's gradients.

The kernels compute in float32, so gradcheck, which is made for float64, holds a plain float64 torch text of the same
formula to finite differences; the kernels are held to that text's gradients on all that is odd, and to finite
differences of their own where those are exact enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from deblur_engine import ops
from deblur_engine.fitting.warping import warp
from ops_inputs import BORDERS, FLOW, IMAGE, MODES, READ_ONLY, T_FLOW, T_IMAGE, Case, laid_out, layouts, seeds, sides


def taps(x: torch.Tensor, size: int, mode: str, border: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Index and weight of each tap; the weight of one that does not count is zero."""
    base = x.detach().floor()
    f = x - base
    found = []
    for offset in (0, 1) if mode == "bilinear" else (-1, 0, 1, 2):
        d = f - offset if offset <= 0 else offset - f  # not abs: its derivative at 0 is neither side's
        if mode == "bilinear":
            weight = 1 - d
        elif offset in (0, 1):
            weight = 1.5 * d**3 - 2.5 * d**2 + 1
        else:
            weight = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        index, counts = reference.placed((base.long() + offset).numpy(), size, border)
        found.append((torch.from_numpy(index), weight * torch.from_numpy(counts)))
    return found


def plain(image: torch.Tensor, flow: torch.Tensor, mode: str, border: str, exact: bool = False) -> torch.Tensor:
    """The warp of [C, H, W] by [2, H, W], in float64 but for where it reads; ``exact``: that too."""
    _, height, width = image.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    moved = torch.where(flow.isfinite(), flow, 0).clamp(-(2.0**20), 2.0**20)
    kind = torch.float64 if exact else torch.float32
    px, py = ((start.to(kind) + u.to(kind)).double() for start, u in ((x, moved[0]), (y, moved[1])))
    total = torch.zeros(image.shape, dtype=torch.float64)
    for iy, wy in taps(py, height, mode, border):
        for ix, wx in taps(px, width, mode, border):
            total = total + wy * wx * image.double()[:, iy, ix]
    return total


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border", BORDERS)
def test_the_plain_text_is_the_reference_and_its_gradients_are_right(mode: str, border: str) -> None:
    rng = np.random.default_rng(5)
    image, flow = rng.random((7, 9, 2), np.float32), ((rng.random((7, 9, 2)) - 0.5) * 15).astype(np.float32)
    text = plain(*(torch.from_numpy(v).permute(2, 0, 1) for v in (image, flow)), mode, border)
    np.testing.assert_allclose(text.permute(1, 2, 0), reference.warp(image, flow, mode, border)[0], atol=1e-12)
    # Away from the kinks, so that finite differences cross none.
    away = torch.from_numpy(rng.integers(-4, 4, (2, 5, 4)) + rng.uniform(0.1, 0.9, (2, 5, 4))).requires_grad_()
    small = torch.from_numpy(rng.random((2, 5, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, f: plain(i, f, mode, border, exact=True), (small, away))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.filterwarnings("ignore:Input #")  # that it is not float64
def test_gradcheck_of_the_kernels(mode: str, border: str) -> None:
    rng = np.random.default_rng(6)
    flow = torch.from_numpy((rng.integers(-4, 4, (2, 5, 4)) + rng.uniform(0.2, 0.8, (2, 5, 4))).astype(np.float32))
    image = torch.from_numpy(rng.random((2, 5, 4), np.float32))
    # Bilinear is linear between its kinks: a large step is exact, and small rounding. Bicubic errs by its square.
    inputs = (image.requires_grad_(), flow.requires_grad_())
    assert torch.autograd.gradcheck(lambda i, f: warp(i, f, mode, border), inputs, eps=2**-6, atol=2e-3, rtol=1e-3)


@given(
    sides,
    sides,
    st.integers(1, 4),
    st.sampled_from(MODES),
    st.sampled_from(BORDERS),
    layouts,
    st.sampled_from([0.0, 0.7, 6.0, 300.0]),
    st.booleans(),
    seeds,
)
def test_warp_backward(
    height: int, width: int, channels: int, mode: str, border: str, layout: str, reach: float, odd: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image, grad = (rng.random((height, width, channels), np.float32) for _ in range(2))
    flow = ((rng.random((height, width, 2)) - 0.5) * 2 * reach).astype(np.float32)
    if odd:
        flow.flat[rng.integers(flow.size, size=3)] = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e9], 3)
    got = ops.warp_backward(laid_out(grad, layout), laid_out(image, layout), laid_out(flow, layout), mode, border)
    assert [g.dtype for g in got] == [np.float32, np.float32]
    t_image, t_flow = (torch.from_numpy(v).permute(2, 0, 1).requires_grad_() for v in (image, flow))
    t_grad = torch.from_numpy(grad).permute(2, 0, 1)
    wanted = torch.autograd.grad((plain(t_image, t_flow, mode, border) * t_grad).sum(), (t_image, t_flow))
    most = height * width if reach > 100 or odd else 200  # pixels that may meet in one
    for one, exact, terms in zip(got, wanted, (most, 16 * channels), strict=True):
        exact = exact.permute(1, 2, 0).numpy()
        np.testing.assert_allclose(one, exact, atol=reference.TOLERANCE["warp_backward"] * terms, rtol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border", BORDERS)
def test_the_gradient_to_the_image_is_the_transpose_of_the_warp(mode: str, border: str) -> None:
    # <grad, warp(image)> = <warp'(grad), image>: one number from each side.
    rng = np.random.default_rng(8)
    image, grad = rng.random((33, 150, 3), np.float32), rng.random((33, 150, 3), np.float32)
    flow = ((rng.random((33, 150, 2)) - 0.5) * 40).astype(np.float32)
    to_image, nothing = ops.warp_backward(grad, image, flow, mode, border, needs=(True, False))
    assert nothing is None
    forward = (grad.astype(float) * ops.warp(image, flow, mode, border)).sum()
    np.testing.assert_allclose((to_image.astype(float) * image).sum(), forward, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_half_precision(mode: str) -> None:
    rng = np.random.default_rng(9)
    image, grad = rng.random((20, 75, 3)).astype(np.float16), rng.random((20, 75, 3)).astype(np.float16)
    flow = ((rng.random((20, 75, 2)) - 0.5) * 9).astype(np.float16)
    got = ops.warp_backward(grad, image, flow, mode)
    wanted = ops.warp_backward(*(v.astype(np.float32) for v in (grad, image, flow)), mode)
    for one, exact in zip(got, wanted, strict=True):
        assert one.dtype == np.float16
        np.testing.assert_array_equal(one, exact.astype(np.float16))


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, threads: int, count: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    rng = np.random.default_rng(10)
    image, grad = (rng.random((count, 41, 70, 3), np.float32) for _ in range(2))
    flow = ((rng.random((count, 41, 70, 2)) - 0.5) * 60).astype(np.float32)
    for border in BORDERS:
        once = ops.warp_backward(grad, image, flow, "bicubic", border, threads=1)
        for one, other in zip(
            once, ops.warp_backward(grad, image, flow, "bicubic", border, threads=threads), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_where_nothing_is_pointed_at_the_flow_gets_no_gradient() -> None:
    flow = FLOW.copy()
    flow[2, 3], flow[4, 5] = (np.nan, 1.3), (0.3, 1e9)
    _, to_flow = ops.warp_backward(IMAGE, IMAGE, flow)
    assert to_flow[2, 3, 0] == 0 and to_flow[2, 3, 1] != 0
    assert to_flow[4, 5, 1] == 0


def test_gradients_that_are_not_finite_are_kept() -> None:
    grad = np.zeros_like(IMAGE)
    grad[4, 6] = np.inf, -np.inf, np.nan
    to_image, _ = ops.warp_backward(grad, IMAGE, np.full((9, 14, 2), 0.5, np.float32))
    assert (to_image[4:6, 6:8] == (np.inf, -np.inf, np.nan)).all(axis=(0, 1)).tolist() == [True, True, False]
    assert np.isnan(to_image[4:6, 6:8, 2]).all() and np.count_nonzero(to_image) == 12


def test_tensors_and_empty_batches() -> None:
    image, flow = T_IMAGE[None].clone().requires_grad_(), T_FLOW[None].clone().requires_grad_()
    warp(image, flow, "bicubic", "reflect").sum().backward()  # a gradient of one element, spread
    to_image, to_flow = ops.warp_backward(np.ones_like(IMAGE), IMAGE, FLOW, "bicubic", "reflect")
    np.testing.assert_array_equal(image.grad[0].permute(1, 2, 0), to_image)
    np.testing.assert_array_equal(flow.grad[0].permute(1, 2, 0), to_flow)
    flow.grad = None
    warp(image.detach(), flow).sum().backward()
    assert flow.grad is not None
    empty = ops.warp_backward(T_IMAGE[None][:0], T_IMAGE[None][:0], T_FLOW[None][:0])
    assert [tuple(g.shape) for g in empty] == [(0, 3, 9, 14), (0, 2, 9, 14)]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        (first,) = torch.autograd.grad((warp(image, flow) ** 2).sum(), image, create_graph=True)
        (first * image).sum().backward()


def test_memory_for_the_gradients_can_be_given() -> None:
    to_image, to_flow = np.empty_like(IMAGE), np.empty_like(FLOW)
    got = ops.warp_backward(IMAGE, IMAGE, FLOW, grad_image=to_image, grad_flow=to_flow)
    assert got[0] is to_image and got[1] is to_flow
    for one, other in zip(got, ops.warp_backward(IMAGE, IMAGE, FLOW), strict=True):
        np.testing.assert_array_equal(one, other)


CASES: list[Case] = [
    ("grad shape", ValueError, r"grad: shape \[9, 13, 3\]", lambda: ops.warp_backward(IMAGE[:, 1:], IMAGE, FLOW)),
    (
        "grad dtype",
        TypeError,
        "grad: is float16; it must be float32",
        lambda: ops.warp_backward(IMAGE.astype(np.float16), IMAGE, FLOW),
    ),
    ("grad kind", TypeError, "grad: is a ndarray", lambda: ops.warp_backward(IMAGE, T_IMAGE, T_FLOW)),
    (
        "grad_image read-only",
        ValueError,
        "grad_image: is read-only",
        lambda: ops.warp_backward(IMAGE, IMAGE, FLOW, grad_image=READ_ONLY),
    ),
    (
        "grad_image is grad",
        ValueError,
        "grad_image: shares memory with grad",
        lambda: ops.warp_backward(IMAGE, IMAGE * 1, FLOW, grad_image=IMAGE),
    ),
    (
        "grad_flow dtype",
        TypeError,
        "grad_flow: is float16; it must be float32",
        lambda: ops.warp_backward(IMAGE, IMAGE, FLOW, grad_flow=FLOW.astype(np.float16)),
    ),
    ("mode", ValueError, "mode: is 'cubic'", lambda: ops.warp_backward(IMAGE, IMAGE, FLOW, "cubic")),
]


@pytest.mark.parametrize(("kind", "says", "call"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_errors_name_the_argument(kind: type[Exception], says: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says):
        call()
