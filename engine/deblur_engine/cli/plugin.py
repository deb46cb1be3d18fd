# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine plugin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import ExitCode, UsageError
from . import engine, options, showing
from .session import Session

_PartName = Literal["bundle", "nuke", "resolve"]  # as in hosts.parts, which is not imported for --help
_ALL: tuple[_PartName, ...] = ("bundle", "nuke", "resolve")
_ONLY: dict[str, tuple[_PartName, ...]] = {
    "bundle": ("bundle",),
    "scripts": ("nuke", "resolve"),
    "nuke": ("nuke",),
    "resolve": ("resolve",),
}


def plugin(
    action: Annotated[
        Literal["install", "status", "remove"], typer.Argument(metavar="install|status|remove", help="What to do.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="OpenFX folder; $OFX_PLUGIN_PATH's first or the system's if left."),
    ] = None,
    nuke: Annotated[
        Path | None, typer.Option("--nuke", metavar="DIR", help="Nuke's folder; ~/.nuke, if it is there.")
    ] = None,
    resolve: Annotated[
        Path | None, typer.Option("--resolve", metavar="DIR", help="Resolve's Fusion/Scripts, if Resolve is there.")
    ] = None,
    only: Annotated[
        Literal["bundle", "scripts", "nuke", "resolve"] | None, typer.Option("--only", help="Only this part of it.")
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--engine", metavar="PATH", help="The program that editors start; this one if left.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do nothing; say what would be done.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Install the effect into editors: the OpenFX plug-in, and scripts for Nuke and Resolve.

    Examples:
      deblur-engine plugin install
      deblur-engine plugin install --dir ~/ofx --nuke ~/.nuke
      sudo "$(which deblur-engine)" plugin install --only bundle
      deblur-engine plugin install --only scripts
      deblur-engine plugin status
      deblur-engine plugin remove

    Install may be repeated: an older version is replaced. Remove takes away what install put there and nothing else.
    Status ends with exit code 1 if the effect is not installed or does not work.
    """
    with Session("plugin", json=json, quiet=quiet, debug=debug) as session:
        if program is not None and action != "install":
            raise UsageError(f"--engine says what to install; it means nothing to plugin {action}")
        if action == "status":
            if only or dry_run:
                raise UsageError("plugin status takes neither --only nor --dry-run: it changes nothing")
            state = engine.plugin_status(ofx=folder, nuke=nuke, resolve=resolve)
            session.result(
                {"action": action, **state.to_dict()},
                showing.plugin_state(state),
                following=() if state.found else ["deblur-engine", "plugin", "install"],
                exit_code=ExitCode.DONE if state.works else ExitCode.INTERNAL,
            )
            return
        parts = _ONLY[only] if only else _ALL
        if action == "install":
            changes = engine.install_plugin(
                ofx=folder, nuke=nuke, resolve=resolve, engine=program, parts=parts, dry_run=dry_run
            )
        else:
            changes = engine.remove_plugin(ofx=folder, nuke=nuke, resolve=resolve, parts=parts, dry_run=dry_run)
        for change in changes:
            if change.kept:
                session.warn(f"{change.path} stays: {len(change.kept)} files in it are not ours")
        session.result(
            {"action": action, "dry_run": dry_run, "changes": changes},
            showing.plugin_changes(changes),
            summary=[] if changes else ["nothing is installed"],
            following=["deblur-engine", "plugin", "status"] if action == "install" and not dry_run else (),
        )
