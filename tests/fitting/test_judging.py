# SPDX-License-Identifier: Apache-2.0
"""Held-out pairs as a judge, the weights that a fit starts from, and checkpoints."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deblur_engine.errors import ModelError, OutputError
from deblur_engine.fitting.checkpoint import checkpoint_path, load_checkpoint, remove_checkpoint, save_checkpoint
from deblur_engine.fitting.held_out import HeldOut, psnr
from deblur_engine.fitting.network import DeblurNet
from deblur_engine.fitting.pairs import Pair
from deblur_engine.fitting.warm_start import WARM_START, load_warm_start, save_warm_start
from deblur_engine.task import Event, Task

CPU = torch.device("cpu")


def pair(seed: int, length: float, *, weight: float = 1.0, confidence: float = 0.5, blurred: bool = True) -> Pair:
    """A pair of noise whose frame is off by 0.1 a sample and whose blur is ``length`` pixels long everywhere."""
    rng = np.random.default_rng(seed)
    sharp = rng.uniform(0.2, 0.8, (40, 48, 3))
    off = 0.1 * rng.choice([-1, 1], sharp.shape)
    return Pair(
        frame=(sharp + off).astype(np.float16),
        sharp=sharp.astype(np.float16),
        estimate=np.zeros((40, 48, 3), np.float16),
        reference=(-0.5 * off).astype(np.float16),
        confidence=np.full((40, 48, 2), (confidence, 0), np.float16),
        motion=np.full((40, 48, 2), (length, 0), np.float16),
        weight=np.full((40, 48, 1), weight, np.float16),
        target=seed,
        blurred=blurred,
    )


class Oracle(torch.nn.Module):
    """Knows the sharp picture of every frame and moves a given way towards it (1: all of it, -1: as far off)."""

    def __init__(self, pairs: list[Pair], share: float) -> None:
        super().__init__()
        self.known = [(self._picture(p.frame), self._picture(p.sharp)) for p in pairs]
        self.share = share

    @staticmethod
    def _picture(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32).transpose(2, 0, 1))[None]

    def forward(self, frame: Tensor, *_: Tensor) -> Tensor:
        sharp = next(s for f, s in self.known if torch.equal(f, frame))
        return frame + self.share * (sharp - frame)


class ByLength(torch.nn.Module):
    """One network for blur of less than 8 pixels, another for longer."""

    def __init__(self, short: Oracle, long: Oracle) -> None:
        super().__init__()
        self.short, self.long = short, long

    def forward(self, frame: Tensor, *guides: Tensor) -> Tensor:
        return (self.short if float(guides[-1].max()) < 8 else self.long)(frame)


def factors(pairs: list[Pair], share: float) -> dict[float, float]:
    alone, _ = HeldOut(pairs).trust(Oracle(pairs, share), CPU)  # type: ignore[arg-type]
    return dict(alone)


def test_a_perfect_network_is_trusted_but_for_prudence() -> None:
    pairs = [pair(n, length) for n, length in enumerate((0.2, 1, 2, 4, 8, 16, 40))]
    found = factors(pairs, 1.0)
    assert list(found) == [0, 1, 2, 4, 8, 16, 32]
    np.testing.assert_allclose(list(found.values()), 0.9, atol=1e-3)


def test_a_network_that_harms_is_not_trusted() -> None:
    assert set(factors([pair(0, 2), pair(1, 16)], -1.0).values()) == {0.0}


def test_one_that_does_nothing_is_not_trusted_either() -> None:
    assert set(factors([pair(0, 4)], 0.0).values()) == {0.0}


def test_one_that_goes_too_far_is_held_back() -> None:
    np.testing.assert_allclose(list(factors([pair(0, 4)], 2.0).values()), 0.45, atol=1e-3)
    assert set(factors([pair(0, 4)], 0.25).values()) == {1.0}  # and one too timid is never pushed beyond itself


def test_all_corners_of_large_pairs_are_looked_at() -> None:
    """Pairs told apart by where they are blurred: between them, all four corners and the middle are seen."""
    seen = set()

    class Looks(torch.nn.Module):
        def forward(self, frame: Tensor, *guides: Tensor) -> Tensor:
            seen.add((float(frame[0, 0, 0, 0]), float(frame[0, 1, 0, 0])))
            return frame

    small = pair(0, 4)
    y, x = np.mgrid[0:500, 0:700]
    where = np.stack([y / 512, x / 1024, 0 * x], -1).astype(np.float16)  # a picture that says which place a pixel is at

    def grown(values: np.ndarray) -> np.ndarray:
        return np.zeros((500, 700, values.shape[2]), np.float16)

    names = ("sharp", "estimate", "reference", "confidence", "motion", "weight")
    large = replace(small, **{name: grown(getattr(small, name)) for name in names}, frame=where)
    HeldOut([large] * 5).gain(Looks(), CPU)
    expected = {(top / 512, left / 1024) for top, left in ((0, 0), (0, 380), (180, 0), (180, 380), (90, 190))}
    assert len(seen) == 5
    for found, wanted in zip(sorted(seen), sorted(expected), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_trust_is_counted_by_blur_length() -> None:
    short, long = pair(0, 1), pair(1, 16)
    judged = HeldOut([short, long])
    good, bad = Oracle([short], 1.0), Oracle([long], -1.0)

    found = dict(judged.trust(ByLength(good, bad), CPU)[0])  # type: ignore[arg-type]
    # Both lengths together say nothing either way, and count an eighth of what each does.
    assert found[0] == found[1] == pytest.approx(0.9 / 1.25, abs=1e-3) and found[16] == found[32] == 0
    assert 0 < found[8] < found[4] < found[2] < found[1]  # lengths that were not seen lie between


@pytest.mark.parametrize(("pixels", "low", "high"), [(4, 0.8, 0.9), (40 * 48, 0.0, 0.01)])
def test_a_few_pixels_say_little_of_their_length(pixels: int, low: float, high: float) -> None:
    short, long = pair(0, 4), pair(1, 16)
    weight = np.zeros_like(long.weight)
    weight.reshape(-1)[:pixels] = 1
    seldom = replace(long, weight=weight)
    good, bad = Oracle([short], 1.0), Oracle([long], -1.0)

    found = dict(HeldOut([short, seldom]).trust(ByLength(good, bad), CPU)[0])  # type: ignore[arg-type]
    assert low <= found[16] <= high and found[4] > 0.7


def test_trust_where_the_reference_is_believed_is_of_its_own() -> None:
    """A network that makes good use of references, and harms where it has none."""
    one, other = pair(0, 4), pair(1, 4)
    with_reference = replace(one, confidence=np.ones_like(one.confidence))
    judged = HeldOut([with_reference, replace(other, confidence=np.zeros_like(other.confidence))])
    good, bad = Oracle([one], 1.0), Oracle([other], -1.0)

    class ByReference(torch.nn.Module):
        def forward(self, frame: Tensor, *guides: Tensor) -> Tensor:
            return (good if float(guides[2].max()) > 0 else bad)(frame)

    alone, believing = judged.trust(ByReference(), CPU)
    assert max(factor for _, factor in alone) == 0 and min(factor for _, factor in believing) > 0.8


def test_a_fit_without_references_has_one_trust() -> None:
    pairs = [replace(p, confidence=np.zeros_like(p.confidence)) for p in (pair(0, 4), pair(1, 16))]
    alone, believing = HeldOut(pairs).trust(Oracle(pairs, 2.0), CPU)  # type: ignore[arg-type]
    assert alone == believing and alone[0][1] == pytest.approx(0.45, abs=1e-3)


def test_pixels_that_rendering_leaves_alone_do_not_count() -> None:
    assert set(factors([pair(0, 4, weight=0)], 1.0).values()) == {0.0}
    judged = HeldOut([pair(0, 4, weight=0)])
    assert judged.gain(Oracle([pair(0, 4, weight=0)], 1.0), CPU) == 0  # type: ignore[arg-type]


def test_gain_and_figures_are_those_of_the_pictures() -> None:
    pairs = [pair(0, 4), pair(1, 4)]
    judged, half = HeldOut(pairs), Oracle(pairs, 0.5)
    assert judged.gain(half, CPU) == pytest.approx(20 * np.log10(2), abs=0.02)  # type: ignore[arg-type]
    figures = judged.figures(half, CPU)  # type: ignore[arg-type]
    # Off by 0.1: 20 dB. The blend goes half of the way to a reference half as far off, so to 0.075.
    assert figures["input_psnr"] == pytest.approx(20, abs=0.02)
    assert figures["blend_psnr"] == pytest.approx(-20 * np.log10(0.075), abs=0.02)
    assert figures["psnr"] == pytest.approx(-20 * np.log10(0.05), abs=0.02)


def test_pairs_without_blur_are_not_what_a_fit_is_judged_by() -> None:
    blurred, unblurred = pair(0, 4), pair(1, 4, blurred=False)
    assert HeldOut([blurred, unblurred]).gain(Oracle([blurred], 0.5), CPU) > 5  # type: ignore[arg-type]
    assert np.isfinite(HeldOut([unblurred]).gain(Oracle([unblurred], 0.5), CPU))  # type: ignore[arg-type]


def test_psnr_has_a_ceiling() -> None:
    picture = np.full((4, 4, 3), 0.5)
    assert psnr(picture, picture) == 60 and psnr(picture + 0.01, picture) == pytest.approx(40)


# --- warm start -------------------------------------------------------------------------------------------------------


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    torch.manual_seed(1)
    saved, loaded = DeblurNet(4), DeblurNet(4)
    save_warm_start(saved, tmp_path / "w.safetensors")
    assert load_warm_start(loaded, tmp_path / "w.safetensors") is True
    for (name, one), other in zip(saved.state_dict().items(), loaded.state_dict().values(), strict=True):
        torch.testing.assert_close(one.half().float(), other, rtol=0, atol=0, msg=name)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_of_another_width_do_not_fit(tmp_path: Path) -> None:
    save_warm_start(DeblurNet(4), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="of another network"):
        load_warm_start(DeblurNet(8), tmp_path / "w.safetensors")
    network = DeblurNet(4)  # of a width that the package's own are not
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert load_warm_start(network) is False
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("harm", ["absent", "empty", "text", "truncated", "folder", "header"])
def test_damaged_weights_are_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "w.safetensors"
    save_warm_start(DeblurNet(4), path)
    data = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm != "absent":
        parts = {
            "empty": b"",
            "text": b"not weights",
            "truncated": data[: len(data) // 2],
            "header": b"\xff" * 8 + data,
        }
        path.write_bytes(parts[harm])
    with pytest.raises(ModelError, match=r"w\.safetensors"):
        load_warm_start(DeblurNet(4), path)


@pytest.mark.skipif(not WARM_START.is_file(), reason="no warm start in this checkout")
def test_the_packages_own_weights_restore_better_than_the_blend() -> None:
    network = DeblurNet()
    assert load_warm_start(network) is True
    assert bool(network.head.weight.any())


# --- checkpoints ------------------------------------------------------------------------------------------------------


def load(path: Path, identity: dict[str, Any]) -> tuple[Any, list[str]]:
    warnings: list[str] = []

    def listen(event: Event) -> None:
        assert event.stage == "warning"
        warnings.append(str(event.figures["message"]))

    return load_checkpoint(path, identity, Task(listen)), warnings


def test_a_checkpoint_keeps_tensors_and_generator_states(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "shot.deblur.onnx")
    assert path.parent == tmp_path and path.name.startswith("shot.deblur.onnx")
    state: dict[str, Any] = {
        "w": torch.rand(3),
        "batches": np.random.default_rng(5).bit_generator.state,
        "n": {"a": [1, 2.5, None]},
    }
    save_checkpoint(path, {"seed": "1"}, b"analysis", state)
    kept, warnings = load(path, {"seed": "1"})
    assert warnings == [] and kept is not None and kept[0] == b"analysis"
    assert (
        torch.equal(kept[1]["w"], state["w"]) and kept[1]["batches"] == state["batches"] and kept[1]["n"] == state["n"]
    )
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    remove_checkpoint(path)
    remove_checkpoint(path)
    assert load(path, {}) == (None, [])


def test_a_checkpoint_of_another_fit_is_ignored_and_said(tmp_path: Path) -> None:
    path = tmp_path / "c.checkpoint"
    save_checkpoint(path, {"seed": "1"}, b"analysis", {})
    kept, warnings = load(path, {"seed": "2"})
    assert kept is None and len(warnings) == 1 and "other settings" in warnings[0]


class Trap:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "ran", True))


@pytest.mark.parametrize("harm", ["empty", "text", "truncated", "pickle", "trap", "list"])
def test_a_damaged_checkpoint_is_ignored_and_said(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "c.checkpoint"
    save_checkpoint(path, {}, b"analysis", {"w": torch.rand(1000)})
    data = path.read_bytes()
    if harm == "trap":
        torch.save({"format": 1, "identity": {}, "analysis": b"analysis", "state": Trap()}, path)
    elif harm == "list":
        torch.save([1, 2], path)
    else:
        parts = {"empty": b"", "text": b"x" * 50, "truncated": data[: len(data) // 2], "pickle": pickle.dumps(Trap())}
        path.write_bytes(parts[harm])
    kept, warnings = load(path, {})
    assert kept is None and len(warnings) == 1 and "c.checkpoint" in warnings[0]
    assert not Trap.ran


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="checkpoint"):
        save_checkpoint(tmp_path / "absent" / "c.checkpoint", {}, b"", {})
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "taken", {}, b"", {})
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
