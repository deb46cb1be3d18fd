# SPDX-License-Identifier: Apache-2.0
"""The analysis as it travels inside model files: what goes in comes out, and nothing hostile gets past."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.analysis import Analysis
from deblur_engine.errors import ModelError


def made_up(count: int = 5, seed: int = 0, **changed: Any) -> Analysis:
    rng = np.random.default_rng(seed)
    sharp = rng.random(count) < 0.5
    values: dict[str, Any] = {
        "width": 96,
        "height": 72,
        "times": np.arange(count) / 25,
        "scene": np.sort(rng.integers(0, 3, count)).astype(np.int32),
        "sharpness": rng.normal(0, 1, count).astype(np.float32),
        "drop": rng.uniform(0, 2, count).astype(np.float32),
        "speed": rng.uniform(0, 20, count).astype(np.float32),
        "exposure": rng.uniform(0, 1, count).astype(np.float32),
        "homography": np.eye(3)
        + rng.uniform(-1, 1, (count, 3, 3)) * [[0.05, 0.05, 9], [0.05, 0.05, 9], [1e-4, 1e-4, 0]],
        "sharp": sharp,
        "blurry": ~sharp,
        "references": 3,
        "reach": 7,
    }
    return Analysis(**{**values, **changed})


def archive(**changed: Any) -> bytes:
    """``to_bytes`` of an analysis with some entries replaced (None: left out)."""
    with np.load(io.BytesIO(made_up().to_bytes())) as opened:
        entries = {**dict(opened), **changed}
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in entries.items() if value is not None})
    return stream.getvalue()


def test_a_round_trip_loses_nothing() -> None:
    before = made_up(9)
    after = Analysis.from_bytes(before.to_bytes())
    for f in fields(Analysis):
        was, became = getattr(before, f.name), getattr(after, f.name)
        np.testing.assert_array_equal(became, was)
        assert type(became) is type(was), f.name
        if isinstance(was, np.ndarray):
            assert became.dtype == was.dtype


def test_archive_of_the_tests_is_sound() -> None:
    """Else the refusals below would prove nothing."""
    assert Analysis.from_bytes(archive()).frame_count == 5


@pytest.mark.parametrize(
    "changed",
    [
        {"format": np.int64(2)},
        {"format": None},
        {"format": np.array([1, 1])},
        {"width": np.int64(0)},
        {"width": np.int64(-4)},
        {"height": np.int64(1 << 40)},
        {"width": np.float64(96)},
        {"reach": np.array([7])},
        {"references": np.array("3")},
        {"times": np.zeros((5, 2))},
        {"times": np.zeros(4)},
        {"times": np.float64(0)},
        {"times": np.array([0, 1, 2, 3, np.nan])},
        {"sharpness": np.array([0, 1, 2, 3, np.inf], np.float32)},
        {"speed": np.zeros(5, np.complex64)},
        {"scene": np.zeros(5)},
        {"sharp": np.ones(5, np.uint8)},
        {"blurry": None},
        {"homography": np.zeros((5, 3, 3))},
        {"homography": np.tile(np.eye(3) * 1e8, (5, 1, 1))},
        {"homography": np.tile(np.eye(4), (5, 1, 1))},
        {"drop": np.array([None] * 5, object)},
    ],
    ids=lambda changed: "-".join(f"{k}={v!s:.30}" for k, v in changed.items()),
)
def test_what_does_not_fit_together_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="analysis in the model"):
        Analysis.from_bytes(archive(**changed))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80\x04]\x94."])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        Analysis.from_bytes(data)


def test_an_array_instead_of_an_archive_is_refused() -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    with pytest.raises(ModelError):
        Analysis.from_bytes(stream.getvalue())


def test_a_pickle_in_an_archive_is_not_run() -> None:
    ran: list[int] = []

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (ran.append, (1,))

    with pytest.raises(ModelError):
        Analysis.from_bytes(archive(drop=np.array([Trap()] * 5, object)))
    assert ran == []


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """An entry may claim any length, and zeros pack a thousandfold."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 44,)})
    stream = io.BytesIO(archive(drop=None))
    with zipfile.ZipFile(stream, "a") as opened:
        opened.writestr("drop.npy", header.getvalue() + bytes(64))
    with pytest.raises(ModelError):
        Analysis.from_bytes(stream.getvalue())


