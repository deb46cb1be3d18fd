# SPDX-License-Identifier: Apache-2.0
"""What makes fitting quick must not change what comes out: batches made ahead, bfloat16, CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from deblur_engine.fitting.ahead import Ahead
from deblur_engine.fitting.batches import Batch, Batches
from deblur_engine.fitting.held_out import HeldOut
from deblur_engine.fitting.loop import FittingLoop, computes_in_bf16
from deblur_engine.fitting.pairs import Pair
from deblur_engine.settings import FitSettings
from deblur_engine.task import Task

CPU = torch.device("cpu")
QUICK = FitSettings(minutes=50, steps=6, batch=2, crop=32, width=4, device="cpu")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def sequence(ahead: Ahead[Batch], count: int) -> list[torch.Tensor]:
    return [ahead.draw().sharp for _ in range(count)]


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return len(one) == len(two) and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_batches_made_ahead_are_the_same_in_the_same_order(pairs: list[Pair], two_threads: None) -> None:
    plain = Batches(pairs, 32, 2, CPU, 4)
    wanted = [plain.draw().sharp for _ in range(6)]
    ahead = Ahead(Batches(pairs, 32, 2, CPU, 4), lambda batch: batch, thread=True)
    first = sequence(ahead, 2)
    assert torch.get_num_threads() == 1  # the other one makes batches
    kept = ahead.state()
    assert same(first + sequence(ahead, 2), wanted[:4])
    ahead.close()
    assert torch.get_num_threads() == 2
    assert same(sequence(ahead, 2), wanted[4:])  # what was made ahead and not drawn is not lost
    ahead.restore(kept)
    assert ahead.state() == kept
    assert same(sequence(ahead, 2), wanted[2:4])
    ahead.close()
    ahead.close()
    other = Ahead(Batches(pairs, 32, 2, CPU, 9), lambda batch: batch, thread=False)
    other.restore(kept)
    assert same(sequence(other, 2), wanted[2:4])


def test_what_goes_wrong_in_the_thread_is_raised_by_who_draws(pairs: list[Pair], two_threads: None) -> None:
    def fail(batch: Batch) -> Batch:
        raise MemoryError("no room for a batch")

    ahead = Ahead(Batches(pairs, 32, 2, CPU, 4), fail, thread=True)
    with pytest.raises(MemoryError, match="no room"):
        ahead.draw()
    ahead.close()
    assert torch.get_num_threads() == 2


def fitted(pairs: list[Pair], *, half: bool = False, device: torch.device = CPU, steps: int = 6) -> FittingLoop:
    torch.manual_seed(0)
    loop = FittingLoop(pairs, HeldOut(pairs[:1]), replace(QUICK, steps=steps), device)
    with torch.no_grad():
        loop.network.head.weight.normal_(0, 0.01)  # type: ignore[union-attr, operator]
    loop.half = half
    loop.run(Task(), 1e9)
    return loop


def test_a_fit_is_the_same_with_and_without_the_thread(pairs: list[Pair], two_threads: None) -> None:
    threaded = fitted(pairs)
    torch.set_num_threads(1)
    alone = fitted(pairs)
    for (name, one), two in zip(
        threaded.network.state_dict().items(), alone.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name
    assert threaded.batches.state() == alone.batches.state()


def test_bfloat16_goes_the_same_way(pairs: list[Pair]) -> None:
    """Weights stay float32; what a few steps change in them is the same but for its rounding."""
    begun = FittingLoop(pairs, HeldOut(pairs[:1]), QUICK, CPU).network.state_dict()
    full, half = fitted(pairs).network.state_dict(), fitted(pairs, half=True).network.state_dict()
    for name in ("stem.weight", "head.weight", "coarse.1.first.weight"):
        assert half[name].dtype == torch.float32
        one, two = (state[name] - begun[name] for state in (full, half))
        assert bool(one.any()) and float((one - two).norm()) < 0.5 * float(one.norm())
    assert isinstance(computes_in_bf16(CPU), bool) and computes_in_bf16(torch.device("cuda"))


@pytest.mark.gpu
def test_a_cuda_graph_does_what_the_plain_step_does(pairs: list[Pair]) -> None:
    device = torch.device("cuda")
    graphed = fitted(pairs, half=True, device=device, steps=12)
    assert graphed._learn._graph is not None  # type: ignore[attr-defined]
    torch.manual_seed(0)
    plain = FittingLoop(pairs, HeldOut(pairs[:1]), replace(QUICK, steps=12), device)
    with torch.no_grad():
        plain.network.head.weight.normal_(0, 0.01)  # type: ignore[union-attr, operator]
    for _ in range(12):
        plain._set_rate(plain._rate(plain._share(1e9)))
        plain._step()
        plain.progress.step += 1
    plain.batches.close()
    for (name, one), two in zip(graphed.network.state_dict().items(), plain.network.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=0.05, atol=2e-3, msg=name)
