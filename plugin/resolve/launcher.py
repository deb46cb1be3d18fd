# SPDX-License-Identifier: Apache-2.0
"""The entry in Resolve's menu Workspace > Scripts: fits the clip under the playhead and applies the effect."""

import os
import sys

FOLDER = ""

folder = os.path.join(FOLDER, "resolve")
if folder not in sys.path:
    sys.path.insert(0, folder)

import deblur_engine_resolve  # noqa: E402

# Resolve gives these names to the scripts of its menu.
deblur_engine_resolve.main(
    globals().get("resolve"), globals().get("fusion") or globals().get("fu"), globals().get("bmd")
)
