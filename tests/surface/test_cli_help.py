"""Every command explains itself, in both languages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ironwok import __version__
from ironwok.cli import language, main
from ironwok.cli.app import COMMANDS, build_command

# every command that does something; "home say" is `say` of `home`
NAMES = [
    f"{entry.name} {one.name}" if one is not entry else entry.name
    for entry in COMMANDS
    for one in entry.commands or (entry,)
]
GROUPS = [entry.name for entry in COMMANDS if entry.commands]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """The language in force is global to the process: every test starts, and leaves, in English."""
    monkeypatch.setattr(language, "_current", "en")
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "120")


def page(capsys, *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_the_list_of_commands_is_complete(capsys):
    text = page(capsys, "--help")
    for entry in COMMANDS:
        assert re.search(rf"^\s+{entry.name}\s", text, flags=re.MULTILINE)
    modules = {path.stem for path in Path(language.__file__).parent.glob("*.py")}
    assert {re.sub("[- ]", "_", name) for name in NAMES} <= modules


@pytest.mark.parametrize("name", GROUPS)
def test_a_command_of_commands_lists_them(capsys, name):
    (group,) = (entry for entry in COMMANDS if entry.name == name)
    english, chinese = page(capsys, name, "--help"), page(capsys, name, "--help", "--lang", "zh")
    assert english.startswith(f"Usage: ironwok {name} ")
    assert chinese.startswith(f"用法：ironwok {name} ")
    for entry in group.commands:
        assert re.search(rf"^\s+{entry.name}\s", english, flags=re.MULTILINE)
        assert entry.zh[:6] in chinese


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_page_in_english(capsys, name):
    text = page(capsys, *name.split(), "--help")
    assert text.startswith(f"Usage: ironwok {name} ")
    assert "Options" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_page_in_chinese(capsys, name):
    text = page(capsys, *name.split(), "--help", "--lang", "zh")
    assert text.startswith(f"用法：ironwok {name} ")
    assert "选项" in text
    assert not re.search(r"\b(Usage|Options|Arguments|default|required)\b", text)


def helps(name: str) -> dict[str, str]:
    """Help of every option and argument of a command, in the language in force."""
    parameters = [parameter for parameter in build_command(name).params if parameter.name != "help"]
    return {parameter.name: getattr(parameter, "help", None) or "" for parameter in parameters}


@pytest.mark.parametrize("name", NAMES)
def test_every_option_and_argument_is_explained_in_both_languages(name):
    language.use_language("en")
    english = helps(name)
    language.use_language("zh")
    chinese = helps(name)
    assert english
    for parameter in english:
        assert re.search(r"[a-z]{3}", english[parameter]), f"{name}: {parameter}: {english[parameter]!r}"
        assert CHINESE.search(chinese[parameter]), f"{name}: {parameter}: {chinese[parameter]!r}"
        assert chinese[parameter] != english[parameter], f"{name}: {parameter}"


def test_the_locale_chooses_the_language(capsys, monkeypatch):
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "用法：" in page(capsys, "--help")
    assert "Usage:" in page(capsys, "--help", "--lang", "en")


def test_an_unknown_command_is_a_wrong_command_line(capsys):
    assert main(["raed"]) == 2
    assert "raed" in capsys.readouterr().err


def test_the_version(capsys):
    assert page(capsys, "--version").split() == ["ironwok", __version__]


def test_the_installed_program_is_there():
    program = Path(sys.executable).parent / "ironwok"
    run = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stdout.split()) == (0, ["ironwok", __version__])
