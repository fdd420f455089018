"""The Android TV remote protocol: projectors with Google's system, and XGIMI's firmware for other markets.

Needs pairing once, with the code that the projector shows: ``ironwok home pair``.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from ironwok.errors import MissingExtraError, WayError
from ironwok.home.actions import Action, Command
from ironwok.home.ways.base import Delivery, Health

# names of RemoteKeyCode, which are those of android.view.KeyEvent
KEY_NAMES = {
    Action.VOLUME_UP: "VOLUME_UP",
    Action.VOLUME_DOWN: "VOLUME_DOWN",
    Action.MUTE: "VOLUME_MUTE",
    Action.PLAY_PAUSE: "MEDIA_PLAY_PAUSE",
    Action.OK: "DPAD_CENTER",
    Action.BACK: "BACK",
    Action.HOME: "HOME",
    Action.MENU: "MENU",
    Action.UP: "DPAD_UP",
    Action.DOWN: "DPAD_DOWN",
    Action.LEFT: "DPAD_LEFT",
    Action.RIGHT: "DPAD_RIGHT",
    Action.POWER_ON: "POWER",
    Action.POWER_OFF: "POWER",
}


def key_of(command: Command) -> str | None:
    """Name of the key, None where there is none. Of sources, HDMI 1 to 4 have one."""
    if command.source is not None:
        number = re.fullmatch(r"hdmi\s*([1-4])", command.source, flags=re.IGNORECASE)
        return f"TV_INPUT_HDMI_{number[1]}" if number else None
    return KEY_NAMES.get(command.action)


class AndroidTv:
    """Keys over the remote protocol. folder: where its certificate lies. make_remote: for tests."""

    def __init__(
        self, host: str, folder: Path, *, name: str = "tv", timeout: float = 3.0, make_remote: Any | None = None
    ) -> None:
        self.name = name
        self.host = host
        self.folder = folder
        self.timeout = timeout
        self._make_remote = make_remote or _remote
        self._remote: Any = None

    def can(self, command: Command) -> bool:
        return key_of(command) is not None

    async def send(self, command: Command) -> Delivery:
        key = key_of(command)
        remote = await self._connected()
        if command.action in (Action.POWER_ON, Action.POWER_OFF):
            # the key is a toggle; the protocol says which way it would go
            wanted = command.action is Action.POWER_ON
            if remote.is_on is None:
                raise WayError(f"{self.host} does not say whether it is on, and its power key is a toggle")
            if remote.is_on is wanted:
                return Delivery(f"tv: it says that it is {'on' if wanted else 'off'} already")
        try:
            remote.send_key_command(key)
        except Exception as error:
            self._drop()
            raise WayError(f"{self.host}: {error}") from error
        return Delivery(f"tv {key}")

    async def _connected(self) -> Any:
        if self._remote is not None:
            return self._remote
        remote = self._make_remote(self.host, self.folder)
        try:
            await remote.async_generate_cert_if_missing()
            async with asyncio.timeout(self.timeout):
                await remote.async_connect()
        except TimeoutError as error:
            raise WayError(f"{self.host} does not answer the remote protocol") from error
        except Exception as error:
            if type(error).__name__ == "InvalidAuth":
                raise WayError(f"{self.host} wants to be paired: ironwok home pair") from error
            if type(error).__name__ in ("CannotConnect", "ConnectionClosed") or isinstance(error, OSError):
                raise WayError(f"{self.host}: {error}") from error
            raise
        remote.keep_reconnecting()
        self._remote = remote
        return remote

    async def pair(self, ask: Any) -> None:
        """Pair. ask: an async function that returns the code on the screen."""
        remote = self._make_remote(self.host, self.folder)
        await remote.async_generate_cert_if_missing()
        try:
            await remote.async_start_pairing()
            await remote.async_finish_pairing(await ask())
        except Exception as error:
            raise WayError(f"{self.host} was not paired: {error or type(error).__name__}") from error

    def _drop(self) -> None:
        if self._remote is not None:
            self._remote.disconnect()
            self._remote = None

    async def check(self) -> Health:
        try:
            remote = await self._connected()
        except WayError as error:
            return Health(
                self.name, False, str(error), "ironwok home pair, with the projector on and its screen in view"
            )
        state = {True: "on", False: "off", None: "unknown"}[remote.is_on]
        return Health(self.name, True, f"connected; the projector says that it is {state}")

    async def close(self) -> None:
        self._drop()


def _remote(host: str, folder: Path) -> Any:
    try:
        from androidtvremote2 import AndroidTVRemote
    except ImportError:
        raise MissingExtraError("home", feature="the Android TV remote") from None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return AndroidTVRemote("ironwok", str(folder / "cert.pem"), str(folder / "key.pem"), host)
