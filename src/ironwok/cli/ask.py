"""``ironwok ask``: a question about files, answered from more of them than the model can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device, Encoding, TextField

# Said on the help page, which may not import torch; a test holds these to `ironwok.nbce.Settings`.
DEFAULTS = {"beta": 0.25, "eta": 0.1, "route": 0.1, "keep": 4, "closer": 2, "window": 320, "max_tokens": 64}
_NAMED = 6  # columns that a message names


def about() -> str:
    return t(
        en=(
            "Answer a question from files and folders (.txt .md .html .pdf .docx .csv .jsonl) and list the passages "
            "that the answer rests on. All of the text is read, however much it is: every passage on its own, and the "
            "answer follows the one that explains the question best. Nothing leaves this machine.\n\n"
            "  ironwok ask 'When does the ferry leave?' notes/ timetable.pdf\n\n"
            "Without --model, Chinese questions are answered by a reader that marks words in the files, others by a "
            "small language model that knows English only. Better models are one --model away."
        ),
        zh=(
            "根据文件和文件夹（.txt .md .html .pdf .docx .csv .jsonl）回答问题，并列出答案所依据的段落。"
            "不论文字有多少，全部都读：每段单独读，答案跟随最能解释问题的那一段。数据不出本机。\n\n"
            "  ironwok ask '渡轮几点开？' 资料/\n\n"
            "不给 --model 时，中文问题由抽取式阅读器回答，在文件里标出词句；其他语言的由一个只懂英文的小模型回答。"
            "想要更好的答案，用 --model 指定模型。"
        ),
    )


def ask(
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", show_default=False, help=t(en="The question.", zh="要问的问题。")),
    ],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            show_default=False,
            help=t(en="Files, folders and patterns to answer from.", zh="据以回答的文件、文件夹或通配模式。"),
        ),
    ],
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            "-q",
            metavar="QUESTION",
            help=t(
                en="A further question; may be given several times. The files are read once for all of them.",
                zh="再问一个问题，可以给多次；文件只读一遍。",
            ),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help=t(
                en="Who answers: extractive (marks words in the files), the folder of a model of `ironwok train "
                "reading` (marks them, too), or a causal language model: smollm2 (English only), a folder, or a hub "
                "id, for Chinese for example Qwen/Qwen2.5-0.5B-Instruct (default: extractive for Chinese questions, "
                "smollm2 for others).",
                zh="由谁回答：extractive（在文件里标出词句），`ironwok train reading` 训练出的文件夹"
                "（同样是标出词句），或因果语言模型：smollm2（只懂英文）、文件夹或 hub 上的名字，中文例如 "
                "Qwen/Qwen2.5-0.5B-Instruct（默认：中文问题用 extractive，其他用 smollm2）。",
            ),
        ),
    ] = None,
    pooling: Annotated[
        str,
        typer.Option(
            "--pooling",
            metavar="entropy|mean|max",
            help=t(
                en="How passages are combined: follow one at each word, or mix all by mean or maximum.",
                zh="怎样合并各段：每个词跟随其中一段（entropy），或对全部取平均（mean）、最大（max）。",
            ),
        ),
    ] = "entropy",
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            metavar="≥-1",
            show_default=str(DEFAULTS["beta"]),
            help=t(
                en="How much of what the model says without any passage is taken away.",
                zh="减去多少“没有任何段落时模型会说的话”。",
            ),
        ),
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option(
            "--eta",
            metavar="≥0",
            show_default=str(DEFAULTS["eta"]),
            help=t(en="Reluctance to change the passage between words.", zh="词与词之间换段落的惯性。"),
        ),
    ] = None,
    route: Annotated[
        float | None,
        typer.Option(
            "--route",
            metavar="≥0",
            show_default=str(DEFAULTS["route"]),
            help=t(
                en="Weight of how well a passage explains the question; 0 is NBCE as published.",
                zh="段落对问题的解释程度所占的权重；0 即论文中的 NBCE。",
            ),
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            show_default=str(DEFAULTS["keep"]),
            min=0,
            help=t(
                en="How many passages are followed to the end at most; 0 for all, as with --route 0, mean and max.",
                zh="最多跟随几段直到答完；0 表示全部；用 --route 0、mean、max 时也是全部。",
            ),
        ),
    ] = None,
    closer: Annotated[
        int | None,
        typer.Option(
            "--closer",
            metavar="N",
            show_default=str(DEFAULTS["closer"]),
            min=0,
            help=t(
                en="Read the passages that were kept again, N sentences at a time; 0 for not.",
                zh="把保留下来的段落再细读一遍，每次 N 句；0 表示不细读。",
            ),
        ),
    ] = None,
    copy: Annotated[
        bool | None,
        typer.Option(
            "--copy/--write",
            show_default=t(en="smollm2 copies where a few words answer", zh="几个词能答的，smollm2 照抄"),
            help=t(
                en="Answer with words of the files, chosen by the model, or let it write an answer of its own.",
                zh="由模型从文件里选出词句照抄作答，或由模型自己写。",
            ),
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            metavar="N",
            min=1,
            show_default=str(DEFAULTS["window"]),
            help=t(
                en="Longest passage, in tokens; less where the model takes less.",
                zh="一段最多多少个 token；模型容不下时自动减少。",
            ),
        ),
    ] = None,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered",
            help=t(
                en="Tell the model the place of every passage, for questions about the order of things.",
                zh="告诉模型每段的位置，用于问先后顺序。",
            ),
        ),
    ] = False,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="≥0",
            help=t(en="0 takes the best word each time; more is livelier.", zh="0 每次取最好的词；越大越随机。"),
        ),
    ] = 0.0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            help=t(
                en="Of the draw, with --temperature: the same seed gives the same answer.",
                zh="随机种子，配合 --temperature；种子相同则答案相同。",
            ),
        ),
    ] = 0,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            min=1,
            show_default=str(DEFAULTS["max_tokens"]),
            help=t(
                en="Longest answer, in tokens (a sentence that is quoted may have 64).",
                zh="答案最多多少个 token（引用的原句可到 64 个）。",
            ),
        ),
    ] = None,
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json",
            help=t(en="One line of JSON for each answer, tokens and offsets included.", zh="每个答案输出一行 JSON。"),
        ),
    ] = False,
    text_field: TextField = None,
    encoding: Encoding = None,
    device: Device = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="NAME",
            help=t(
                en="float32, bfloat16, float16, or auto: bfloat16 where the device is faster in it.",
                zh="float32、bfloat16、float16 或 auto（bfloat16 在本机更快时才用）。",
            ),
        ),
    ] = "auto",
) -> None:
    import sys

    from ironwok.errors import InputError

    questions = [question, *(also or [])]
    if not all(one.strip() for one in questions):  # before any file is read
        raise InputError(t(en="a question holds no text: ask something", zh="有一个问题是空的：请写出要问的内容"))
    given: dict[str, Any] = {"beta": beta, "eta": eta, "route": route, "max_tokens": max_tokens, "closer": closer}
    given |= {"copy": copy}
    given = {name: value for name, value in given.items() if value is not None}
    contexts = _contexts(paths, text_field=text_field, encoding=encoding)

    from ironwok.reader import ByLanguage

    shown = sys.stderr.isatty()
    options = {"device": device, "dtype": dtype, "window": window or DEFAULTS["window"]}
    reader = _trained_reader(model, device=device, dtype=dtype)
    answerer = ByLanguage(model if reader is None else reader.name, options=options, reader=reader)
    settings = None
    if not all(map(answerer.reads, questions)):  # the reader of Chinese needs no torch, and none of these
        from ironwok.nbce import Settings
        from ironwok.progress import progress_bar

        if keep is not None:
            given |= {"keep": keep or None} | ({} if keep else {"negligible": 0.0})
        elif route == 0 or pooling != "entropy":
            # all passages to the end, as published: without routing nothing says which could be left out
            given = {"keep": None, "negligible": 0.0, "closer": 0} | given
        settings = Settings(pooling=pooling, temperature=temperature, seed=seed, **given)  # pyright: ignore[reportArgumentType]
        with progress_bar(t(en="loading the model", zh="加载模型"), total=None, shown=shown):
            answerer.answerer()
    from ironwok.cli.answers import AnswerPrinter, ReadingBar

    printer = AnswerPrinter(json_lines=json_lines, numbered=len(questions) > 1)
    with ReadingBar(shown=shown) as bar:
        answers = answerer.ask_many(
            questions,
            contexts,
            settings=settings,
            ordered=ordered,
            on_read=bar.advance,
            on_question=lambda number: (bar.close(), printer.begin(questions[number])),
            on_text=printer.add,
        )
        for answer in answers:
            printer.end(answer)


def _trained_reader(model: str | None, *, device: str | None, dtype: str) -> Any:
    """The extractive reader with the words marked by a model of `ironwok train reading`; None for other models."""
    from ironwok.students import is_student

    if model is None or not is_student(model):
        return None
    from ironwok.errors import InputError
    from ironwok.reader import ExtractiveReader
    from ironwok.students import AnswerMarker, load_tuned

    marker = load_tuned(model, device=device, dtype=dtype)
    if not isinstance(marker, AnswerMarker):
        raise InputError(f"{model} was trained for {marker.task!r}: questions take a model of `ironwok train reading`")
    return ExtractiveReader(marker=marker.mark)


def _contexts(paths: list[Path], *, text_field: str | None, encoding: str | None) -> list[Any]:
    """The texts of all documents; what cannot be read is named and passed over."""
    from ironwok.cli.console import say
    from ironwok.nbce.contexts import Context
    from ironwok.text.documents import ReadOptions, read_documents

    def skipped(skip: Any) -> None:
        say(t(en=f"skipped: {skip.reason}", zh=f"跳过：{skip.reason}"), style="yellow")

    contexts: list[Context] = []
    unread: dict[str, tuple[str, ...]] = {}  # file to the columns that nothing is answered from
    options = ReadOptions(text_field=text_field, encoding=encoding)
    for document in read_documents(paths, on_skip=skipped, options=options):
        contexts.append(Context(document.text, document.path, document.record))
        if text_field is None and document.record is not None and document.metadata:
            unread.setdefault(document.path, tuple(document.metadata))
    for path, names in unread.items():
        rest = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
        say(
            t(
                en=f"{path}: answers come from one column; not read: {rest} (--text-field names the one to read)",
                zh=f"{path}：只从一列里回答；未读的列：{rest}（用 --text-field 指定要读的列）",
            ),
            style="yellow",
        )
    return contexts
