# SPDX-License-Identifier: Apache-2.0
"""Sharp frames inside a model file: they come back as they were, and a hostile one is an error and nothing else."""

from __future__ import annotations

import base64
import struct
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact.conftest import metadata
from artifact.small_net import SmallNet
from deblur_engine.artifact import load_model, references, schema
from deblur_engine.artifact.export import export_model
from deblur_engine.artifact.references import ReferencePacker, decode_reference, split_references
from deblur_engine.errors import ModelError


def picture(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).random((48, 80, 3), dtype=np.float32)
    return cv2.GaussianBlur(rough, (0, 0), 2.0)


def packed(count: int, pixels: int = 48 * 80) -> bytes:
    packer = ReferencePacker(pixels, count)
    for number in range(count):
        packer.add(7 * number, picture(number))
    return packer.data()


def test_few_are_kept_in_16_bits_and_many_as_jpeg() -> None:
    for pixels, most in ((48 * 80, 1 / 131070 + 1e-7), (1 << 24, 0.03)):
        found = split_references(packed(3, pixels))
        assert sorted(found) == [0, 7, 14]
        for number, image in found.items():
            assert np.abs(decode_reference(image, 80, 48) - picture(number // 7)).max() <= most
    assert found[0][:2] == b"\xff\xd8"


def test_what_does_not_fit_is_counted() -> None:
    packer = ReferencePacker(48 * 80, 9, most_bytes=len(packed(2)))
    for number in range(9):
        packer.add(7 * number, picture(number))
    assert packer.left_out == 7 and sorted(split_references(packer.data())) == [0, 7]


def test_they_travel_inside_the_model(tmp_path: Path) -> None:
    path = export_model(SmallNet(), metadata(references=packed(2)), tmp_path / "m.onnx")
    artifact = load_model(path)
    assert artifact.metadata.references == packed(2)
    assert "references" not in artifact.metadata.to_dict() and b"deblur_engine" not in artifact.model_bytes


def test_damaged_and_oversized_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export_model(SmallNet(), metadata(references=packed(2)), tmp_path / "m.onnx")
    model = onnx.load(path)
    entry = next(each for each in model.metadata_props if each.key == schema.REFERENCES_KEY)
    entry.value = "no base64 !"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="references are damaged"):
        load_model(path)
    entry.value = base64.b64encode(packed(2)).decode()
    path.write_bytes(model.SerializeToString())
    monkeypatch.setattr(schema, "MAX_REFERENCES_PACKED", 100)
    with pytest.raises(ModelError, match="at most 100"):
        load_model(path)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_list(data: bytes) -> None:
    try:
        found = split_references(data)
    except ModelError:
        return
    assert sum(len(image) + 12 for image in found.values()) == len(data)


@pytest.mark.parametrize("cut", [1, 11, 13, 200])
def test_a_list_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(ModelError):
        split_references(packed(2)[:-cut])
    with pytest.raises(ModelError, match="twice"):
        split_references(packed(1) * 2)


def test_a_picture_of_another_size_is_not_decoded() -> None:
    """A file of a few bytes may announce gigabytes."""
    bomb = bytearray(cv2.imencode(".png", np.zeros((48, 80, 3), np.uint16))[1].tobytes())
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    large = cv2.imencode(".jpg", np.zeros((96, 160, 3), np.uint8))[1].tobytes()
    tracemalloc.start()
    for image in (bytes(bomb), large, b"", b"\xff\xd8", b"GIF89a" + bytes(50), large[:30]):
        with pytest.raises(ModelError, match="80x48"):
            decode_reference(image, 80, 48)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_damaged_pictures_are_refused() -> None:
    good = {
        suffix: cv2.imencode(suffix, np.full((48, 80, 3), 99, np.uint8))[1].tobytes() for suffix in (".png", ".jpg")
    }
    grey = cv2.imencode(".png", np.zeros((48, 80), np.uint8))[1].tobytes()
    for image in (good[".png"][:40], grey):
        with pytest.raises(ModelError):
            decode_reference(image, 80, 48)
    assert references._jpeg_size(good[".jpg"]) == (80, 48)
    twice = good[".jpg"].replace(b"\xff\xc0", b"\xff\xc0", 1)
    at = twice.index(b"\xff\xc0")
    length = 2 + int.from_bytes(twice[at + 2 : at + 4], "big")
    assert references._jpeg_size(twice[:at] + twice[at : at + length] + twice[at:]) is None


@settings(max_examples=20)
@given(st.binary(max_size=120), st.sampled_from([".png", ".jpg"]), st.integers(0, 400))
def test_changed_pictures_are_refused_or_of_their_size(noise: bytes, suffix: str, at: int) -> None:
    image = bytearray(cv2.imencode(suffix, np.full((48, 80, 3), 99, np.uint8))[1].tobytes())
    image[at : at + len(noise)] = noise
    try:
        found = decode_reference(bytes(image), 80, 48)
    except ModelError:
        return
    assert found.shape == (48, 80, 3) and np.isfinite(found).all()
