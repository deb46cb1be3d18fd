# SPDX-License-Identifier: Apache-2.0
"""Reading a model file, wherever it came from: whatever is in it, the answer is an ``Artifact`` or a ``ModelError``."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from ..errors import ModelError
from .graph import check_graph
from .schema import ANALYSIS_KEY, JSON_KEY, REFERENCES_KEY, ModelMetadata, unpack_analysis, unpack_references
from .wire import check_structure

__all__ = ["MAX_FILE_BYTES", "Artifact", "load_model", "parse_model"]

MAX_FILE_BYTES = 512 << 20


@dataclass(frozen=True)
class Artifact:
    """A model that has been read and found fit to run.

    ``model_bytes`` is the ONNX graph that was checked, without its metadata: give these bytes to ONNX Runtime, never
    the file. ``analysis_bytes`` is what ``Analysis.from_bytes`` reads; b"" if the file has none.
    """

    model_bytes: bytes = field(repr=False)
    metadata: ModelMetadata
    analysis_bytes: bytes = field(repr=False)
    path: Path


def load_model(path: str | Path) -> Artifact:
    """Read a ``CLIP.deblur.onnx``. Raises ``ModelError`` for a file that is missing, damaged, hostile or too new.

    Nothing but the file itself is read, and no more of it than ``MAX_FILE_BYTES``.
    """
    path = Path(path)
    data = _read(path)
    try:
        model, metadata = parse_model(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error
    return Artifact(model.SerializeToString(deterministic=True), metadata, metadata.analysis, path)


def parse_model(data: bytes) -> tuple[onnx.ModelProto, ModelMetadata]:
    """The graph, stripped of its metadata and of fields that are not ONNX's, and the metadata; or ``ModelError``."""
    check_structure(data)
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelError(f"the file is not a whole ONNX model: {error}", hint="it may be truncated") from error
    # What is not known to this reader must not be read by another one further on.
    model.DiscardUnknownFields()
    entries = [(entry.key, entry.value) for entry in model.metadata_props]
    props = dict(entries)
    if len(props) != len(entries):
        raise ModelError("the model's metadata has an entry twice")
    if JSON_KEY not in props:
        raise ModelError(
            "the file is an ONNX model, if at all, but not one that deblur-engine made: it has no metadata of ours",
            hint="make one with: deblur-engine fit CLIP",
        )
    analysis = unpack_analysis(props[ANALYSIS_KEY]) if ANALYSIS_KEY in props else b""
    references = unpack_references(props[REFERENCES_KEY]) if REFERENCES_KEY in props else b""
    metadata = ModelMetadata.from_json(props[JSON_KEY], analysis, references)
    del model.metadata_props[:]
    check_graph(model, metadata.fixed_size)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ModelError(f"the model's graph is not valid ONNX: {str(error).strip():.300}") from error
    return model, metadata


def _read(path: Path) -> bytes:
    try:
        # A named pipe must not hang the reader, so the file's kind is asked before it is opened.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelError(f"{path} is not a regular file", hint="give a CLIP.deblur.onnx")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ModelError(f"{path} is {size} bytes; a model of at most {MAX_FILE_BYTES} bytes is read")
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(
            f"there is no model at {path}", hint="make one with: deblur-engine fit CLIP, or give one with --model"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{path} grew beyond {MAX_FILE_BYTES} bytes while it was read")
    if not data:
        raise ModelError(f"{path} is empty", hint="the fit or the copy was interrupted; make it again")
    return data
