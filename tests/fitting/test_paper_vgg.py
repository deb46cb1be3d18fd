# SPDX-License-Identifier: Apache-2.0
"""VGG-19's weights: two files of the same network are the same network, and a hostile file is an error."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import small_vgg
from deblur_engine.errors import ExitCode, ModelError
from deblur_engine.fitting.paper.matfile import read_mat
from deblur_engine.fitting.paper.vgg import BLOCKS, Vgg
from deblur_engine.fitting.paper.vgg_file import ENVIRONMENT, HUB_NAME, find_vgg, load_vgg


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Vgg:
    return load_vgg(small_vgg.write_torch(tmp_path_factory.mktemp("vgg") / "vgg.pth"))


def by_hand(picture: torch.Tensor) -> list[torch.Tensor]:
    """conv1_2 .. conv5_2 by the state dict's own names, at the scales that the file has."""
    state = small_vgg.state_dict()
    x = (picture - torch.tensor(small_vgg.MEAN).view(1, 3, 1, 1)) / torch.tensor(small_vgg.DEVIATION).view(1, 3, 1, 1)
    found, numbers = [], iter(small_vgg.INDICES)
    for block, count in enumerate(BLOCKS):
        x = F.avg_pool2d(x, 2) if block else x
        for number in range(count):
            n = next(numbers)
            x = F.relu(F.conv2d(x, state[f"features.{n}.weight"], state[f"features.{n}.bias"], padding=1))
            if number == 1:
                found.append(x)
    return found


def test_features_are_those_of_the_file_but_for_a_power_of_two(plain: Vgg) -> None:
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(3))
    assert plain.channels == (4, 8, 16, 32, 32)
    for level, (found, wanted) in enumerate(zip(plain(picture), by_hand(picture), strict=True)):
        assert found.shape == wanted.shape == (1, plain.channels[level], 48 >> level, 64 >> level)
        factor = float((found * wanted).sum() / (wanted * wanted).sum())
        assert np.log2(factor) == pytest.approx(round(np.log2(factor)), abs=1e-4)
        torch.testing.assert_close(found, factor * wanted, rtol=1e-3, atol=1e-4)
        assert 0.2 < float(found.mean()) < 5


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_both_formats_give_the_same_network(plain: Vgg, tmp_path: Path, old: bool, compressed: bool) -> None:
    other = load_vgg(small_vgg.write_mat(tmp_path / "vgg.mat", old=old, compressed=compressed))
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for one, two in zip(plain(picture), other(picture), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_red_stays_red(plain: Vgg, tmp_path: Path) -> None:
    """Channels that changed places would give other features."""
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(plain(picture)[0], plain(picture.flip(1))[0], atol=1e-3)


def test_our_reading_of_mat_files_agrees_with_scipy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cell = np.empty((2, 2), object)
    cell[:] = [[rng.random((2, 3)), "text"], [np.arange(5, dtype=np.int16), {"a": 1.5, "b": "ü"}]]
    kept = {"x": rng.random((2, 3, 4)).astype(np.float32), "c": cell, "s": "hello", "n": np.array([[7]], np.uint8)}
    for compressed in (False, True):
        path = tmp_path / f"{compressed}.mat"
        scipy.io.savemat(path, {**kept, "left": np.zeros(9)}, do_compression=compressed)
        found = read_mat(path, frozenset(kept))
        assert set(found) == set(kept)
        np.testing.assert_array_equal(found["x"], kept["x"])
        assert found["s"] == "hello" and found["n"].item() == 7
        first, integers, text, struct_ = found["c"]  # by columns
        np.testing.assert_array_equal(first, cell[0, 0])
        np.testing.assert_array_equal(integers.ravel(), np.arange(5))
        assert text == "text" and struct_["a"].item() == 1.5 and struct_["b"] == "ü"


# --- where it is looked for -------------------------------------------------------------------------------------------


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(ModelError) as failure:
        find_vgg(None)
    assert failure.value.exit_code == ExitCode.MODEL and HUB_NAME in failure.value.message
    for way in ("--vgg", ENVIRONMENT, "download.pytorch.org", "vlfeat.org", str(tmp_path / "hub" / "checkpoints")):
        assert way in str(failure.value.hint)
    with pytest.raises(ModelError, match=r"absent\.mat"):
        find_vgg(tmp_path / "absent.mat")
    cached, named, given_ = tmp_path / "hub" / "checkpoints" / HUB_NAME, tmp_path / "env.mat", tmp_path / "mine.pth"
    cached.parent.mkdir(parents=True)
    for path in (cached, named, given_):
        path.write_bytes(b"x")
    assert find_vgg(None) == cached
    monkeypatch.setenv(ENVIRONMENT, str(named))
    assert find_vgg(None) == named and find_vgg(str(given_)) == given_


# --- files that are something else ------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "vgg.pth"
    for save in (
        lambda: torch.save({"features.0.weight": Bomb(mark)}, path),
        lambda: path.write_bytes(pickle.dumps(Bomb(mark))),
    ):
        save()
        with pytest.raises(ModelError, match=r"vgg\.pth"):
            load_vgg(path)
        assert not mark.exists()


def refuse(path: Path, **changes: Any) -> str:
    state: dict[str, Any] = {**small_vgg.state_dict(), **{name.replace("_", "."): v for name, v in changes.items()}}
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    with pytest.raises(ModelError) as failure:
        load_vgg(path)
    return failure.value.message


def test_state_dicts_of_another_form_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vgg.pth"
    assert "features.28.weight" in refuse(path, features_28_weight=None)
    assert "features.0.bias" in refuse(path, features_0_bias="text")
    assert "convolution 2" in refuse(path, features_2_weight=torch.zeros(4, 5, 3, 3))
    assert "convolution 1" in refuse(path, features_0_weight=torch.zeros(4, 3, 5, 5))
    assert "convolution 1" in refuse(path, features_0_weight=torch.zeros(()))
    assert "convolution 14" in refuse(path, features_30_bias=torch.full((32,), float("nan")))
    assert "features.5.weight" in refuse(path, features_5_weight=torch.zeros(1, 1).expand(100_000, 100_000))
    assert "features.7.weight" in refuse(path, features_7_weight=torch.zeros(8, 8, 3, 3, dtype=torch.int32))
    assert "features.0.weight" in refuse(path, features_0_weight=torch.zeros(4, 3).to_sparse())
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="features"):
        load_vgg(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ModelError):
        load_vgg(path)


