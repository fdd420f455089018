"""The wheel holds everything, and works offline in an empty environment outside the repository."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ironwok"
SAMPLES = ROOT / "examples" / "documents"
WEIGHTS = "ironwok/models/weights/ironwok-small"
LABELS = ("科技", "财经", "体育")


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    here = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    packed = {name for name in wheel.names if name.startswith("ironwok/")}
    assert packed == here
    assert "ironwok/py.typed" in packed


def test_the_wheel_holds_the_weights_and_their_card(wheel):
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"):
        assert f"{WEIGHTS}/{name}" in wheel.names


def test_the_wheel_holds_nothing_else(wheel):
    about = f"ironwok-{wheel.metadata['Version']}.dist-info"
    assert {name.split("/")[0] for name in wheel.names} == {"ironwok", about}
    assert f"{about}/licenses/LICENSE" in wheel.names


def test_the_wheel_fits_a_package_index(wheel):
    # the usual limit for one file is 100 MB
    assert wheel.path.stat().st_size < 98_000_000


def test_the_metadata_says_what_a_package_index_shows(wheel):
    assert wheel.metadata["Name"] == "ironwok"
    assert wheel.metadata["License-Expression"] == "Apache-2.0"
    assert wheel.metadata["Requires-Python"] == ">=3.11"
    assert "# Ironwok" in wheel.metadata.get_payload()


def test_the_environment_uses_the_wheel_and_not_the_checkout(environment):
    run = environment.run("python", "-c", "import ironwok; print(ironwok.__file__)")
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_relative_to(environment.folder)


def test_the_environment_has_no_way_to_the_network(environment):
    run = environment.run("python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9))")
    assert run.returncode == 97


def test_every_module_imports_with_nothing_but_the_declared_dependencies(environment):
    program = (
        "import importlib, pkgutil, ironwok\n"
        "from ironwok.errors import MissingExtraError\n"
        "names = [module.name for module in pkgutil.walk_packages(ironwok.__path__, 'ironwok.')]\n"
        "print(len(names))\n"
        "for name in names:\n"
        "    try: importlib.import_module(name)\n"
        "    except (MissingExtraError, ModuleNotFoundError) as error: print(name, '|', error)\n"
    )
    run = environment.run("python", "-c", program)
    assert run.returncode == 0, run.stderr
    count, *lacking = run.stdout.splitlines()
    assert int(count) > 30
    # The server is built on an optional framework, and a subclass of a class of an optional package cannot even be
    # defined without it. Their users are told which extra to install before they get there.
    rooms = ("ironwok.serving.", "ironwok.distill.estimator ")
    extra = (
        "fastapi",
        "starlette",
        "uvicorn",
        "h11",
        "gradio",
        "prometheus_client",
        "ironwok[distill]",
        "ironwok[serve]",
    )
    for line in lacking:
        assert line.startswith(rooms), line
        assert any(package in line for package in extra), line


def test_it_classifies_text_from_the_command_line(environment):
    text = "主队在加时赛中连进两球，以三比一战胜卫冕冠军，挺进决赛。"
    run = environment.run("ironwok", "classify", "--labels", ",".join(LABELS), "-", stdin=f"{text}\n")
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    record = json.loads(line)
    assert set(record["labels"]) == set(LABELS)
    assert record["label"] == record["labels"][0]
    assert math.isclose(sum(record["scores"]), 1, abs_tol=1e-4)


def test_it_classifies_text_from_python(environment):
    program = (
        "from ironwok import ZeroShotClassifier\n"
        "results = ZeroShotClassifier().classify(['央行宣布下调存款准备金率。'], labels=['财经', '体育'])\n"
        "print(len(results), sorted(results[0].labels) == ['体育', '财经'])"
    )
    run = environment.run("python", "-c", program)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["1", "True"]


def test_it_reads_documents_and_writes_the_report(environment, tmp_path):
    for name in ("news/volleyball.txt", "news/metro.html", "announcements/school_notice.docx", "reviews/orders.csv"):
        shutil.copy(SAMPLES / name, tmp_path)
    out = tmp_path / "report"
    run = environment.run("ironwok", "read", tmp_path, "--labels", ",".join(LABELS), "--out", out)
    assert run.returncode == 0, run.stderr
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "桐川女排" in page
    assert all(label in page for label in LABELS)
