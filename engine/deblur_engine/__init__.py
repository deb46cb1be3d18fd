# SPDX-License-Identifier: Apache-2.0
"""deblur-engine: fits a small network to one clip and deblurs that clip with it.

``probe`` says what a clip is like, ``fit`` makes ``CLIP.deblur.onnx``, ``render`` applies it.
Nothing heavy is imported until one of them is touched (torch only by ``fit``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "fit", "probe", "render"]

if TYPE_CHECKING:
    from .analysis import probe
    from .fitting import fit
    from .rendering import render

_HOME = {"probe": ".analysis", "fit": ".fitting", "render": ".rendering"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
