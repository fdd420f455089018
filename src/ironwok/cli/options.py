"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ironwok.cli.language import current_language, t

LANGUAGE = current_language()  # of the texts below; see `app`

Texts = Annotated[
    str,
    typer.Argument(
        metavar="FILE|-",
        show_default=False,
        help=t(en="File of texts, or - for standard input.", zh="文本文件；- 表示标准输入。"),
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(
        "--text-field",
        metavar="NAME",
        help=t(
            en="Key or column of the text in .jsonl and .csv (default: found by name and content).",
            zh=".jsonl、.csv 里文本所在的字段（默认按名称和内容判断）。",
        ),
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help=t(en="Encoding of the input (default: detected).", zh="输入的编码（默认自动判断）。"),
    ),
]
AnyModel = Annotated[
    str,
    typer.Option("--model", "-m", help=t(en="Bundled name, folder, or hub id.", zh="自带模型名、文件夹或 hub 名。")),
]


def _field(said: str) -> Any:
    return typer.Option("--field", metavar="PART=NAME", help=said)


PartFields = Annotated[
    list[str] | None,
    _field(
        t(
            en="Field or column of a part (default: by the usual names): a, b of a pair; text, candidates of a blank.",
            zh="某一项所在的字段或列（默认按常用名称识别）：句对的 a、b；填空的 text、candidates。",
        )
    ),
]
NamedFields = Annotated[
    list[str] | None,
    _field(
        t(
            en="Field or column of a part, such as a=question (default: by the usual names, or as in training).",
            zh="某一项所在的字段或列，如 a=问题（默认按常用名称识别，或与训练时相同）。",
        )
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help=t(en="Write to this file instead of standard output.", zh="写入此文件，而不是标准输出。"),
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help=t(en="Go on with an interrupted --out file.", zh="接着写上次中断的 --out 文件。")),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help=t(en="Replace an existing --out file.", zh="覆盖已有的 --out 文件。"))
]
Calibrate = Annotated[
    bool | None,
    typer.Option(
        "--calibrate/--no-calibrate",
        help=t(
            en="Take away what a label scores without any text (default: with --multi-label).",
            zh="减去标签在没有正文时的得分（默认只在 --multi-label 时）。",
        ),
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        metavar="/",
        help=t(en="Labels such as 体育/足球 are paths of a tree.", zh="标签是多级的，如“体育/足球”，此处给分隔符。"),
    ),
]
Adapt = Annotated[
    Path | None,
    typer.Option(
        "--adapt",
        metavar="FILE",
        show_default=False,
        help=t(
            en="Look at some hundreds of texts first, without their labels, and judge the labels by what these texts "
            "say of them; FILE may be the input itself.",
            zh="先看几百条未标注的同类文本，让每个标签向与它相符的文本靠拢，再归类；可以就给输入文件本身。",
        ),
    ),
]
MultiLabel = Annotated[
    bool,
    typer.Option(
        "--multi-label",
        help=t(en="Judge each label on its own: a text may have several.", zh="各标签独立判断，一条文本可有多个标签。"),
    ),
]
LabelThreshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="0…1",
        help=t(en="Give no label where the best score is lower.", zh="最高分低于此值时不给标签。"),
    ),
]
Scorer = Annotated[
    str,
    typer.Option(
        "--scorer",
        metavar="nsp|pet|nli|associations",
        help=t(
            en="nsp (next sentence), pet (masked words), nli (inference), associations (words that keep company, no "
            "encoder: fast), or a plug-in's.",
            zh="nsp（下一句）、pet（完形填空）、nli（推断）、associations（词语共现，不用编码器，很快），或插件所带的。",
        ),
    ),
]
PairsAtOnce = Annotated[
    int,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        help=t(en="Most pairs in one pass of the model.", zh="一次送入模型的对数上限。"),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help=t(
            en="cpu, cuda, cuda:1 … (default: a GPU if there is one).", zh="cpu、cuda、cuda:1……（默认有 GPU 就用）。"
        ),
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help=t(
            en="float32, bfloat16 (faster on some processors), or auto, which measures it (default: float32).",
            zh="float32、bfloat16（在有些处理器上更快）或 auto（先测一下再选；默认 float32）。",
        ),
    ),
]

# Many machines: docs/scale.md.
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="plain|ray",
        help=t(
            en="ray: do it part by part on a Ray cluster; the input may be folders, patterns, .parquet and URLs "
            "(s3:// …), and --out is a folder or URL of parts.",
            zh="ray：在 Ray 集群上分块处理；输入可以是文件夹、通配模式、.parquet 和 URL（s3:// 等），"
            "--out 是分块结果的文件夹或 URL。",
        ),
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT|auto",
        help=t(en="The Ray cluster (default: one on this machine alone).", zh="Ray 集群的地址（默认只用本机）。"),
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help=t(
            en="With --engine ray, how many copies of the model work at once (default: all that there is room for).",
            zh="配合 --engine ray：同时工作的模型份数（默认能放多少放多少）。",
        ),
    ),
]
WorkerCpus = Annotated[
    float | None,
    typer.Option(
        "--cpus-per-worker",
        metavar="N",
        help=t(en="Cores of each worker (default: 1).", zh="每份占用的核数（默认 1）。"),
    ),
]
WorkerGpus = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker",
        metavar="N",
        help=t(
            en="GPUs of each worker; 0.5 puts two on one (default: 0).",
            zh="每份占用的 GPU 数，0.5 即两份共用一块（默认 0）。",
        ),
    ),
]
PartSize = Annotated[
    float | None,
    typer.Option(
        "--part-size",
        metavar="MB",
        help=t(en="How much of the input makes a part (default: 4 MB).", zh="每块包含多少输入（默认 4 MB）。"),
    ),
]
PartFormat = Annotated[
    str | None,
    typer.Option(
        "--part-format",
        metavar="parquet|jsonl",
        help=t(en="What the parts are written as (default: parquet).", zh="分块结果的格式（默认 parquet）。"),
    ),
]
LabRecipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help=t(
            en="Name of a recipe in the package (see `ironwok lab --list`), or a TOML file.",
            zh="随包配方的名字（见 `ironwok lab --list`），或一个 TOML 文件。",
        ),
    ),
]
LabOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        show_default=False,
        help=t(en="Folder of the results (default: runs/NAME).", zh="结果所在的文件夹（默认：runs/配方名）。"),
    ),
]
LabTexts = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help=t(
            en="File or folder of running text, instead of generated stories; can be given several times.",
            zh="用这些文件或文件夹里的文本，代替自动生成的故事；可给多个。",
        ),
    ),
]
LabSeeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="6-10",
        help=t(
            en="Other seeds than those of the recipe; in the same folder they become a second set.",
            zh="换用其他随机种子；在同一文件夹里会成为第二组。",
        ),
    ),
]
LabWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help=t(en="Runs at a time (default: one for each core).", zh="同时运行几个（默认每个核一个）。"),
    ),
]
