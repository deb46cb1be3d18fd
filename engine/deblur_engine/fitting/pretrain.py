# SPDX-License-Identifier: Apache-2.0
"""How the warm start that ships with the package was trained, so that anyone can do it again.

    python -m deblur_engine.fitting.pretrain --minutes 60 --out warm_start.safetensors FOOTAGE_AND_PICTURES...

What is given are clips whose frames are sharp, and sharp photographs; folders are searched. Shots are made of them
(``shots``), and the very analysis that a real clip goes through makes the examples: so the network meets its true
errors, in motion, exposure, references and belief, and learns which of what it is told holds. Processes make shots all
the while, and what was made replaces what has been seen for longest. Fitting then teaches it the clip's own blur.

Of both, footage teaches more: trained on photographs alone, whose motion is tidier than any real one, the network
believes too much of what it is told, and does worse on real clips the better it gets on these.

What ships began with photographs blurred one by one (an earlier form of this command, 18,800 steps on one core). Two
trainings of 24,300 steps went on from there with footage and a seventh to a third of simulated shots, one without
max-heromode and one without karma, so that each could be measured on what it had not seen; their mean went on for 8,200
steps with all of it: 2,147 examples, made beforehand, those of footage by the measuring stand's own code, with this
loss and crops of this size. The last 20,000 of these steps changed little on clips of another kind than the footage is:
it is more footage that would help, not more steps. The footage: gpmf-parser's karma and max-heromode (MIT or
Apache-2.0), MDN's flower, friday and stream-of-water (CC0), Udacity's solidWhiteRight (MIT), some of Intel's sample
videos (CC BY 4.0); the photographs are Debian's, of mate-backgrounds, gnome-backgrounds, plasma-workspace-wallpapers,
lomiri-wallpapers and ukui-wallpapers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from itertools import count
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ..analysis import Aligner, Alignment, analyse
from ..analysis.flow import eight_bit, reduced
from ..errors import BadInput, DeblurError
from ..media import VIDEO_SUFFIXES, open_clip
from ..settings import FitSettings
from ..task import Event, Task
from .batches import Batch, Batches
from .held_out import HeldOut
from .loop import FittingLoop
from .pairs import Pair, as_pair
from .recipes import recipe_of
from .shots import Shot, film, footage_for, refilm
from .warm_start import load_warm_start, save_warm_start

__all__ = ["examples", "find_sources", "main", "read_footage", "read_pictures"]

Bytes = npt.NDArray[np.uint8]

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
_OF_FOOTAGE = 0.75  # share of shots that are made of footage, where there are photographs too
_STRIDES = (3, 4, 5, 6)  # frames of footage to one of a shot
_SIDES = (448, 560, 640)  # pixels that a shot of footage has along its longer side
_SIZE = (448, 256)  # pixels of a shot, width and height
_FRAMES = 9  # of a shot
_AT_MOST = 5  # examples of a shot
_SHOWN_EVERY = 200  # steps
_IN_VAIN = 100  # shots without an example, one after the other, until it is given up


def find_sources(given: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Clips and picture files among ``given`` and in the folders among them, sorted."""
    inside = sorted(found for path in given for found in (path.rglob("*") if path.is_dir() else [path]))
    inside = [path for path in inside if path.is_file()]
    clips, pictures = (
        [path for path in inside if path.suffix.lower() in kinds] for kinds in (VIDEO_SUFFIXES, _PICTURES)
    )
    return clips, pictures


def read_footage(path: Path, stride: int, rng: np.random.Generator) -> list[Bytes]:
    """Neighbouring frames from somewhere in a clip, made smaller, R'G'B' uint8: for a shot of ``_FRAMES`` frames."""
    with open_clip(path) as clip:
        wanted = min(len(clip), footage_for(_FRAMES, stride))
        start = int(rng.integers(len(clip) - wanted + 1))
        factor = min(1.0, int(rng.choice(_SIDES)) / max(clip.info.width, clip.info.height))
        size = (round(clip.info.width * factor), round(clip.info.height * factor))
        frames = clip.frames(start, start + wanted)
        return [eight_bit(reduced(frame.rgb, size)) for frame in frames]


def read_pictures(paths: Iterable[Path]) -> list[list[Bytes]]:
    """Sharp R'G'B' pictures, uint8, each at several smaller, thus crisp, sizes; what cannot be read is left out."""
    found = []
    for path in paths:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            continue
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        factors = [factor for side in (1600, 1000, 720) if (factor := side / max(rgb.shape[:2])) <= 0.8]
        sizes = [cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for factor in factors]
        if sizes:
            found.append(sizes)
    return found


def examples(shot: Shot, rng: np.random.Generator) -> list[Pair]:
    """What alignment finds out about the blurry frames of a shot, each with its truth; some of them if there are many.

    None of a shot in which no frame is taken for blurry.
    """
    with tempfile.TemporaryDirectory(prefix="deblur-shot-") as folder:
        for number, picture in enumerate(shot.recorded):
            cv2.imwrite(
                f"{folder}/frame.{number:03d}.png", eight_bit(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1]
            )
        with open_clip(Path(folder) / "frame.%03d.png") as clip:
            analysis = analyse(clip, references=FitSettings().references)
            aligner = Aligner(analysis, transfer="srgb", threads=1)
            pictures = {frame.index: frame.rgb for frame in clip.frames()}
    blurry = np.flatnonzero(analysis.blurry)
    chosen = rng.permutation(blurry)[:_AT_MOST].tolist()

    def pair(i: int) -> Pair:
        alignment: Alignment = aligner.align(i, {k: pictures[k] for k in aligner.needs(i)})
        return as_pair(pictures[i], shot.truth[i], alignment, i, True)

    return [pair(i) for i in sorted(chosen)]


