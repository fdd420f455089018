"""The `ironwok` command: parsing and printing only."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# as a shell reports a program that SIGINT or SIGPIPE ended
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0 done, 1 an error of `ironwok.errors`, 2 a wrong command line, 130 Ctrl-C, 141 the reader of our output went away.
    An error that is none of ours is a bug and surfaces as itself, with its trace.
    """
    from ironwok.cli.language import current_language, language_of_environment, use_language
    from ironwok.errors import InputError

    _never_fail_on_output_encoding()
    rest, language, debug = take_global_options(sys.argv[1:] if arguments is None else arguments)
    use_language(language_of_environment())
    try:
        use_language(current_language() if language is None else language)
    except InputError as error:
        return _usage(error)
    return _run(rest, debug=debug)


def take_global_options(arguments: Sequence[str]) -> tuple[list[str], str | None, bool]:
    """Take `--lang X`, `--lang=X` and `--debug` off a command line, wherever they stand before a `--`.

    Returns the rest, the language as written (None where it is not given; "" where its value is missing) and debug.
    """
    rest: list[str] = []
    language: str | None = None
    debug = False
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument == "--lang":
            language = next(pending, "")
        elif argument.startswith("--lang="):
            language = argument.removeprefix("--lang=")
        elif argument == "--debug":
            debug = True
        else:
            rest.append(argument)
    return rest, language, debug


def _run(arguments: list[str], *, debug: bool) -> int:
    import typer

    from ironwok.cli.app import build_app
    from ironwok.cli.console import complain
    from ironwok.errors import IronwokError

    try:
        with _warnings_for_users(debug):
            code = build_app().main(arguments or ["--help"], prog_name="ironwok", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return EXIT_BROKEN_PIPE
    except IronwokError as error:
        if debug:
            raise
        complain(str(error))
        return 1
    except typer.TyperException as error:
        if debug:
            raise
        return _usage(error)
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> int:
    from ironwok.cli.console import complain, say
    from ironwok.cli.help import usage_problem
    from ironwok.cli.language import t

    complain(usage_problem(error))
    context = getattr(error, "ctx", None)
    page = f"{context.command_path if context else 'ironwok'} --help"
    say(t(en=f"See: {page}", zh=f"用法见：{page}"), style="dim")
    return 2


@contextmanager
def _warnings_for_users(debug: bool) -> Iterator[None]:
    """Our warnings as a yellow line, once each; what libraries warn programmers of, only with --debug."""
    from ironwok.errors import IronwokWarning

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        from ironwok.cli.console import say
        from ironwok.cli.language import t

        ours = issubclass(category, IronwokWarning)
        say(
            t(en=f"warning: {message}", zh=f"提醒：{message}") if ours else f"{category.__name__}: {message}",
            style="yellow",
        )

    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        warnings.simplefilter("once", IronwokWarning)
        warnings.showwarning = show
        yield


def silence_stdout() -> None:
    """After a broken pipe: let the interpreter's last flush go nowhere instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _never_fail_on_output_encoding() -> None:
    """A terminal that cannot show a character gets its escape instead of a crash."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
