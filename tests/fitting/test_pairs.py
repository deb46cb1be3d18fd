# SPDX-License-Identifier: Apache-2.0
"""Training pairs and the batches cut out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from deblur_engine import ops
from deblur_engine.analysis import Aligner, Alignment, Analysis
from deblur_engine.analysis.motion import Motion
from deblur_engine.artifact.schema import INPUTS
from deblur_engine.errors import Cancelled, NoBenefit
from deblur_engine.fitting.batches import Batch, Batches, _turned
from deblur_engine.fitting.fit_clip import split
from deblur_engine.fitting.pairs import Pair, as_recorded, expose, make_pairs
from deblur_engine.task import Event, Task
from panned import Panned, psnr

Array = npt.NDArray[np.float32]
CPU = torch.device("cpu")


class Watched(Aligner):
    """Remembers what it was asked to align."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__(analysis)
        self.asked: list[tuple[int, tuple[int, ...]]] = []

    def fuse(
        self, i: int, picture: Array, motion: Motion, references: Mapping[int, Array], *rest: Any, **named: Any
    ) -> Alignment:
        self.asked.append((i, tuple(references)))
        return super().fuse(i, picture, motion, references, *rest, **named)


def test_the_target_is_never_among_its_references(shot: Panned, analysis: Analysis) -> None:
    aligner = Watched(analysis)
    made = list(make_pairs(shot.clip(), analysis, aligner, 12, 3, Task()))
    assert [pair.target for pair in made] == [target for target, _ in aligner.asked]
    for target, references in aligner.asked:
        assert references and target not in references
        assert analysis.sharp[target] and all(analysis.sharp[j] for j in references)


def test_every_sharp_frame_has_its_turn(pairs: list[Pair], shot: Panned) -> None:
    assert len(pairs) == 8
    assert {p.target for p in pairs} == set(np.flatnonzero(~shot.blurry).tolist())


def test_a_pair_is_what_it_says(pairs: list[Pair], shot: Panned) -> None:
    for pair in pairs:
        shapes = {**INPUTS, "sharp": 3, "weight": 1}
        for name, channels in shapes.items():
            values = getattr(pair, name)
            assert values.shape == (144, 192, channels) and values.dtype == np.float16, name
            assert np.isfinite(values).all(), name
        np.testing.assert_allclose(pair.sharp, shot.pictures[pair.target] / 255, atol=1e-3)
        assert pair.confidence[..., 0].min() >= 0 and pair.confidence[..., 0].max() <= 1


def test_blurred_pairs_are_blurred_and_references_help(pairs: list[Pair]) -> None:
    blurred = [p for p in pairs if p.blurred]
    assert len(blurred) >= 4
    gains = []
    for p in blurred:
        frame, sharp = p.frame.astype(np.float32), p.sharp.astype(np.float32)
        assert psnr(frame, sharp) < 32
        assert np.median(np.hypot(p.motion[..., 0], p.motion[..., 1])) > 1
        estimate, reference = p.estimate.astype(np.float32), p.reference.astype(np.float32)
        change = estimate + p.confidence[..., :1].astype(np.float32) * (reference - estimate)
        blend = frame + p.weight.astype(np.float32) * change
        gains.append(psnr(blend, sharp) - psnr(frame, sharp))
    assert np.median(gains) > 0.5


def test_the_same_seed_makes_the_same_pairs(pairs: list[Pair], shot: Panned, analysis: Analysis) -> None:
    again = list(make_pairs(shot.clip(), analysis, Aligner(analysis), 8, 0, Task()))
    other = list(make_pairs(shot.clip(), analysis, Aligner(analysis), 8, 1, Task()))
    for one, two in zip(pairs, again, strict=True):
        for f in fields(Pair):
            np.testing.assert_array_equal(getattr(one, f.name), getattr(two, f.name), err_msg=f.name)
    assert any(not np.array_equal(one.frame, two.frame) for one, two in zip(pairs, other, strict=True))


def test_sharp_frames_are_shown_unblurred_too(shot: Panned, analysis: Analysis) -> None:
    """So that the network learns to leave them alone; a few, not most."""
    made = list(make_pairs(shot.clip(), analysis, Aligner(replace(analysis, references=1)), 24, 0, Task()))
    unblurred = [p for p in made if not p.blurred]
    assert 1 <= len(unblurred) <= 9
    for p in unblurred:
        assert psnr(p.frame.astype(np.float32), p.sharp.astype(np.float32)) > 30  # noise and codec, no blur


