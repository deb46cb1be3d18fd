# SPDX-License-Identifier: Apache-2.0
"""Ours without each of its parts, and fits that share what they have in common.

This is the one place of the stand that reaches into the engine: it replaces names of its modules for a while, so that
the product needs no switches that only a measurement would use. A name that is no longer there makes the row "not
available" (and a test fail), never a row that silently measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deblur_engine.analysis import Aligner, alignment
from deblur_engine.artifact.load import Artifact
from deblur_engine.fitting import fit_clip, losses, pairs

from .workbench import Bench, Made, NotAvailable

try:
    from deblur_engine.fitting import recipes as assembly
except ImportError:  # an engine with one recipe puts a fit's parts together in fit_clip
    assembly = fit_clip

__all__ = ["PARTS", "Part", "ours", "sharing"]


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """``owner.name`` is ``value`` for a while; raises ``NotAvailable`` if there is no such name."""
    if not hasattr(owner, name):
        raise NotAvailable(f"the engine no longer has {getattr(owner, '__name__', owner)}.{name}")
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


@contextmanager
def sharing(bench: Bench, key: str) -> Iterator[None]:
    """Fits take the bench's analysis, and the pairs of an earlier fit with the same ``key``, settings and seed."""

    def analyse(clip: Any, *, references: int, task: Any) -> Any:
        if references != bench.analysis.references:
            raise NotAvailable(f"fits with {references} references cannot share an analysis")
        return bench.analysis

    make = getattr(assembly, "make_pairs", None)

    def make_pairs(clip: Any, analysis: Any, aligner: Any, count: int, seed: int, task: Any) -> Iterator[Any]:
        drawn = (key, count, seed)
        if drawn not in bench.pairs:
            bench.pairs.clear()  # those of one recipe at a time: they take some hundred megabytes
            bench.pairs[drawn] = list(make(clip, analysis, aligner, count, seed, task))
        return iter(bench.pairs[drawn])

    with replaced(fit_clip, "analyse", analyse), replaced(assembly, "make_pairs", make_pairs):
        yield


def ours(bench: Bench) -> Made:
    """The fit as a user gets it."""
    return _rendered()(bench)


def _our_fit(bench: Bench) -> tuple[Any, float, dict[str, Any]]:
    def fit() -> tuple[Any, float, dict[str, Any]]:
        with sharing(bench, "ours"):
            return bench.fit("ours")

    return bench.kept_fit("ours", fit)


@dataclass(frozen=True)
class Part:
    """A part of ours that can be left out."""

    label: str
    make: Callable[[Bench], Made]


def _rendered(**changed: Any) -> Callable[[Bench], Made]:
    """A row of our own fit, rendered in another way."""

    def make(bench: Bench) -> Made:
        model, seconds, notes = _our_fit(bench)
        made = bench.rendered(model, bench.aligner, **changed)
        made.fit_seconds, made.notes = seconds, dict(notes)
        return made

    return make


def _one_reference(bench: Bench) -> Made:
    model, seconds, notes = _our_fit(bench)
    made = bench.rendered(model, bench.fresh_aligner(references=1))
    made.fit_seconds, made.notes = seconds, dict(notes)
    return made


def _fitted_anew(
    name: str, *patches: Callable[[], AbstractContextManager[None]], pairs_of: str, own_alignment: bool = False
) -> Callable[[Bench], Made]:
    """A row with a fit of its own under ``patches``; ``pairs_of``: rows with the same key there share their pairs."""

    def make(bench: Bench) -> Made:
        with ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch())
            stack.enter_context(sharing(bench, pairs_of))
            model, seconds, notes = bench.fit(name)
            made = bench.rendered(model, bench.fresh_aligner() if own_alignment else bench.aligner)
        made.fit_seconds, made.notes = seconds, notes
        return made

    return make


def _no_warm_start() -> AbstractContextManager[None]:
    return replaced(assembly, "load_warm_start", lambda *given, **named: False)


def _no_spectrum() -> AbstractContextManager[None]:
    return replaced(losses, "_SPECTRUM", 0.0)


def _no_steps() -> AbstractContextManager[None]:
    return replaced(pairs, "_STEPPED", 0.0)


def _no_estimate() -> AbstractContextManager[None]:
    return replaced(alignment, "estimated_change", lambda picture, *given, **named: np.zeros_like(picture))


@contextmanager
def _no_reblur() -> Iterator[None]:
    """Flow is computed between the frame and the warped reference as sharp as it is; all else stays."""
    refine = getattr(Aligner, "_refine", None)

    def unblurred(self: Any, *given: Any, **named: Any) -> Any:
        with replaced(Aligner, "_reblur", lambda self, sharp, blur: sharp.copy()):
            return refine(self, *given, **named)  # type: ignore[misc]

    with replaced(Aligner, "_refine", unblurred):
        yield


def _no_placing() -> AbstractContextManager[None]:
    return replaced(Aligner, "_placed", lambda self, frame, blur, found, sharps: found)


def _no_agreement() -> AbstractContextManager[None]:
    return replaced(alignment, "agreed_change", lambda picture, *given, **named: np.zeros_like(picture))


def _trusting(artifact: Artifact) -> Artifact:
    return replace(artifact, metadata=replace(artifact.metadata, trust=((0.0, 1.0),), trust_believed=()))


PATCHES = (_no_warm_start, _no_spectrum, _no_steps, _no_estimate, _no_reblur, _no_placing, _no_agreement)

PARTS = {
    "no-references": Part("ours, single frame", _rendered(use_references=False)),
    "one-reference": Part("ours, one reference", _one_reference),
    "no-guard": Part("ours, all frames and pixels treated", _rendered(protect=False)),
    "no-trust": Part("ours, trust ignored", _rendered(change=_trusting)),
    "no-warm-start": Part("ours, no warm start", _fitted_anew("no-warm-start", _no_warm_start, pairs_of="ours")),
    "no-spectrum": Part("ours, no FFT loss", _fitted_anew("no-spectrum", _no_spectrum, pairs_of="ours")),
    "no-steps": Part("ours, no stepped pairs", _fitted_anew("no-steps", _no_steps, pairs_of="no-steps")),
    "no-estimate": Part(
        "ours, no Richardson-Lucy",
        _fitted_anew("no-estimate", _no_estimate, pairs_of="no-estimate", own_alignment=True),
    ),
    "no-reblur": Part(
        "ours, flow without reblurring",
        _fitted_anew("no-reblur", _no_reblur, pairs_of="no-reblur", own_alignment=True),
    ),
    "no-placing": Part(
        "ours, no flow from the restored frame",
        _fitted_anew("no-placing", _no_placing, pairs_of="no-placing", own_alignment=True),
    ),
    "no-agreement": Part(
        "ours, not made to agree with the frame",
        _fitted_anew("no-agreement", _no_agreement, pairs_of="no-agreement", own_alignment=True),
    ),
}
"""By the name of the row. "Without network" is the blend under the guards, which needs no fit: see ``rows``."""
