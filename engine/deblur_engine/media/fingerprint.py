# SPDX-License-Identifier: Apache-2.0
"""A short proof that a model and a clip belong together."""

from __future__ import annotations

import hashlib
import json

import av
import av.error

from .clip import Clip
from .decoder import Decoder
from .video import VideoClip

__all__ = ["fingerprint"]


def fingerprint(clip: Clip) -> str:
    """SHA-256 (64 hex digits) over what makes a clip that clip: size, rate, codec and samples of its coded pictures.

    The first, a middle and the last coded picture are hashed, so it takes milliseconds and does not depend on the
    file's name, place or metadata. A range of a clip has the fingerprint of the whole clip.
    """
    info = clip.info
    digest = hashlib.sha256()
    facts = [info.width, info.height, str(info.fps), info.codec, info.pixel_format]
    digest.update(json.dumps(facts).encode())
    if isinstance(clip, VideoClip):
        for sample in _samples(clip):
            digest.update(len(sample).to_bytes(8, "little"))
            digest.update(sample)
    else:
        for sample in clip.samples():
            digest.update(hashlib.sha256(sample).digest())
    return digest.hexdigest()


def _samples(clip: VideoClip) -> list[bytes]:
    """The coded bytes of the first packet, the keyframe nearest before the middle, and the last packet."""
    decoder = Decoder(clip.path)
    try:
        stream = decoder.stream
        found = []

        def following() -> bytes | None:
            try:
                return next((bytes(p) for p in decoder.container.demux(stream) if p.size), None)
            except (av.error.FFmpegError, OSError):
                return None

        found.append(following())
        length = stream.duration
        if length is None and decoder.container.duration is not None:
            length = round(decoder.container.duration / av.time_base / clip.facts.time_base)
        if length:
            begin = stream.start_time or 0
            try:
                decoder.container.seek(begin + length // 2, stream=stream)
                found.append(following())
                decoder.container.seek(begin + length, stream=stream)
                last = None
                for packet in decoder.container.demux(stream):
                    if packet.size:
                        last = bytes(packet)
                found.append(last)
            except (av.error.FFmpegError, OSError):
                pass  # an unseekable or truncated file is known by what it begins with
        return [sample for sample in found if sample]
    finally:
        decoder.close()
