# SPDX-License-Identifier: Apache-2.0
"""The worker's reading of messages under atheris: ``python tests/fuzz/fuzz_wire.py [CORPUS] -max_total_time=60``.

A byte chooses what is read: a payload, a header, a stream of messages through ``Channel``, or a picture's place in a
surface. Whatever comes in, the answer is a message or the error that the layer names.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from dataclasses import fields
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["deblur_engine.worker"]):
    from deblur_engine.worker import channel, surfaces, system, wire

MEMORY = 1 << 16
held = surfaces.Surfaces()
memory, descriptor, name = system.new_memory(MEMORY)
held.attach(1, MEMORY, descriptor)
KINDS = sorted(wire.MESSAGES)


def one(data: bytes) -> None:
    """An entry in libFuzzer's form."""
    if not data:
        return
    (payload, header, stream, picture)[data[0] % 4](data[1:])


def payload(data: bytes) -> None:
    if data:
        with contextlib.suppress(wire.WireError):
            message = wire.parse(KINDS[data[0] % len(KINDS)], data[1:])
            # What was read can be written, and is read as the same; NaN is the only value that differs from itself.
            again = message.pack(1)[wire.HEADER.size :]
            assert again == data[1:] or repr(wire.parse(message.TYPE, again)) == repr(message)


def header(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        found = wire.Header.unpack(data[: wire.HEADER.size])
        assert found.version != wire.VERSION or found.length <= wire.MAX_PAYLOAD


def stream(data: bytes) -> None:
    """Bytes as they are, and with a good header before them, so that chance need not find its magic."""
    if len(data) > 1:
        kind = KINDS[data[0] % len(KINDS)]
        data = (
            wire.HEADER.pack(wire.MAGIC, wire.VERSION, kind, len(data) - 1, 0, 7) + data[1:] if data[0] < 200 else data
        )
    ours, theirs = socket.socketpair()
    reader = channel.Channel(ours)
    with theirs, contextlib.suppress(channel.GoneError, wire.WireError):
        theirs.sendall(data[:100_000])
        theirs.shutdown(socket.SHUT_WR)
        while True:
            head, body, descriptors = reader.receive(1.0)
            assert not descriptors and (head.version != wire.VERSION or len(body) == head.length)
            wire.parse(head.type, body)
    reader.close()


def picture(data: bytes) -> None:
    if len(data) >= 24:
        number, width, height, offset = struct.unpack_from("<IIIQ", data)
        with contextlib.suppress(surfaces.SurfaceError):
            found = held.picture(number % 3, offset % (2 * MEMORY) if data[20] & 1 else offset, width, height)
            assert found.shape == (height, width, 3) and found.nbytes <= MEMORY
            found.sum()


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    if corpus is not None:
        corpus.mkdir(parents=True, exist_ok=True)
        seed(corpus)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def seed(corpus: Path) -> None:
    """A whole message of each kind, and a place that is right."""
    texts = {"Str": "a/ü.mov", "Frames": (1, 2, 9), "Pictures": ((1, 1, 64, 0), (2, 1, 128, 7))}
    for at, kind in enumerate(KINDS):
        form = wire.MESSAGES[kind]
        whole = form(*(texts.get(str(f.type), 1) for f in fields(form))).pack(1)
        (corpus / f"payload-{kind}").write_bytes(bytes([0, at]) + whole[wire.HEADER.size :])
        (corpus / f"header-{kind}").write_bytes(bytes([1]) + whole[: wire.HEADER.size])
        (corpus / f"stream-{kind}").write_bytes(bytes([2, at]) + whole[wire.HEADER.size :])
        (corpus / f"streams-{kind}").write_bytes(bytes([2, 255]) + whole + whole)
    (corpus / "picture").write_bytes(bytes([3]) + struct.pack("<IIIQ", 1, 16, 9, 128) + bytes(4))


if __name__ == "__main__":
    main()
