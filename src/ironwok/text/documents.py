"""Documents from files, folders and globs, one after the other: nothing is held that was handed out.

What cannot be read is reported, with its reason, and the rest goes on; only what the user named and is not there stops
everything, at once.
"""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from ironwok.errors import (
    DocumentError,
    EmptyDocumentError,
    InputError,
    NoDocumentsError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)
from ironwok.text.formats import READERS, Document, ReadOptions, Skip, reader_for

__all__ = ["Document", "ReadOptions", "Skip", "find_files", "read_documents", "read_file", "readable_suffixes"]

PathLike: TypeAlias = str | os.PathLike[str]


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes that are read; each may be followed by .gz, .bz2, .xz or .zst."""
    return tuple(READERS)


def read_documents(
    paths: PathLike | Iterable[PathLike], *, on_skip: Callable[[Skip], None], options: ReadOptions | None = None
) -> Iterator[Document]:
    """All documents under the given paths, in the order of the paths; folders in the order of their sorted names.

    paths: files, folders (read to the bottom, hidden files left out) and globs (``notes/**/*.md``).
    on_skip: called with everything that could not be read, when its turn comes; what it raises reaches the caller.
    options: encoding, columns and limits, the same for all files.
    Tables and JSON files give one document a record. A file that is reached twice is read once. The same files give
    the same documents in the same order.

    Raises at the call: UnreadableDocumentError for a path that does not exist, NoDocumentsError for a folder or a glob
    without a file of a readable kind. Raises NoDocumentsError at the end if every single document had to be skipped.
    """
    named = _named(paths)
    _check(named)
    return _read_all(named, on_skip, options or ReadOptions())


def _read_all(named: list[Path], on_skip: Callable[[Skip], None], options: ReadOptions) -> Iterator[Document]:
    documents = skips = 0
    last: Skip | None = None
    for found in _files_of(named):
        items = iter((found,)) if isinstance(found, Skip) else read_file(found, options=options)
        for item in items:
            if isinstance(item, Skip):
                skips, last = skips + 1, item
                on_skip(item)
            else:
                documents += 1
                yield item
    if documents == 0:
        reason = f"{skips} skipped, the last one: {last.reason}" if last else "no files"
        raise NoDocumentsError(f"{_listed(named)}: nothing could be read ({reason})")


def find_files(
    paths: PathLike | Iterable[PathLike], *, on_skip: Callable[[Skip], None] | None = None
) -> Iterator[Path]:
    """The files that ``read_documents`` would open, in its order. Raises the same errors at the call.

    on_skip: told what is no file to open: folders that cannot be listed, pipes, broken links.
    """
    named = _named(paths)
    _check(named)
    return _files_only(_files_of(named), on_skip)


def _files_only(found: Iterable[Path | Skip], on_skip: Callable[[Skip], None] | None) -> Iterator[Path]:
    for item in found:
        if isinstance(item, Path):
            yield item
        elif on_skip is not None:
            on_skip(item)


def read_file(path: PathLike, *, options: ReadOptions | None = None) -> Iterator[Document | Skip]:
    """The documents of one file and what could not be read of it, in order; a file lost altogether gives one Skip."""
    path = Path(path)
    reader = reader_for(path)
    if reader is None:
        yield Skip(str(path), _unsupported(path))
        return
    items = reader(path, options or ReadOptions())
    is_empty = True
    while True:
        try:
            item = next(items, None)
        except DocumentError as error:
            yield Skip(str(path), error)
            return
        if item is None:
            break
        if isinstance(item, Document) and not item.text.strip():
            item = Skip(str(path), EmptyDocumentError(f"{path}: empty"), item.record, item.line)
        is_empty = False
        yield item
    if is_empty:
        yield Skip(str(path), EmptyDocumentError(f"{path}: empty"))


def _unsupported(path: Path) -> UnsupportedFormatError:
    suffix = path.suffix or "no suffix"
    return UnsupportedFormatError(f"{path}: {suffix} is not read; readable are {' '.join(readable_suffixes())}")


def _named(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """What the user named, globs resolved."""
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise InputError("no paths were given: name at least one file or folder")
    named: list[Path] = []
    for item in given:
        text = os.fspath(item)
        if not text:
            raise InputError("a path is empty: name a file or a folder, '.' for the current one")
        if glob.has_magic(text) and not os.path.lexists(text):
            matches = sorted(glob.glob(text, recursive=True))
            if not matches:
                raise NoDocumentsError(f"{text}: nothing matches this pattern")
            named.extend(map(Path, matches))
        else:
            named.append(Path(text))
    return named


def _check(named: list[Path]) -> None:
    """Stop for what is not there before anything was read."""
    for path in named:
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError as error:
            raise UnreadableDocumentError(f"{path}: does not exist") from error
        except OSError as error:
            raise UnreadableDocumentError(f"{path}: cannot be opened ({error.strerror or error})") from error
        if is_folder:
            others: Counter[str] = Counter()
            for found in _walk(path, set()):
                if isinstance(found, Path):
                    if reader_for(found) is not None:
                        break
                    others[found.suffix or "no suffix"] += 1
            else:
                seen = ", ".join(f"{count} × {suffix}" for suffix, count in others.most_common(5)) or "no files at all"
                raise NoDocumentsError(
                    f"{path}: no documents in this folder ({seen}); readable are {' '.join(readable_suffixes())}"
                )


def _files_of(named: list[Path]) -> Iterator[Path | Skip]:
    """Every file once, wherever it is reached from."""
    seen: set[str] = set()
    folders: set[tuple[int, int]] = set()
    for path in named:
        for found in _walk(path, folders) if path.is_dir() else (path,):
            if isinstance(found, Skip):
                yield found
                continue
            real = os.path.realpath(found)
            if real in seen:
                continue
            seen.add(real)
            problem = _problem_with(found)
            yield found if problem is None else Skip(str(found), problem)


def _problem_with(path: Path) -> DocumentError | None:
    """Why a path may not be opened at all: opening a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return UnreadableDocumentError(f"{path}: cannot be opened ({error.strerror or error})")
    return None if stat.S_ISREG(mode) else UnreadableDocumentError(f"{path}: not a regular file")


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path | Skip]:
    """Files below a folder, sorted, hidden ones left out. seen: folders walked so far, by device and number; grows.

    Links to folders are followed; each folder is entered once, so that loops end.
    """
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                inside = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
        except OSError as error:
            yield Skip(
                str(path), UnreadableDocumentError(f"{path}: the folder cannot be listed ({error.strerror or error})")
            )
            continue
        yield from (path / name for name, is_folder in inside if not is_folder)
        waiting.extend(path / name for name, is_folder in reversed(inside) if is_folder)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle: reported when it is opened
        return False


def _listed(paths: list[Path]) -> str:
    shown = ", ".join(map(str, paths[:3]))
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
