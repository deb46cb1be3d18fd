# SPDX-License-Identifier: Apache-2.0
"""The alignment of sharp references to blurry frames, judged by the sharp pictures that it should arrive at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deblur_engine.analysis import Aligner, Alignment, Analysis, alignment, analyse
from deblur_engine.analysis.motion import Motion
from panned import FIRST, SECOND, Panned, PictureClip, Scene, code, from_linear, psnr, texture, to_linear

Array = npt.NDArray[np.float32]


def pictures_of(panned: Panned, numbers: tuple[int, ...]) -> dict[int, Array]:
    return {n: frame.rgb for n, frame in panned.clip().read(numbers).items()}


def unit(picture: npt.NDArray[np.uint8]) -> Array:
    return picture.astype(np.float32) / np.float32(255)


def blend(frame: Array, found: Alignment) -> Array:
    return frame + found.weight[..., None] * found.change


def well_formed(found: Alignment, height: int, width: int) -> None:
    values_of = (found.estimate, found.reference, found.confidence, found.motion, found.weight)
    assert [v.shape for v in values_of] == [(height, width, *last) for last in ((3,), (3,), (2,), (2,), ())]
    for values in values_of:
        assert values.dtype == np.float32 and np.isfinite(values).all()
    for share in (found.weight, found.believed):
        assert share.min() >= 0 and share.max() <= 1
    assert 0 <= found.exposure <= 1


def same(one: Alignment, other: Alignment) -> None:
    for name in ("estimate", "reference", "confidence", "motion", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.used == other.used and one.exposure == other.exposure


@pytest.fixture(scope="module")
def found(analysis: Analysis, two_scenes: Panned) -> dict[int, Alignment]:
    """Every blurry frame's alignment, one after the other."""
    aligner = Aligner(analysis)
    return {
        i: aligner.align(i, pictures_of(two_scenes, aligner.needs(i)))
        for i in np.flatnonzero(two_scenes.blurry).tolist()
    }


def test_the_blend_is_nearer_to_the_truth_than_the_blurry_frame(
    found: dict[int, Alignment], two_scenes: Panned
) -> None:
    gains = {}
    for i, aligned in found.items():
        well_formed(aligned, 192, 256)
        frame, truth = unit(two_scenes.pictures[i]), unit(two_scenes.truth[i])
        gains[i] = psnr(blend(frame, aligned), truth) - psnr(frame, truth)
    assert min(gains.values()) > 0.5 and np.mean(list(gains.values())) > 2, gains


def test_the_aligned_reference_itself_shows_the_sharp_picture(found: dict[int, Alignment], two_scenes: Panned) -> None:
    inside = (slice(24, -24), slice(24, -24))  # the references do not show what the frame's border shows
    for i, aligned in found.items():
        frame, truth = unit(two_scenes.pictures[i])[inside], unit(two_scenes.truth[i])[inside]
        assert psnr(frame + aligned.reference[inside], truth) > psnr(frame, truth) + 3, i


def test_motion_is_what_the_exposure_saw_of_the_path(found: dict[int, Alignment], two_scenes: Panned) -> None:
    for i, aligned in found.items():
        scene = FIRST if i < 8 else SECOND
        # What is in the picture moves against the camera; a blur vector's sign does not matter, its direction does.
        wanted = np.array(scene.speed) * two_scenes.exposures[i]
        typical = np.median(aligned.motion, axis=(0, 1))
        across = abs(typical[0] * wanted[1] - typical[1] * wanted[0]) / np.hypot(*wanted)
        assert across < 0.15 * np.hypot(*wanted), (i, typical, wanted)
        assert 0.6 < np.hypot(*typical) / np.hypot(*wanted) < 1.25, (i, typical, wanted)


