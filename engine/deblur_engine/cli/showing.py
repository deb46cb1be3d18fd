# SPDX-License-Identifier: Apache-2.0
"""Results for people: tables on stdout, summaries for stderr."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ..errors import OutputError
from . import wording
from .session import Session

if TYPE_CHECKING:
    from ..batch import BatchResult, ClipOutcome, ClipRun, Forecast
    from ..doctor import Report
    from ..fitting import FitResult, MetaResult
    from ..hosts import Change, State
    from ..rendering import RenderResult

__all__ = [
    "batch_following",
    "batch_table",
    "check_free",
    "doctor_table",
    "fit_data",
    "fit_summary",
    "forecast",
    "meta_data",
    "meta_summary",
    "outcome_line",
    "plugin_changes",
    "plugin_state",
    "render_data",
    "render_summary",
    "run_data",
    "run_summary",
    "table",
]

_COLOUR = {
    "ok": "green",
    "note": "yellow",
    "failed": "bold red",
    "done": "green",
    "skipped": "green",
    "no_benefit": "yellow",
    "cancelled": "yellow",
    "waiting": "yellow",
}
_STATUS = {
    "no_benefit": "no benefit",
    "waiting": "not begun",
    "skipped": "was done",
}


def table(rows: Iterable[Sequence[object]], headings: Sequence[str] = ()) -> Table:
    """Plain columns without frames: they can be read by people, cut and awk alike."""
    shown = Table(box=None, show_header=bool(headings), pad_edge=False, padding=(0, 2))
    made = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    for number in range(max(map(len, made), default=0)):
        shown.add_column(headings[number] if headings else "", overflow="fold", no_wrap=number == 0)
    for row in made:
        shown.add_row(*row)
    return shown


def _state(name: str) -> Text:
    return Text(_STATUS.get(name, name), style=_COLOUR.get(name, ""))


def fit_data(fitted: FitResult) -> dict[str, Any]:
    """A fit for machines."""
    return {"model": fitted.path, "seconds": fitted.seconds, "metadata": fitted.metadata.to_dict()}


def fit_summary(fitted: FitResult) -> list[str]:
    """A fit for people."""
    size = wording.size(os.path.getsize(fitted.path))
    figures = wording.figures(_numbers(fitted.metadata.held_out))
    device = fitted.metadata.recipe.get("trained_on", "an unknown device")
    return [
        f"wrote {fitted.path} ({size}), fitted on {device} in {wording.duration(fitted.seconds)}",
        *([f"on held-out sharp patches: {figures}"] if figures else []),
    ]


def meta_data(trained: MetaResult) -> dict[str, Any]:
    """A meta-training for machines."""
    return {
        "weights": trained.path,
        "clips": trained.clips,
        "steps": trained.steps,
        "loss": trained.loss,
        "seconds": trained.seconds,
    }


def meta_summary(trained: MetaResult) -> list[str]:
    """A meta-training for people."""
    size = wording.size(os.path.getsize(trained.path))
    count = len(trained.clips)
    return [
        f"wrote {trained.path} ({size}), learned from {count} {'clip' if count == 1 else 'clips'} in {trained.steps} "
        f"steps and {wording.duration(trained.seconds)}"
    ]


def render_data(rendered: RenderResult) -> dict[str, Any]:
    """A render for machines."""
    return {
        "output": rendered.path,
        "frames": rendered.frames,
        "changed": rendered.changed,
        "provider": rendered.provider,
        "stages": rendered.stages,
    }


def render_summary(rendered: RenderResult) -> list[str]:
    """A render for people."""
    return [
        f"wrote {rendered.path}: {rendered.changed} of {rendered.frames} frames changed, the others as they were",
        f"computed on {rendered.provider}",
    ]


def run_data(done: ClipRun) -> dict[str, Any]:
    """A fit and a render for machines."""
    fitted = {} if done.fit is None else fit_data(done.fit)
    return {**fitted, **render_data(done.render), "model": done.model, "fitted": done.fitted}


def run_summary(done: ClipRun) -> list[str]:
    """A fit and a render for people."""
    first = [f"used {done.model}, which was fitted to this clip before"] if done.fit is None else fit_summary(done.fit)
    return [*first, *render_summary(done.render)]


def outcome_line(outcome: ClipOutcome) -> str:
    """One clip's end, said when it comes."""
    said = outcome.message or (f"-> {outcome.output}" if outcome.output else "")
    return f"{outcome.clip}: {_STATUS.get(outcome.status, outcome.status)}  {said}".rstrip()


def batch_table(result: BatchResult) -> Table:
    """All clips, one a row."""
    rows = [
        [
            outcome.clip,
            _state(outcome.status),
            wording.duration(outcome.seconds) if outcome.seconds else "",
            outcome.message or outcome.output or "",
        ]
        for outcome in result.outcomes
    ]
    return table(rows, ["clip", "state", "time", "result"])


def batch_following(result: BatchResult) -> list[object]:
    """What to do after a batch: look at the first clip that failed, or at the first result."""
    for outcome in result.outcomes:
        if outcome.status in ("failed", "no_benefit"):
            return ["deblur-engine", "probe", outcome.clip]
    return next((["deblur-engine", "probe", each.output] for each in result.outcomes if each.output), [])


def doctor_table(report: Report) -> Table:
    """All checks; advice under what needs it."""
    rows: list[list[object]] = []
    for check in report.checks:
        rows.append([check.name, _state(check.state), check.found])
        if check.advice and check.state != "ok":
            rows.append(["", "", f"-> {check.advice}"])
    return table(rows)


def plugin_changes(changes: Sequence[Change]) -> Table:
    """What was done to each part of the plug-in."""
    return table([change.part, change.action, change.path, change.version] for change in changes)


def plugin_state(state: State) -> Table:
    """Each part that is installed; under it what is wrong or worth knowing."""
    if not state.found:
        return table([["nothing is installed"]])
    rows: list[list[object]] = []
    for each in state.found:
        name = "failed" if each.problems else "note" if each.notes else "ok"
        engine = f"starts {each.engine} ({each.engine_version or 'no answer'})" if each.engine else ""
        rows.append([each.part, _state(name), f"{each.path} {each.version}".rstrip()])
        rows += [["", "", line] for line in filter(None, [engine])]
        rows += [["", "", f"-> {line}"] for line in (*each.problems, *each.notes)]
    return table(rows)


def forecast(session: Session, expected: Forecast) -> None:
    """End a ``--dry-run``."""
    rows = [
        ("time", _time(expected)),
        ("memory", wording.size(expected.memory_bytes)),
        ("disk", f"{wording.size(expected.disk_bytes)}, {wording.size(expected.free_bytes)} free"),
        *(("note", note) for note in expected.notes),
    ]
    session.result(
        {"dry_run": True, "forecast": expected.to_dict()},
        table(rows),
        summary=["next: the same command without --dry-run"],
    )


def _time(expected: Forecast) -> str:
    if expected.seconds is None:
        return "not known yet"
    return f"{'at most' if expected.at_most else 'about'} {wording.duration(expected.seconds)}"


def check_free(path: Path | None, *, overwrite: bool) -> None:
    """Raise ``OutputError`` if ``path`` exists and must not be replaced."""
    if path is not None and path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="give -y to replace it, or another name")


def _numbers(values: Mapping[str, Any]) -> dict[str, float | str]:
    return {name: value for name, value in values.items() if isinstance(value, int | float | str)}
