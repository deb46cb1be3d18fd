# SPDX-License-Identifier: Apache-2.0
"""Sharp frames kept inside a model file, for hosts that can give no other frame than the one they show.

Each is an image file of its own, 16-bit PNG or JPEG, behind its frame number and length; what comes back from a file
may be anything, so sizes are read from the images' own headers before anything is decoded.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ModelError

__all__ = ["MAX_REFERENCES_BYTES", "ReferencePacker", "decode_reference", "split_references"]

Array = npt.NDArray[np.float32]
MAX_REFERENCES_BYTES = 192 << 20  # a quarter more stands in the file, in base64
_EXACT_BYTES = 48 << 20  # up to which they are kept as they are, in 16 bits
_MOST = 4096
_ENTRY = struct.Struct("<qI")
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 96, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


class ReferencePacker:
    """Takes pictures one by one, so that they need not be in memory at a time; ``data`` gives the bytes.

    Values outside 0..1 are cut off. Small sets are kept in 16 bits, larger ones as JPEG; what is beyond
    ``most_bytes`` is left out, and ``left_out`` counts it.
    """

    def __init__(self, pixels: int, count: int, most_bytes: int = MAX_REFERENCES_BYTES) -> None:
        self._exact = pixels * count * 5 <= _EXACT_BYTES  # about what a PNG of 16 bits takes of the 6 bytes
        self._most = most_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self.left_out = 0

    def add(self, number: int, picture: Array) -> None:
        """``picture``: R'G'B' float32 [H, W, 3]."""
        scale, kind = (65535, np.uint16) if self._exact else (255, np.uint8)
        code = (np.clip(picture[..., ::-1], 0, 1) * np.float32(scale) + np.float32(0.5)).astype(kind)
        done, image = cv2.imencode(".png" if self._exact else ".jpg", code, [] if self._exact else _QUALITY)
        part = image.tobytes() if done else b""
        if not part or self._size + len(part) + _ENTRY.size > self._most or len(self._parts) >= _MOST:
            self.left_out += 1
            return
        self._parts.append(_ENTRY.pack(number, len(part)) + part)
        self._size += len(self._parts[-1])

    def data(self) -> bytes:
        return b"".join(self._parts)


def split_references(data: bytes) -> dict[int, bytes]:
    """The images by frame number, not decoded; raises ``ModelError`` on bytes that are no such list."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + _ENTRY.size > len(data) or len(found) >= _MOST:
            raise ModelError("the references in the model are damaged: their list does not end where it should")
        number, length = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        if at + length > len(data) or number in found or number < 0:
            raise ModelError("the references in the model are damaged: one runs past the end or is there twice")
        found[number] = data[at : at + length]
        at += length
    return found


def decode_reference(image: bytes, width: int, height: int) -> Array:
    """A reference as R'G'B' float32 [height, width, 3]; ``ModelError`` unless it is a picture of just this size."""
    stated = _png_size(image) or _jpeg_size(image)
    if stated != (width, height):
        raise ModelError(f"a reference in the model is no picture of {width}x{height} pixels")
    try:
        code = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ModelError(f"a reference in the model cannot be read: {str(error).strip():.200}") from error
    if code is None or code.shape != (height, width, 3) or code.dtype not in (np.uint8, np.uint16):
        raise ModelError("a reference in the model cannot be read: it is damaged")
    full = np.float32(65535 if code.dtype == np.uint16 else 255)
    return np.ascontiguousarray(code[..., ::-1], np.float32) / full


def _png_size(image: bytes) -> tuple[int, int] | None:
    if image[:8] != b"\x89PNG\r\n\x1a\n" or image[12:16] != b"IHDR" or len(image) < 24:
        return None
    width, height = struct.unpack(">II", image[16:24])
    return width, height


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    """From the first frame header; one that a decoder might take another header for is none."""
    if image[:2] != b"\xff\xd8":
        return None
    at, found = 2, None
    while at + 9 <= len(image) and image[at] == 0xFF:
        kind, length = image[at + 1], int.from_bytes(image[at + 2 : at + 4], "big")
        if kind == 0xDA:  # the picture itself begins
            return found
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if found is not None:
                return None
            height, width = struct.unpack(">HH", image[at + 5 : at + 9])
            found = width, height
        at += 2 + length
    return None
