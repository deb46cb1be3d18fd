# SPDX-License-Identifier: Apache-2.0
"""The native warp as a function that torch differentiates."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .. import ops
from ..ops.warp import Border, Mode


class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: torch.Tensor, flow: torch.Tensor, mode: Mode, border: Border, threads: int | None
    ) -> torch.Tensor:
        ctx.save_for_backward(image, flow)
        ctx.how = mode, border, threads
        warped: torch.Tensor = ops.warp(image, flow, mode, border, threads=threads)
        return warped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        image, flow = ctx.saved_tensors
        mode, border, threads = ctx.how
        grads = ops.warp_backward(grad, image, flow, mode, border, needs=ctx.needs_input_grad[:2], threads=threads)
        return *grads, None, None, None


def warp(
    image: torch.Tensor,
    flow: torch.Tensor,
    mode: Mode = "bilinear",
    border: Border = "replicate",
    *,
    threads: int | None = None,
) -> torch.Tensor:
    """``ops.warp`` of tensors, differentiable once by image and flow (``ops.warp_backward``)."""
    warped: torch.Tensor = _Warp.apply(image, flow, mode, border, threads)
    return warped
