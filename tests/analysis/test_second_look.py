# SPDX-License-Identifier: Apache-2.0
"""The second look at frames that pass for sharp, in a still scene that something crosses."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deblur_engine.analysis import Alignment, Analysis, analyse
from deblur_engine.analysis.second_look import look_again, proof_of_blur
from deblur_engine.task import Event, Task
from panned import Panned, PictureClip, Scene, code, from_linear, texture, to_linear

Array = npt.NDArray[np.float32]

EXPOSURES = (0.0, 0.0, 0.6, 0.0, 0.6, 0.0)
PASSES = 4  # blurry, but taken for sharp
DOUBTED = 1  # sharp, and looked at


def recorded(time: int, exposure: float) -> npt.NDArray[np.uint8]:
    scene, thing = texture(3, 320, 192), texture(4)[:80, :96]

    def look(moment: float) -> npt.NDArray[np.float32]:
        shifted = np.float32([[1, 0, 30 + 20 * moment], [0, 1, 50]])
        covered = cv2.warpAffine(np.ones(thing.shape[:2], np.float32), shifted, (320, 192))[..., None]
        return covered * cv2.warpAffine(thing, shifted, (320, 192)) + (1 - covered) * scene

    moments = time + exposure * ((np.arange(24) + 0.5) / 24 - 0.5)
    return code(from_linear(np.mean([to_linear(look(float(t))) for t in moments], axis=0)))


@pytest.fixture(scope="module")
def crossed() -> PictureClip:
    return PictureClip(np.stack([recorded(time, exposure) for time, exposure in enumerate(EXPOSURES)]))


@pytest.fixture(scope="module")
def misjudged(crossed: PictureClip) -> Analysis:
    """What ``analyse`` knows of the clip, but for one blurry frame that passes for sharp."""
    sharp = np.array([exposure == 0 or time == PASSES for time, exposure in enumerate(EXPOSURES)])
    drop = np.where(sharp, np.float32(0), np.float32(0.6))
    drop[[PASSES, DOUBTED]] = 0.15
    exposure = np.where(sharp, np.float32(0), np.float32(0.5))
    return replace(analyse(crossed), drop=drop, sharp=sharp, blurry=~sharp, exposure=exposure)


def test_what_a_sharper_frame_proves_blurry_is_found_and_a_sharp_one_is_not(
    crossed: PictureClip, misjudged: Analysis
) -> None:
    events: list[Event] = []
    found = look_again(crossed, misjudged, Task(events.append))
    assert found.blurry.tolist() == [exposure > 0 for exposure in EXPOSURES]
    assert found.sharp.tolist() == [exposure == 0 for exposure in EXPOSURES]
    assert 0.35 < found.exposure[PASSES] < 0.9
    assert [(e.stage, e.done, e.total) for e in events] == [("expose", 1, 2), ("expose", 2, 2)]
    assert not misjudged.blurry[PASSES] and misjudged.sharp[PASSES]  # what was given stays as it was


@pytest.mark.parametrize("sharp", [False, True], ids=["neither sharp nor blurry", "taken for sharp"])
def test_where_all_moves_mild_blur_is_found(sharp: bool) -> None:
    """Of a walk's frames the sharpness drifts, and the blur of slow ones takes little of it."""
    pan = Panned([Scene([0, 0, 0.6, 0, 0.4, 0], speed=(8.0, 3.0))], (320, 192))
    analysis = analyse(pan.clip())
    at = np.arange(6)
    drop = np.where((at == 4) | (at == 1), np.float32(0.15), analysis.drop)
    flags = {"blurry": at == 2, "sharp": (at != 2) & ((at != 4) | sharp)}
    exposure = np.where(at == 2, np.float32(0.6), np.float32(0))
    found = look_again(pan.clip(), replace(analysis, drop=drop, exposure=exposure, **flags), Task())
    assert found.blurry.tolist() == [exposed > 0 for exposed in pan.exposures]
    assert found.sharp.tolist() == [exposed == 0 for exposed in pan.exposures]
    assert 0.3 < found.exposure[4] < 0.5


@pytest.mark.parametrize("why", ["slow camera", "slow things", "no doubt", "nothing sharper", "nothing blurry"])
def test_other_frames_are_not_looked_at(crossed: PictureClip, misjudged: Analysis, why: str) -> None:
    if why == "slow camera":
        pan = np.array([[1, 0, 2.5], [0, 1, 0], [0, 0, 1]], np.float64)
        given = replace(misjudged, homography=np.stack([pan] * len(EXPOSURES)), speed=np.minimum(misjudged.speed, 2.5))
    elif why == "slow things":
        given = replace(misjudged, speed=np.minimum(misjudged.speed, 4))
    elif why == "no doubt":
        given = replace(misjudged, drop=np.where(misjudged.sharp, np.float32(0.02), misjudged.drop))
    elif why == "nothing sharper":
        given = replace(misjudged, drop=np.maximum(misjudged.drop, np.float32(0.12)))
    else:
        given = replace(misjudged, blurry=np.zeros_like(misjudged.blurry))
    assert look_again(crossed, given, Task()) is given


def test_a_sharp_pan_has_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PictureClip, "_source_read", lambda *_: pytest.fail("no frame is needed"))
    pan = Panned([Scene([0, 0.6, 0, 0.6, 0], speed=(12.0, 3.0))], (256, 192)).clip()
    assert analyse(pan).blurry.tolist() == [False, True, False, True, False]


def test_proof_is_what_changes_and_how_much_sharper_that_is() -> None:
    sharp = texture(6)[:96, :96]
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.0)

    def proof(picture: Array, reference: Array, believed: float) -> tuple[float, float]:
        nothing = np.zeros((96, 96, 2), np.float32)
        confidence = np.full((96, 96, 2), believed, np.float32)
        whole = np.ones((96, 96), np.float32)
        change = reference - picture
        return proof_of_blur(picture, Alignment(0 * change, change, confidence, nothing, whole, (1,), 0.5))

    luma = cv2.cvtColor(sharp - blurred, cv2.COLOR_RGB2GRAY)
    changed, sharper = proof(blurred, sharp, 1.0)
    assert changed == pytest.approx(float(np.mean(luma * luma)), rel=1e-4) and sharper > 1
    assert proof(blurred, sharp, 0.5)[0] == pytest.approx(changed / 2)
    assert proof(blurred, blurred, 1.0) == proof(blurred, sharp, 0.0) == (0, 0)
    assert proof(sharp, blurred, 1.0)[1] < -1  # a softer reference proves nothing
