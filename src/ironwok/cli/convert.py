"""`ironwok convert`: a released RoFormerV2 checkpoint as a folder that Ironwok and transformers load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.console import say
from ironwok.cli.language import t


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=t(
                en="Folder of a bert4keras checkpoint or of its PyTorch port, or a hub id",
                zh="bert4keras 权重或其 PyTorch 版本所在的文件夹，或 Hub 上的模型名",
            ),
        ),
    ],
    destination: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help=t(en="Folder to write the model to", zh="写出模型的文件夹")),
    ],
) -> None:
    from ironwok.models.convert import convert as convert_checkpoint

    written = convert_checkpoint(source, destination)
    say(t(en=f"Written to {written}", zh=f"已写入 {written}"))
