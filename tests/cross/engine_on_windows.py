# SPDX-License-Identifier: Apache-2.0
"""What the plug-in starts as its engine on Windows: the real worker, but for a desk that halves what is bright.

``fault`` in the runtime folder holds a fault that happens once: die (in the middle of a frame), hang.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from deblur_engine.errors import BadInput
from deblur_engine.worker import server, wire
from deblur_engine.worker.meeting import Meeting


class Halving:
    """Stands for ``desk.Desk``."""

    rendered, models = 0, ()

    def __init__(self, server: server.Server, meeting: Meeting) -> None:
        self.server, self.fault = server, meeting.folder / "fault"

    def model(self, request: wire.Model) -> wire.ModelInfo:
        if "missing" in request.model:
            raise BadInput(f"{request.model} is not there")
        return wire.ModelInfo(request.model, "", 0, 0, 10, 0, 0, 1, "")

    def render(self, request: wire.Render, surfaces, check: Callable[[], None]) -> wire.Rendered:
        fault = self.fault.read_text() if self.fault.exists() else ""
        if fault:
            self.fault.unlink()
        if fault == "die":
            os._exit(9)
        if fault == "hang":
            self.server._clients.clear()  # no signs of life
            time.sleep(60)
        if not request.pictures:  # the question whether any are needed
            return wire.Rendered(wire.Rendered.WANTED, 0, 0, 0, 0, 0, 0, "")
        (_, number, offset, _), *_ = request.pictures
        picture = surfaces.picture(number, offset, request.width, request.height)
        surfaces.picture(request.out_surface, request.out_offset, request.width, request.height)[:] = 0.5 * picture
        self.rendered += 1
        return wire.Rendered(0, 0, 0, 0, 0, 0, 0, "")


if __name__ == "__main__":
    device = sys.argv[sys.argv.index("--device") + 1]
    meeting = Meeting(device)
    worker = server.Server(meeting, device, 1, idle=20)
    worker._desk, worker._device_name = Halving(worker, meeting), lambda: "cpu"
    (meeting.folder / "pid").write_text(str(os.getpid()))
    worker.serve()
