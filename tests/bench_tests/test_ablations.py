# SPDX-License-Identifier: Apache-2.0
"""Each part that can be left out is really left out, by names that the engine really has, and comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deblur_engine.analysis import Aligner, analyse
from deblur_engine.artifact import export
from deblur_engine.fitting import fit_clip
from deblur_engine.fitting.losses import restoration_loss
from deblur_engine.fitting.network import DeblurNet
from deblur_engine.fitting.pairs import Shutter
from deblur_engine.fitting.warm_start import save_warm_start
from panned import Panned, Scene
from quality import ablations
from quality.clips import Clip
from quality.rows import GROUPS, ROWS, chosen
from quality.workbench import Bench, FitOptions, NotAvailable

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def shot() -> Panned:
    return Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0], start=(60, 80))], (160, 120))


@pytest.fixture
def bench(shot: Panned, tmp_path: Path) -> Bench:
    windows = [3 if blurry else 1 for blurry in shot.blurry]
    clip = Clip("panned", list(shot.pictures), list(shot.truth), windows)
    return Bench(clip, tmp_path, FitOptions(preset="draft", steps=2, pairs=12, device="cpu", threads=1), "this engine")


@pytest.mark.parametrize("patch", ablations.PATCHES, ids=lambda patch: patch.__name__)
def test_every_patch_finds_what_it_replaces_and_puts_it_back(patch) -> None:  # type: ignore[no-untyped-def]
    owners = (fit_clip, ablations.assembly, ablations.losses, ablations.pairs, ablations.alignment, Aligner)
    before = [dict(vars(owner)) for owner in owners]
    with patch():
        assert [dict(vars(owner)) for owner in owners] != before
    assert [dict(vars(owner)) for owner in owners] == before


def test_a_name_that_is_gone_makes_a_row_not_available() -> None:
    with pytest.raises(NotAvailable, match=r"losses\.nothing"), ablations.replaced(ablations.losses, "nothing", 1):
        pass


def test_without_the_spectrum_the_loss_is_charbonnier_s() -> None:
    off = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = torch.sqrt(off * off + 1e-6).mean()
    with ablations._no_spectrum():
        assert restoration_loss(off, torch.zeros_like(off)) == pytest.approx(float(plain), rel=1e-5)
    assert float(restoration_loss(off, torch.zeros_like(off))) > float(plain) * 1.01


def test_without_steps_every_exposure_is_even() -> None:
    with ablations._no_steps():
        assert all(Shutter.drawn(np.random.default_rng(seed)).steps is None for seed in range(20))
    assert any(Shutter.drawn(np.random.default_rng(seed)).steps for seed in range(20))


def test_without_a_warm_start_the_network_stays_as_it_was_made() -> None:
    network = DeblurNet()
    with ablations._no_warm_start():
        assert ablations.assembly.load_warm_start(network) is False


def test_without_the_estimate_reblurring_placing_or_agreement_alignments_differ(shot: Panned) -> None:
    analysis = analyse(shot.clip())
    pictures = {i: p.astype(np.float32) / 255 for i, p in enumerate(shot.pictures)}
    i = int(np.flatnonzero(analysis.blurry)[0])
    whole = Aligner(analysis).align(i, pictures)
    with ablations._no_estimate():
        assert not Aligner(analysis).align(i, pictures).estimate.any() and whole.estimate.any()
    with ablations._no_reblur():
        plain = Aligner(analysis).align(i, pictures)
    assert np.abs(plain.reference - whole.reference).max() > 0.01
    with ablations._no_placing():
        unplaced = Aligner(analysis).align(i, pictures)
    assert np.abs(unplaced.reference - whole.reference).max() > 0.01
    with ablations._no_agreement():
        disagreeing = Aligner(analysis).align(i, pictures)
    assert np.abs(disagreeing.reference - whole.reference).max() > 0.01
    again = Aligner(analysis).align(i, pictures)
    assert np.array_equal(again.reference, whole.reference)
    # What the rounds are for: the reference comes nearer to the truth by them.
    truth = shot.truth[i].astype(np.float32) / 255
    errors = [np.square(pictures[i] + a.reference - truth)[16:-16, 16:-16].mean() for a in (plain, whole)]
    assert errors[1] < errors[0]


def test_rows_of_one_fit_share_it_and_others_share_its_pairs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "measure_context", lambda model: (32, 1.5))  # takes seconds, and is tested elsewhere
    fits, pairs = [], []
    fit, make = bench.fit, ablations.assembly.make_pairs
    monkeypatch.setattr(bench, "fit", lambda name, **changed: (fits.append(name), fit(name, **changed))[1])
    monkeypatch.setattr(ablations.assembly, "make_pairs", lambda *given: (pairs.append(given[3]), make(*given))[1])
    made = {name: ROWS[name].make(bench) for name in ("ours", "no-references", "no-guard", "no-trust", "no-warm-start")}
    assert fits == ["ours", "no-warm-start"] and pairs == [12]
    clean = {i for i in range(bench.count) if not bench.analysis.blurry[i]}
    for name, row in made.items():
        assert set(row.pictures) == set(range(bench.count)) and row.fit_seconds and row.frame_seconds
        touched = {i for i in row.pictures if not np.array_equal(row.pictures[i], bench.clip.blurry[i])}
        assert touched - clean and (bool(touched & clean) == (name == "no-guard"))
    for name in ("no-references", "no-guard", "no-warm-start"):
        assert any(not np.array_equal(made[name].pictures[i], made["ours"].pictures[i]) for i in range(bench.count))
    # Another session with the same engine and options takes the fit from the folder; with others it fits again.
    later = Bench(bench.clip, bench.folder, bench.options, "this engine")
    monkeypatch.setattr(later, "fit", lambda name, **changed: pytest.fail("fitted again"))
    again = ROWS["ours"].make(later)
    assert all(np.array_equal(again.pictures[i], made["ours"].pictures[i]) for i in again.pictures)
    other = Bench(bench.clip, bench.folder, bench.options, "another engine")
    monkeypatch.setattr(other, "fit", lambda name, **changed: (None, 1.0, {"no_benefit": "said so"}))
    left = ROWS["ours"].make(other)
    assert all(np.array_equal(left.pictures[i], bench.clip.blurry[i]) for i in left.pictures)
    assert left.notes == {"no_benefit": "said so"}


def test_the_frozen_warm_start_needs_no_fit(bench: Bench) -> None:
    made = ROWS["frozen"].make(bench)
    touched = [i for i in made.pictures if not np.array_equal(made.pictures[i], bench.clip.blurry[i])]
    assert touched == np.flatnonzero(bench.analysis.blurry).tolist()


def test_rows_are_chosen_by_name_and_group() -> None:
    assert chosen("ours") == ["input", "ours"]
    assert set(chosen("cheap,no-trust")) == {*GROUPS["cheap"], "no-trust"}
    assert chosen("all") == list(ROWS)
    with pytest.raises(ValueError, match="magic unknown"):
        chosen("magic,ours")


def test_the_paper_s_recipe_says_why_it_is_not_there(bench: Bench) -> None:
    if "recipe" not in vars(bench.options.settings()):
        with pytest.raises(NotAvailable, match="no recipe"):
            ROWS["paper"].make(bench)
    else:
        bench.options = FitOptions(paper=(("no_such_setting", "1"),))
        with pytest.raises(NotAvailable, match="no_such_setting"):
            ROWS["paper"].make(bench)


def test_other_weights_to_start_from_are_those_of_the_frozen_row_and_of_fits(bench: Bench, tmp_path: Path) -> None:
    network = DeblurNet(24)
    with torch.no_grad():
        network.head.bias.fill_(0.25)  # what it gives is lighter by far
    weights = tmp_path / "light.safetensors"
    save_warm_start(network, weights)
    before = ROWS["frozen"].make(bench).pictures
    bench.options = replace(bench.options, init=str(weights))
    after = ROWS["frozen"].make(bench).pictures
    blurry = np.flatnonzero(bench.analysis.blurry)
    assert len(blurry) and all(after[i].mean() > before[i].mean() + 20 for i in blurry)
    assert bench.options.settings().init == str(weights)
