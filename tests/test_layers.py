# SPDX-License-Identifier: Apache-2.0
"""What may know what (ARCHITECTURE.md), read from the imports of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "engine" / "deblur_engine"

GROUND = {"errors", "settings", "task"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "task": {"errors"},
    "device": {"errors"},
    "ops": {"_ops"},
    "media": GROUND,
    "analysis": GROUND | {"ops", "media"},
    "artifact": GROUND | {"media"},
    "fitting": GROUND | {"ops", "media", "analysis", "artifact"},
    "rendering": GROUND | {"device", "ops", "media", "analysis", "artifact"},
    "worker": GROUND | {"device", "ops", "media", "analysis", "artifact", "rendering"},
    "batch": GROUND | {"media", "analysis", "artifact", "fitting", "rendering"},
    "doctor": GROUND | {"ops", "media", "artifact", "rendering"},
    "hosts": GROUND,
    "cli": GROUND
    | {"hosts", "ops", "media", "analysis", "artifact", "fitting", "rendering", "worker", "batch", "doctor"},
    "__main__": {"cli"},
    "__init__": {"analysis", "fitting", "rendering"},  # for type checkers only: the real imports are lazy
}
"""Everybody may also read ``__version__`` from the package itself."""


@dataclass(frozen=True)
class Import:
    module: str  # as written in full: "deblur_engine.media.types", "torch.nn"
    line: int
    for_types: bool  # under ``if TYPE_CHECKING``
    at_once: bool  # not inside a function


def imports_of(path: Path) -> list[Import]:
    """Every import statement of a module, relative ones resolved."""
    found: list[Import] = []
    parts = ("deblur_engine", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts[:-1]

    def visit(node: ast.AST, for_types: bool, at_once: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, True, at_once)
            for child in node.orelse:
                visit(child, for_types, at_once)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, for_types, at_once) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            # "from .. import ops" names the module only in what it imports.
            names = [[*base, alias.name] for alias in node.names] if base == ["deblur_engine"] else [base]
            found.extend(Import(".".join(name), node.lineno, for_types, at_once) for name in names)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, for_types, at_once and not inside)

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), False, True)
    return found


def home_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def writes_models(path: Path) -> bool:
    """Whether a module is of artifact's writing side, which stands right of fitting; its reading side needs neither."""
    where = path.relative_to(PACKAGE)
    return where.parts[0] == "artifact" and where.name.startswith(("export", "torchscript"))


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_crosses_a_layer(path: Path) -> None:
    home = home_of(path)
    assert home in MAY_IMPORT, f"{home} has no place in the layers: give it one in ARCHITECTURE.md and here"
    allowed = {home, "__version__"} | MAY_IMPORT[home] | ({"fitting"} if writes_models(path) else set())
    with_torch = home == "fitting" or writes_models(path)
    crossed = []
    for item in imports_of(path):
        first, *rest = item.module.split(".")
        if first == "deblur_engine" and rest and rest[0] not in allowed:
            crossed.append(f"line {item.line}: {home} may not import {rest[0]}")
        if first == "torch" and not item.for_types and not with_torch:
            crossed.append(
                f"line {item.line}: only fitting and artifact/export*.py and torchscript*.py may import torch"
            )
    assert not crossed, f"{path}: " + "; ".join(crossed)


def test_the_reading_of_imports_sees_what_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    module = tmp_path / "media" / "thing.py"
    module.parent.mkdir()
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "from .. import ops\n"
        "from ..cli.app import main\n"
        "from .types import Frame\n"
        "if TYPE_CHECKING:\n"
        "    import torch\n"
        "def f():\n"
        "    import torch.nn\n"
    )
    seen = {(item.module, item.for_types, item.at_once) for item in imports_of(module)}
    assert seen >= {
        ("deblur_engine.ops", False, True),
        ("deblur_engine.cli.app", False, True),
        ("deblur_engine.media.types", False, True),
        ("torch", True, True),
        ("torch.nn", False, False),
    }


@pytest.mark.parametrize(
    "name",
    ["ops", "media", "analysis", "artifact", "artifact.load", "rendering", "worker", "worker.desk", "batch", "cli"],
)
def test_importing_it_leaves_torch_alone(name: str) -> None:
    home = PACKAGE.joinpath(*name.split("."))
    if not (home / "__init__.py").exists() and not home.with_suffix(".py").exists():
        pytest.skip(f"{name} does not exist yet")
    code = f"import sys, deblur_engine.{name}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"importing deblur_engine.{name} brings in torch\n{done.stderr}"


def test_importing_the_ops_without_a_driver_works() -> None:
    code = (
        "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''\nfrom deblur_engine import ops\nprint(ops.cuda_available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "False", done.stderr
