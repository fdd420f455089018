"""Help pages in English or Chinese.

Typer's own pages mix its English ("Usage", "default", "Show this message and exit") into translated texts, and its
words can only be replaced through private names; a page is forty lines, so we set our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ironwok.cli.console import out
from ironwok.cli.language import t


def print_command_help(command: Any, ctx: Any) -> None:
    """The page of one command: usage, what it does, arguments, options."""
    parameters = [parameter for parameter in command.get_params(ctx) if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    usage = " ".join([ctx.command_path, *(_place(argument) for argument in arguments), t(en="[OPTIONS]", zh="[选项]")])
    _print_page(
        usage,
        command.help or "",
        [
            (t(en="Arguments", zh="参数"), [(_place(argument), _explained(argument)) for argument in arguments]),
            (t(en="Options", zh="选项"), [(_declared(option), _explained(option)) for option in options]),
        ],
    )


def print_group_help(group: Any, ctx: Any, commands: Sequence[tuple[str, str]]) -> None:
    """The page of the program, or of a command with commands of its own: usage, what it is, commands, options."""
    options = [(_declared(option), _explained(option)) for option in group.get_params(ctx)]
    _print_page(
        f"{ctx.command_path} {t(en='COMMAND [OPTIONS]', zh='命令 [选项]')}",
        group.help or "",
        [(t(en="Commands", zh="命令"), list(commands)), (t(en="Options", zh="选项"), options)],
    )
    more = t(en="One command in detail: ", zh="某个命令的详细用法：")
    out().print(Text.assemble((more, "dim"), (f"{ctx.command_path} {commands[0][0]} --help", "bold")))


def _print_page(usage: str, about: str, sections: list[tuple[str, list[tuple[str, str]]]]) -> None:
    console = out()
    console.print(Text.assemble((t(en="Usage: ", zh="用法："), "bold"), usage), soft_wrap=True)
    if about:
        console.print(Padding(Text(about), (1, 0, 0, 0)))
    for title, rows in sections:
        if rows:
            console.print(Text(f"\n{title}", style="bold"))
            console.print(_rows(rows))
    console.print()


def _rows(rows: list[tuple[str, str]]) -> Padding:
    table = Table.grid(padding=(0, 2))
    # the left column folds before it starves the explanations
    table.add_column(style="cyan", max_width=34)
    table.add_column(overflow="fold")  # Chinese has no spaces to break at
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return Padding(table, (0, 0, 0, 2))


def _place(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return f"{name}…" if argument.nargs != 1 and not name.endswith("…") else name


def _declared(option: Any) -> str:
    # -o before --out
    names = ", ".join(sorted([*option.opts, *option.secondary_opts], key=lambda name: (name.startswith("--"), name)))
    if option.is_flag or option.name == "help":
        return names
    return f"{names} {option.metavar or option.name.upper()}"


def _explained(parameter: Any) -> str:
    if parameter.name == "help":
        return t(en="Show this page.", zh="显示本页。")
    text = parameter.help or ""
    if parameter.required:
        return f"{text}{t(en=' (required)', zh='（必填）')}"
    shown = parameter.show_default if isinstance(parameter.show_default, str) else _default(parameter)
    return f"{text}{t(en=f' (default: {shown})', zh=f'（默认：{shown}）')}" if shown else text


def _default(parameter: Any) -> str:
    """A default worth printing: not a switch that is off, not nothing."""
    value = parameter.default
    if not parameter.show_default or value is None or callable(value) or isinstance(value, bool) or value in ("", ()):
        return ""
    return str(getattr(value, "value", value))


def usage_problem(error: Exception) -> str:
    """What is wrong with a command line, in the language in force.

    Typer words its own errors in English; the frequent ones are recognised by what they carry and worded again.
    """
    text = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    option = getattr(error, "option_name", None)
    parameter = getattr(error, "param", None)
    name = type(error).__name__
    if name == "NoSuchOption" and option:
        near = t(en=", ", zh="、").join(getattr(error, "possibilities", None) or ())
        return t(
            en=f"there is no option {option}" + (f"; did you mean {near}?" if near else ""),
            zh=f"没有 {option} 这个选项" + (f"，是不是想写 {near}？" if near else ""),
        )
    if name == "MissingParameter" and parameter is not None:
        missing = parameter.opts[0] if parameter.param_type_name == "option" else _place(parameter)
        return t(en=f"{missing} is missing", zh=f"缺少 {missing}")
    if name == "BadParameter" and parameter is not None and (wrong := _wrong_value(error)):
        return f"{parameter.opts[0]}: {wrong}"
    return t(en=text, zh=f"命令行有误：{text}")


def _wrong_value(error: Exception) -> str | None:
    """What pydantic, which reads the values of Typer's options, says without the value; None for what is rarer."""
    faults = getattr(error.__cause__ or error.__context__, "errors", lambda: None)()
    if not faults:
        return None
    value, kind, bound = faults[0].get("input"), faults[0].get("type"), faults[0].get("ctx", {})
    if kind == "less_than_equal":
        return t(en=f"{value} is too much; give {bound['le']:g} or less", zh=f"{value} 太大，最大 {bound['le']:g}")
    if kind == "greater_than_equal":
        return t(en=f"{value} is too little; give {bound['ge']:g} or more", zh=f"{value} 太小，最小 {bound['ge']:g}")
    if kind in ("int_parsing", "int_from_float"):
        return t(en=f"{value!r} is no whole number", zh=f"{value!r} 不是整数")
    if kind == "float_parsing":
        return t(en=f"{value!r} is no number", zh=f"{value!r} 不是数")
    return None
