# SPDX-License-Identifier: Apache-2.0
"""The command ``deblur-engine``: one file a verb, no logic. What all verbs share lives in ``session``."""

from .app import main

__all__ = ["main"]
