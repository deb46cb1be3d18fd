# SPDX-License-Identifier: Apache-2.0
"""Help texts that begin with examples and end with the exit codes."""

from __future__ import annotations

import inspect
from typing import Any

import typer
import typer.core

from .exit_codes import epilog

__all__ = ["VerbHelp", "VerbsHelp"]


class VerbHelp(typer.core.TyperCommand):
    """A verb whose docstring is: one line on what it does, ``Examples:`` and indented lines, then anything else."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _format(self, ctx, formatter)


class VerbsHelp(typer.core.TyperGroup):
    """The list of verbs; its docstring is of the same form."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _format(self, ctx, formatter)


def _format(command: typer.core.TyperCommand | typer.core.TyperGroup, ctx: Any, formatter: Any) -> None:
    summary, examples, rest = _parts(command.help or "")
    formatter.write_text(summary)
    _section(formatter, "Examples", examples)
    formatter.write_paragraph()
    command.format_usage(ctx, formatter)
    if rest:
        formatter.write_paragraph()
        formatter.write_text(rest)
    command.format_options(ctx, formatter)
    _section(formatter, "Exit codes", epilog())


def _parts(text: str) -> tuple[str, list[str], str]:
    """A docstring's summary, examples, and the rest."""
    summary, _, body = inspect.cleandoc(text).partition("\n\nExamples:\n")
    examples, _, rest = body.partition("\n\n")
    return " ".join(summary.split()), [line.strip() for line in examples.splitlines()], rest.strip()


def _section(formatter: Any, title: str, lines: list[str]) -> None:
    # Lines as they stand: a wrapped command cannot be pasted.
    with formatter.section(title):
        for line in lines:
            formatter.write(f"  {line}\n")
