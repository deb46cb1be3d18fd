# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deblur_engine.artifact import Artifact, load_model
from deblur_engine.artifact.variants import to_fixed_size
from deblur_engine.errors import ModelError, OutOfMemory
from deblur_engine.rendering.cache import AlignmentCache
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.rendering.session import Session
from deblur_engine.settings import RenderSettings
from rendering.fakes import FakeAligner, alignment, guides, picture

COUNT = 12


def _renderer(artifact: Artifact, session: Session, **changes: object) -> Renderer:
    return Renderer(artifact, RenderSettings(**changes), FakeAligner(COUNT), session=session)  # type: ignore[arg-type]


def _pictures(renderer: Renderer, i: int) -> dict[int, np.ndarray]:
    return {number: picture(number) for number in renderer.needs(i)}


def test_a_frame_is_the_network_over_its_alignment(artifact: Artifact, session: Session) -> None:
    renderer, found = _renderer(artifact, session), alignment(4)
    given = renderer.render(4, _pictures(renderer, 4))
    expected = session.run(picture(4), *guides(found))
    np.testing.assert_allclose(given, np.clip(expected, min(0, picture(4).min()), max(1, picture(4).max())), atol=1e-6)


def test_what_needs_nothing_is_handed_back_itself(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    sharp = picture(3)
    assert renderer.needs(3) == (3,)
    assert renderer.render(3, {3: sharp}) is sharp
    assert not renderer.aligner.asked  # type: ignore[union-attr]
    idle = _renderer(artifact, session, strength=0.0)
    blurry = picture(4)
    assert idle.needs(4) == (4,)
    assert idle.render(4, {4: blurry}) is blurry


def test_pixels_without_weight_keep_their_bits(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    weight = np.zeros((96, 160), np.float32)
    weight[20:60, 70:150] = np.random.default_rng(0).random((40, 80), dtype=np.float32)
    weight[30, 100] = 0
    base = picture(1, 96, 160)
    base[30, 100, 0] = -0.0
    given = renderer.restore(base, alignment(1, 96, 160, weight))
    assert given[weight == 0].tobytes() == base[weight == 0].tobytes()
    assert (given[weight > 0] != base[weight > 0]).mean() > 0.9


def test_no_weight_at_all_gives_the_picture_itself(artifact: Artifact, session: Session) -> None:
    base = picture(1)
    nothing = alignment(1, weight=np.zeros(base.shape[:2], np.float32))
    assert _renderer(artifact, session).restore(base, nothing) is base


def test_strength_goes_in_proportion(artifact: Artifact, session: Session) -> None:
    base, found = picture(4), alignment(4)
    full = _renderer(artifact, session).restore(base, found)
    half = _renderer(artifact, session, strength=0.5).restore(base, found)
    np.testing.assert_allclose(half, (base + full) / 2, atol=1e-6)


def test_trust_shrinks_the_weight_by_blur_length(artifact: Artifact, session: Session) -> None:
    base, found = picture(4), alignment(4)
    found = replace(found, motion=np.full((*base.shape[:2], 2), 6 / np.sqrt(2), np.float32))  # 6 pixels everywhere
    full = _renderer(artifact, session).restore(base, found)
    wary = replace(artifact, metadata=replace(artifact.metadata, trust=((4.0, 1.0), (8.0, 0.0))))
    given = _renderer(wary, session).restore(base, found)
    np.testing.assert_allclose(given, (base + full) / 2, atol=1e-6)


def test_trust_depends_on_how_far_the_reference_is_believed(artifact: Artifact, session: Session) -> None:
    base, found = picture(4), alignment(4)
    full = _renderer(artifact, session).restore(base, found)
    wary = replace(artifact, metadata=replace(artifact.metadata, trust=((0.0, 0.2),), trust_believed=((0.0, 0.8),)))
    given = _renderer(wary, session).restore(base, found)
    share = 0.2 + 0.6 * found.confidence[..., :1]
    assert np.ptp(found.confidence[..., 0]) > 0.2
    np.testing.assert_allclose(given, base + share * (full - base), atol=1e-6)


@pytest.mark.parametrize(("tile", "overlap"), [(128, 16), (160, 32), (208, 8), (64, 0)])
def test_tiles_leave_no_seams(artifact: Artifact, session: Session, tile: int, overlap: int) -> None:
    base, found = picture(1, 301, 267), alignment(1, 301, 267)
    whole = _renderer(artifact, session, tile=4096).restore(base, found)
    tiled = _renderer(artifact, session, tile=tile, overlap=overlap).restore(base, found)
    assert np.abs(whole - base).max() > 0.05
    assert np.abs(tiled - whole).max() < 1 / 1024


class Starved(Session):
    """Runs out of memory on anything larger than it likes."""

    def __init__(self, artifact: Artifact, most_pixels: int) -> None:
        super().__init__(artifact, "cpu", 1)
        self.most_pixels, self.tried = most_pixels, []

    def run(self, frame: np.ndarray, *rest: np.ndarray) -> np.ndarray:  # type: ignore[override]
        self.tried.append(frame.shape[:2])
        if frame.shape[0] * frame.shape[1] > self.most_pixels:
            raise OutOfMemory("too large")
        return super().run(frame, *rest)


def test_smaller_tiles_are_tried_when_memory_runs_out(artifact: Artifact, session: Session) -> None:
    base, found = picture(1, 400, 420), alignment(1, 400, 420)
    starved = Starved(artifact, 240 * 240)
    renderer = _renderer(artifact, starved)
    given = renderer.restore(base, found)
    np.testing.assert_allclose(given, _renderer(artifact, session).restore(base, found), atol=1 / 1024)
    starved.tried.clear()
    renderer.restore(base, found)
    assert all(height * width <= 240 * 240 for height, width in starved.tried)  # it remembers


def test_memory_that_is_never_enough_is_an_error(artifact: Artifact) -> None:
    with pytest.raises(OutOfMemory):
        _renderer(artifact, Starved(artifact, 0)).restore(picture(1), alignment(1))


class Raving(Session):
    def __init__(self, artifact: Artifact, beyond: float) -> None:
        super().__init__(artifact, "cpu", 1)
        self.beyond = beyond

    def run(self, frame: np.ndarray, *rest: np.ndarray) -> np.ndarray:  # type: ignore[override]
        result = super().run(frame, *rest)
        result[5:9, 5:9] = np.nan
        result[20, 20] = self.beyond
        return result


@pytest.mark.parametrize("beyond", [1e9, -1e9, np.inf, 0.5])
def test_a_network_that_raves_is_held_back(artifact: Artifact, beyond: float) -> None:
    base = picture(1)
    given = _renderer(artifact, Raving(artifact, beyond)).restore(base, alignment(1))
    np.testing.assert_array_equal(given[5:9, 5:9], base[5:9, 5:9])
    assert min(0, base.min()) <= given.min() and given.max() <= max(1, base.max())


def test_alignments_are_cached_and_forgotten(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    pictures = _pictures(renderer, 4)
    first = renderer.render(4, pictures)
    np.testing.assert_array_equal(renderer.render(4, pictures), first)
    assert renderer.aligner.asked == [4]  # type: ignore[union-attr]
    renderer.forget()
    renderer.render(4, pictures)
    assert renderer.aligner.asked == [4, 4]  # type: ignore[union-attr]


def test_without_references_it_works_as_well(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session, use_references=False)
    found = alignment(4)
    given = renderer.render(4, _pictures(renderer, 4))
    nothing = np.zeros_like(found.reference), np.zeros_like(found.confidence)
    expected = session.run(picture(4), found.estimate, *nothing, found.motion)
    np.testing.assert_allclose(given, np.clip(expected, min(0, picture(4).min()), max(1, picture(4).max())), atol=1e-6)


def test_a_single_picture_is_restored_alone(artifact: Artifact, session: Session) -> None:
    renderer, base = _renderer(artifact, session), picture(4)
    given = renderer.render(4, {4: base})
    expected = session.run(base, *(np.zeros_like(guide) for guide in guides(alignment(4))))
    np.testing.assert_allclose(given, np.clip(expected, min(0, base.min()), max(1, base.max())), atol=1e-6)
    no_aligner = Renderer(artifact, session=session)
    np.testing.assert_array_equal(no_aligner.render(0, {0: base}), given)


def test_missing_pictures_are_named(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    pictures = _pictures(renderer, 4)
    del pictures[5]
    with pytest.raises(ValueError, match=r"\[5\]"):
        renderer.render(4, pictures)


def test_a_fixed_size_model_takes_its_size_only(artifact: Artifact, tmp_path: Path) -> None:
    fixed = load_model(to_fixed_size(artifact, tmp_path / "fixed.onnx", 80, 48))
    own = Session(fixed, "cpu", 1)
    given = _renderer(fixed, own).restore(picture(4), alignment(4))
    np.testing.assert_allclose(
        given, _renderer(artifact, Session(artifact, "cpu", 1)).restore(picture(4), alignment(4)), atol=1e-5
    )
    with pytest.raises(ModelError, match="80x48 only"):
        _renderer(fixed, own).restore(picture(4, 64, 64), alignment(4, 64, 64))


def test_odd_and_tiny_pictures(artifact: Artifact, session: Session) -> None:
    for height, width in ((8, 8), (1, 1), (3, 200), (201, 7)):
        given = _renderer(artifact, session).restore(picture(1, height, width), alignment(1, height, width))
        assert given.shape == (height, width, 3)
        assert np.isfinite(given).all()


def test_the_cache_is_bounded_by_bytes() -> None:
    size = sum(part.nbytes for part in (*guides(alignment(0)), alignment(0).weight))
    cache = AlignmentCache(3 * size)
    for number in range(5):
        cache.put(number, alignment(number))
        assert cache.held_bytes <= cache.most_bytes
    assert cache.get(0) is None
    assert cache.get(4) is not None
    kept = len(cache)
    assert 1 <= kept < 5
    cache.put("large", alignment(9, 500, 500))
    assert cache.get("large") is None
    assert len(cache) == kept


def test_strength_and_protection_are_the_calls_own(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    pictures = _pictures(renderer, 4)
    half = _renderer(artifact, session, strength=0.5).render(4, pictures)
    np.testing.assert_array_equal(renderer.render(4, pictures, strength=0.5), half)
    assert renderer.render(4, pictures, strength=0.0) is pictures[4]
    assert renderer.aligner.asked == [4]  # type: ignore[union-attr]
    # Frame 3 is sharp: without protection it is treated like any other, and all of it.
    assert renderer.untouched(3) and not renderer.untouched(3, protect=False)
    assert len(renderer.needs(3, protect=False)) > 1
    sharp = {number: picture(number) for number in renderer.needs(3, protect=False)}
    weight = np.zeros((48, 80), np.float32)
    nothing = alignment(3, weight=weight)
    assert renderer.restore(sharp[3], nothing) is sharp[3]
    given = renderer.restore(sharp[3], nothing, protect=False)
    np.testing.assert_array_equal(given, renderer.restore(sharp[3], alignment(3)))
    np.testing.assert_array_equal(renderer.render(3, sharp, protect=False), given)


def test_a_result_goes_where_it_is_wanted(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session)
    pictures, out = _pictures(renderer, 4), np.full((48, 80, 3), 7, np.float32)
    assert renderer.render(4, pictures, out=out) is out
    np.testing.assert_array_equal(out, renderer.render(4, pictures))
    untouched = np.full_like(out, 7)
    assert renderer.render(4, pictures, out=untouched, strength=0.0) is pictures[4] and (untouched == 7).all()


def test_it_can_be_ended_between_tiles(artifact: Artifact, session: Session) -> None:
    renderer = _renderer(artifact, session, tile=160)
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    base, out = picture(1, 301, 267), np.full((301, 267, 3), 7, np.float32)
    with pytest.raises(InterruptedError):
        renderer.restore(base, alignment(1, 301, 267), out=out, check=check)
    assert len(calls) == 3 and (out == 7).all()


def test_some_pictures_will_do_where_that_is_said(artifact: Artifact, session: Session) -> None:
    class Forbearing(FakeAligner):
        def align(self, i: int, pictures, references: bool = True):  # type: ignore[no-untyped-def]
            self.asked.append(i)
            return alignment(i)

    renderer = Renderer(artifact, RenderSettings(), Forbearing(COUNT), session=session)
    assert renderer.align(4, {4: picture(4)}, some=True).used == (5,)  # type: ignore[union-attr]
    assert renderer.align(4, {4: picture(4)}).used == ()  # type: ignore[union-attr]
    assert renderer.aligned(4) is not None and renderer.aligned(4, "changed") is None


def test_renderers_that_share_a_cache_keep_apart(artifact: Artifact, session: Session) -> None:
    cache = AlignmentCache(1 << 30)
    first, second = (
        Renderer(artifact, RenderSettings(), FakeAligner(COUNT), session=session, cache=cache) for _ in range(2)
    )
    first.render(4, _pictures(first, 4))
    assert len(cache) == 1 and second.aligned(4) is None
    second.render(4, _pictures(second, 4))
    assert len(cache) == 2


def test_trust_counts_in_the_clips_pixels(artifact: Artifact, session: Session) -> None:
    wary = replace(artifact, metadata=replace(artifact.metadata, trust=((4.0, 1.0), (8.0, 0.0))))
    base, found = picture(4), alignment(4)
    three = replace(found, motion=np.full((*base.shape[:2], 2), 3 / np.sqrt(2), np.float32))
    proxy = Renderer(wary, RenderSettings(), FakeAligner(COUNT), session=session, scale=0.5)  # 6 pixels in the clip
    full = _renderer(artifact, session).restore(base, three)
    np.testing.assert_allclose(proxy.restore(base, three), (base + full) / 2, atol=1e-6)
