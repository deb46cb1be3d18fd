# SPDX-License-Identifier: Apache-2.0
"""The paper's recipe: kernels, network, loss, and a fit from end to end over a small VGG of made-up weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import small_vgg
from deblur_engine.analysis import Analysis
from deblur_engine.artifact import load_model
from deblur_engine.artifact.export import export_model, to_fp16, to_torchscript
from deblur_engine.artifact.schema import INPUTS
from deblur_engine.artifact.verify import made_up_inputs, run_graph
from deblur_engine.errors import Cancelled, ModelError
from deblur_engine.fitting import FitResult, fit
from deblur_engine.fitting.paper.blurred import KernelBatches, blurred, make_kernel_pairs
from deblur_engine.fitting.paper.kernels import LENGTHS, path_length, random_kernel
from deblur_engine.fitting.paper.losses import FeatureLoss
from deblur_engine.fitting.paper.network import HypercolumnNet
from deblur_engine.fitting.paper.vgg import Vgg
from deblur_engine.fitting.paper.vgg_file import load_vgg
from deblur_engine.media import ColourTags
from deblur_engine.rendering.contracts import AlignedFrame
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.rendering.tiles import Box, plan_tiles, smallest_tile
from deblur_engine.settings import FitSettings, RenderSettings
from deblur_engine.task import Event, Task
from panned import Panned, from_linear, to_linear

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vgg.write_torch(tmp_path_factory.mktemp("vgg") / "small.pth")


@pytest.fixture(scope="module")
def vgg(vgg_file: Path) -> Vgg:
    return load_vgg(vgg_file)


def woken(vgg: Vgg, width: int = 6) -> HypercolumnNet:
    """A network that does something."""
    torch.manual_seed(0)
    network = HypercolumnNet(vgg, width).eval()
    with torch.no_grad():
        network.head.weight.normal_(0, 0.05)
    return network


def given_inputs(height: int, width: int, seed: int = 0) -> list[torch.Tensor]:
    return [torch.from_numpy(value) for value in made_up_inputs(height, width, seed=seed)]


# --- kernels ----------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1 << 30), longest=st.floats(0.5, 100))
def test_kernels_move_nothing_and_keep_their_size(seed: int, longest: float) -> None:
    kernel = random_kernel(np.random.default_rng(seed), longest)
    side = len(kernel)
    assert kernel.shape == (side, side) and side % 2 == 1 and kernel.dtype == np.float32
    assert kernel.min() >= 0 and float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    at = np.arange(side) - side // 2
    assert abs(float((kernel.sum(0) * at).sum())) < 1e-3 and abs(float((kernel.sum(1) * at).sum())) < 1e-3
    extent = max(np.ptp(np.flatnonzero(kernel.sum(axis) > 1e-6)) for axis in (0, 1))
    assert extent <= max(LENGTHS[0], min(longest, LENGTHS[1])) + 2


def test_kernels_are_of_many_lengths_and_directions() -> None:
    rng = np.random.default_rng(0)
    paths = np.array([path_length(random_kernel(rng)) for _ in range(200)])
    lengths = np.hypot(*paths.T)
    assert np.percentile(lengths, 10) < 3 and np.percentile(lengths, 90) > 15
    angles = np.arctan2(*paths.T) % np.pi
    assert np.histogram(angles, 4, (0, np.pi))[0].min() > 20


def test_the_path_of_a_straight_kernel_is_its_own() -> None:
    kernel = np.zeros((21, 21), np.float32)
    kernel[10, 4:17] = 1 / 13
    dx, dy = path_length(kernel)
    assert abs(dx) == pytest.approx(13, abs=0.2) and dy == pytest.approx(0, abs=0.01)
    assert np.hypot(*path_length(np.ones((1, 1), np.float32))) == 0


def test_light_is_what_is_blurred() -> None:
    rng = np.random.default_rng(1)
    sharp, kernel = rng.random((24, 30, 3)).astype(np.float32), random_kernel(rng, 7)
    radius = len(kernel) // 2
    light = np.pad(to_linear(sharp), ((radius, radius), (radius, radius), (0, 0)), "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(light, kernel.shape, (0, 1))
    wanted = from_linear(np.einsum("hwcij,ij->hwc", windows, kernel))
    np.testing.assert_allclose(blurred(sharp, kernel, ColourTags(1, 1, 1, True)), wanted, atol=0.5 / 255 + 1e-3)


def test_batches_are_crops_of_sharp_pictures_under_kernels(shot: Panned, analysis: Analysis) -> None:
    pairs = list(make_kernel_pairs(shot.clip(), analysis, 6, 0, Task()))
    targets = [pair.target for pair in pairs]
    assert targets == sorted(targets) and not any(shot.blurry[t] for t in targets)
    for pair in pairs:
        recorded = shot.pictures[pair.target].astype(np.float32) / 255
        np.testing.assert_allclose(pair.sharp, recorded, atol=1e-3)
        assert not pair.reference.any() and not pair.confidence.any() and not pair.estimate.any()
        assert pair.blurred == bool(pair.weight.any())
    source = KernelBatches(pairs, 48, 3, CPU, 0, shot.clip().info.colour)
    kept = source.state()
    batch = source.draw()
    assert [tuple(given_.shape) for given_ in batch.inputs] == [(3, n, 48, 48) for n in INPUTS.values()]
    assert batch.sharp.shape == (3, 3, 48, 48) and not any(given_.any() for given_ in batch.inputs[1:])
    assert float((batch.inputs[0] - batch.sharp).abs().mean()) > 0.005
    second = source.draw()
    source.restore(kept)
    for one, two in zip((batch, second), (source.draw(), source.draw()), strict=True):
        assert torch.equal(one.inputs[0], two.inputs[0]) and torch.equal(one.sharp, two.sharp)


# --- network and loss -------------------------------------------------------------------------------------------------


def test_a_new_network_returns_the_frame_whatever_else_it_is_told(vgg: Vgg) -> None:
    given_ = given_inputs(37, 41)
    torch.testing.assert_close(HypercolumnNet(vgg, 6)(*given_), given_[0], rtol=0, atol=0)
    network = woken(vgg)
    assert not torch.allclose(network(*given_), given_[0], atol=1e-3)
    nothing = [given_[0], *(torch.zeros_like(value) for value in given_[1:])]
    torch.testing.assert_close(network(*given_), network(*nothing), rtol=0, atol=0)
    network.keep_blend()
    torch.testing.assert_close(network(*given_), given_[0], rtol=0, atol=0)


def test_mixing_before_enlarging_is_the_1x1_convolution_of_the_hypercolumn(vgg: Vgg) -> None:
    """The paper's form: all features at full size side by side, then a 1x1 convolution."""
    network = woken(vgg)
    frame = given_inputs(48, 32)[0]
    features = vgg(frame)
    enlarged = [
        F.interpolate(x, scale_factor=2**n, mode="bilinear", align_corners=False) if n else x
        for n, x in enumerate(features)
    ]
    column = torch.cat([frame - 0.5, *enlarged], 1)
    assert column.shape[1] == 3 + sum(vgg.channels)
    weight = torch.cat([network.from_frame.weight, *(layer.weight for layer in network.from_features)], 1)
    x = F.leaky_relu(F.conv2d(column, weight, network.from_frame.bias), 0.2)
    for layer in network.dilated:
        x = F.leaky_relu(layer(x), 0.2)
    torch.testing.assert_close(network(*given_inputs(48, 32)), frame + network.head(x), rtol=1e-4, atol=1e-5)


