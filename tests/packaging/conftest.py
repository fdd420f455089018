"""A wheel of this checkout, and an environment that holds it, its declared dependencies and nothing else.

Installing torch anew for every run would take minutes, so the environment borrows: the distributions that the wheel's
own metadata asks for, directly or indirectly, are linked from the environment that runs the tests, and only those. A
module that the package uses but does not declare is therefore missing there, as it would be for a user.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

# any use of the network ends the process at once, so that no library can catch the error and go on
NO_NETWORK = """
import os, sys

def _refuse(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        print("network used:", event, arguments, file=sys.stderr, flush=True)
        os._exit(97)

sys.addaudithook(_refuse)
"""


def requirements(lines: Iterable[str], extras: Iterable[str] = ("",)) -> set[Requirement]:
    parsed = map(Requirement, lines)
    return {each for each in parsed if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras)}


def closure(lines: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The installed distributions that the requirement lines need, by canonical name."""
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements(lines))
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        found[name] = metadata.distribution(name)
        waiting += requirements(found[name].requires or (), extras | {""})
    return found


def link(distribution: metadata.Distribution, target: Path) -> None:
    """Make a distribution importable in target, a site-packages folder."""
    for file in distribution.files or ():
        top = file.parts[0]
        if top not in ("..", "__pycache__") and not (target / top).exists():
            (target / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())


@dataclass(frozen=True)
class Wheel:
    path: Path

    @property
    def names(self) -> set[str]:
        with zipfile.ZipFile(self.path) as archive:
            return set(archive.namelist())

    @property
    def metadata(self) -> Message:
        with zipfile.ZipFile(self.path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return Parser().parsestr(archive.read(name).decode("utf-8"))


@dataclass(frozen=True)
class Environment:
    folder: Path
    home: Path

    def run(self, program: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program of the environment offline, in a folder of its own, with an empty home."""
        variables = {
            "HOME": str(self.home),
            "LANG": "en_US.UTF-8",
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "PYTHONUTF8": "1",
            "COLUMNS": "120",
        }
        if "LD_LIBRARY_PATH" in os.environ:
            variables["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        return subprocess.run(
            [str(self.folder / "bin" / program), *map(str, arguments)],
            cwd=self.home,
            env=variables,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Wheel:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return Wheel(path)


@pytest.fixture(scope="session")
def environment(wheel, tmp_path_factory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    installed = subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel.path)], capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stderr
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for distribution in closure(wheel.metadata.get_all("Requires-Dist") or ()).values():
        link(distribution, site)
    (site / "no_network.py").write_text(NO_NETWORK, encoding="utf-8")
    (site / "no_network.pth").write_text("import no_network\n", encoding="utf-8")
    return Environment(folder, tmp_path_factory.mktemp("home"))