def test_nothing_blurry_is_no_benefit(shot: Panned, analysis: Analysis) -> None:
    sharp = replace(analysis, blurry=np.zeros(10, bool), sharp=np.ones(10, bool))
    with pytest.raises(NoBenefit, match="no frame is blurred"):
        next(make_pairs(shot.clip(), sharp, Aligner(sharp), 4, 0, Task()))


@pytest.mark.parametrize("where", ["nowhere", "in another scene"])
def test_nothing_sharp_where_it_is_blurry_is_no_benefit(shot: Panned, analysis: Analysis, where: str) -> None:
    scene = (np.arange(10) >= 8).astype(np.int32)
    sharp = scene.astype(bool) if where == "in another scene" else np.zeros(10, bool)
    blind = replace(analysis, scene=scene, sharp=sharp, blurry=scene == 0)
    with pytest.raises(NoBenefit, match="no sharp frame"):
        next(make_pairs(shot.clip(), blind, Aligner(blind), 4, 0, Task()))


def test_making_pairs_reports_and_stops_when_told(shot: Panned, analysis: Analysis) -> None:
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.append(event)
        task.cancel()

    task = Task(listen)
    with pytest.raises(Cancelled):
        list(make_pairs(shot.clip(), analysis, Aligner(analysis), 4, 0, task))
    assert [(e.stage, e.done, e.total) for e in seen] == [("pairs", 1, 4)]


def test_an_exposure_keeps_the_light_and_spreads_it_as_told(shot: Panned) -> None:
    spot = np.zeros((41, 41, 3), np.float32)
    spot[20, 20] = 1
    x = np.arange(41)
    spreads = []
    for seed in range(20):
        # A blur vector along x, integrated without a transfer curve so that sums are sums.
        blur = np.broadcast_to(np.array([12, 0], np.float32), (41, 41, 2)).copy()
        found = expose(spot, blur, None, np.random.default_rng(seed))[..., 0]
        assert found.sum() == pytest.approx(1, abs=0.02)
        assert abs((found * x).sum() / found.sum() - 20) < 0.3
        spreads.append(float((found * (x - 20) ** 2).sum() / found.sum()))
    # The variance of an even exposure is length²/12, that of a few steps is made the same.
    np.testing.assert_allclose(spreads, 12, rtol=0.2)


def test_a_recording_is_in_eight_bits_and_near(shot: Panned) -> None:
    picture = shot.truth[0].astype(np.float32) / 255
    for seed in range(6):
        recorded = as_recorded(picture, np.random.default_rng(seed))
        codes = recorded * 255
        np.testing.assert_allclose(codes, np.round(codes), atol=1e-3)
        assert psnr(recorded, picture) > 26 and recorded.min() >= 0 and recorded.max() <= 1


# --- batches ----------------------------------------------------------------------------------------------------------


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip((*one.inputs, one.sharp), (*other.inputs, other.sharp), strict=True))


def test_batches_have_the_shapes_that_the_network_takes(pairs: list[Pair]) -> None:
    batch = Batches(pairs, 48, 5, CPU, 0).draw()
    assert [tuple(t.shape) for t in batch.inputs] == [(5, channels, 48, 48) for channels in INPUTS.values()]
    assert tuple(batch.sharp.shape) == (5, 3, 48, 48)
    assert all(t.dtype == torch.float32 for t in (*batch.inputs, batch.sharp))


def test_a_crop_larger_than_the_picture_is_made_to_fit(pairs: list[Pair]) -> None:
    assert tuple(Batches(pairs, 4096, 1, CPU, 0).draw().sharp.shape) == (1, 3, 144, 144)


def test_a_pair_takes_the_place_of_another(pairs: list[Pair]) -> None:
    black, white = (replace(pairs[0], sharp=np.full_like(pairs[0].sharp, level)) for level in (0, 1))
    batches = Batches([black, black], 32, 16, CPU, 0)
    batches.add(white, 1)
    assert len(batches) == 2 and 0 < float(batches.draw().sharp.mean()) < 1
    batches.add(white, 0)
    assert len(batches) == 2 and float(batches.draw().sharp.min()) == 1
    batches.add(black)
    assert len(batches) == 3 and float(batches.draw().sharp.min()) == 0