@pytest.mark.parametrize("harm", ["empty", "text", "header", "no layers", "few", "shape", "mean", "weights"])
def test_mat_files_of_another_form_are_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "vgg.mat"
    variables = small_vgg.mat_variables()
    layers = variables["layers"]
    if harm == "no layers":
        variables = {"meta": variables["meta"]}
    elif harm == "few":
        variables["layers"] = layers[:, :6]
    elif harm == "shape":
        layers[0, 2]["weights"][0, 0] = np.zeros((3, 3, 5, 4), np.float32)
    elif harm == "weights":
        layers[0, 0]["weights"] = "none"
    elif harm == "mean":
        variables["meta"]["normalization"]["averageImage"] = np.full((1, 1, 3), 1e9)
    scipy.io.savemat(path, variables)
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"no weights", "header": data[:128][::-1]}.get(harm, data))
    with pytest.raises(ModelError, match=r"vgg\.mat"):
        load_vgg(path)


def test_a_matrix_that_claims_more_than_there_is(tmp_path: Path) -> None:
    def element(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)

    def matrix(kind: int, dims: tuple[int, ...], name: bytes, *rest: bytes) -> bytes:
        parts = [
            element(6, struct.pack("<II", kind, 0)),
            element(5, struct.pack(f"<{len(dims)}i", *dims)),
            element(1, name),
        ]
        return element(14, b"".join([*parts, *rest]))

    deep = matrix(1, (1, 1), b"", b"")
    for _ in range(40):
        deep = matrix(1, (1, 1), b"layers", deep)
    path = tmp_path / "vgg.mat"
    for body in (
        matrix(1, (2**30, 2**30), b"layers"),
        matrix(6, (2**15, 2**15), b"layers", element(9, b"\0" * 64)),
        matrix(6, (-1, 4), b"layers", element(9, b"\0" * 64)),
        matrix(2, (1, 1), b"layers", element(5, struct.pack("<i", 0)), element(1, b"ab")),
        matrix(2, (1, 1), b"layers", element(5, struct.pack("<i", 32)), element(1, b"ab")),
        matrix(4, (1, 1), b"layers", element(99, b"ab")),
        element(15, b"no stream"),
        struct.pack("<II", 14, 1 << 31),
        deep,
    ):
        path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + body)
        with pytest.raises(ModelError, match=r"vgg\.mat"):
            load_vgg(path)


def test_a_compressed_part_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vgg.mat"
    scipy.io.savemat(path, {"layers": np.zeros(3_000_000)}, do_compression=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="unpacks"):
        load_vgg(path)


@pytest.fixture(scope="module")
def mat_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = small_vgg.write_mat(tmp_path_factory.mktemp("mat") / "vgg.mat")
    return path, path.read_bytes()


@settings(max_examples=60)
@given(at=st.integers(0, 12_000), value=st.binary(min_size=1, max_size=8), stop=st.integers(0, 1 << 20))
def test_a_damaged_mat_file_is_a_network_or_an_error(
    mat_bytes: tuple[Path, bytes], at: int, value: bytes, stop: int
) -> None:
    path, data = mat_bytes
    path.with_name("harmed.mat").write_bytes((data[:at] + value + data[at + len(value) :])[: max(stop, 200)])
    try:
        load_vgg(path.with_name("harmed.mat"))
    except ModelError as problem:
        assert "harmed.mat" in problem.message
