# SPDX-License-Identifier: Apache-2.0
"""The network's promises, and the loss against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from deblur_engine.fitting.losses import restoration_loss
from deblur_engine.fitting.network import TAPS, DeblurNet, along_path, unsigned


def inputs(height: int, width: int, count: int = 1, seed: int = 0) -> tuple[Tensor, ...]:
    made = torch.Generator().manual_seed(seed)
    frame, other = (torch.rand(count, 3, height, width, generator=made) for _ in range(2))
    estimate = 0.1 * torch.randn(count, 3, height, width, generator=made)
    confidence = (torch.rand(count, 2, height, width, generator=made) - 0.3).clamp(0, 1)
    motion = torch.randn(count, 2, height, width, generator=made) * 6
    return frame, estimate, other - frame, confidence, motion


def blended(frame: Tensor, estimate: Tensor, reference: Tensor, confidence: Tensor, _: Tensor) -> Tensor:
    return frame + estimate + confidence[:, :1] * (reference - estimate)


def woken(width: int = 8, seed: int = 0) -> DeblurNet:
    """A network whose head does something."""
    torch.manual_seed(seed)
    network = DeblurNet(width)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    return network.eval()


@given(st.integers(1, 41), st.integers(1, 41))
@hypothesis_settings(max_examples=15)
def test_a_new_network_returns_the_blend_at_any_size(height: int, width: int) -> None:
    given_ = inputs(height, width, 2)
    with torch.no_grad():
        restored = DeblurNet(4)(*given_)
    torch.testing.assert_close(restored, blended(*given_), rtol=0, atol=0)


def test_keep_blend_forgets_what_was_learned() -> None:
    network, given_ = woken(), inputs(16, 24)
    blend = blended(*given_)
    with torch.no_grad():
        assert (network(*given_) - blend).abs().max() > 0.01
        network.keep_blend()
        torch.testing.assert_close(network(*given_), blend, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (17, 31), (40, 1)])
def test_any_size_is_restored_without_a_hole(size: tuple[int, int]) -> None:
    with torch.no_grad():
        restored = woken()(*inputs(*size, 2))
    assert restored.shape == (2, 3, *size) and bool(torch.isfinite(restored).all())


def test_pictures_of_a_batch_do_not_touch_each_other() -> None:
    network, given_ = woken(), inputs(24, 32, 3)
    with torch.no_grad():
        together = network(*given_)
        alone = network(*(t[1:2] for t in given_))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_everything_that_alignment_tells_is_seen() -> None:
    network, given_ = woken(), inputs(24, 32)
    with torch.no_grad():
        restored = network(*given_)
        for k in range(len(given_)):
            other = [torch.zeros_like(t) if j == k else t for j, t in enumerate(given_)]
            assert (network(*other) - restored).abs().max() > 1e-3, k


def test_a_path_and_its_reverse_are_told_alike() -> None:
    motion = inputs(9, 11)[-1]
    torch.testing.assert_close(unsigned(motion), unsigned(-motion), rtol=0, atol=0)
    assert not torch.allclose(unsigned(motion), unsigned(motion.flip(1)))


def test_the_length_is_told_in_its_unit_and_no_motion_is_no_hole() -> None:
    motion = torch.tensor([[3.0, 4.0], [0.0, 0.0]]).view(2, 2, 1, 1).requires_grad_()
    told = unsigned(motion)
    torch.testing.assert_close(told[0, :, 0, 0], torch.tensor([5.0, -7 / 5, 24 / 5]) / 16, rtol=1e-3, atol=1e-5)
    told.sum().backward()
    assert told[1].abs().max() < 1e-3 and motion.grad is not None and bool(torch.isfinite(motion.grad).all())


def test_the_reverse_path_is_read_in_reverse() -> None:
    frame, *_, motion = inputs(12, 17)
    there, back = along_path(frame[:, :1], motion, TAPS), along_path(frame[:, :1], -motion, TAPS)
    torch.testing.assert_close(there, back.flip(1), rtol=0, atol=1e-5)


def test_along_path_reads_luma_between_pixels() -> None:
    frame, *_, motion = inputs(11, 14, 2, seed=3)
    luma = frame[:, 0].double().numpy()
    y, x = np.mgrid[0:11, 0:14].astype(np.float64)
    wanted = np.empty((2, len(TAPS), 11, 14))
    for n in range(2):
        for k, tap in enumerate(TAPS):
            at_x = np.clip(x + tap * motion[n, 0].double().numpy(), 0, 13)
            at_y = np.clip(y + tap * motion[n, 1].double().numpy(), 0, 10)
            left, top = np.floor(at_x).astype(int), np.floor(at_y).astype(int)
            right, bottom = np.minimum(left + 1, 13), np.minimum(top + 1, 10)
            fx, fy = at_x - left, at_y - top
            upper = luma[n][top, left] * (1 - fx) + luma[n][top, right] * fx
            lower = luma[n][bottom, left] * (1 - fx) + luma[n][bottom, right] * fx
            wanted[n, k] = upper * (1 - fy) + lower * fy - luma[n]
    np.testing.assert_allclose(along_path(frame[:, :1], motion, TAPS).numpy(), wanted, atol=1e-4)


def plain_loss(restored: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """By picture."""
    off = restored.astype(np.float64) - sharp
    pixels = np.sqrt(off**2 + 1e-6).mean((1, 2, 3))
    return pixels + 0.05 * np.abs(np.fft.rfft2(off, norm="ortho")).mean((1, 2, 3))


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (1, 1)])
def test_the_loss_is_charbonnier_and_the_spectrum(size: tuple[int, int]) -> None:
    restored, sharp, *_ = inputs(*size, 3)
    wanted = plain_loss(restored.numpy(), sharp.numpy())
    np.testing.assert_allclose(float(restoration_loss(restored, sharp)), wanted.mean(), rtol=1e-5)
    importance = torch.tensor([2.0, 0.0, 1.0]).view(3, 1, 1, 1)
    found = float(restoration_loss(restored, sharp, importance))
    np.testing.assert_allclose(found, (wanted * [2, 0, 1]).mean(), rtol=1e-5)


def test_the_loss_is_least_and_its_slope_finite_where_all_is_right() -> None:
    sharp = inputs(8, 8)[0]
    restored = sharp.clone().requires_grad_()
    loss = restoration_loss(restored, sharp)
    loss.backward()
    assert loss.item() == pytest.approx(1e-3, rel=1e-3)
    assert restored.grad is not None and bool(torch.isfinite(restored.grad).all())
    assert restoration_loss(sharp + 0.01, sharp).item() > loss.item()
