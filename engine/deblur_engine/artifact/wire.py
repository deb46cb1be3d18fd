# SPDX-License-Identifier: Apache-2.0
"""A look at a protobuf file before it is parsed.

Two bytes of a hostile file can cost a protobuf parser more than a hundred bytes of memory, so a file within the size
limit could still fill the machine. This walk adds up the bytes that are structure (nodes, names, shapes) and not
plain numbers or text, without building anything, and refuses a file that has more than any real model needs.
"""

from __future__ import annotations

from ..errors import ModelError

__all__ = ["check_structure"]

MAX_STRUCTURE_BYTES = 8 << 20
MAX_FIELDS = 200_000

# Field numbers of onnx.proto that lead to bulk data; everything beside these paths counts as structure.
_BULK = object()
_TENSOR = {4: _BULK, 9: _BULK}  # TensorProto.float_data (packed), raw_data
_MODEL = {
    7: {5: _TENSOR},  # ModelProto.graph -> GraphProto.initializer
    14: {2: _BULK},  # ModelProto.metadata_props -> StringStringEntryProto.value
}


def check_structure(data: bytes) -> None:
    """Raise ``ModelError`` if ``data`` is no protobuf message or holds too much structure for a model of ours."""
    _Walk(data).message(0, len(data), _MODEL)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fields = 0
        self.structure = 0

    def message(self, start: int, stop: int, known: dict[int, object]) -> None:
        position = start
        while position < stop:
            self.fields += 1
            tag, position = self.varint(position, stop)
            number, kind = tag >> 3, tag & 7
            body = position
            if kind == 0:
                _, position = self.varint(position, stop)
            elif kind == 1:
                position += 8
            elif kind == 2:
                length, body = self.varint(position, stop)
                position = body + length
            elif kind == 5:
                position += 4
            else:
                raise _broken(f"field {number} has the unknown wire type {kind}")
            if number == 0 or position > stop:
                raise _broken("a field runs past its end" if number else "a field has number 0")
            inside = known.get(number) if kind == 2 else None
            if isinstance(inside, dict):
                self.structure += 2
                self.message(body, position, inside)
            elif inside is not _BULK:
                self.structure += position - body + 2
            if self.structure > MAX_STRUCTURE_BYTES or self.fields > MAX_FIELDS:
                raise ModelError(
                    "the model file describes a graph far larger than any that deblur-engine writes",
                    hint="the file is damaged or was not made by deblur-engine",
                )

    def varint(self, position: int, stop: int) -> tuple[int, int]:
        value = shift = 0
        while position < stop and shift < 70:
            byte = self.data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise _broken("a number runs past its end")


def _broken(what: str) -> ModelError:
    return ModelError(
        f"the file is not a whole ONNX model: {what}", hint="it may be truncated; fit or copy it once more"
    )
