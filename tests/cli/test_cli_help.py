# SPDX-License-Identifier: Apache-2.0
"""Help texts: examples first, exit codes last, no verb that does not exist, and all of it quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deblur_engine import __version__
from deblur_engine.cli.exit_codes import MEANING
from deblur_engine.errors import ExitCode

VERBS = ["probe", "fit", "render", "run", "batch", "export", "meta-train", "serve", "plugin", "doctor"]


def test_the_verbs_are_those_that_exist(run):
    ran = run("--help")
    listed = ran.out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_begins_with_examples_and_ends_with_exit_codes(run, verb):
    text = run(verb, "--help").out
    examples = text.index("Examples:\n  deblur-engine " + verb)
    assert examples < text.index("Usage:") < text.index("Options:") < text.index("Exit codes:\n")
    for option in ("--json", "--quiet", "--debug", "--help"):
        assert option in text
    codes = [line.split()[0] for line in text.partition("Exit codes:\n")[2].strip().splitlines()]
    assert codes == [str(code.value) for code in ExitCode]


def test_every_exit_code_has_a_meaning_and_the_readme_states_the_same():
    assert set(MEANING) == set(ExitCode)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for code, meaning in MEANING.items():
        assert f"| {code.value} | {meaning} |" in readme


def test_without_a_verb_it_shows_help_and_fails(run):
    ran = run()
    assert ran.code == ExitCode.USAGE and "Commands:" in ran.out
    assert run("--version").out == f"deblur-engine {__version__}\n"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from deblur_engine.cli import main; main(['fit', '--help']);"
        "print(sorted({'torch', 'onnxruntime', 'av', 'cv2', 'numpy', 'onnx'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module():
    answer = subprocess.run(
        [sys.executable, "-m", "deblur_engine", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == f"deblur-engine {__version__}\n"