def test_the_exposure_is_judged_where_something_moves() -> None:
    """A thing that passes before a scene at rest: most of the picture fits any exposure."""
    scene, thing = texture(3, 256, 192), texture(4, 96, 80)
    exposures = (0.0, 0.0, 0.8, 0.0, 0.4, 0.0)

    def look(time: float) -> Array:
        shifted = np.float32([[1, 0, 30 + 9 * time], [0, 1, 60]])
        covered = cv2.warpAffine(np.ones(thing.shape[:2], np.float32), shifted, (256, 192))[..., None]
        return covered * cv2.warpAffine(thing, shifted, (256, 192)) + (1 - covered) * scene

    def recorded(time: int, exposure: float) -> npt.NDArray[np.uint8]:
        moments = time + exposure * ((np.arange(24) + 0.5) / 24 - 0.5)
        return code(from_linear(np.mean([to_linear(look(float(t))) for t in moments], axis=0)))

    pictures = np.stack([recorded(time, exposure) for time, exposure in enumerate(exposures)])
    clip = PictureClip(pictures)
    blurry = np.array(exposures) > 0
    untold = np.where(blurry, np.float32(0.5), np.float32(0))
    aligner = Aligner(replace(analyse(clip), blurry=blurry, sharp=~blurry, exposure=untold))
    for i in np.flatnonzero(blurry).tolist():
        aligned = aligner.align(i, {n: frame.rgb for n, frame in clip.read(aligner.needs(i)).items()})
        assert 0.75 < aligned.exposure / exposures[i] < 1.3, (i, aligned.exposure)


@pytest.mark.parametrize("colour", [(0.3, 0.3, 0.3), (0.3, 0.0, -0.1)], ids=["brighter", "of another colour"])
def test_a_reference_that_blurs_to_another_shade_is_another_thing(
    analysis: Analysis, colour: tuple[float, float, float]
) -> None:
    """What lamps and auto exposure change, they change everywhere; a grid is not what a hand blurs to."""
    sharp = 0.6 * texture(13, 256, 192)
    moves = np.zeros((192, 256, 2), np.float32)
    moves[40:152, 60:196] = (14, 6)
    shifts = [np.float32([[1, 0, 14 * t], [0, 1, 6 * t]]) for t in np.linspace(-0.4, 0.4, 24)]
    blurred = np.mean([cv2.warpAffine(sharp, m, (256, 192), borderMode=cv2.BORDER_REFLECT) for m in shifts], axis=0)
    frame = np.where(moves.any(axis=2, keepdims=True), blurred, sharp).astype(np.float32)
    lit = np.clip(frame + np.float32(colour), 0, 1)
    aligner = Aligner(analysis)
    here = cv2.erode(moves[..., 0], np.ones((41, 41))) > 0
    everywhere, there_only = (
        aligner.fuse(2, picture, Motion(moves).resized(aligner.size), {1: sharp}, 0.8).believed[here].mean()
        for picture in (lit, np.where(moves.any(axis=2, keepdims=True), lit, frame))
    )
    assert everywhere > 0.5 and there_only < 0.1


@pytest.mark.parametrize("referred", [False, True], ids=["alone", "by a reference"])
def test_what_speeds_up_is_shown_where_it_is_at_mid_exposure(analysis: Analysis, referred: bool) -> None:
    sharp = cv2.GaussianBlur(texture(12, 256, 192), (0, 0), 2.0)
    interval, bend, exposure = np.float32((14, 4)), np.float32((16, 6)), 0.8
    moments = exposure * ((np.arange(48) + 0.5) / 48 - 0.5)
    ways = [np.float32(np.stack([*np.eye(2), s * interval + s * s * bend / 2], 1)) for s in moments]
    light = to_linear(sharp)
    seen = [cv2.warpAffine(light, m, (256, 192), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT) for m in ways]
    picture = from_linear(np.mean(seen, axis=0))
    aligner = Aligner(analysis)
    moves, bends = (np.broadcast_to(v, (192, 256, 2)).copy() for v in (interval, bend))
    references = {1: sharp} if referred else {}

    def nearness(bends: Array | None) -> float:
        found = aligner.fuse(2, picture, Motion(moves, bends).resized(aligner.size), references, exposure)
        return psnr(blend(picture, found)[24:-24, 24:-24], sharp[24:-24, 24:-24])

    there, nowhere, opposite = (nearness(each) for each in (bends, None, -bends))
    assert there > nowhere + (1.0 if referred else 0.1)
    assert there > opposite + 1.5