_photographs: list[list[Bytes]] = []  # in a process that makes shots
_clips: list[Path] = []


def _begin(clips: Sequence[Path], pictures: Sequence[Path]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _clips[:], _photographs[:] = clips, read_pictures(pictures)


def _end_with_parent() -> None:
    """A training that is killed cannot tell those that work for it, which would wait for more to do for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(seed: int) -> list[Pair]:
    """The examples of one shot; the same for the same seed and sources."""
    rng = np.random.default_rng(seed)

    def picture() -> Bytes:
        sizes = _photographs[int(rng.integers(len(_photographs)))]
        return sizes[int(rng.integers(len(sizes)))]

    if _clips and (not _photographs or rng.random() < _OF_FOOTAGE):
        stride = int(rng.choice(_STRIDES))
        shot = refilm(read_footage(_clips[int(rng.integers(len(_clips)))], stride, rng), stride, rng)
    else:
        shot = film(picture(), picture(), _SIZE, _FRAMES, rng) if _photographs else None
    return examples(shot, rng) if shot is not None else []


def _made(processes: ProcessPoolExecutor, workers: int, seed: int) -> Iterator[list[Pair] | None]:
    """Examples as processes make them, shot by shot, without end; None while none is ready."""
    seeds = count(seed)
    under_way: list[Future[list[Pair]]] = []
    while True:
        under_way += [processes.submit(_make, next(seeds)) for _ in range(2 * workers - len(under_way))]
        done = next((future for future in under_way if future.done()), None)
        if done is not None:
            under_way.remove(done)
        yield None if done is None else done.result()


class _Replenished:
    """Batches of examples of which the oldest are replaced as new ones come."""

    def __init__(self, batches: Batches, size: int, made: Iterator[list[Pair] | None]) -> None:
        self._batches, self._size, self._made, self._oldest = batches, size, made, 0
        self.seen = len(batches)

    def draw(self) -> Batch:
        for pair in next(self._made) or []:
            if len(self._batches) < self._size:
                self._batches.add(pair)
            else:
                self._batches.add(pair, self._oldest)
                self._oldest = (self._oldest + 1) % self._size
            self.seen += 1
        return self._batches.draw()

    def state(self) -> dict[str, object]:
        return {}  # what was made is gone: such a training is not gone on with, but begun again from its weights

    def restore(self, state: dict[str, object]) -> None:
        pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the warm start; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="weights to go on from")
    parser.add_argument("--minutes", type=float, default=60, help="of training, after the first examples are there")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3, help="of learning, at its highest")
    parser.add_argument("--pool", type=int, default=1000, help="examples kept in memory, 4 MB each")
    parser.add_argument("--held-out", type=int, default=60, help="examples that are not trained on")
    parser.add_argument("--processes", type=int, default=1, help="that make examples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    clips, pictures = find_sources(options.sources)
    if not clips and not pictures:
        parser.error("none of these is a clip or a picture")
    try:
        _train(options, clips, pictures)
    except DeblurError as problem:
        parser.exit(problem.exit_code, f"{parser.prog}: {problem}\n")


def _train(options: argparse.Namespace, clips: Sequence[Path], pictures: Sequence[Path]) -> None:
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    settings = FitSettings(
        steps=10_000_000,  # it is time that ends it
        crop=options.crop,
        batch=options.batch,
        width=options.width,
        learning_rate=options.rate,
        seed=options.seed,
    ).resolved()
    with ProcessPoolExecutor(options.processes, get_context("spawn"), _begin, (clips, pictures)) as processes:
        made = _made(processes, options.processes, options.seed * 1_000_000)
        watched, first = (_gathered(made, many) for many in (options.held_out, min(options.pool, options.held_out)))
        batches = Batches(first, options.crop, options.batch, device, options.seed)
        source = _Replenished(batches, options.pool, made)
        recipe = replace(recipe_of(settings, device), batches=lambda *given: source)
        loop = FittingLoop(first, HeldOut(watched), settings, device, recipe=recipe)
        if options.init:
            load_warm_start(loop.network, options.init)
        loop.start_from_network(warm=options.init is not None)

        def tell() -> None:
            print(f"held out, dB: {loop.held_out.figures(loop.best, device)}", flush=True)

        def show(event: Event) -> None:
            step = int(event.figures.get("step", 1))
            if step % _SHOWN_EVERY == 0:
                print(f"step {step}  {source.seen} examples  loss {event.figures['loss']:.4f}", flush=True)

        def keep() -> None:
            save_warm_start(loop.best, options.out)
            tell()

        tell()
        try:
            loop.run(Task(show), 60 * options.minutes, keep)
        finally:
            processes.shutdown(cancel_futures=True)
        keep()


def _gathered(made: Iterator[list[Pair] | None], many: int) -> list[Pair]:
    """At least so many examples; raises ``BadInput`` where shots give none."""
    pairs: list[Pair] = []
    in_vain = 0
    for of_shot in made:
        if of_shot is None:
            time.sleep(0.05)
            continue
        pairs += of_shot
        in_vain = 0 if of_shot else in_vain + 1
        if in_vain == _IN_VAIN:
            raise BadInput(
                f"{in_vain} shots gave no blurry frame to learn from",
                hint="give sharp footage in which something moves, or photographs of at least 900 pixels",
            )
        if len(pairs) >= many:
            break
    return pairs


if __name__ == "__main__":
    main()
