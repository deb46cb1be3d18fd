# SPDX-License-Identifier: Apache-2.0
"""Run as a folder (``python tests/bench/quality``) or as a module (``python -m tests.bench.quality``)."""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from quality.command import main
else:
    from .command import main

sys.exit(main())
