"""Infrared receivers and keyboards: read from their device files, again and again should they be unplugged."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ironwok.errors import MissingExtraError
from ironwok.home.inputs.codes import Code, EvdevDecoder, LircDecoder

log = logging.getLogger(__name__)

# linux/lirc.h: _IOW('i', 0x12, __u32), and the mode in which the kernel decodes the protocol
LIRC_SET_REC_MODE = 0x40046912
LIRC_MODE_SCANCODE = 8
# linux/input.h: _IOW('E', 0x90, int)
EVIOCGRAB = 0x40044590

Heard = Callable[[Code], None]


class RemoteReader:
    """Reads one device until it is closed. kind: "lirc" or "evdev". A device that vanishes is opened again."""

    def __init__(self, path: Path, kind: str, heard: Heard, *, grab: bool = False, retry: float = 5.0) -> None:
        self.path = path
        self.kind = kind
        self._heard = heard
        self._grab = grab
        self._retry = retry
        self._task: asyncio.Task[None] | None = None
        self.trouble = ""

    def start(self) -> None:
        """Begin to read, in the background. Raises MissingExtraError."""
        if self.kind == "evdev":
            key_names()
        self._task = asyncio.create_task(self._run(), name=f"remote {self.path}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except OSError as error:
                trouble = remote_problem(error)
                if trouble != self.trouble:
                    log.warning("%s: %s", self.path, trouble)
                self.trouble = trouble
            await asyncio.sleep(self._retry)

    async def _read(self) -> None:
        file = open_remote(self.path, self.kind, grab=self._grab)
        loop = asyncio.get_running_loop()
        decoder = LircDecoder() if self.kind == "lirc" else EvdevDecoder(key_names())
        ready: asyncio.Queue[None] = asyncio.Queue(1)

        def readable() -> None:
            if ready.empty():
                ready.put_nowait(None)

        loop.add_reader(file, readable)
        self.trouble = ""
        try:
            while True:
                await ready.get()
                try:
                    data = os.read(file, 24 * 64)
                except BlockingIOError:
                    continue
                if not data:
                    raise OSError(errno.ENODEV, "the device is gone")
                for code in decoder.feed(data):
                    self._heard(code)
        finally:
            loop.remove_reader(file)
            os.close(file)


def open_remote(path: Path, kind: str, *, grab: bool = False) -> int:
    """Open a device for reading codes, and put it into the mode for it. A FIFO stands in for one in the simulator.

    Raises OSError.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISCHR(os.fstat(file).st_mode):
            if kind == "lirc":
                fcntl.ioctl(file, LIRC_SET_REC_MODE, LIRC_MODE_SCANCODE.to_bytes(4, "little"))
            elif grab:
                fcntl.ioctl(file, EVIOCGRAB, 1)
        elif not stat.S_ISFIFO(os.fstat(file).st_mode):
            raise OSError(errno.ENODEV, "it is no device")
    except OSError:
        os.close(file)
        raise
    return file


def key_names() -> dict[int, str]:
    """Names of key codes. A code with several names takes the first."""
    try:
        from evdev import ecodes
    except ImportError:
        raise MissingExtraError("home", feature="reading input devices") from None
    names: dict[int, Any] = {**ecodes.BTN, **ecodes.KEY}
    return {code: name if isinstance(name, str) else name[0] for code, name in names.items()}


def remote_problem(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "no permission to read it; add this user to the group input or video"
    if error.errno == errno.ENOENT:
        return "it is not there; is the receiver plugged in?"
    if error.errno in (errno.ENOTTY, errno.EINVAL):
        return "it does not decode: enable a protocol with ir-keytable -p nec,rc-5,rc-6"
    return error.strerror or str(error)
