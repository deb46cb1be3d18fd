# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what ours is compared with, ours, and ours without each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from deblur_engine.settings import FitSettings

from . import ablations
from .rivals import fourier_burst, plain_blend, richardson_lucy, unsharp
from .workbench import Bench, Made, NotAvailable

__all__ = ["GROUPS", "ROWS", "Row", "chosen"]


@dataclass(frozen=True)
class Row:
    """One way to restore a clip. ``engine``: what it gives depends on the engine's code; ``fits``: on fits' options."""

    label: str
    make: Callable[[Bench], Made]
    engine: bool = True
    fits: bool = False


def _input(bench: Bench) -> Made:
    return Made(dict(enumerate(bench.clip.blurry)))


def _truth(bench: Bench) -> Made:
    """What a perfect restoration would be: its flicker is the measure for that of others."""
    return Made(dict(enumerate(bench.clip.sharp)))


def _unsharp(bench: Bench) -> Made:
    return bench.by_frame(lambda i: unsharp(bench.pictures[i]))


def _burst(bench: Bench) -> Made:
    """With the three frames on either side: seven, as the paper takes."""

    def work(i: int):  # type: ignore[no-untyped-def]
        around = range(max(0, i - 3), min(bench.count, i + 4))
        return fourier_burst(bench.pictures[i], [bench.pictures[j] for j in around if j != i])

    return bench.by_frame(work)


def _richardson_lucy(bench: Bench) -> Made:
    def work(i: int):  # type: ignore[no-untyped-def]
        alignment = bench.align(i)
        return bench.pictures[i] if alignment is None else richardson_lucy(bench.pictures[i], alignment.motion)

    return bench.by_frame(work, aligned=True)


def _blend(guarded: bool) -> Callable[[Bench], Made]:
    def make(bench: Bench) -> Made:
        def work(i: int):  # type: ignore[no-untyped-def]
            frame, alignment = bench.pictures[i], bench.align(i)
            return frame if alignment is None else plain_blend(frame, alignment, guarded=guarded)

        return bench.by_frame(work, aligned=True)

    return make


def _frozen(bench: Bench) -> Made:
    return bench.rendered(bench.frozen(), bench.aligner)


def _paper(bench: Bench) -> Made:
    """The recipe of Ren, Qian and Chen, through the same call that a user makes."""
    known = {f.name for f in fields(FitSettings)}
    if "recipe" not in known:
        raise NotAvailable("this engine's fit has no recipe to choose")
    given = dict(bench.options.paper)
    if unknown := set(given) - known:
        raise NotAvailable(f"this engine's fit has no setting {', '.join(sorted(unknown))}")
    model, seconds, notes = bench.fit("paper", recipe="paper", **{"init": None, **given})
    made = bench.rendered(model, None)
    made.fit_seconds, made.notes = seconds, notes
    return made


ROWS: dict[str, Row] = {
    "input": Row("input", _input, engine=False),
    "unsharp": Row("unsharp mask", _unsharp, engine=False),
    "rl": Row("Richardson-Lucy", _richardson_lucy),
    "burst": Row("Fourier burst", _burst),
    "blend": Row("plain blend", _blend(False)),
    "paper": Row("the paper's recipe", _paper, fits=True),
    "frozen": Row("warm start, frozen", _frozen, fits=True),
    "ours": Row("ours", ablations.ours, fits=True),
    "no-network": Row("ours, no network", _blend(True)),
    "truth": Row("the truth itself", _truth, engine=False),
    **{name: Row(part.label, part.make, fits=True) for name, part in ablations.PARTS.items()},
}

GROUPS = {
    "cheap": ("input", "unsharp", "rl", "burst", "blend", "frozen"),
    "main": ("input", "truth", "unsharp", "rl", "burst", "blend", "paper", "frozen", "ours"),
    "ablations": ("input", "ours", "no-network", *ablations.PARTS),
    "all": tuple(ROWS),
}


def chosen(text: str) -> list[str]:
    """Names of rows and of groups, with commas, as a list of rows in the table's order; ``ValueError`` on others.

    The input is always among them: all gains are over it.
    """
    asked: set[str] = {"input"}
    unknown: Sequence[str] = [n for n in (part.strip() for part in text.split(",")) if n not in ROWS | GROUPS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} unknown; choose of {', '.join((*GROUPS, *ROWS))}")
    for name in (part.strip() for part in text.split(",")):
        asked.update(GROUPS.get(name, (name,)))
    return [name for name in ROWS if name in asked]