def test_blur_is_undone_within_what_moves_and_not_where_it_ends(analysis: Analysis) -> None:
    picture = cv2.blur(texture(11, 256, 192), (9, 1))
    moves = np.zeros((192, 256, 2), np.float32)
    moves[:, 80:176] = (11, 0)
    aligner = Aligner(analysis)
    found = aligner.fuse(2, picture, Motion(moves).resized(aligner.size), {}, 0.8)
    assert found.weight[40:-40, 104:152].mean() > 0.9
    assert max(found.weight[40:-40, edge - 1 : edge + 1].max() for edge in (80, 176)) < 0.3


def test_what_moves_on_its_own_is_left_alone_where_it_looks_sharp(
    analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flow makes things up where they come and go. A camera's motion is known by all of the picture."""
    monkeypatch.setattr(alignment, "longest_exposure", lambda *_: 1.0)  # other things may be blurred that much
    sharp = texture(12, 256, 192)
    alone = np.zeros((192, 256, 2), np.float32)
    alone[:, 80:176] = (24, 6)
    everywhere = np.full_like(alone, (24, 6))
    aligner = Aligner(analysis)
    of_a_thing, of_the_camera = (
        aligner.fuse(2, sharp, Motion(moves).resized(aligner.size), {}, 0.6).weight[60:-60, 108:148].mean()
        for moves in (alone, everywhere)
    )
    assert of_a_thing < 0.3 and of_the_camera > 0.9


def test_before_a_camera_at_rest_a_reference_has_to_tell_of_the_blur(analysis: Analysis) -> None:
    """Things that come and go there lend no detail to each other; smooth ones look blurred and are sharp."""
    sharp, other = texture(11, 256, 192), texture(12, 256, 192)
    blurred = cv2.blur(sharp, (9, 1))
    everywhere = np.full((192, 256, 2), (11, 0), np.float32)
    of_a_thing = everywhere.copy()
    of_a_thing[:, :80] = of_a_thing[:, 176:] = 0
    aligner = Aligner(analysis)

    def weight(moves: Array, reference: Array) -> float:
        picture = np.where(moves.any(axis=2, keepdims=True), blurred, sharp)
        found = aligner.fuse(2, picture, Motion(moves).resized(aligner.size), {1: reference}, 0.8)
        return float(found.weight[40:-40, 104:152].mean())

    assert weight(of_a_thing, sharp) > 0.9
    assert weight(of_a_thing, other) == 0
    assert weight(everywhere, other) > 0.9


def test_references_come_from_the_frames_own_scene(found: dict[int, Alignment], analysis: Analysis) -> None:
    for i, aligned in found.items():
        assert set(aligned.used) == set(analysis.references_for(i)) and i not in aligned.used
        assert {int(analysis.scene[j]) for j in aligned.used} == {int(analysis.scene[i])}


def test_needs_names_the_frame_its_neighbours_and_references_within_reach(analysis: Analysis) -> None:
    aligner = Aligner(analysis)
    for i in range(16):
        needs = aligner.needs(i)
        assert set(needs) == {i, *analysis.neighbours(i), *analysis.references_for(i)}
        assert list(needs) == sorted(needs) and all(abs(j - i) <= analysis.reach for j in needs)


def test_only_the_frames_of_needs_are_looked_at(analysis: Analysis, two_scenes: Panned) -> None:
    aligner = Aligner(analysis)
    few, all_ = (pictures_of(two_scenes, numbers) for numbers in (aligner.needs(2), tuple(range(16))))
    same(aligner.align(2, few), aligner.align(2, all_))


def test_threads_find_what_one_thread_finds(
    found: dict[int, Alignment], analysis: Analysis, two_scenes: Panned
) -> None:
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, tuple(range(16)))
    with ThreadPoolExecutor(3) as pool:
        results = dict(zip(found, pool.map(lambda i: aligner.align(i, pictures), found), strict=True))
    for i, aligned in found.items():
        same(results[i], aligned)


def test_pictures_are_left_as_they_are(analysis: Analysis, two_scenes: Panned) -> None:
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, aligner.needs(2))
    before = {j: p.copy() for j, p in pictures.items()}
    aligner.align(2, pictures)
    for j, picture in before.items():
        np.testing.assert_array_equal(pictures[j], picture)


