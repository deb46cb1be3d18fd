# SPDX-License-Identifier: Apache-2.0
"""Steps per second of the fitting loop, against a plain PyTorch loop of the same network in the same run.

    python tests/bench/fitting.py --threads 2 --rounds 7
    python tests/bench/fitting.py --recipe paper --steps 2

The plain loop does the same work as one writes it: the same network, losses, batch, crops (by the same code, in line in
the main thread), clipping of gradients, AdamW and running mean of the weights; float32, contiguous tensors, torch's own
defaults. The two take turns, so that what else the machine does falls on both; given are medians over the rounds, of
wall time and of processor time (all threads), and the ratio of each round's two. Neither the pairs' pictures nor the
weights matter to the speed, so both are made up.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from deblur_engine.fitting import recipes
from deblur_engine.fitting.fit_clip import torch_device
from deblur_engine.fitting.held_out import HeldOut
from deblur_engine.fitting.loop import FittingLoop, computes_in_bf16
from deblur_engine.fitting.pairs import Pair
from deblur_engine.fitting.paper.vgg import BLOCKS, Vgg
from deblur_engine.media import ColourTags
from deblur_engine.settings import FitSettings

SIZE = (360, 640)
PAIRS = 24
CLIP_NORM = 0.5


def made_up_pair(seed: int) -> Pair:
    rng = np.random.default_rng(seed)

    def noise(channels: int, spread: float) -> np.ndarray:
        return rng.normal(0, spread, (*SIZE, channels)).astype(np.float16)

    sharp = rng.random((*SIZE, 3)).astype(np.float16)
    one = np.ones((*SIZE, 1), np.float16)
    return Pair(
        sharp + noise(3, 0.05), sharp, noise(3, 0.1), noise(3, 0.1), abs(noise(2, 0.5)), noise(2, 10), one, seed, True
    )


def made_up_vgg() -> Vgg:
    """Of VGG-19's own widths."""
    generator, weights, before = torch.Generator().manual_seed(0), [], 3
    for count, channels in zip(BLOCKS, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            weight = torch.randn(channels, before, 3, 3, generator=generator) * (2 / (9 * before)) ** 0.5
            weights.append((weight, torch.zeros(channels)))
            before = channels
    return Vgg(weights, (0.485, 0.456, 0.406))


def plain_loop(recipe: recipes.Recipe, pairs: list[Pair], device: torch.device) -> Callable[[], object]:
    """One step of the loop that ours is measured against."""
    torch.manual_seed(0)
    network, mean = recipe.network(), recipe.network().requires_grad_(False)
    fitted = [(n, m) for n, m in zip(network.parameters(), mean.parameters(), strict=True) if n.requires_grad]
    weights = [n for n, _ in fitted]
    if recipe.has_blend:
        optimiser: torch.optim.Optimizer = torch.optim.AdamW(weights, 1e-3, betas=(0.9, 0.95), weight_decay=1e-4)
    else:
        optimiser = torch.optim.Adam(weights, 1e-3)
    batches = recipe.batches(pairs, ColourTags(), 1)

    def step() -> float:
        batch = batches.draw()
        restored = network(*(given.contiguous() for given in batch.inputs))
        loss = recipe.loss(restored, batch.sharp)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP_NORM)
        optimiser.step()
        with torch.no_grad():
            for of_network, of_mean in fitted:
                of_mean.lerp_(of_network, 0.005)
        return loss.item()

    return step


def our_loop(
    settings: FitSettings, recipe: recipes.Recipe, pairs: list[Pair], device: torch.device, *, half: bool
) -> FittingLoop:
    loop = FittingLoop(pairs, HeldOut(pairs[:1]), settings, device, recipe=recipe)
    loop.half = half
    loop.use_graph(print)
    return loop


def timed(loop: FittingLoop | Callable[[], object], steps: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a step: wall time, processor time; without the first, for which no batch was made ahead."""
    step = loop._step if isinstance(loop, FittingLoop) else loop
    step()
    wall, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    if isinstance(loop, FittingLoop):
        loop.batches.close()  # the other loop has all threads
    return wall / steps, busy / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=["reference-blend", "paper"], default="reference-blend")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="of each loop in a round")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch_device(options.device)
    settings = FitSettings(recipe=options.recipe, minutes=1000, steps=10**6, pairs=PAIRS).resolved()
    if options.recipe == "paper":
        vgg = made_up_vgg()
        recipes.find_vgg, recipes.load_vgg = (lambda given: given), (lambda path: vgg)  # type: ignore[assignment]
    recipe, its_own = recipes.recipe_of(settings, device), recipes.recipe_of(settings, device)
    pairs = [made_up_pair(seed) for seed in range(PAIRS)]
    native = computes_in_bf16(device)
    plain = plain_loop(its_own, pairs, device)
    loops: dict[str, FittingLoop | Callable[[], object]] = {
        "plain": plain,
        "ours": our_loop(settings, recipe, pairs, device, half=native),
    }
    if native:
        loops["ours, float32"] = our_loop(settings, recipe, pairs, device, half=False)
    for loop in loops.values():
        timed(loop, 4 if device.type == "cuda" else 1, device)  # past the capture of a graph
    rounds = [{name: timed(loop, options.steps, device) for name, loop in loops.items()} for _ in range(options.rounds)]
    print(
        f"{options.recipe}, batch {settings.batch} x {settings.crop}², {device}, {options.threads} threads, torch "
        f"{torch.__version__}, bfloat16 {'native' if native else 'no'}; medians of {options.rounds} rounds of "
        f"{options.steps} steps\n"
    )
    print("| loop | ms a step | steps a second | processor ms a step | times plain, wall | times plain, processor |")
    print("|---|---|---|---|---|---|")
    for name in loops:
        wall, busy = (statistics.median(r[name][k] for r in rounds) for k in (0, 1))
        ratios = [statistics.median(r["plain"][k] / r[name][k] for r in rounds) for k in (0, 1)]
        print(f"| {name} | {wall * 1e3:.1f} | {1 / wall:.2f} | {busy * 1e3:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
