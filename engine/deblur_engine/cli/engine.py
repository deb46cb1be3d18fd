# SPDX-License-Identifier: Apache-2.0
"""The one door from the command line to the engine.

Everything behind it is imported when it is first used, so that ``--help`` answers at once and ``render`` never
loads torch. Verbs write ``engine.fit(...)`` and import nothing else of weight.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..analysis import probe as probe
    from ..artifact.load import load_model as load_model
    from ..artifact.torchscript import to_torchscript as to_torchscript
    from ..artifact.variants import to_fixed_size as to_fixed_size
    from ..artifact.variants import to_flame_json as to_flame_json
    from ..artifact.variants import to_fp16 as to_fp16
    from ..batch import find_clips as find_clips
    from ..batch import forecast_batch as forecast_batch
    from ..batch import forecast_fit as forecast_fit
    from ..batch import forecast_render as forecast_render
    from ..batch import forecast_run as forecast_run
    from ..batch import run_batch as run_batch
    from ..batch import run_clip as run_clip
    from ..doctor import examine as examine
    from ..fitting import fit as fit
    from ..fitting import meta_train as meta_train
    from ..hosts import install_plugin as install_plugin
    from ..hosts import plugin_status as plugin_status
    from ..hosts import remove_plugin as remove_plugin
    from ..rendering import render as render
    from ..worker.meeting import Meeting as Meeting
    from ..worker.server import Server as Server

_HOME = {
    "probe": "analysis",
    "load_model": "artifact.load",
    "to_torchscript": "artifact.torchscript",  # the only export that takes torch
    "to_fixed_size": "artifact.variants",
    "to_flame_json": "artifact.variants",
    "to_fp16": "artifact.variants",
    "find_clips": "batch",
    "forecast_batch": "batch",
    "forecast_fit": "batch",
    "forecast_render": "batch",
    "forecast_run": "batch",
    "run_batch": "batch",
    "run_clip": "batch",
    "examine": "doctor",
    "fit": "fitting",
    "meta_train": "fitting",
    "install_plugin": "hosts",
    "remove_plugin": "hosts",
    "plugin_status": "hosts",
    "render": "rendering",
    "Meeting": "worker.meeting",
    "Server": "worker.server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"deblur_engine.{_HOME[name]}"), name)
