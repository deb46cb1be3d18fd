# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact.conftest import metadata
from deblur_engine.artifact import SCHEMA_VERSION, ModelMetadata, default_model_path, schema
from deblur_engine.errors import ModelError


def test_json_round_trip() -> None:
    given_data = metadata(fixed_size=(64, 48))
    again = ModelMetadata.from_json(given_data.to_json(), given_data.analysis)
    assert again == given_data


def test_equal_metadata_gives_equal_text() -> None:
    one, other = metadata(recipe={"a": 1, "b": 2}), metadata(recipe={"b": 2, "a": 1})
    assert one.to_json() == other.to_json()


def test_keys_of_a_later_engine_are_ignored() -> None:
    record = json.loads(metadata().to_json()) | {"invented_later": [1, 2]}
    assert ModelMetadata.from_json(json.dumps(record)).clip == "shot.mov"


def test_a_later_schema_says_to_upgrade() -> None:
    for version in (SCHEMA_VERSION + 1, 10**400):
        record = json.loads(metadata().to_json()) | {"schema_version": version}
        with pytest.raises(ModelError, match="upgrade deblur-engine"):
            ModelMetadata.from_json(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": "1"},
        {"schema_version": True},
        {"schema_version": 0},
        {"width": 0},
        {"width": 2.5},
        {"height": 10**9},
        {"fps": -1},
        {"clip": 7},
        {"recipe": []},
        {"precision": "int8"},
        {"trust": []},
        {"trust": [[5, 1], [0, 1]]},
        {"trust": [[0, 2]]},
        {"trust_believed": [[0, 2]]},
        {"trust_believed": [[5, 1], [0, 1]]},
        {"trust_believed": 1},
        {"trust": [[0]]},
        {"trust": {"0": 1}},
        {"reference_frames": [[-1, 0]]},
        {"reference_frames": [[1, "x"]]},
        {"fixed_size": [64]},
        {"fixed_size": [64, 0]},
        {"context": -8},
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object]) -> None:
    record = json.loads(metadata().to_json()) | change
    with pytest.raises(ModelError, match=next(iter(change))):
        ModelMetadata.from_json(json.dumps(record))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"schema_version":1}', '{"fps":NaN}'])
def test_what_is_no_metadata_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        ModelMetadata.from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(metadata().to_json()))), json_values)
def test_any_value_in_any_field_is_read_or_refused(name: str, value: object) -> None:
    record = json.loads(metadata().to_json()) | {name: value}
    try:
        read = ModelMetadata.from_json(json.dumps(record))
    except ModelError:
        return
    assert ModelMetadata.from_json(read.to_json()) == read


def test_metadata_that_is_no_json_is_not_written() -> None:
    for recipe in ({"x": object()}, {"loss": float("nan")}):
        with pytest.raises(ModelError):
            metadata(recipe=recipe).to_json()


@given(st.binary(max_size=2000))
def test_analysis_packs_and_unpacks(data: bytes) -> None:
    assert schema.unpack_analysis(schema.pack_analysis(data)) == data


@given(st.binary(max_size=200))
def test_a_damaged_analysis_is_refused_or_read(data: bytes) -> None:
    try:
        schema.unpack_analysis(data)
    except ModelError:
        return


def test_an_analysis_that_unpacks_beyond_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = schema.pack_analysis(bytes(3 << 20))
    assert len(packed) < 10_000
    monkeypatch.setattr(schema, "MAX_ANALYSIS_BYTES", 1 << 20)
    with pytest.raises(ModelError, match="unpacks to more than"):
        schema.unpack_analysis(packed)


def test_an_analysis_cut_short_is_refused() -> None:
    packed = schema.pack_analysis(bytes(range(256)) * 9)
    with pytest.raises(ModelError):
        schema.unpack_analysis(packed[: len(packed) // 8 * 4])


@pytest.mark.parametrize(
    ("clip", "model"),
    [
        ("a/shot.mov", "a/shot.deblur.onnx"),
        ("shot.v2.mp4", "shot.v2.deblur.onnx"),
        ("seq/shot.####.exr", "seq/shot.deblur.onnx"),
        ("seq/shot_%04d.png", "seq/shot.deblur.onnx"),
        ("seq/####.exr", "seq/seq.deblur.onnx"),
    ],
)
def test_the_model_lies_beside_its_clip(clip: str, model: str) -> None:
    assert default_model_path(clip) == Path(model)
