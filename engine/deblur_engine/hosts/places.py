# SPDX-License-Identifier: Apache-2.0
"""Where hosts look for plug-ins and scripts, and where the package keeps its own, by system and environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from ..errors import DeblurError, UsageError

__all__ = [
    "BUNDLE",
    "bundle_source",
    "engine_executable",
    "nuke_folder",
    "ofx_folder",
    "ofx_folders",
    "resolve_caches",
    "resolve_folders",
    "scripts_source",
]

BUNDLE = "DeblurEngine.ofx.bundle"
_PACKAGE = Path(__file__).resolve().parents[1]
_REINSTALL = "install deblur-engine again: pip install --force-reinstall deblur-engine"


def bundle_source() -> Path:
    """The bundle that was built with this package; raises ``DeblurError`` where there is none."""
    bundle = _PACKAGE / BUNDLE
    if not (bundle / "Contents").is_dir():
        raise DeblurError(f"this build of deblur-engine has no OpenFX plug-in: {bundle} is missing", hint=_REINSTALL)
    return bundle


def scripts_source() -> Path:
    """The folder ``plugin/``: copied into an installed package, at the top of a checkout (editable installs)."""
    for folder in (_PACKAGE / "plugin_files", _PACKAGE.parents[1] / "plugin"):
        if (folder / "jobs.py").is_file():
            return folder
    raise DeblurError(f"this build of deblur-engine has no scripts for editors beside {_PACKAGE}", hint=_REINSTALL)


def engine_executable(named: Path | None = None) -> Path:
    """The absolute path of this environment's ``deblur-engine``; ``named`` overrides. Raises ``UsageError``.

    Links are kept: a virtual environment is found by the path that its program is started by.
    """
    suffix = ".exe" if os.name == "nt" else ""
    started = Path(sys.argv[0] if sys.argv else "")
    candidates = [Path(sysconfig.get_path("scripts")) / f"deblur-engine{suffix}"]
    if started.stem == "deblur-engine":  # installed for one user: the scripts lie elsewhere
        candidates.append(started)
    if named is not None:
        candidates = [named.expanduser()]
    for candidate in candidates:
        path = Path(os.path.abspath(candidate))
        if path.is_file() and os.access(path, os.X_OK):
            if "\n" in str(path) or "\r" in str(path):
                raise UsageError(f"engine {str(path)!r}: its path has a line break, and the plug-in reads one line")
            return path
    tried = ", ".join(map(str, candidates))
    raise UsageError(f"no program deblur-engine that can be run at {tried}", hint="name it: --engine PATH")


def ofx_folder(named: Path | None = None) -> Path:
    """Where the bundle goes: ``named``, else the first of $OFX_PLUGIN_PATH, else the system's folder."""
    return Path(os.path.abspath(named.expanduser())) if named is not None else ofx_folders()[0]


def ofx_folders() -> list[Path]:
    """Every folder that hosts search, in their order."""
    listed = [Path(part) for part in os.environ.get("OFX_PLUGIN_PATH", "").split(os.pathsep) if part]
    if sys.platform == "win32":
        common = os.environ.get("COMMONPROGRAMFILES", r"C:\Program Files\Common Files")
        system = Path(common) / "OFX" / "Plugins"
    elif sys.platform == "darwin":
        system = Path("/Library/OFX/Plugins")
    else:
        system = Path("/usr/OFX/Plugins")
    return list(dict.fromkeys([*listed, system]))


def nuke_folder() -> Path:
    """The user's folder that Nuke reads ``init.py`` from."""
    return Path.home() / ".nuke"


def resolve_folders() -> list[Path]:
    """Resolve's folders of scripts, the user's own first."""
    return [base / "Fusion" / "Scripts" for base in _resolve_bases()]


def resolve_caches() -> list[Path]:
    """Where Resolve keeps its list of OpenFX plug-ins: one that failed to load once stays off until it is removed."""
    return [base / "OFXPluginCacheV2.xml" for base in _resolve_bases()]


def _resolve_bases() -> list[Path]:
    vendor = Path("Blackmagic Design") / "DaVinci Resolve"
    if sys.platform == "win32":
        roaming = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
        return [roaming / vendor / "Support", Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / vendor]
    if sys.platform == "darwin":
        support = Path("Library") / "Application Support" / vendor
        return [Path.home() / support, Path("/") / support]
    return [Path.home() / ".local" / "share" / "DaVinciResolve", Path("/opt/resolve")]
