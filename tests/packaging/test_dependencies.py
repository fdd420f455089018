"""What the package imports, it declares: nothing is left to what other packages happen to bring along."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# extras for working on the package, not for using it
INTERNAL = {"test", "browser", "docs", "dev"}


def names(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(node: ast.AST) -> Iterator[str]:
    """Top-level names of all imports that ever run, those inside functions too."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def test_every_import_is_a_declared_dependency():
    declared = names(PROJECT["dependencies"])
    for extra, lines in PROJECT["optional-dependencies"].items():
        declared |= set() if extra in INTERNAL else names(lines)
    provided = metadata.packages_distributions()
    undeclared = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name in sorted(set(imported(ast.parse(path.read_text(encoding="utf-8"))))):
            if name in sys.stdlib_module_names or name == "ironwok":
                continue
            if not {canonicalize_name(one) for one in provided[name]} & declared:
                undeclared.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert undeclared == {}


def test_every_declared_dependency_is_pinned_for_make():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in pins if "==" in line}
    wanted = names(PROJECT["dependencies"])
    for extra, lines in PROJECT["optional-dependencies"].items():
        wanted |= set() if extra == "browser" else names(lines)
    assert wanted - {"ironwok"} <= pinned


def test_the_pin_of_torch_installs_anywhere():
    # a local version such as 2.13.0+cpu exists on one machine only
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^torch==\d+\.\d+\.\d+$", pins, flags=re.MULTILINE)
    assert "+" not in pins
    assert "file:" not in pins
