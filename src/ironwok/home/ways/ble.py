"""Power on by a Bluetooth LE advertisement, as the remote of some XGIMI models does it.

The projector in standby listens for its remote: company id 0x0046, data that is its own, the HID service, the name
"Bluetooth 4.0 RC". BlueZ sends the advertisement; we ask it to over D-Bus (``org.bluez.LEAdvertisingManager1``).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from ironwok.errors import ConfigError, MissingExtraError, WayError
from ironwok.home.actions import Action, Command
from ironwok.home.ways.base import Delivery, Health

COMPANY_ID = 0x0046
LOCAL_NAME = "Bluetooth 4.0 RC"
HID_SERVICE = "00001812-0000-1000-8000-00805f9b34fb"
REMOTE_APPEARANCE = 961  # keyboard
# an advertisement has 31 bytes for everything
_MOST_DATA = 24
_PATH = "/org/ironwok/advertisement"
_TAIL = "FFFFFF3043524B544D"


def token_of(mac: str, *, counter: int = 1) -> bytes:
    """Manufacturer data from the Bluetooth address of the projector.

    Counter, address reversed, FF FF FF, 30 43 52 4B 54 4D: as users of the Home Assistant integration worked it out
    (manymuch/Xgimi-4-Home-Assistant, issue 38). Models differ; what a sniffer shows is surer.
    """
    digits = re.sub(r"[:\-\s]", "", mac)
    if not re.fullmatch(r"[0-9A-Fa-f]{12}", digits):
        raise ConfigError(f"{mac!r} is no Bluetooth address; it has six pairs of hexadecimal digits")
    if not 0 <= counter <= 255:
        raise ConfigError(f"counter is {counter}; it is one byte, 0 to 255")
    return bytes([counter]) + bytes.fromhex(digits)[::-1] + bytes.fromhex(_TAIL)


def parse_token(text: str) -> bytes:
    """Manufacturer data from hexadecimal digits as sniffers print them: with spaces, colons or 0x."""
    digits = re.sub(r"0x|[:\-\s]", "", text)
    if not re.fullmatch(rf"(?:[0-9A-Fa-f]{{2}}){{1,{_MOST_DATA}}}", digits):
        raise ConfigError(f"the advertisement's data are not 1 to {_MOST_DATA} bytes in hexadecimal digits")
    return bytes.fromhex(digits)


class BleWake:
    """Advertises for some seconds. data: manufacturer data of this projector. bus: D-Bus address, None for system."""

    def __init__(
        self, data: bytes, *, name: str = "ble", adapter: str = "hci0", seconds: float = 4.0, bus: str | None = None
    ) -> None:
        self.name = name
        self.data = data
        self.adapter = f"/org/bluez/{adapter}"
        self.seconds = seconds
        self._bus_address = bus

    def can(self, command: Command) -> bool:
        return command.action is Action.POWER_ON

    async def send(self, command: Command) -> Delivery:
        bus = await self._connect()
        try:
            bus.export(_PATH, _advertisement(self.data, self.seconds))
            await self._call(bus, "RegisterAdvertisement", "oa{sv}", [_PATH, {}])
            try:
                await asyncio.sleep(self.seconds)
            finally:
                await self._call(bus, "UnregisterAdvertisement", "o", [_PATH])
        finally:
            bus.disconnect()
        return Delivery(f"ble advertisement for {self.seconds:g} s")

    async def _connect(self) -> Any:
        try:
            from dbus_fast import BusType
            from dbus_fast.aio import MessageBus
        except ImportError:
            raise MissingExtraError("home", feature="power on over Bluetooth") from None
        try:
            return await MessageBus(bus_address=self._bus_address, bus_type=BusType.SYSTEM).connect()
        except (OSError, EOFError) as error:
            raise WayError(f"the system bus is not there ({error}); Bluetooth needs BlueZ and D-Bus") from error

    async def _call(self, bus: Any, member: str, signature: str, body: list[Any]) -> None:
        from dbus_fast import Message, MessageType

        message = Message(
            destination="org.bluez",
            path=self.adapter,
            interface="org.bluez.LEAdvertisingManager1",
            member=member,
            signature=signature,
            body=body,
        )
        try:
            async with asyncio.timeout(5):
                reply = await bus.call(message)
        except TimeoutError as error:
            raise WayError(f"BlueZ does not answer {member}") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            reason = reply.body[0] if reply is not None and reply.body else getattr(reply, "error_name", "no reply")
            raise WayError(f"BlueZ refuses {member}: {reason}")

    async def check(self) -> Health:
        from dbus_fast import Message, MessageType, Variant

        hint = f"apt install bluez, bluetoothctl power on; is {self.adapter} the adapter?"
        try:
            bus = await self._connect()
        except WayError as error:
            return Health(self.name, False, str(error), hint)
        try:
            message = Message(
                destination="org.bluez",
                path=self.adapter,
                interface="org.freedesktop.DBus.Properties",
                member="Get",
                signature="ss",
                body=["org.bluez.Adapter1", "Powered"],
            )
            reply = await bus.call(message)
        finally:
            bus.disconnect()
        if reply is None or reply.message_type is MessageType.ERROR:
            return Health(self.name, False, f"there is no adapter {self.adapter}", hint)
        powered = reply.body[0]
        if not (isinstance(powered, Variant) and powered.value):
            return Health(self.name, False, f"the adapter {self.adapter} is switched off", "bluetoothctl power on")
        return Health(self.name, True, f"the adapter {self.adapter} is on")

    async def close(self) -> None:
        return None


def _advertisement(data: bytes, seconds: float) -> Any:
    """The object that BlueZ reads what to advertise from."""
    from dbus_fast import PropertyAccess, Variant
    from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

    read = PropertyAccess.READ

    # dbus-fast reads D-Bus signatures from annotations
    class Advertisement(ServiceInterface):
        def __init__(self) -> None:
            super().__init__("org.bluez.LEAdvertisement1")

        @dbus_method()
        def Release(self):
            """BlueZ dropped it; nothing to tidy up."""

        @dbus_property(access=read)
        def Type(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, UP037
            return "peripheral"

        @dbus_property(access=read)
        def ServiceUUIDs(self) -> "as":  # type: ignore[name-defined]  # noqa: F722
            return [HID_SERVICE]

        @dbus_property(access=read)
        def ManufacturerData(self) -> "a{qv}":  # type: ignore[name-defined]  # noqa: F722
            return {COMPANY_ID: Variant("ay", data)}

        @dbus_property(access=read)
        def LocalName(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, UP037
            return LOCAL_NAME

        @dbus_property(access=read)
        def Appearance(self) -> "q":  # type: ignore[name-defined]  # noqa: F821, UP037
            return REMOTE_APPEARANCE

        @dbus_property(access=read)
        def Timeout(self) -> "q":  # type: ignore[name-defined]  # noqa: F821, UP037
            # BlueZ stops by itself should we die in between
            return max(1, round(seconds) + 1)

    return Advertisement()