def test_a_reference_of_something_else_is_not_believed(
    found: dict[int, Alignment], analysis: Analysis, two_scenes: Panned
) -> None:
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, aligner.needs(2))
    for j in analysis.references_for(2):
        pictures[j] = np.ascontiguousarray(texture(9)[100 : 100 + 192, 50 : 50 + 256])
    garbage = aligner.align(2, pictures)
    well_formed(garbage, 192, 256)
    assert garbage.believed.mean() < 0.02 < 0.2 < found[2].believed.mean()
    frame, truth = pictures[2], unit(two_scenes.truth[2])
    assert psnr(blend(frame, garbage), truth) > psnr(frame, truth) - 0.1


def test_references_end_where_the_restored_frame_shows_the_same(analysis: Analysis) -> None:
    """Where near things end, pictures that are blurred alike hardly tell; a restored frame and a sharp one do."""
    aligner = Aligner(analysis, transfer="none", fine=True)
    width, height = aligner.size
    far, near = (cv2.cvtColor(texture(seed, width + 64, height + 64), cv2.COLOR_RGB2GRAY) for seed in (14, 15))
    rng, disks = np.random.default_rng(1), np.zeros_like(far)
    for _ in range(14):
        centre = rng.integers(20, [width + 44, height + 44]).tolist()
        cv2.circle(disks, centre, int(rng.integers(8, 16)), 1.0, -1)

    def look(time: float) -> Array:
        moved = [
            cv2.warpAffine(picture, np.float32([[1, 0, x * time], [0, 1, y * time]]), far.shape[::-1])
            for picture, (x, y) in ((far, (4, 1)), (near, (9, 3)), (disks, (9, 3)))
        ]
        return (moved[0] + moved[2] * (moved[1] - moved[0]))[32:-32, 32:-32]

    frame = np.mean([look(float(time)) for time in np.linspace(-0.4, 0.4, 25)], axis=0, dtype=np.float32)
    blur = np.where(disks[32:-32, 32:-32, None] > 0.5, np.float32((7.2, 2.4)), np.float32((3.2, 0.8)))
    aligned = aligner._one(2, 1, frame, look(2), blur, False)
    placed = aligner._placed(frame, blur, {1: aligned}, {1: look(2)})[1]
    inside = (slice(16, -16), slice(16, -16))
    before, after = (psnr(found.warped[inside], look(0)[inside]) for found in (aligned, placed))
    assert before > 27 and after > before + 1, (before, after)


def test_belief_in_a_far_smeared_place_has_to_be_borne_out_along_the_path(analysis: Analysis) -> None:
    """A reference of something else fits in spots by chance; what shows the thing fits beside them, too."""
    aligner = Aligner(analysis)
    spots, half = np.zeros((2, 180, 320), np.float32)
    spots[40:43, 60:63] = spots[120:123, 200:203] = 1
    half[:, :160] = 1
    far, near = np.full((180, 320, 2), (18, 6), np.float32), np.full((180, 320, 2), (6, 2), np.float32)
    assert (spots * aligner._borne_out(spots, far)).max() == 0
    assert aligner._borne_out(half, far)[:, :155].min() == 1
    assert aligner._borne_out(spots, near).min() == 1


