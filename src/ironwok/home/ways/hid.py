"""A keyboard made of software: USB HID reports to a gadget device, or keys through uinput.

The box's USB port in device mode, plugged into the projector, is one more remote; see `packaging` in docs/home.md and
`gadget.sh`. Usages are those of the USB HID Usage Tables 1.5: Keyboard/Keypad page 0x07 and Consumer page 0x0C.

    report 1, keyboard    01 modifiers 00 key key key key key key
    report 2, consumer    02 usage-low usage-high

A press is a report with the usage, and one with nothing in it: the release.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import MissingExtraError, WayError
from ironwok.home.actions import Action, Command
from ironwok.home.ways.base import Delivery, Health

KEYBOARD_PAGE = 0x07
CONSUMER_PAGE = 0x0C
_REPORT_IDS = {KEYBOARD_PAGE: 1, CONSUMER_PAGE: 2}

# How long a key is held. Androids take less than this for noise; seconds.
HOLD = 0.05
# How long a host may take to fetch a report; it asks every few milliseconds. Seconds.
_FETCHED_WITHIN = 0.5


@dataclass(frozen=True, slots=True)
class Usage:
    """A usage of the tables, and the name that the kernel gives it (``linux/input-event-codes.h``)."""

    page: int
    code: int
    key: str


USAGES = {
    Action.UP: Usage(KEYBOARD_PAGE, 0x52, "KEY_UP"),
    Action.DOWN: Usage(KEYBOARD_PAGE, 0x51, "KEY_DOWN"),
    Action.LEFT: Usage(KEYBOARD_PAGE, 0x50, "KEY_LEFT"),
    Action.RIGHT: Usage(KEYBOARD_PAGE, 0x4F, "KEY_RIGHT"),
    Action.OK: Usage(KEYBOARD_PAGE, 0x28, "KEY_ENTER"),
    Action.MENU: Usage(CONSUMER_PAGE, 0x0040, "KEY_MENU"),
    Action.BACK: Usage(CONSUMER_PAGE, 0x0224, "KEY_BACK"),
    Action.HOME: Usage(CONSUMER_PAGE, 0x0223, "KEY_HOMEPAGE"),
    Action.VOLUME_UP: Usage(CONSUMER_PAGE, 0x00E9, "KEY_VOLUMEUP"),
    Action.VOLUME_DOWN: Usage(CONSUMER_PAGE, 0x00EA, "KEY_VOLUMEDOWN"),
    Action.MUTE: Usage(CONSUMER_PAGE, 0x00E2, "KEY_MUTE"),
    Action.PLAY_PAUSE: Usage(CONSUMER_PAGE, 0x00CD, "KEY_PLAYPAUSE"),
    # A toggle: the planner sends it only where something says that the projector is on.
    Action.POWER_OFF: Usage(CONSUMER_PAGE, 0x0030, "KEY_POWER"),
}

# fmt: off
REPORT_DESCRIPTOR = bytes([
    0x05, 0x01,        # Usage Page (Generic Desktop)
    0x09, 0x06,        # Usage (Keyboard)
    0xA1, 0x01,        # Collection (Application)
    0x85, 0x01,        #   Report ID (1)
    0x05, 0x07,        #   Usage Page (Keyboard/Keypad)
    0x19, 0xE0,        #   Usage Minimum (Left Control)
    0x29, 0xE7,        #   Usage Maximum (Right GUI)
    0x15, 0x00,        #   Logical Minimum (0)
    0x25, 0x01,        #   Logical Maximum (1)
    0x75, 0x01,        #   Report Size (1)
    0x95, 0x08,        #   Report Count (8)
    0x81, 0x02,        #   Input (Data, Variable, Absolute): the modifiers
    0x75, 0x08,        #   Report Size (8)
    0x95, 0x01,        #   Report Count (1)
    0x81, 0x01,        #   Input (Constant): reserved
    0x19, 0x00,        #   Usage Minimum (0)
    0x29, 0x65,        #   Usage Maximum (Application)
    0x25, 0x65,        #   Logical Maximum (101)
    0x75, 0x08,        #   Report Size (8)
    0x95, 0x06,        #   Report Count (6)
    0x81, 0x00,        #   Input (Data, Array): six keys
    0xC0,              # End Collection
    0x05, 0x0C,        # Usage Page (Consumer)
    0x09, 0x01,        # Usage (Consumer Control)
    0xA1, 0x01,        # Collection (Application)
    0x85, 0x02,        #   Report ID (2)
    0x19, 0x00,        #   Usage Minimum (0)
    0x2A, 0x9C, 0x02,  #   Usage Maximum (0x29C)
    0x15, 0x00,        #   Logical Minimum (0)
    0x26, 0x9C, 0x02,  #   Logical Maximum (0x29C)
    0x75, 0x10,        #   Report Size (16)
    0x95, 0x01,        #   Report Count (1)
    0x81, 0x00,        #   Input (Data, Array): one usage
    0xC0,              # End Collection
])
# fmt: on
REPORT_LENGTH = 9


def press_report(usage: Usage) -> bytes:
    """The report that holds a usage down."""
    if usage.page == KEYBOARD_PAGE:
        return bytes([_REPORT_IDS[KEYBOARD_PAGE], 0, 0, usage.code, 0, 0, 0, 0, 0])
    return bytes([_REPORT_IDS[CONSUMER_PAGE]]) + usage.code.to_bytes(2, "little")


def release_report(usage: Usage) -> bytes:
    """The report that lets it go."""
    length = 9 if usage.page == KEYBOARD_PAGE else 3
    return bytes([_REPORT_IDS[usage.page]]) + bytes(length - 1)


class HidGadget:
    """Reports to ``/dev/hidg0``, the device end of a USB gadget. hold: seconds between press and release."""

    def __init__(self, device: Path | str = "/dev/hidg0", *, name: str = "hid", hold: float = HOLD) -> None:
        self.name = name
        self.device = Path(device)
        self.hold = hold

    def can(self, command: Command) -> bool:
        return command.action in USAGES

    async def send(self, command: Command) -> Delivery:
        usage = USAGES[command.action]
        with self._opened() as write:
            write(press_report(usage))
            try:
                await asyncio.sleep(self.hold)
            finally:
                # a key that is never released repeats for ever
                await self._release(write, usage)
        return Delivery(f"hid {press_report(usage).hex(' ')}")

    async def _release(self, write: Callable[[bytes], None], usage: Usage) -> None:
        """Write the release, again while the host has not fetched the press yet."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FETCHED_WITHIN
        while True:
            try:
                return write(release_report(usage))
            except WayError as error:
                busy = isinstance(error.__cause__, BlockingIOError)
                if not busy or loop.time() >= deadline:
                    raise
            await asyncio.sleep(0.01)

    def _opened(self) -> _Opened:
        return _Opened(self.device)

    async def check(self) -> Health:
        if not self.device.exists():
            hint = "run gadget.sh as root (docs/home.md), on a Pi whose USB port does device mode"
            return Health(self.name, False, f"{self.device} is not there", hint)
        try:
            with self._opened():
                return Health(self.name, True, f"{self.device} is open for reports")
        except WayError as error:
            return Health(self.name, False, str(error), "is the cable in the projector's USB port, and may we write?")

    async def close(self) -> None:
        return None