def test_the_same_seed_draws_the_same_sequence(pairs: list[Pair]) -> None:
    one, two, other = Batches(pairs, 32, 2, CPU, 7), Batches(pairs, 32, 2, CPU, 7), Batches(pairs, 32, 2, CPU, 8)
    drawn = [one.draw() for _ in range(4)]
    assert all(equal(batch, two.draw()) for batch in drawn)
    assert not equal(drawn[0], drawn[1]) and not equal(drawn[0], other.draw())


def test_a_restored_sequence_goes_on_where_it_was(pairs: list[Pair]) -> None:
    one, two = Batches(pairs, 32, 2, CPU, 7), Batches(pairs, 32, 2, CPU, 99)
    one.draw()
    state = one.state()
    wanted = [one.draw() for _ in range(3)]
    two.restore(state)
    assert all(equal(batch, two.draw()) for batch in wanted)


def test_crops_without_reference_or_motion_say_so(pairs: list[Pair]) -> None:
    batches = Batches([p for p in pairs if p.blurred], 64, 8, CPU, 0)
    bare = still = total = 0
    for _ in range(12):
        _, estimate, reference, confidence, motion = batches.draw().inputs
        without = reference.abs().amax((1, 2, 3)) == 0
        assert not confidence[without].any()
        assert not estimate[motion.abs().amax((1, 2, 3)) == 0].any()
        bare, still, total = (
            bare + int(without.sum()),
            still + int((motion.abs().amax((1, 2, 3)) == 0).sum()),
            total + 8,
        )
    assert 0.1 < bare / total < 0.6 and 0 < still / total < 0.3


@pytest.mark.parametrize("way", range(8))
def test_a_turned_pair_is_still_blurred_along_its_vectors(way: int, shot: Panned) -> None:
    sharp = np.ascontiguousarray(shot.truth[0][:96, :96].astype(np.float32) / 255)
    y, x = np.mgrid[0:96, 0:96].astype(np.float32)
    motion = np.stack([6 + x / 24, -3 + y / 48], 2)
    blurred = ops.reblur(sharp, motion, samples=15)
    piece = torch.from_numpy(
        np.concatenate([blurred, sharp, sharp, motion[..., :1], motion], 2).transpose(2, 0, 1).copy()
    )
    turned = _turned(piece.clone(), way).numpy().transpose(1, 2, 0)
    again = ops.reblur(np.ascontiguousarray(turned[..., 3:6]), np.ascontiguousarray(turned[..., 10:12]), samples=15)
    np.testing.assert_allclose(again, turned[..., :3], atol=1e-4)
    assert np.abs(blurred - sharp).max() > 0.1  # else the above would say nothing


def test_the_eight_turns_are_eight() -> None:
    piece = torch.rand(12, 8, 8)
    turned = [_turned(piece.clone(), way) for way in range(8)]
    assert all(not torch.equal(turned[a], turned[b]) for a in range(8) for b in range(a))
    assert torch.equal(turned[0], piece)


def test_drawing_leaves_the_pairs_as_they_are(pairs: list[Pair]) -> None:
    """Turned crops must not be turned in place."""
    batches = Batches(pairs, 144, 6, CPU, 0)
    state = batches.state()
    first = batches.draw()
    for _ in range(4):
        batches.draw()
    batches.restore(state)
    assert equal(first, batches.draw())


def test_what_is_watched_is_not_trained_on(pairs: list[Pair], analysis: Analysis) -> None:
    training, watching = split(pairs, analysis)
    assert training and watching and len(training) + len(watching) == len(pairs)
    assert not {p.target for p in training} & {p.target for p in watching}


@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize("targets", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("scenes", [1, 2, 7])
def test_there_is_always_something_to_train_on_and_to_watch(
    pairs: list[Pair], analysis: Analysis, count: int, targets: int, scenes: int
) -> None:
    some = [replace(pairs[0], target=n % targets) for n in range(count)]
    cut = replace(analysis, scene=np.arange(analysis.frame_count, dtype=np.int32) * scenes // 7)
    training, watching = split(some, cut)
    assert training and watching and len(training) + len(watching) == count


def test_every_scene_is_watched(pairs: list[Pair], analysis: Analysis) -> None:
    some = [replace(pairs[0], target=n) for n in range(8)]
    cut = replace(analysis, scene=np.repeat(np.arange(4, dtype=np.int32), (2, 3, 1, analysis.frame_count - 6)))
    training, watching = split(some, cut)
    assert [p.target for p in watching] == [1, 3, 7] and [p.target for p in training] == [0, 2, 4, 5, 6]