def test_packed_entries_are_refused_however_small_the_file() -> None:
    """A few kilobytes may hold gigabytes of zeros."""
    with np.load(io.BytesIO(made_up().to_bytes())) as opened:
        entries = dict(opened)
    stream = io.BytesIO()
    np.savez_compressed(stream, **entries)
    with pytest.raises(ModelError, match="packed"):
        Analysis.from_bytes(stream.getvalue())


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        Analysis.from_bytes(data)


SOUND = made_up().to_bytes()


@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(SOUND)),
)
def test_a_mutated_archive_gives_an_analysis_or_a_model_error(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(SOUND)
    for place, value in changes:
        data[place] = value
    for tried in (bytes(data), bytes(data[:end])):
        try:
            found = Analysis.from_bytes(tried)
        except ModelError:
            continue
        usable(found)


def usable(analysis: Analysis) -> None:
    """What rendering asks of an analysis must not fail for one that was let in."""
    last = analysis.frame_count - 1
    if last >= 0:
        analysis.references_for(last)
        analysis.neighbours(last)
        assert np.isfinite(analysis.between(0, last)).all() and np.isfinite(analysis.between(last, 0)).all()


@given(st.integers(0, 20), st.integers(0, 11), st.integers(0, 11), st.integers(0, 11))
def test_paths_chain_and_turn_back(seed: int, i: int, j: int, k: int) -> None:
    analysis = made_up(12, seed)
    np.testing.assert_allclose(analysis.between(i, i), np.eye(3), atol=1e-12)
    there, back = analysis.between(i, j), analysis.between(j, i)
    corners = np.array([[0, 0, 1], [95, 0, 1], [0, 71, 1], [48, 36, 1]], float).T

    def at(matrix: np.ndarray) -> np.ndarray:
        moved = matrix @ corners
        return moved[:2] / moved[2]

    np.testing.assert_allclose(at(back @ there), corners[:2], atol=1e-6)
    np.testing.assert_allclose(at(analysis.between(j, k) @ there), at(analysis.between(i, k)), atol=1e-6)


def test_between_neighbours_is_the_homography_itself() -> None:
    analysis = made_up(6)
    np.testing.assert_allclose(analysis.between(2, 3), analysis.homography[2] / analysis.homography[2][2, 2])


@given(st.integers(0, 30), st.integers(2, 20))
def test_references_stay_within_reach_and_scene(seed: int, count: int) -> None:
    analysis = made_up(count, seed)
    for i in range(count):
        every = analysis.references_for(i, count)
        wanted = {
            j
            for j in range(count)
            if j != i and abs(j - i) <= 7 and analysis.sharp[j] and analysis.scene[j] == analysis.scene[i]
        }
        assert set(every) == wanted and len(every) == len(wanted)
        assert analysis.references_for(i) == every[:3]


def test_of_two_equally_near_references_the_sharper_comes_first() -> None:
    analysis = made_up(
        3,
        scene=np.zeros(3, np.int32),
        sharp=np.array([True, False, True]),
        drop=np.array([0.3, 2, 0.1], np.float32),
    )
    assert analysis.references_for(1) == (2, 0)


def test_stand_in_references_are_as_far_away_as_the_blurry_frames() -> None:
    sharp = np.array([1, 1, 1, 1, 1, 0, 0, 0, 1], bool)
    analysis = made_up(9, scene=np.zeros(9, np.int32), sharp=sharp, blurry=~sharp, drop=np.zeros(9, np.float32))
    assert analysis.references_for(6, 1) == (4,)  # two frames away ...
    found = analysis.references_as_far(2, 6)
    assert found and min(abs(j - 2) for j in found) == 2 and 2 not in found  # ... so 1 and 3 are too near
    alone = made_up(3, scene=np.zeros(3, np.int32), sharp=np.array([1, 1, 0], bool), blurry=np.array([0, 0, 1], bool))
    assert alone.references_as_far(0, 2) == (1,)
    assert alone.references_as_far(1, 2) == (0,)
