"""Binding codes of remotes to actions in ``home.toml``, without touching anything else in it: comments stay."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ironwok.errors import ConfigError, MissingExtraError, OutputError
from ironwok.home.actions import parse_command
from ironwok.home.config import HomeConfig, load_home
from ironwok.home.inputs.codes import Code
from ironwok.home.inputs.remotes import RemoteReader


async def heard_codes(config: HomeConfig) -> AsyncIterator[Code]:
    """Presses on all remotes of the room, held keys left out. Raises ConfigError where it has none."""
    kinds = [("lirc", path) for path in config.remotes.lirc] + [("evdev", path) for path in config.remotes.evdev]
    if not kinds:
        raise ConfigError('there is no remote to learn from: add [remotes] with lirc = ["/dev/lirc0"] or evdev = [...]')
    queue: asyncio.Queue[Code] = asyncio.Queue(64)

    def heard(code: Code) -> None:
        if not code.held and not queue.full():
            queue.put_nowait(code)

    readers = [RemoteReader(config.path(path), kind, heard, grab=config.remotes.grab) for kind, path in kinds]
    for reader in readers:
        reader.start()
    try:
        while True:
            yield await queue.get()
    finally:
        for reader in readers:
            await reader.close()


def bind(path: Path, code: str, command: str) -> None:
    """Write ``"code" = "command"`` into [bindings] of a file, and replace the file at once.

    Raises InputError for a command that is none, ConfigError where the file would not load any more.
    """
    try:
        import tomlkit
    except ImportError:
        raise MissingExtraError("home", feature="changing home.toml") from None
    parse_command(command)
    # a file that is a link stays one
    path = path.resolve()
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    document: Any = tomlkit.parse(before)
    if "bindings" not in document:
        document["bindings"] = tomlkit.table()
    document["bindings"][code] = command
    new = path.with_name(f".{path.name}.new")
    try:
        # the copy holds secrets as well: it gets the rights of the file before it gets its content
        owner = path.stat()
        mode = owner.st_mode & 0o777
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(document))
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "fchown") and (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                # learnt by root, who may read the receiver: the daemon's user must still be able to read the file
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        # a source that the room does not have is found here, before the old file is gone
        try:
            load_home(new)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(new), str(path))) from error
        os.replace(new, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
