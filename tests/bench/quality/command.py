# SPDX-License-Identifier: Apache-2.0
"""The quality table: how much sharper clips become, and whether any frame is harmed.

    python tests/bench/quality                                    the demo clip and whatever footage is found
    python tests/bench/quality --clips demo,bikes --rows main,no-references --seeds 0,1,2 --start drawn
    python tests/bench/quality --clips my.mp4 --protocol gopro --rows cheap --side 640
    python tests/bench/quality --clips GOPRO/test --write-pairs OUT --external MAXIM=OUT/{clip}-{seed}/maxim

A clip of real footage is turned into a partly blurry one with known truth, stored losslessly, restored by each row in
this process, and measured before any lossy encoding, as 8-bit code values. The table goes to the standard output and,
as table.md and table.json, into the work folder, with a contact sheet of each clip. What is there already is not done
again unless what it depends on has changed. The exit code is 1 if a floor is missed (with --check).
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import deblur_engine

from . import flicker, likeness, registration
from .clips import PROTOCOLS, Clip, Protocol
from .figures import Frames, figures, flicker_of, measure
from .flicker import Steps, steps_of
from .pictures import Bytes
from .rows import GROUPS, ROWS, Row, chosen
from .sheet import contact_sheet
from .sources import KNOWN, REPOSITORY, clip_names, find_clip, is_drawn, read_results, write_pairs
from .store import Kept, Store, clip_folder, code_of, engine_mark, mark_of, row_mark
from .table import Result, markdown, to_json, verdict
from .workbench import Bench, FitOptions, Made, NotAvailable

__all__ = ["main", "parse"]


class Session:
    """One run of the stand: what was asked for, and what was found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results: list[Result] = []
        self.unavailable: list[tuple[str, str]] = []  # label of a row, why
        self.clips: list[dict[str, Any]] = []
        self.is_blurry: dict[tuple[str, int], Any] = {}  # by clip and seed
        self.fit_options = FitOptions(
            options.preset,
            options.steps,
            options.pairs,
            options.fit_seed,
            options.device,
            options.threads,
            tuple(options.paper),
            str(options.init) if options.init else None,
            mark_of(options.init.read_bytes()) if options.init else "",
        )

    def clip(self, name: str, seed: int) -> None:
        """All rows of one clip drawn with one seed."""
        o = self.options
        clip = find_clip(name, o.footage, o.protocol, seed=seed, count=o.frames, start=o.start, side=o.side)
        if o.write_pairs:
            write_pairs(clip, o.write_pairs / f"{clip.name}-{seed}")
        folder = clip_folder(o.work, clip, seed)
        on_bench = OnBench(clip, seed, Bench(clip, folder, self.fit_options, engine_mark()), Store(folder), o)
        height, width = clip.sharp[0].shape[:2]
        shape = {"frames": len(clip.blurry), "blurry": int(clip.is_blurry.sum()), "size": [width, height]}
        self.clips.append({"name": clip.name, "seed": seed, **shape, "windows": clip.windows, "origin": clip.origin})
        self.is_blurry[clip.name, seed] = clip.is_blurry
        base: Kept | None = None
        pictures: dict[str, dict[int, Bytes]] = {}
        for name_of_row, row in self.rows(clip, seed).items():
            try:
                kept = on_bench.row(name_of_row, row)
            except NotAvailable as reason:
                self.unavailable.append((row.label, str(reason)))
                tell(f"{clip.name} {seed} {row.label}: not available: {reason}")
                continue
            base = base or kept
            found = figures(kept.frames, base.frames, clip.is_blurry)
            self.results.append(
                Result(
                    clip.name,
                    seed,
                    name_of_row,
                    row.label,
                    found,
                    kept.fit_seconds,
                    kept.frame_seconds,
                    kept.notes,
                    kept.frames,
                )
            )
            tell(
                f"{clip.name} {seed} {row.label}: {found.blurry_psnr:.2f} dB, gain {found.blurry_gain:+.2f}, "
                f"worst {found.worst_change:+.2f} ({found.worst_frame})"
            )
            if o.sheets:
                pictures[row.label] = on_bench.store.pictures(name_of_row)
        if o.sheets:
            judged = ROWS["ours"].label
            contact_sheet(clip, pictures, judged if judged in pictures else list(pictures)[-1], folder / "sheet.png")

    def rows(self, clip: Clip, seed: int) -> dict[str, Row]:
        """The rows that were asked for, with those from elsewhere."""
        found = {name: ROWS[name] for name in self.options.rows}
        for name, pattern in self.options.external:
            folder = Path(pattern.format(clip=clip.name, seed=seed))
            found[name] = Row(name, _from_folder(folder, clip), engine=False)
        return found

    def tables(self) -> str:
        """The table, and one for each row that has not all frames, on the frames that it has (only there)."""
        inputs = {(r.clip, r.seed): r for r in self.results if r.row == "input"}
        parts = [r for r in self.results if len(r.frames["psnr"]) < len(inputs[r.clip, r.seed].frames["psnr"])]
        partial = dict.fromkeys(r.row for r in parts)
        text = markdown([r for r in self.results if r.row not in partial], self.unavailable)
        for name in partial:
            some = {(r.clip, r.seed): set(r.frames["psnr"]) for r in self.results if r.row == name}
            inside = [
                replace(r, figures=self._only(r, inputs[r.clip, r.seed], some[r.clip, r.seed]))
                for r in self.results
                if (r.clip, r.seed) in some and (r.row == name or r.row not in partial)
            ]
            count = sum(map(len, some.values()))
            text += "\n\n" + markdown(inside, title=f"On the {count} frames of {name} only:")
        return text

    def _only(self, result: Result, base: Result, frames: set[int]) -> Any:
        return figures(result.frames, base.frames, self.is_blurry[result.clip, result.seed], frames)


