"""``ironwok home check``: is everything there that the file speaks of, and what to do where it is not."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from ironwok.errors import ConfigError, IronwokError, OutputError, RoomTakenError
from ironwok.home.actions import Action
from ironwok.home.broker import Broker
from ironwok.home.config import HomeConfig, WebhookPart
from ironwok.home.inputs.remotes import open_remote, remote_problem
from ironwok.home.inputs.webhook import webhook_tls
from ironwok.home.room import Room, bemfa_settings, build_room, take_room
from ironwok.home.ways.base import Health

_BROKER_SECONDS = 5.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


async def check_home(config: HomeConfig, *, file: Path | None = None) -> AsyncIterator[Health]:
    """One finding after the other. Nothing visible is done. file: home.toml itself, to see who may read it."""
    if file is not None:
        yield _secrecy(config, file)
    room = build_room(config)
    try:
        if room.broker is not None:
            room.broker.start()
            yield await _broker("mqtt", room.broker, "check host, port, username and password of [mqtt]")
        if room.probe is not None:
            yield await room.probe.check()
        for way in room.ways:
            yield await _safely(way.name, way.check)
        if room.plug is not None:
            yield await _safely("plug", room.plug.check)
        yield _coverage(room)
        if config.journal is not None:
            yield _journal(config)
        if config.webhook is not None:
            yield _webhook(config, config.webhook)
        if config.bemfa is not None:
            cloud = Broker(bemfa_settings(config, config.bemfa))
            cloud.start()
            try:
                yield await _broker("bemfa", cloud, "check uid, and that the network lets port 9503 out")
            finally:
                await cloud.close()
        for kind, paths in (("lirc", config.remotes.lirc), ("evdev", config.remotes.evdev)):
            for path in paths:
                yield _remote(kind, config.path(path))
    finally:
        for part in (*room.ways, *filter(None, [room.plug])):
            await part.close()
        if room.broker is not None:
            await room.broker.close()


async def _safely(name: str, check: Callable[[], Awaitable[Health]]) -> Health:
    try:
        async with asyncio.timeout(20):
            return await check()
    except IronwokError as error:
        # a missing extra names its own remedy
        return Health(name, False, str(error))
    except TimeoutError:
        return Health(name, False, "no answer within 20 s", "is it switched on and in the same network?")


async def _broker(name: str, broker: Broker, hint: str) -> Health:
    where = f"{broker.settings.host}:{broker.settings.port}"
    if await broker.ready(_BROKER_SECONDS):
        safe = broker.settings.tls or broker.settings.host in LOOPBACK
        return Health(name, True, f"connected to {where}", "" if safe else "tls = true keeps the password private")
    return Health(name, False, f"{where}: {broker.trouble}", hint)


def _coverage(room: Room) -> Health:
    """Which actions nothing here can do."""
    missing = [str(action) for action in Action if action not in room.actions]
    if not missing:
        return Health("actions", True, "every action has a way")
    hint = "a plug or ble wakes it" if Action.POWER_ON in missing else "add another way, or do without"
    return Health("actions", False, f"no way for {', '.join(missing)}", hint)


def _journal(config: HomeConfig) -> Health:
    try:
        lock = take_room(config)
    except RoomTakenError:
        return Health("journal", True, "another program has the room, and writes the journal")
    except OutputError as error:
        return Health("journal", False, str(error), "set journal to a file in a folder that this user may write to")
    if lock is not None:
        lock.release()
    assert config.journal is not None
    path = config.path(config.journal)
    if path.exists() and not os.access(path, os.W_OK):
        return Health("journal", False, f"{path} cannot be written", "it belongs to another user: chown it, or move it")
    return Health("journal", True, f"{path}")


def _webhook(config: HomeConfig, part: WebhookPart) -> Health:
    """Whether it could listen. Where it does already, its port is taken by ourselves."""
    try:
        context = webhook_tls(config, part)
    except ConfigError as error:
        return Health("webhook", False, str(error), "give a certificate and its key in PEM files")
    where = f"{part.host}:{part.port}"
    try:
        found = socket.getaddrinfo(part.host, part.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(found[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _taken(config):
            return Health("webhook", True, f"{where} is in use, by the daemon that runs")
        return Health("webhook", False, f"{where}: {error.strerror or error}", "give another port, or an own address")
    if part.host not in LOOPBACK and context is None:
        return Health(
            "webhook", True, f"{where} is free", "others can read the token: certificate and key make it HTTPS"
        )
    return Health("webhook", True, f"{where} is free")


def _taken(config: HomeConfig) -> bool:
    try:
        lock = take_room(config)
    except RoomTakenError:
        return True
    if lock is not None:
        lock.release()
    return False


def _secrecy(config: HomeConfig, file: Path) -> Health:
    secrets = config.webhook or config.bemfa or (config.mqtt and config.mqtt.password) or config.plug
    mode = stat.S_IMODE(os.stat(file).st_mode)
    if secrets and mode & 0o077:
        return Health("file", False, f"{file} holds secrets and others may read it ({mode:o})", f"chmod 600 {file}")
    return Health("file", True, f"{file} is well formed")


def _remote(kind: str, path: Path) -> Health:
    try:
        os.close(open_remote(path, kind))
    except OSError as error:
        return Health(f"remote {path.name}", False, f"{path}: {remote_problem(error)}", "ls -l /dev/lirc* /dev/input")
    return Health(f"remote {path.name}", True, f"{path} can be read")
