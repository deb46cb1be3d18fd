# SPDX-License-Identifier: Apache-2.0
"""What a model file says about itself.

An artifact is an ONNX file. Its ``metadata_props`` hold two or three entries of ours:

``deblur_engine``
    A JSON object with the fields of ``ModelMetadata`` below, ``analysis`` and ``references`` excepted.
``deblur_engine_analysis``
    The clip's analysis (``Analysis.to_bytes()``), compressed by zlib, in base64.
``deblur_engine_references``
    Where they were asked for: the sharp frames (``references.ReferencePacker``) in base64.

The graph's inputs and output are given by ``INPUTS`` and ``OUTPUT``.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = [
    "ANALYSIS_KEY",
    "INPUTS",
    "JSON_KEY",
    "OUTPUT",
    "REFERENCES_KEY",
    "SCHEMA_VERSION",
    "ModelMetadata",
    "default_model_path",
    "pack_analysis",
    "unpack_analysis",
    "unpack_references",
]

SCHEMA_VERSION = 1
JSON_KEY = "deblur_engine"
ANALYSIS_KEY = "deblur_engine_analysis"
REFERENCES_KEY = "deblur_engine_references"

INPUTS: dict[str, int] = {"frame": 3, "estimate": 3, "reference": 3, "confidence": 2, "motion": 2}
"""The graph's inputs and their channels, each float32 [N, channels, H, W]; zeros in all but the first say "unknown".