class OnBench:
    """One clip and seed while its rows are made."""

    def __init__(self, clip: Clip, seed: int, bench: Bench, store: Store, options: argparse.Namespace) -> None:
        self.clip, self.seed, self.bench, self.store, self.options = clip, seed, bench, store, options
        looks = mark_of(options.align, *map(code_of, (likeness, registration, measure)))
        self.measures = {"looks": (self._looks, looks), "flicker": (self._flicker, mark_of(code_of(flicker)))}

    def row(self, name: str, row: Row) -> Kept:
        """The row as it is kept, or made, measured and kept now."""
        mark = row_mark(row.make, row.engine, self.bench.options if row.fits else None)
        if name not in ROWS:
            mark = mark_of(mark, time.time_ns())  # a folder may hold other pictures each time
        kept = None if self.options.fresh else self.store.get(name, mark)
        if kept is None:
            kept = self.store.put(name, mark, row.make(self.bench))
        for group, (work, code) in self.measures.items():
            if kept.measures.get(group) != code:
                kept = self.store.add(name, group, code, work(self.store.pictures(name)))
        return kept

    def _looks(self, pictures: Mapping[int, Bytes]) -> Frames:
        aligned = {i for i in pictures if self.clip.is_blurry[i]}
        return measure(self.clip.sharp, self.clip.blurry, pictures, align=self.options.align, aligned=aligned)

    def _flicker(self, pictures: Mapping[int, Bytes]) -> Frames:
        return flicker_of(pictures, self.steps)

    @cached_property
    def steps(self) -> Steps:
        """The truth's motion."""
        return steps_of(self.clip.sharp)


def _from_folder(folder: Path, clip: Clip) -> Any:
    def make(bench: Bench) -> Made:
        try:
            return Made(read_results(folder, clip))
        except OSError as problem:
            raise NotAvailable(str(problem)) from problem

    return make


