# SPDX-License-Identifier: Apache-2.0
"""The test host finds each rule that its own small effect breaks: else the other tests would prove nothing."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from ofx.conftest import StandIn
from ofx.hosting import stored

FAULTS = [
    "did not give back the picture of Source",
    "wrote into the padding of a row of Output",
    "outside of the window",
    "wrote into the picture of Source",
    "sets fault in OfxImageEffectActionRender",
    "left 1 pixels of the window unwritten",
    "a property set that is not, or no longer, there",
]


@pytest.fixture
def picture() -> np.ndarray:
    return stored(np.random.default_rng(3).random((6, 8, 4)), "float")


@pytest.mark.parametrize("manner", ["plain", "mlt", "natron", "runner", "resolve", "nuke"])
def test_an_effect_without_faults_passes_in_every_manner(stand_in: StandIn, picture, manner: str) -> None:
    host = stand_in.host({0: picture}, "--manner", manner, plugin=stand_in.built.selftest)
    frame = host.one(0)
    want = np.concatenate([1 - picture[..., :3], picture[..., 3:]], -1)
    np.testing.assert_array_equal(frame.picture, want)
    assert frame.status == 0 and not frame.said["violations"]


@pytest.mark.parametrize(("fault", "told"), list(enumerate(FAULTS, 1)))
def test_each_fault_is_told_and_fails_the_run(stand_in: StandIn, picture, fault: int, told: str) -> None:
    host = stand_in.host({0: picture}, "--manner", "natron", plugin=stand_in.built.selftest)
    host.set(fault=fault)
    host.do("window 2 1 7 5")
    assert any(told in each for each in host.one(0).said["violations"])
    with pytest.raises(AssertionError, match="ended with 1"):
        host.close()
    stand_in.hosts.clear()


def test_only_the_window_is_written(stand_in: StandIn, picture) -> None:
    host = stand_in.host({0: picture}, plugin=stand_in.built.selftest)
    host.do("window 2 1 7 5")
    inside = np.zeros(picture.shape, bool)
    inside[1:5, 2:7] = True  # rows from the top: 6 high, y upwards
    blank = np.frombuffer(b"\x5b" * 4, np.float32)[0]
    assert (host.one(0).picture[~inside] == blank).all()


def test_wrong_use_is_told(stand_in: StandIn) -> None:
    for words in ([], ["x.ofx"], ["x.ofx", "--size", "4x4", "--manner", "odd"], ["x.ofx", "--size", "4x4", "--what"]):
        assert subprocess.run([stand_in.built.host, *words], capture_output=True).returncode == 2
    done = subprocess.run([stand_in.built.host, "/no.ofx", "--size", "4x4"], capture_output=True, text=True)
    assert done.returncode == 3 and "/no.ofx" in done.stderr