def test_erratic_motion_is_believed_only_if_it_explains_the_blur(analysis: Analysis, two_scenes: Panned) -> None:
    aligner = Aligner(analysis)
    i = int(np.flatnonzero(two_scenes.blurry)[0])
    pictures = pictures_of(two_scenes, aligner.needs(i))
    interval = aligner.motion(i, pictures).interval
    references = {j: pictures[j] for j in analysis.references_for(i)}

    def believed(motion: Array, erratic: float) -> float:
        bend = np.zeros_like(motion)
        bend[:, : bend.shape[1] // 2] = erratic * motion[:, : bend.shape[1] // 2]  # not all of it: no shake
        exposure = float(two_scenes.exposures[i])
        found = aligner.fuse(i, pictures[i], Motion(motion, bend), references, exposure)
        return float(found.believed[16:-16, 16 : found.believed.shape[1] // 2 - 16].mean())

    turned = np.ascontiguousarray(interval[..., ::-1] * np.array([-1, 1], np.float32))
    assert believed(interval, 3.0) > 0.5 * believed(interval, 0.0)
    assert believed(turned, 3.0) < 0.05


def test_where_something_is_in_the_way_the_reference_is_not_believed(
    found: dict[int, Alignment], analysis: Analysis, two_scenes: Panned
) -> None:
    aligner = Aligner(replace(analysis, references=1))
    pictures = pictures_of(two_scenes, aligner.needs(3))
    clear = aligner.align(3, pictures)
    (j,) = analysis.references_for(3, 1)
    pictures[j] = pictures[j].copy()
    pictures[j][60:140, 80:180] = texture(9)[60:140, 80:180]
    hidden = aligner.align(3, pictures)
    patch = (slice(80, 120), slice(110, 150))  # well inside, whatever way the frames moved
    assert clear.believed[patch].mean() > 0.25
    assert hidden.believed[patch].mean() < 0.05
    far = (slice(30, 160), slice(215, 250))
    assert hidden.believed[far].mean() > 0.5 * clear.believed[far].mean() > 0.05


def wobbled(picture: Array, seed: int) -> Array:
    """What is in the picture, moved about by a pixel here and there, as flow is wrong by: no camera does that."""
    height, width = picture.shape[:2]
    off = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width, 2)).astype(np.float32), (0, 0), 4.0)
    off /= off.std()
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = cv2.remap(picture, x + off[..., 0], y + off[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(moved)


@pytest.mark.parametrize("speed", [(6.0, 2.0), (12.0, 5.0)])
@pytest.mark.parametrize("wobbles", [False, True])
def test_a_sharp_frame_taken_for_blurry_stays_as_it_is(speed: tuple[float, float], wobbles: bool) -> None:
    panned = Panned([Scene([0] * 5, speed=speed)], (256, 192))
    blurry = np.arange(5) == 2
    wrong = replace(
        analyse(panned.clip()),
        blurry=blurry,
        sharp=~blurry,
        exposure=np.where(blurry, np.float32(0.5), np.float32(0)),
    )
    aligner = Aligner(wrong)
    pictures = pictures_of(panned, aligner.needs(2))
    motion = aligner.motion(2, pictures)
    references = {j: wobbled(pictures[j], j) if wobbles else pictures[j] for j in wrong.references_for(2)}
    found = aligner.fuse(2, pictures[2], motion, references, 0.5)
    well_formed(found, 192, 256)
    assert found.exposure == 0 and not found.weight.any() and not found.change.any()


def test_only_a_reference_that_explains_little_is_overruled_by_the_detail_that_is_there(
    analysis: Analysis, two_scenes: Panned, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def by_detail(*args: object) -> float:
        asked.append(args)
        return 0.2

    monkeypatch.setattr(alignment, "exposure_by_detail", by_detail)
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, aligner.needs(2))
    assert aligner.align(2, pictures).exposure > 0.4 and not asked
    for j in analysis.references_for(2):
        pictures[j] = np.ascontiguousarray(texture(9)[100 : 100 + 192, 50 : 50 + 256])
    assert 0 < aligner.align(2, pictures).exposure <= 0.2 and len(asked) == 1


def test_what_stands_still_is_left_alone(analysis: Analysis) -> None:
    still = np.repeat((texture(4)[None, :192, :256] * 255).astype(np.uint8), 16, axis=0)
    aligner = Aligner(replace(analysis, homography=np.tile(np.eye(3), (16, 1, 1))))
    aligned = aligner.align(2, {i: unit(still[i]) for i in aligner.needs(2)})
    assert np.count_nonzero(aligned.weight) == 0


def test_only_what_moves_is_treated() -> None:
    """A thing crosses a still background."""
    background, thing = texture(4)[:192, :256], texture(5)
    shots = []
    for t in range(5):
        moments = [t] if t != 2 else t + 0.7 * ((np.arange(16) + 0.5) / 16 - 0.5)
        total = np.zeros_like(background)
        for moment in moments:
            picture = background.copy()
            left = round(30 + 10 * float(moment))
            picture[50:140, left : left + 110] = thing[50:140, :110]
            total += picture
        shots.append(total / len(moments))
    panned = np.clip(np.stack(shots) * 255, 0, 255).astype(np.uint8)
    analysis = analyse(PictureClip(panned))
    flags = np.arange(5) == 2
    analysis = replace(analysis, blurry=flags, sharp=~flags, exposure=np.where(flags, np.float32(0.7), np.float32(0)))
    aligner = Aligner(analysis)
    aligned = aligner.align(2, {i: unit(panned[i]) for i in aligner.needs(2)})
    assert aligned.weight[80:110, 90:120].mean() > 0.9
    assert aligned.weight[:, 220:].max() == 0 and aligned.weight[:20].max() == 0


def test_without_references_only_the_motion_is_found(
    found: dict[int, Alignment], analysis: Analysis, two_scenes: Panned
) -> None:
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, (1, 2, 3))
    alone = aligner.align(2, pictures, references=False)
    well_formed(alone, 192, 256)
    assert alone.used == () and not alone.believed.any()
    assert alone.exposure == pytest.approx(float(analysis.exposure[2]))
    assert np.median(np.hypot(alone.motion[..., 0], alone.motion[..., 1])) > 3
    only_neighbours_are_there = aligner.align(2, {i: pictures[i] for i in (1, 2, 3)})
    assert only_neighbours_are_there.used == (1,)  # neighbour and reference at once


def test_with_no_neighbours_the_camera_path_tells_the_motion(
    found: dict[int, Alignment], analysis: Analysis, two_scenes: Panned
) -> None:
    """And references that are missing are done without."""
    pictures = pictures_of(two_scenes, (2, 4))
    aligned = Aligner(analysis).align(2, pictures)
    well_formed(aligned, 192, 256)
    assert aligned.used == (4,)
    off = np.median(aligned.motion, axis=(0, 1)) - np.median(found[2].motion, axis=(0, 1))
    assert np.hypot(*off) < 1.5
    frame, truth = pictures[2], unit(two_scenes.truth[2])
    assert psnr(blend(frame, aligned), truth) > psnr(frame, truth)


def test_the_frame_alone(analysis: Analysis, two_scenes: Panned) -> None:
    aligned = Aligner(analysis).align(2, pictures_of(two_scenes, (2,)))
    well_formed(aligned, 192, 256)
    assert aligned.used == () and not aligned.believed.any()


def test_slow_shading_is_taken_from_the_frame(analysis: Analysis, two_scenes: Panned) -> None:
    """Auto exposure may brighten the references; the picture must not flicker for that."""
    aligner = Aligner(analysis)
    pictures = pictures_of(two_scenes, aligner.needs(6))
    for j in analysis.references_for(6):
        pictures[j] = pictures[j] * np.float32(0.9) + np.float32(0.1)  # brighter by 0.05 on average
    aligned = aligner.align(6, pictures)
    assert abs(float(aligned.reference.mean())) < 0.008


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures(analysis: Analysis, level: float) -> None:
    flat = np.full((192, 256, 3), level, np.float32)
    aligner = Aligner(analysis)
    aligned = aligner.align(2, dict.fromkeys(aligner.needs(2), flat))
    well_formed(aligned, 192, 256)
    np.testing.assert_allclose(blend(flat, aligned), flat, atol=1e-3)


@pytest.mark.parametrize("size", [(97, 63), (33, 40), (16, 9), (8, 8), (2, 3), (1, 1)])
def test_small_and_odd_pictures(size: tuple[int, int]) -> None:
    panned = Panned([Scene([0, 0.8, 0, 0])], size)
    analysis = analyse(panned.clip())
    blurry = np.array([False, True, False, False])
    analysis = replace(analysis, blurry=blurry, sharp=~blurry, exposure=np.array([0, 0.8, 0, 0], np.float32))
    aligner = Aligner(analysis)
    well_formed(aligner.align(1, pictures_of(panned, aligner.needs(1))), size[1], size[0])


def test_values_beyond_the_nominal_range(analysis: Analysis, two_scenes: Panned) -> None:
    """Superwhites, negative values and scene-linear highlights come through without a hole."""
    aligner = Aligner(analysis, transfer="linear")
    pictures = {j: p * 12 - 0.1 for j, p in pictures_of(two_scenes, aligner.needs(2)).items()}
    well_formed(aligner.align(2, pictures), 192, 256)