def tell(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def about(options: argparse.Namespace, arguments: Sequence[str] | None) -> dict[str, Any]:
    """What a figure has to be read with: when, of what code, on what, by which command."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    names = ("torch", "numpy", "opencv-python-headless", "onnxruntime-gpu", "onnxruntime", "scikit-image", "av")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "revision": git("rev-parse", "HEAD"),
        "changed_since": bool(git("status", "--porcelain", "engine", "csrc", "tests/bench")),
        "engine": {"version": deblur_engine.__version__, "mark": engine_mark(), "of_this_repository": engine_is_ours()},
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
        },
        "python": platform.python_version(),
        "packages": {name: found for name in names if (found := installed(name))},
        "command": list(sys.argv[1:] if arguments is None else arguments),
        "options": {name: value for name, value in vars(options).items() if name != "protocol"},
        "protocol": vars(options.protocol),
    }


def engine_is_ours() -> bool:
    """Whether the engine that is measured lies in the repository that the stand lies in: there may be several."""
    return REPOSITORY in Path(deblur_engine.__file__).resolve().parents


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument("--clips", help=f"of {', '.join(KNOWN)}; videos; folders of pairs; default: all known")
    clips.add_argument("--footage", type=Path, default=os.environ.get("DEBLUR_FOOTAGE"), help="folder (DEBLUR_FOOTAGE)")
    clips.add_argument("--protocol", default="stepped", choices=PROTOCOLS, help="how blur is made; see clips.py")
    clips.add_argument("--windows", help="numbers of averaged pictures to draw from, odd, with commas")
    clips.add_argument("--sharp-below", type=int, help="smallest window that counts as blurry")
    clips.add_argument("--stride", type=int, help="source frames from one frame to the next")
    clips.add_argument("--between", type=int, help="pictures interpolated between two source frames")
    clips.add_argument("--seeds", default="0", help="of the drawing of windows, with commas")
    clips.add_argument("--start", default="0", help="first source frame, or 'drawn' by the seed")
    clips.add_argument("--frames", type=int, help="frames a clip at most; default: 30, of the demo and of folders all")
    clips.add_argument("--side", type=int, help="shrink pictures to this longer side")
    rows = parser.add_argument_group("rows")
    rows.add_argument("--rows", default="main", help=f"groups ({', '.join(GROUPS)}) and rows ({', '.join(ROWS)})")
    rows.add_argument("--external", action="append", default=[], metavar="NAME=FOLDER", help="frames made elsewhere")
    rows.add_argument("--write-pairs", type=Path, metavar="FOLDER", help="write the clips for programs elsewhere")
    fit = parser.add_argument_group("fits")
    fit.add_argument("--preset", default="standard", choices=("draft", "standard", "high"))
    fit.add_argument("--steps", type=int, help="in place of the preset's")
    fit.add_argument("--pairs", type=int, help="in place of the preset's")
    fit.add_argument("--fit-seed", type=int, default=0)
    fit.add_argument("--device", default="auto")
    fit.add_argument("--threads", type=int)
    fit.add_argument(
        "--init", type=Path, help="weights that ours and the frozen row start from; default: those that ship"
    )
    fit.add_argument("--paper", action="append", default=[], metavar="NAME=VALUE", help="setting of the paper's recipe")
    out = parser.add_argument_group("results")
    out.add_argument("--align", default="homography", choices=("homography", "translation", "none"))
    out.add_argument("--work", type=Path, default=REPOSITORY / "build" / "quality", help="folder to keep everything in")
    out.add_argument("--fresh", action="store_true", help="do again what is kept there")
    out.add_argument("--json", action="store_true", help="print JSON in place of the table")
    out.add_argument("--no-sheets", dest="sheets", action="store_false", help="write no contact sheets")
    out.add_argument("--check", action="store_true", help="end with exit code 1 if a floor is missed")
    out.add_argument("--quick", action="store_true", help="a smoke run: cheap rows, few small frames")
    options = parser.parse_args(arguments)
    try:
        _complete(options)
    except ValueError as problem:
        parser.error(str(problem))
    return options


def _complete(options: argparse.Namespace) -> None:
    if options.init and not options.init.is_file():
        raise ValueError(f"{options.init}: no such file")
    if options.quick:
        options.clips, options.frames, options.side = options.clips or "demo", options.frames or 10, options.side or 192
        options.rows = "cheap" if options.rows == "main" else options.rows
    base = PROTOCOLS[options.protocol]
    windows = tuple(int(n) for n in options.windows.split(",")) if options.windows else base.windows
    changed = {n: getattr(options, n) for n in ("sharp_below", "stride", "between") if getattr(options, n) is not None}
    options.protocol = Protocol(**{**vars(base), "windows": windows, **changed})
    options.rows = chosen(options.rows)
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.start = None if options.start == "drawn" else int(options.start)
    options.align = None if options.align == "none" else options.align
    options.clips = [name.strip() for name in options.clips.split(",")] if options.clips else None
    for name in ("external", "paper"):
        parts = [text.partition("=") for text in getattr(options, name)]
        if not all(key and value for key, _, value in parts):
            raise ValueError(f"--{name}: NAME=VALUE is wanted")
        setattr(options, name, [(key, int(value) if value.isdecimal() else value) for key, _, value in parts])
    if taken := {name for name, _ in options.external} & set(ROWS):
        raise ValueError(f"--external: {', '.join(taken)} is a row of the table's own")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stand; returns the exit code."""
    options = parse(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    if not engine_is_ours():
        tell(f"note: the engine measured is that of {Path(deblur_engine.__file__).parent}, not of {REPOSITORY}")
    session = Session(options)
    try:
        names, notes = clip_names(options.clips, options.footage)
        for note in notes:
            tell(note)
        for name in names:
            for seed in options.seeds if is_drawn(name) else options.seeds[:1]:
                session.clip(name, seed)
    except (FileNotFoundError, ValueError) as problem:
        raise SystemExit(f"error: {problem}") from None
    missed = verdict(session.results)
    told = {**about(options, arguments), "clips": session.clips, "unavailable": session.unavailable, "missed": missed}
    as_json, as_text = to_json(session.results, told), session.tables()
    (options.work / "table.json").write_text(as_json + "\n")
    (options.work / "table.md").write_text(as_text + "\n")
    print(as_json if options.json else "\n".join([as_text, *(f"MISSED {text}" for text in missed)]))
    return 1 if missed and options.check else 0
