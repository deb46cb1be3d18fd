# SPDX-License-Identifier: Apache-2.0
"""From what a user names (clips, folders, glob patterns) to the clips that are meant."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..media import VIDEO_SUFFIXES
from ..media.pattern import SequencePattern

__all__ = ["find_clips"]

_OURS = re.compile(r"_deblur[._-]|\.partial$|\.partial\.")  # what our own runs leave behind


def find_clips(named: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The clips that are meant, each once, in the order named; those of a folder or pattern by name.

    A folder gives the videos and numbered picture sequences right inside it, without results of earlier runs; so
    does a glob pattern (``**`` goes into folders). A name that is no folder and matches nothing comes back as it is:
    it may be a sequence's pattern (``shot.####.exr``), and if not, opening it says what is wrong.
    """
    clips: list[str] = []
    for each_named in named:
        name = os.fspath(each_named)
        if os.path.isdir(name):
            clips.extend(
                _clips_among(sorted(os.path.normpath(os.path.join(name, each)) for each in os.listdir(name))) or [name]
            )
        elif not os.path.exists(name) and glob.has_magic(name):
            clips.extend(_clips_among(sorted(glob.glob(name, recursive=True))) or [name])
        else:
            clips.append(name)
    return list(dict.fromkeys(clips))


def _clips_among(paths: Sequence[str]) -> list[str]:
    """Videos as they are, numbered pictures as one pattern for each sequence."""
    clips: list[str] = []
    sequences: dict[tuple[Path, str, str], list[SequencePattern]] = {}
    for path in paths:
        if _OURS.search(Path(path).name) or not os.path.isfile(path):
            continue
        if Path(path).suffix.lower() in VIDEO_SUFFIXES:
            clips.append(path)
        elif pattern := SequencePattern.of(path):
            sequences.setdefault((pattern.folder, pattern.prefix, pattern.suffix), []).append(pattern)
    for patterns in sequences.values():
        if len(patterns) > 1:  # a single picture is no clip
            # The shortest number tells the padding: 0998 and 1000 are ####, 9 and 10 are #.
            clips.append(str(min(patterns, key=lambda pattern: pattern.width).as_path()))
    return sorted(clips)
