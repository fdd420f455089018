"""Codes of remotes: from the records of the kernel to names such as ``nec:0x40bf12`` and ``key:KEY_VOLUMEUP``.

    LIRC    struct lirc_scancode, 24 bytes: u64 timestamp, u16 flags, u16 protocol, u32 keycode, u64 scancode
    evdev   struct input_event, 24 bytes on 64-bit machines: seconds, microseconds, u16 type, u16 code, s32 value

as in linux/lirc.h and linux/input.h; both in the byte order of the machine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

LIRC_RECORD = struct.Struct("=QHHIQ")
EVDEV_RECORD = struct.Struct("@llHHi")

# enum rc_proto, in its order
RC_PROTOCOLS = [
    "unknown",
    "other",
    "rc5",
    "rc5x_20",
    "rc5_sz",
    "jvc",
    "sony12",
    "sony15",
    "sony20",
    "nec",
    "necx",
    "nec32",
    "sanyo",
    "mce_kbd",
    "mce_mse",
    "rc6_0",
    "rc6_6a_20",
    "rc6_6a_24",
    "rc6_6a_32",
    "rc6_mce",
    "sharp",
    "xmp",
    "cec",
    "imon",
    "rcmm12",
    "rcmm24",
    "rcmm32",
    "xbox_dvd",
]

LIRC_FLAG_TOGGLE = 1
LIRC_FLAG_REPEAT = 2
_OVERFLOW = 0xFFFF  # a flag value of raw modes, never of scancodes

_EV_KEY = 1
_RELEASED, _PRESSED, _HELD = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Code:
    """One press, or its repetition. name: as in [bindings]."""

    name: str
    held: bool = False


class LircDecoder:
    """Records to codes. Remotes that send a toggle bit (RC-5, RC-6) tell a second press from a held key by it."""

    def __init__(self) -> None:
        self._pending = b""
        self._last: tuple[str, int, int] | None = None

    def feed(self, data: bytes) -> Iterator[Code]:
        self._pending += data
        while len(self._pending) >= LIRC_RECORD.size:
            record, self._pending = self._pending[: LIRC_RECORD.size], self._pending[LIRC_RECORD.size :]
            timestamp, flags, protocol, _, scancode = LIRC_RECORD.unpack(record)
            if flags == _OVERFLOW:
                continue
            known = RC_PROTOCOLS[protocol] if protocol < len(RC_PROTOCOLS) else f"proto{protocol}"
            yield Code(name := f"{known}:{scancode:#x}", self._held(name, timestamp, flags, known))

    def _held(self, name: str, timestamp: int, flags: int, protocol: str) -> bool:
        last, self._last = self._last, (name, timestamp, flags & LIRC_FLAG_TOGGLE)
        if flags & LIRC_FLAG_REPEAT:
            return True
        if last is None or last[0] != name:
            return False
        # repetitions come every 110 ms or so; a thumb is not that fast
        quick = timestamp - last[1] < 200_000_000
        if protocol.startswith(("rc5", "rc6")):
            return quick and last[2] == flags & LIRC_FLAG_TOGGLE
        return quick


class EvdevDecoder:
    """Events to codes. names: of key codes, as evdev's ``ecodes.KEY``; a number without a name stays one."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[Code]:
        self._pending += data
        while len(self._pending) >= EVDEV_RECORD.size:
            record, self._pending = self._pending[: EVDEV_RECORD.size], self._pending[EVDEV_RECORD.size :]
            _, _, kind, code, value = EVDEV_RECORD.unpack(record)
            if kind == _EV_KEY and value in (_PRESSED, _HELD):
                yield Code(f"key:{self._names.get(code, code)}", value == _HELD)
