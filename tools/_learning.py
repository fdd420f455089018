"""What the tools that learn beside a table of words share: numbers as options, the table itself, how they end."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ironwok.errors import IronwokError, MissingHeadError
from ironwok.models.loading import quiet
from ironwok.text.associations import Associations, Tokenize
from ironwok.text.tokenizer import load_tokenizer
from ironwok.zero_shot.encoding import PairEncoder


def add_numbers(
    parser: argparse.ArgumentParser, settings: type, *, prefix: str = "", without: Collection[str] = ()
) -> None:
    """An option for each number of a settings class, with its default."""
    for one in fields(settings):
        if one.name not in without:
            name = f"--{prefix}{one.name.replace('_', '-')}"
            parser.add_argument(name, type=type(one.default), default=one.default)


def numbers_of(
    arguments: argparse.Namespace, settings: type, *, prefix: str = "", without: Collection[str] = ()
) -> dict[str, Any]:
    """What was given for the options of `add_numbers`."""
    names = [one.name for one in fields(settings) if one.name not in without]
    return {name: getattr(arguments, f"{prefix.replace('-', '_')}{name}") for name in names}


def load_table(folder: Path) -> tuple[PreTrainedTokenizerBase, Associations, Tokenize]:
    """(tokenizer, table, token ids of texts) of a model folder. Raises MissingHeadError where there is no table."""
    with quiet():
        tokenizer = load_tokenizer(folder)
    table = Associations.load(folder, vocabulary=len(tokenizer))
    if table is None:
        raise MissingHeadError(f"{folder} has no table: tools/count_associations.py counts one")
    return tokenizer, table, PairEncoder(tokenizer, max_tokens=512, segments=True).ids


@contextmanager
def ending_well(parser: argparse.ArgumentParser, work: Path | None = None) -> Iterator[None]:
    """One line for what goes wrong, and for Ctrl-C how to go on. work: folder of checkpoints, where there are any."""
    try:
        yield
    except IronwokError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        rest = "" if work is None else f"; the same command goes on from the last checkpoint in {work}"
        parser.exit(130, f"stopped{rest}\n")
