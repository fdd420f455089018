"""What holds for every command: languages, errors, exit codes. The command `probe` here does what a test tells it."""

from __future__ import annotations

import subprocess
import sys
import types
import warnings
from typing import Annotated

import pytest
import typer

from ironwok.cli import app, language, main, take_global_options
from ironwok.cli.language import language_of_environment, t, use_language
from ironwok.errors import InputError, LabelError, LongTextWarning, OutputError


@pytest.fixture
def probe(monkeypatch):
    """Registers a command `probe` with a function as its body; returns the function that does so."""

    def register(body) -> None:
        def probe(
            word: Annotated[str, typer.Argument(metavar="WORD", help="a word")],
            size: Annotated[int, typer.Option("--size", metavar="N", min=1, help="a size")] = 3,
        ) -> None:
            body(word, size)

        module = types.ModuleType("ironwok.cli.probe")
        setattr(module, "probe", probe)  # noqa: B010
        monkeypatch.setitem(sys.modules, "ironwok.cli.probe", module)
        entry = app.CommandEntry("probe", en="Probe", zh="试探")
        monkeypatch.setitem(app._ENTRIES, "probe", entry)
        monkeypatch.setattr(app.CommandList, "entries", (*app.COMMANDS, entry))

    return register


def raising(error: BaseException):
    def body(word, size):
        raise error

    return body


def test_a_command_gets_what_was_typed(probe):
    got = []
    probe(lambda *arguments: got.append(arguments))
    assert main(["probe", "茶", "--size", "5", "--lang", "zh"]) == 0
    assert main(["--lang=zh", "probe", "--debug", "--", "--lang"]) == 0
    assert got == [("茶", 5), ("--lang", 3)]


@pytest.mark.parametrize(
    ("line", "rest", "tongue", "debug"),
    [
        ("read a --lang zh b", "read a b", "zh", False),
        ("--lang=en read", "read", "en", False),
        ("read --debug a", "read a", None, True),
        ("read --lang", "read", "", False),
        ("read -- --lang zh --debug", "read -- --lang zh --debug", None, False),
        ("read --language x", "read --language x", None, False),
        ("", "", None, False),
    ],
)
def test_options_that_work_anywhere(line, rest, tongue, debug):
    assert take_global_options(line.split()) == (rest.split(), tongue, debug)


@pytest.mark.parametrize(
    ("environment", "tongue"),
    [
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
        ({"LANG": "zh_CN.GB18030"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_of_the_environment(environment, tongue):
    assert language_of_environment(environment) == tongue


def test_without_any_variable_the_system_is_asked(monkeypatch):
    monkeypatch.setattr(language.locale, "getlocale", lambda: ("Chinese (Simplified)_China", "936"))
    assert language_of_environment({}) == "zh"
    monkeypatch.setattr(language.locale, "getlocale", lambda: (None, None))
    assert language_of_environment({}) == "en"


def test_texts_follow_the_language_in_force():
    assert t(en="tea", zh="茶") == "tea"
    use_language("zh")
    assert t(en="tea", zh="茶") == "茶"
    with pytest.raises(InputError, match="'fr' is not one of en, zh"):
        use_language("fr")


@pytest.mark.parametrize("error", [LabelError("only one label"), OutputError("disk full")])
def test_our_errors_are_one_line(probe, capsys, error):
    probe(raising(error))
    assert main(["probe", "x"]) == 1
    assert capsys.readouterr().err == f"error: {error}\n"
    assert main(["probe", "x", "--lang", "zh"]) == 1
    assert capsys.readouterr().err == f"错误：{error}\n"


def test_a_long_error_is_not_wrapped_and_markup_in_it_is_text(probe, capsys):
    probe(raising(InputError("[red]a[/red] " + "long " * 60)))
    assert main(["probe", "x"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_with_line_feeds_is_one_line_and_cannot_command_the_terminal(probe, capsys):
    probe(raising(InputError("the file two\nlines\x1b[2J.txt\u2028is odd")))
    assert main(["probe", "x"]) == 1
    assert capsys.readouterr().err == "error: the file two\\nlines\\x1b[2J.txt\\u2028is odd\n"


def test_debug_shows_the_trace(probe):
    probe(raising(LabelError("only one label")))
    with pytest.raises(LabelError):
        main(["probe", "x", "--debug"])


def test_bugs_surface_as_themselves(probe):
    probe(raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        main(["probe", "x"])


@pytest.mark.parametrize(
    ("line", "english", "chinese"),
    [
        ("probe", "WORD is missing", "缺少 WORD"),
        ("probe x --sise 3", "no option --sise; did you mean --size?", "没有 --sise 这个选项，是不是想写 --size？"),
        ("probe x --zzz", "there is no option --zzz", "没有 --zzz 这个选项"),
        ("probe x --size 0", "--size: 0 is too little; give 1 or more", "--size: 0 太小，最小 1"),
        ("probe x --size a", "--size: 'a' is no whole number", "--size: 'a' 不是整数"),
        ("probe x --size 1.5", "--size: '1.5' is no whole number", "--size: '1.5' 不是整数"),
        ("prob", "No such command 'prob'", "命令行有误："),
        ("probe x --lang fr", "'fr' is not one of en, zh", "命令行有误："),
    ],
)  # fmt: skip
def test_a_wrong_command_line(probe, capsys, line, english, chinese):
    probe(lambda *arguments: None)
    assert main(line.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert english in said.err
    assert "--help" in said.err.splitlines()[1]
    if "--lang" not in line:
        assert main([*line.split(), "--lang", "zh"]) == 2
        assert chinese in capsys.readouterr().err


def test_ctrl_c(probe, capsys):
    probe(raising(KeyboardInterrupt()))
    assert main(["probe", "x"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_an_exit_code_of_a_command_is_passed_on(probe):
    probe(raising(typer.Exit(7)))
    assert main(["probe", "x"]) == 7


def test_warnings_of_ours_are_said_once_and_those_for_programmers_not(probe, capsys):
    def body(word, size):
        for _ in range(3):
            warnings.warn(LongTextWarning("a long text"), stacklevel=1)
        warnings.warn("old function", DeprecationWarning, stacklevel=1)

    probe(body)
    assert main(["probe", "x"]) == 0
    assert capsys.readouterr().err == "warning: a long text\n"


def test_nothing_typed_is_a_wish_for_help(capsys):
    assert main([]) == 0
    assert "Usage: ironwok COMMAND" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error():
    """As in `ironwok --help | head -1`."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from ironwok.cli import main; sys.exit(main(['read', '--help']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert (process.returncode, errors) == (141, "")


def test_a_terminal_that_cannot_show_chinese():
    code = "import sys; from ironwok.cli import main; sys.exit(main(['--help', '--lang', 'zh']))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"\u7528\u6cd5" in run.stdout
