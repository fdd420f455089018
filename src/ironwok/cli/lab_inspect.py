"""``ironwok lab inspect``: the probes on a model of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.lab.inspection import Inspection


def about() -> str:
    return t(
        en="Run the probes of depth and rank on any encoder or decoder of Hugging Face, or on one of ours, over a text "
        "of yours: how its stream grows, how alike consecutive inputs are, what each block is worth, and the rank of "
        "its attention. Prints a table; writes figures and JSON.",
        zh="用你的文本，对任意 Hugging Face 编码器或解码器（或本项目的模型）运行深度和秩探针：残差流如何增长、"
        "相邻层的输入有多相似、每一层值多少、注意力的秩有多高。打印表格，并写出图和 JSON。",
    )


def lab_inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help=t(en="Bundled name, folder, or hub id.", zh="自带模型的名字、文件夹或 hub 上的名字。"),
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help=t(en="A document with some pages of text.", zh="一份有几页文字的文档。"),
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help=t(en="Folder for figures and JSON.", zh="图和 JSON 写到这个文件夹。")
        ),
    ] = Path("inspection"),
    length: Annotated[int, typer.Option("--length", min=10, help=t(en="Tokens of a row.", zh="每行的词元数。"))] = 128,
    rows: Annotated[
        int, typer.Option("--rows", min=1, help=t(en="Rows of text to look at.", zh="查看多少行文本。"))
    ] = 8,
) -> None:
    from ironwok.cli.console import out as stdout
    from ironwok.cli.console import say
    from ironwok.lab.figures import check_matplotlib

    check_matplotlib()
    text = _text_of(file)
    say(t(en="loading …", zh="加载中……"), style="dim")

    from ironwok.lab.inspection import inspect_model, write_inspection

    found = inspect_model(model, text, length=length, rows=rows)
    stdout().print(_table(found))
    for path in write_inspection(found, out):
        say(t(en=f"written: {path}", zh=f"已写出：{path}"), style="dim")


def _text_of(file: Path) -> str:
    from ironwok.cli.lab_runs import tell_skip
    from ironwok.text.documents import read_documents

    return "\n".join(document.text for document in read_documents([file], on_skip=tell_skip))


def _table(found: Inspection) -> Any:
    from rich.table import Table

    titles = (
        t(en="Block", zh="层"),
        "‖x‖²/D",
        t(en="cosine to next", zh="与下层输入的余弦"),
        t(en="change", zh="相对变化"),
        t(en="dropped", zh="去掉后损失增加"),
        t(en="swapped", zh="与上层互换"),
        t(en="gradient", zh="梯度范数"),
        t(en="eff. rank/n", zh="有效秩/n"),
        t(en="num. rank/n", zh="数值秩/n"),
    )
    said = t(
        en=f"{found.model}: {found.stack}, {found.rows} rows of {found.tokens} tokens",
        zh=f"{found.model}：{found.stack}，{found.rows} 行，每行 {found.tokens} 个词元",
    )
    if found.effective is not None:
        said += t(en=f", loss {found.effective.loss:.3f} nats", zh=f"，损失 {found.effective.loss:.3f} nat")
    table = Table(*titles, box=None, pad_edge=False, title=said, title_justify="left")
    effective, depth = found.effective, found.depth
    for layer in range(len(depth.cosines)):
        row = [str(layer), f"{depth.square_norms[layer]:.3g}", f"{depth.cosines[layer]:.3f}"]
        row.append(f"{depth.relative_changes[layer]:.3f}")
        row.append(f"{effective.dropped[layer]:+.3f}" if effective else "–")
        row.append(f"{effective.swapped[layer]:+.3f}" if effective and layer < len(effective.swapped) else "–")
        row.append(f"{found.gradients[layer]:.3g}" if found.gradients else "–")
        if layer < len(found.ranks):
            ranks = found.ranks[layer]
            row += [f"{sum(values) / len(values):.3f}" for values in (ranks.effective, ranks.numerical)]
        table.add_row(*row)
    return table
