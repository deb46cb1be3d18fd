# SPDX-License-Identifier: Apache-2.0
"""A training step as one CUDA graph: a network this small is bound by the launching of its kernels, not by their work.

Written for want of a GPU from torch's documentation ("CUDA semantics", Graph memory management) and not run yet;
``tests/fitting/test_speed.py`` compares it with the plain step where there is one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .batches import Batch

__all__ = ["Graphed"]

_WARM = 3  # steps as usual before the capture, in which cuDNN chooses and buffers are made


class Graphed:
    """``learn(batch)``, replayed: it must do the same each time and never wait for the GPU.

    It is called as it is for the first few steps, for batches of other shapes, and where capturing fails (which is told
    to ``warn``).
    """

    def __init__(self, learn: Callable[[Batch], Tensor], warn: Callable[[str], None]) -> None:
        self._learn, self._warn = learn, warn
        self._seen = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given: list[Tensor] = []
        self._loss = torch.zeros(())

    def __call__(self, batch: Batch) -> Tensor:
        """The step's loss, a scalar on the device that the next call may overwrite."""
        tensors = [*batch.inputs, batch.sharp]
        if self._graph is None and self._seen == _WARM:
            self._capture(tensors)
        self._seen += 1
        if self._graph is None or [t.shape for t in tensors] != [t.shape for t in self._given]:
            return self._plain(batch)
        for kept, given in zip(self._given, tensors, strict=True):
            kept.copy_(given)
        self._graph.replay()
        return self._loss

    def _plain(self, batch: Batch) -> Tensor:
        # On a stream of its own, as capturing asks of the steps before it.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._learn(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _capture(self, tensors: list[Tensor]) -> None:
        self._given = [tensor.clone() for tensor in tensors]
        graph = torch.cuda.CUDAGraph()
        try:
            # Batches are made meanwhile in another thread, whose calls must not end the capture.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._loss = self._learn(Batch(tuple(self._given[:-1]), self._given[-1]))
        except RuntimeError as problem:
            self._warn(f"the step could not be captured as a CUDA graph and runs as it is: {problem!s:.120}")
            return
        self._graph = graph
