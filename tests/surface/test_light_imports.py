"""What must not cost seconds: importing the package, and help."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "accelerate", "numpy", "scipy", "tensorboard")


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running code."""
    script = f"{code}\nimport sys\nprint('\\nloaded:', *{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import ironwok",
        "import ironwok.errors, ironwok.results",
        "import ironwok.cli",
        "import ironwok.cli.app",
        "from ironwok.cli import main; main(['--help'])",
        "from ironwok.cli import main; main(['--help', '--lang', 'zh'])",
        "from ironwok.cli import main; main(['--version'])",
    ],
)
def test_nothing_heavy_is_imported_by(code):
    assert not modules_after(code) & set(HEAVY)


def test_no_page_of_help_imports_torch():
    pages = "from ironwok.cli import main; from ironwok.cli.app import COMMANDS\n"
    pages += "for entry in COMMANDS:\n"
    pages += "    main([entry.name, '--help'])\n"
    pages += "    for one in entry.commands: main([entry.name, one.name, '--help'])"
    assert not modules_after(pages) & {"torch", "transformers"}