def test_the_loss_is_nothing_for_the_same_picture_and_leads_to_it(vgg: Vgg) -> None:
    loss = FeatureLoss(vgg)
    sharp = given_inputs(24, 40, seed=1)[0]
    assert float(loss(sharp, sharp)) == 0
    off = torch.nn.Parameter(sharp + 0.1 * torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0)))
    before = loss(off, sharp)
    before.backward()
    assert torch.isfinite(off.grad).all() and bool(off.grad.abs().max() > 0)  # type: ignore[union-attr]
    assert float(loss(off.detach() - 1e-3 * off.grad.sign(), sharp)) < float(before.detach())  # type: ignore[union-attr]
    assert all(not p.requires_grad for p in vgg.parameters())


# --- a fit from end to end --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(vgg_file: Path) -> FitSettings:
    return FitSettings(
        recipe="paper", vgg=str(vgg_file), minutes=50, steps=12, pairs=8, batch=2, crop=64, width=8, device="cpu",
        threads=1, seed=5, learning_rate=4e-3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(shot: Panned, quick: FitSettings, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(shot.clip(), tmp_path_factory.mktemp("whole") / "shot.deblur.onnx", settings=quick)


def test_a_fit_says_what_it_is_and_gains(whole: FitResult, quick: FitSettings) -> None:
    found = load_model(whole.path).metadata
    assert found.recipe["name"] == "paper" and found.recipe["vgg"] == "small.pth"  # and no folder
    assert found.recipe["width"] == 8 and found.recipe["warm_start"] is False and found.recipe["kept"] == "network"
    figures = found.held_out
    assert figures["blend_psnr"] == pytest.approx(figures["input_psnr"], abs=0.01)  # there is no other blend
    assert figures["gain_db"] > 0
    assert found.context_per_pixel == 0  # it knows nothing of motion
    names = {tensor.name for tensor in onnx.load(whole.path).graph.initializer}
    assert "vgg.convolutions.13.weight" in names and "dilated.6.weight" in names


def test_it_renders_by_onnx_runtime_and_leaves_sharp_frames_alone(whole: FitResult, shot: Panned) -> None:
    renderer = Renderer(load_model(whole.path), RenderSettings(device="cpu", threads=1))
    pictures = {n: shot.pictures[n].astype(np.float32) / np.float32(255) for n in range(len(shot.pictures))}
    for n in range(len(pictures)):
        restored = renderer.render(n, pictures)
        if not shot.blurry[n]:
            assert restored is pictures[n]
            continue
        assert restored.shape == pictures[n].shape and np.isfinite(restored).all()
        assert 0 < float(np.abs(restored - pictures[n]).max()) < 0.5


def test_tiles_read_as_far_around_as_the_network_looks(vgg: Vgg, whole: FitResult, tmp_path: Path) -> None:
    """A network that makes use of its whole reach, far beyond the other recipe's: no tile shows."""
    torch.manual_seed(1)
    network = HypercolumnNet(vgg, 4)
    with torch.no_grad():
        for layer in (*network.dilated, network.head):
            layer.weight.uniform_(0, 2 / layer.weight[0].numel())  # type: ignore[union-attr, index, operator]
    path = export_model(network, replace(whole.metadata, trust=((0.0, 1.0),)), tmp_path / "far.onnx")
    artifact = load_model(path)
    margin = artifact.metadata.context
    assert 128 < margin <= 256 and margin % 16 == 0
    frame = np.clip(made_up_inputs(96, 1200, seed=11)[0][0].transpose(1, 2, 0), 0, 1)
    aligned = AlignedFrame.alone(96, 1200)
    one = Renderer(artifact, RenderSettings(device="cpu", threads=1, tile=2048)).restore(frame, aligned)
    several = Renderer(artifact, RenderSettings(device="cpu", threads=1, tile=smallest_tile(32, margin) + 64))
    assert len(plan_tiles(96, 1200, Box(0, 96, 0, 1200), tile=several.tile_side(), overlap=32, context=margin)) > 4
    assert float(np.abs(one - frame).max()) > 0.01
    np.testing.assert_allclose(several.restore(frame, aligned), one, atol=1 / 2048)


def test_the_same_seed_gives_the_same_file_and_a_stopped_fit_goes_on(
    whole: FitResult, shot: Panned, quick: FitSettings, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        if event.stage == "fit" and event.figures["step"] == 5:
            task.cancel()

    task = Task(stop)
    out = tmp_path / "shot.deblur.onnx"
    with pytest.raises(Cancelled):
        fit(shot.clip(), out, settings=quick, task=task)
    kept = out.with_name(out.name + ".checkpoint")
    assert kept.stat().st_size < 4_000_000  # VGG is not in it
    resumed = fit(shot.clip(), out, settings=quick)
    assert resumed.path.read_bytes() == whole.path.read_bytes()


def test_half_precision_and_torchscript(whole: FitResult, tmp_path: Path) -> None:
    artifact = load_model(whole.path)
    half = to_fp16(artifact, tmp_path / "half.onnx")
    assert half.stat().st_size < 0.7 * whole.path.stat().st_size
    script = torch.jit.load(to_torchscript(artifact, tmp_path / "m.pt"))
    inputs = made_up_inputs(40, 56, seed=2)
    given_ = run_graph(onnx.ModelProto.FromString(artifact.model_bytes))(inputs)
    np.testing.assert_allclose(script(*(torch.from_numpy(v) for v in inputs)).numpy(), given_, atol=1e-4)


def test_weights_that_are_absent_stop_it_before_any_work(shot: Panned, quick: FitSettings, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(ModelError, match=r"none\.pth") as failure:
        fit(
            shot.clip(), tmp_path / "m.onnx", settings=replace(quick, vgg=str(tmp_path / "none.pth")),
            task=Task(events.append),
        )  # fmt: skip
    assert failure.value.exit_code == 9 and not events and not list(tmp_path.iterdir())


def test_copies_share_what_is_frozen(vgg: Vgg) -> None:
    from deblur_engine.fitting.recipes import twin

    network = HypercolumnNet(vgg, 6)
    other = twin(network)
    assert other.vgg is vgg and other.head.weight is not network.head.weight
    assert copy.deepcopy(network).vgg is not vgg