``frame``: the blurry picture, R'G'B' in the clip's own primaries and transfer. ``estimate``: that picture with its
blur undone along its motion, less the frame. ``reference``: sharp frames aligned to it, less the frame.
``confidence``: how far the reference is believed at each pixel, 0..1; and by how much it differs from the frame, in
luma, once it is blurred as the frame is. ``motion``: the blur vector (dx, dy) over the exposure in pixels.
"""
OUTPUT = "restored"  # float32 [N, 3, H, W], the deblurred picture in the frame's own space

MAX_JSON_CHARS = 16 << 20
MAX_ANALYSIS_PACKED = 128 << 20
MAX_ANALYSIS_BYTES = 512 << 20
MAX_REFERENCES_PACKED = 256 << 20

_BESIDE = frozenset({"analysis", "references"})  # of the metadata, what stands in entries of its own


@dataclass(frozen=True)
class ModelMetadata:
    """Everything that a model file says about itself; ``to_json`` and ``from_json`` give and read its JSON form."""

    clip: str  # file name of the clip that it was fitted to, without folder
    clip_fingerprint: str  # media.fingerprint of that clip
    width: int  # of the clip's pictures, pixels
    height: int
    fps: float = 0.0  # average rate; 0 if unknown
    frame_count: int = 0
    colour: dict[str, Any] = field(default_factory=dict)  # the clip's H.273 tags, as in media.ColourTags
    colour_space: str = "source"  # the space that the network works in; "source" is the clip's own R'G'B'
    transfer: str = "bt709"  # transfer curve that the fit assumed when it blurred in linear light
    recipe: dict[str, Any] = field(default_factory=dict)  # settings, seed, steps done, network's width
    reference_frames: tuple[tuple[int, float], ...] = ()  # (frame index, seconds from the clip's start)
    held_out: dict[str, Any] = field(default_factory=dict)  # figures measured on held-out sharp patches
    trust: tuple[tuple[float, float], ...] = ((0.0, 1.0),)  # (blur length in pixels, factor 0..1 on the weight)
    trust_believed: tuple[tuple[float, float], ...] = ()  # the same where the reference is believed; (): as trust
    engine_version: str = ""  # filled in on export
    schema_version: int = SCHEMA_VERSION
    context: int = 32  # pixels beyond which a pixel's surroundings no longer matter; measured on export
    context_per_pixel: float = 0.0  # what each pixel of blur length adds to that
    bytes_per_pixel: int = 1024  # working memory of the network per pixel of a tile; measured on export
    precision: str = "fp32"  # of the weights inside; inputs and output are float32 always
    fixed_size: tuple[int, int] | None = None  # (width, height) of an export that takes one size only
    analysis: bytes = field(default=b"", repr=False)  # Analysis.to_bytes(); b"" if the file has none
    references: bytes = field(default=b"", repr=False)  # ReferencePacker.data(); b"" if none are kept

    def to_json(self) -> str:
        """The JSON text that goes into the file: keys sorted, so that equal metadata gives equal bytes."""
        self.check()
        record = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _BESIDE}
        try:
            return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelError(f"model metadata cannot be written as JSON: {error}") from error

    @classmethod
    def from_json(cls, text: str, analysis: bytes = b"", references: bytes = b"") -> ModelMetadata:
        """Read what ``to_json`` wrote; raises ``ModelError`` on anything else.

        Keys that are not known are ignored, so that a later engine may add some without a new schema.
        """
        if len(text) > MAX_JSON_CHARS:
            raise ModelError(f"the model's metadata is {len(text)} characters long; at most {MAX_JSON_CHARS} are read")
        try:
            record = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"the model's metadata is not valid JSON: {error}") from error
        if not isinstance(record, dict):
            raise ModelError("the model's metadata is not a JSON object")
        version = record.get("schema_version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ModelError(f"the model's schema_version is {version!r:.40}; it must be a whole number from 1 up")
        if version > SCHEMA_VERSION:
            raise ModelError(
                f"the model is of schema {str(version)[:20]}; this engine reads schema {SCHEMA_VERSION}",
                hint="upgrade deblur-engine, or fit the clip again with this version",
            )
        known = {f.name for f in fields(cls)} - _BESIDE
        values = {name: value for name, value in record.items() if name in known}
        for name in ("clip", "clip_fingerprint", "width", "height"):
            if name not in values:
                raise ModelError(f"the model's metadata lacks {name!r}")
        for name in ("reference_frames", "trust", "trust_believed"):
            if name in values:
                values[name] = _pairs(name, values[name])
        if values.get("fixed_size") is not None:
            size = values["fixed_size"]
            if not isinstance(size, list) or len(size) != 2:
                raise ModelError("the model's fixed_size is not [width, height]")
            values["fixed_size"] = tuple(size)
        metadata = cls(**values, analysis=analysis, references=references)
        metadata.check()
        return metadata

    def check(self) -> None:
        """Raise ``ModelError`` unless every field has its type and lies in its legal range."""
        for name in ("clip", "clip_fingerprint", "colour_space", "transfer", "engine_version", "precision"):
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) > 4096:
                raise ModelError(f"the model's {name} is {value!r:.60}; it must be a text of at most 4096 characters")
        for name, low, high in (
            ("schema_version", 1, SCHEMA_VERSION),
            ("width", 1, 1 << 16),
            ("height", 1, 1 << 16),
            ("frame_count", 0, 1 << 40),
            ("context", 0, 1024),
            ("bytes_per_pixel", 1, 1 << 20),
        ):
            value = getattr(self, name)
            if not _is_int(value) or not low <= value <= high:
                raise ModelError(f"the model's {name} is {value!r:.60}; it must be a whole number in {low}..{high}")
        if not _is_number(self.fps) or not 0 <= self.fps <= 1e6:
            raise ModelError(f"the model's fps is {self.fps!r:.60}; it must be a number in 0..1e6")
        if not _is_number(self.context_per_pixel) or not 0 <= self.context_per_pixel <= 16:
            raise ModelError(f"the model's context_per_pixel is {self.context_per_pixel!r:.60}; it must lie in 0..16")
        for name in ("colour", "recipe", "held_out"):
            if not isinstance(getattr(self, name), dict):
                raise ModelError(f"the model's {name} is not a JSON object")
        if self.precision not in ("fp32", "fp16"):
            raise ModelError(f"the model's precision is {self.precision!r:.60}; it must be fp32 or fp16")
        if self.fixed_size is not None and not all(_is_int(side) and 1 <= side <= 1 << 14 for side in self.fixed_size):
            raise ModelError(f"the model's fixed_size is {self.fixed_size!r:.60}; it must be a width and a height")
        for frame in self.reference_frames:
            if not (_is_int(frame[0]) and frame[0] >= 0 and _is_number(frame[1])):
                raise ModelError(f"the model's reference_frames hold {frame!r:.60}, which is no frame and time")
        if not self.trust:
            raise ModelError("the model's trust is empty")
        for name in ("trust", "trust_believed"):
            table = getattr(self, name)
            lengths = [length for length, _ in table]
            if not all(_is_number(x) for row in table for x in row) or lengths != sorted(lengths):
                raise ModelError(f"the model's {name} is not a table of [blur length, factor], by rising blur length")
            if not all(length >= 0 and 0 <= factor <= 1 for length, factor in table):
                raise ModelError(f"the model's {name} holds a negative blur length or a factor outside 0..1")

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary without the analysis and the references, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in _BESIDE}


def pack_analysis(analysis: bytes) -> str:
    """The analysis as it stands in the file: zlib, then base64."""
    return base64.b64encode(zlib.compress(analysis, 6)).decode("ascii")


def unpack_analysis(text: str | bytes) -> bytes:
    """Undo ``pack_analysis``; raises ``ModelError`` on damage, and on a text that would unpack beyond all reason."""
    if len(text) > MAX_ANALYSIS_PACKED:
        raise ModelError(f"the model's analysis takes {len(text)} bytes; at most {MAX_ANALYSIS_PACKED} are read")
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        analysis = unpacker.decompress(packed, MAX_ANALYSIS_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ModelError(f"the model's analysis is damaged: {error}") from error
    if unpacker.unconsumed_tail or unpacker.unused_data:
        raise ModelError(f"the model's analysis unpacks to more than {MAX_ANALYSIS_BYTES} bytes or has a foreign tail")
    if not unpacker.eof:
        raise ModelError("the model's analysis is cut short")
    return analysis


def unpack_references(text: str | bytes) -> bytes:
    """The references' bytes as they stand in the file; raises ``ModelError`` on damage, and beyond 256 MiB."""
    if len(text) > MAX_REFERENCES_PACKED:
        raise ModelError(f"the model's references take {len(text)} bytes; at most {MAX_REFERENCES_PACKED} are read")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelError(f"the model's references are damaged: {error}") from error


def default_model_path(clip: str | Path) -> Path:
    """Where the model of a clip lies unless told otherwise: ``shot.mov`` -> ``shot.deblur.onnx`` beside it.

    An image sequence's pattern loses its number field: ``shot.####.exr`` and ``shot.%04d.exr`` -> ``shot.deblur.onnx``.
    """
    path = Path(clip)
    stem = path.stem
    for mark in ("#", "%", "@"):
        if mark in stem:
            stem = stem[: stem.index(mark)].rstrip("._- ")
    return path.with_name((stem or path.parent.name or "clip") + ".deblur.onnx")


def _pairs(name: str, value: object) -> tuple[tuple[Any, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == 2 for row in value):
        raise ModelError(f"the model's {name} is not a list of pairs")
    return tuple((row[0], row[1]) for row in value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1 << 62 if isinstance(value, int) else math.isfinite(value)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")
