"""The commands and how they are found.

A command is one function in a module of its own, `ironwok/cli/NAME.py`, with the same name as the command, dashes as
underscores. It parses and prints, nothing else. Its module is imported when the command runs or its help is asked for,
so `ironwok --help` stays fast; and modules import heavy things (torch, transformers) inside functions only. Where the
one-line summary is not enough for the command's own help page, the module has a function `about() -> str`.

A command with commands of its own, such as `home`, has them in its entry; `home say` is `home_say` in `home_say.py`.

To add a command: write the module and add a line to `COMMANDS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, reload
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ironwok.cli import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, silence_stdout
from ironwok.cli.console import out, say
from ironwok.cli.help import print_command_help, print_group_help
from ironwok.cli.language import current_language, t


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One line of the command list. A name with a dash becomes a module and a function with an underscore.

    commands: those of a group. options: a group whose module of its own name holds options of the group itself.
    """

    name: str
    en: str
    zh: str
    commands: tuple[CommandEntry, ...] = ()
    options: bool = False

    @property
    def summary(self) -> str:
        return t(en=self.en, zh=self.zh)


COMMANDS = (
    CommandEntry(
        "read",
        en="Read files and folders: sort every passage into your labels, find events, write an HTML report",
        zh="读文件和文件夹：按你给的标签归类每一段，找出事件，写出一份 HTML 报告",
    ),
    CommandEntry(
        "classify",
        en="Sort lines or records of text into your labels: one line of JSON each",
        zh="把一行行或一条条文本归入你的标签：每条输出一行 JSON",
    ),
    CommandEntry(
        "compare",
        en="Say of pairs of sentences whether they mean the same, or whether one follows from the other",
        zh="判断两句话意思是否相同，或一句能否由另一句推出",
    ),
    CommandEntry(
        "fill",
        en="Say which of the given words or idioms belongs into the blank of a text",
        zh="选词填空：从给出的词语或成语中选出应填入空格的一个",
    ),
    CommandEntry(
        "ask",
        en="Answer questions from files and folders, with the passages that the answer rests on",
        zh="根据文件和文件夹回答问题，并给出答案所依据的段落",
    ),
    CommandEntry(
        "extract",
        en="Find events, entities or relations in texts: one line of JSON each",
        zh="从文本中抽取事件、实体或关系：每条输出一行 JSON",
    ),
    CommandEntry(
        "train",
        en="Train a model of your own: labels, pairs, multiple choice, reading; events, entities, relations",
        zh="训练自己的模型：分类、句对、选择题、阅读理解；事件、实体、关系",
    ),
    CommandEntry(
        "predict",
        en="Answer labelled or unlabelled records with a model that you trained, and say how often it is right",
        zh="用自己训练的模型处理记录；有标准答案时给出正确率",
    ),
    CommandEntry(
        "distill",
        en="Turn labels and unlabelled texts into a small, fast classifier of your own",
        zh="用标签和没有标注的文本，得到一个又小又快的专用分类器",
    ),
    CommandEntry(
        "serve",
        en="Serve classification, extraction and answers over HTTP, also to clients of OpenAI's API",
        zh="通过 HTTP 提供分类、抽取和问答服务，OpenAI 客户端也可直接使用",
    ),
    CommandEntry(
        "pretrain",
        en="Pretrain an encoder from a recipe and a folder of corpus files",
        zh="按配方，用一个文件夹的语料预训练编码器",
    ),
    CommandEntry(
        "convert-annotations",
        en="Convert annotated texts between DuEE, doccano, Label Studio and our own JSON lines, and check them",
        zh="在 DuEE、doccano、Label Studio 和本项目的 JSON 行之间转换标注，并检查标注",
    ),
    CommandEntry(
        "convert",
        en="Turn a released RoFormerV2 checkpoint into a folder that Ironwok and transformers load",
        zh="把公开发布的 RoFormerV2 权重转换成 Ironwok 和 transformers 能加载的文件夹",
    ),
    CommandEntry(
        "export-onnx",
        en="Export a next-sentence model to ONNX, and use it for labels where it is faster here",
        zh="把下一句预测模型导出为 ONNX；在本机更快时用于零样本分类",
    ),
    CommandEntry(
        "home",
        en="Control a projector by words, remotes, MQTT and HTTP, with its plug and its keys",
        zh="用语音文字、遥控器、MQTT 和 HTTP 控制投影仪，包括插座和按键",
        commands=(
            CommandEntry(
                "run",
                en="Run the daemon of a room: listen everywhere, act, keep a journal",
                zh="运行守护进程：接收各路指令，执行并记日志",
            ),
            CommandEntry(
                "say",
                en="Understand one sentence and do it",
                zh="理解一句话并执行",
            ),
            CommandEntry(
                "learn",
                en="Show the codes of a remote and bind them to actions in the file",
                zh="显示遥控器的编码，并在配置文件中绑定动作",
            ),
            CommandEntry(
                "check",
                en="Test every way out and say what to fix",
                zh="检查每一条输出途径，并说明怎样修好",
            ),
            CommandEntry(
                "pair",
                en="Pair with a projector that speaks the Android TV remote protocol",
                zh="与支持 Android TV 遥控协议的投影仪配对",
            ),
            CommandEntry(
                "simulate",
                en="Run a simulated projector and plug, to try everything without hardware",
                zh="运行模拟的投影仪和插座，没有硬件也能试用",
            ),
        ),
    ),
    CommandEntry(
        "lab",
        en="Re-run famous claims about Transformers: variants, seeds, figures, and a verdict for each claim",
        zh="重新检验关于 Transformer 的著名论断：多种变体、多个随机种子、图表，每条论断给出结论",
        commands=(
            CommandEntry(
                "norms",
                en="Where the norm stands: pre, post and their relatives, with fine-tuning",
                zh="归一化放在哪里：pre、post 及其变体，含微调",
            ),
            CommandEntry(
                "masks",
                en="Who sees whom: decoder alone, prefix-LM, encoder and decoder, half of the heads each way",
                zh="谁能看到谁：纯解码器、前缀语言模型、编码器加解码器、注意力头各看一半",
            ),
            CommandEntry(
                "report",
                en="Rebuild page and figures of a run from its stored results",
                zh="用保存的结果重新生成报告页和图",
            ),
            CommandEntry(
                "inspect",
                en="Draw the depth and rank probes of any Hugging Face model on a text of yours",
                zh="用你的文本，画出任意 Hugging Face 模型的深度和秩探针",
            ),
        ),
        options=True,
    ),
)
_ENTRIES = {entry.name: entry for entry in COMMANDS}


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Ctrl-C and a closed pipe end the program as shells expect; Typer would end it silently, and with exit code 1."""
    try:
        yield
    except KeyboardInterrupt:
        say(t(en="Interrupted.", zh="已中断。"), style="yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        silence_stdout()
        raise typer.Exit(EXIT_BROKEN_PIPE) from None


class Command(TyperCommand):
    """A command with help in the language in force."""

    def invoke(self, ctx: Any) -> Any:
        with _ending_quietly():
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _ending_quietly():
            print_command_help(self, ctx)


class CommandList(TyperGroup):
    """The commands of `COMMANDS`, or of one entry of it, each imported when it is first needed."""

    entries: tuple[CommandEntry, ...] = COMMANDS
    parent = ""

    def list_commands(self, ctx: Any) -> list[str]:
        return [entry.name for entry in self.entries]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = cmd_name in self.list_commands(ctx)
        return build_command(f"{self.parent} {cmd_name}".strip()) if known else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _ending_quietly():
            print_group_help(self, ctx, [(entry.name, entry.summary) for entry in self.entries])


def build_command(name: str) -> Any:
    """Import the module of a command and make the command of its function. "home say" is `say` of `home`."""
    first, _, rest = name.partition(" ")
    entry = _ENTRIES[first]
    if rest:
        entry = next(one for one in entry.commands if one.name == rest)
    if entry.commands:
        return _build_group(entry)
    attribute = name.replace("-", "_").replace(" ", "_")
    module = import_module(f"ironwok.cli.{attribute}")
    _translate_shared_options(module)
    about = getattr(module, "about", None)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(entry.name, cls=Command, help=about() if about else entry.summary)(getattr(module, attribute))
    return typer.main.get_command(single)


def _translate_shared_options(module: ModuleType) -> None:
    """Give a command its shared options in the language in force.

    What stands in a command's own annotations is evaluated when the command is built; the shared ones were evaluated
    when their module was imported.
    """
    from ironwok.cli import options

    if current_language() != options.LANGUAGE:
        reload(options)
    for name, shared in vars(options).items():
        if hasattr(shared, "__metadata__") and name in vars(module):
            setattr(module, name, shared)


def _build_group(entry: CommandEntry) -> Any:
    """A command that only has others."""
    group = type("Group", (CommandList,), {"entries": entry.commands, "parent": entry.name})
    app = typer.Typer(
        name=entry.name,
        cls=group,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=entry.summary,
        no_args_is_help=True,
    )
    options = getattr(import_module(f"ironwok.cli.{entry.name}"), entry.name) if entry.options else lambda: None
    app.callback()(options)
    return typer.main.get_command(app)


def build_app() -> Any:
    """The whole command line as a command object, in the language in force."""
    app = typer.Typer(
        cls=CommandList, add_completion=False, pretty_exceptions_enable=False, help=_about(), no_args_is_help=True
    )
    app.callback()(_root)
    return typer.main.get_command(app)


def _print_version(asked: bool) -> None:
    if asked:
        from ironwok import __version__

        out().print(f"ironwok {__version__}")
        raise typer.Exit


def _about() -> str:
    return t(
        en="Labels, events and sourced answers from unlabelled Chinese and English text, on your own machine.",
        zh="从没有标注的中英文文本里得到标签、事件和有出处的答案，全在自己的机器上。",
    )


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help=t(en="Print the version.", zh="显示版本。")
        ),
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(
            "--lang",
            metavar="en|zh",
            help=t(
                en="Language of help, tables and report; works anywhere on the line (default: the locale's).",
                zh="帮助、表格和报告所用的语言，写在命令行任何位置都行（默认跟随系统语言）；错误信息是英文。",
            ),
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help=t(en="Show the whole trace of an error; works anywhere.", zh="出错时显示完整堆栈，写在任何位置都行。"),
        ),
    ] = False,
) -> None:
    """Options of the program itself. `--lang` and `--debug` are taken off the line before it is parsed (see `main`)."""