class _Opened:
    """The device, open for the time of one key: a cable that was pulled in between makes it a new one."""

    def __init__(self, device: Path) -> None:
        self._device = device
        self._file = -1

    def __enter__(self) -> Callable[[bytes], None]:
        try:
            # without a host that listens, a blocking write would wait for ever
            self._file = os.open(self._device, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise WayError(f"{self._device}: {_hid_problem(error)}") from error
        return self._write

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _write(self, report: bytes) -> None:
        try:
            written = os.write(self._file, report)
        except OSError as error:
            raise WayError(f"{self._device}: {_hid_problem(error)}") from error
        if written != len(report):
            raise WayError(f"{self._device} took {written} of {len(report)} bytes of a report")


def _hid_problem(error: OSError) -> str:
    if error.errno in (errno.ESHUTDOWN, errno.ENXIO, errno.EAGAIN, errno.EPIPE):
        return "no host takes the reports: the cable is out, or the projector's USB is asleep"
    return error.strerror or str(error)


class Uinput:
    """Keys through uinput, for a projector's own system, or for a box whose keyboard is forwarded.

    make_device: makes what takes the events, given the names of the keys; for tests. None for evdev's.
    """

    def __init__(
        self, *, name: str = "uinput", hold: float = HOLD, make_device: Callable[[list[int]], Any] | None = None
    ) -> None:
        self.name = name
        self.hold = hold
        self._make_device = make_device or _uinput_device
        self._device: Any = None

    def can(self, command: Command) -> bool:
        return command.action in USAGES

    async def send(self, command: Command) -> Delivery:
        codes = _evdev().ecodes
        key = USAGES[command.action].key
        device = self._opened()
        try:
            device.write(codes.EV_KEY, codes.ecodes[key], 1)
            device.syn()
            try:
                await asyncio.sleep(self.hold)
            finally:
                device.write(codes.EV_KEY, codes.ecodes[key], 0)
                device.syn()
        except OSError as error:
            raise WayError(f"uinput: {error.strerror or error}") from error
        return Delivery(f"uinput {key}")

    def _opened(self) -> Any:
        if self._device is None:
            codes = _evdev().ecodes
            try:
                self._device = self._make_device([codes.ecodes[usage.key] for usage in USAGES.values()])
            except OSError as error:
                raise WayError(f"/dev/uinput: {error.strerror or error}") from error
        return self._device

    async def check(self) -> Health:
        try:
            self._opened()
        except WayError as error:
            return Health(self.name, False, str(error), "modprobe uinput, and give this user write access to it")
        return Health(self.name, True, "the virtual keyboard is there")

    async def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


def _uinput_device(keys: list[int]) -> Any:
    evdev = _evdev()
    try:
        return evdev.UInput({evdev.ecodes.EV_KEY: keys}, name="ironwok")
    except evdev.uinput.UInputError as error:
        raise OSError(str(error)) from error


def _evdev() -> Any:
    try:
        import evdev
    except ImportError:
        raise MissingExtraError("home", feature="a keyboard through uinput") from None
    return evdev
