# SPDX-License-Identifier: Apache-2.0
"""What pip has installed, read from its records without importing anything."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version

__all__ = ["importable", "installed"]


def installed(*names: str) -> dict[str, str]:
    """Those of the distributions that are installed, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def importable(module: str) -> bool:
    """True where Python finds the module, which says nothing yet of whether it loads."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
