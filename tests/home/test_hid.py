"""HID bytes against the USB HID Usage Tables, read by a parser that knows nothing of our code."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from ironwok.errors import WayError
from ironwok.home import ways
from ironwok.home.actions import Action, Command
from ironwok.home.ways.hid import (
    REPORT_DESCRIPTOR,
    REPORT_LENGTH,
    USAGES,
    HidGadget,
    Uinput,
    press_report,
    release_report,
)

# USB HID Usage Tables 1.5: chapter 10 (Keyboard/Keypad Page) and chapter 15 (Consumer Page)
TABLES = {
    (0x07, 0x28): "Keyboard Return (ENTER)",
    (0x07, 0x4F): "Keyboard RightArrow",
    (0x07, 0x50): "Keyboard LeftArrow",
    (0x07, 0x51): "Keyboard DownArrow",
    (0x07, 0x52): "Keyboard UpArrow",
    (0x0C, 0x030): "Power",
    (0x0C, 0x040): "Menu",
    (0x0C, 0x0CD): "Play/Pause",
    (0x0C, 0x0E2): "Mute",
    (0x0C, 0x0E9): "Volume Increment",
    (0x0C, 0x0EA): "Volume Decrement",
    (0x0C, 0x223): "AC Home",
    (0x0C, 0x224): "AC Back",
}
MEANT = {
    Action.OK: "Keyboard Return (ENTER)",
    Action.RIGHT: "Keyboard RightArrow",
    Action.LEFT: "Keyboard LeftArrow",
    Action.DOWN: "Keyboard DownArrow",
    Action.UP: "Keyboard UpArrow",
    Action.POWER_OFF: "Power",
    Action.MENU: "Menu",
    Action.PLAY_PAUSE: "Play/Pause",
    Action.MUTE: "Mute",
    Action.VOLUME_UP: "Volume Increment",
    Action.VOLUME_DOWN: "Volume Decrement",
    Action.HOME: "AC Home",
    Action.BACK: "AC Back",
}


def parse_descriptor(data: bytes) -> dict[int, list[tuple[str, int, int, int, int]]]:
    """Fields of each report id by the HID specification 1.11, 6.2.2: (kind, page, bits, count, usage minimum)."""
    fields: dict[int, list[tuple[str, int, int, int, int]]] = {}
    state = {"page": 0, "size": 0, "count": 0, "id": 0}
    usage_minimum, depth, place = 0, 0, 0
    while place < len(data):
        prefix = data[place]
        length = (0, 1, 2, 4)[prefix & 3]
        value = int.from_bytes(data[place + 1 : place + 1 + length], "little")
        place += 1 + length
        tag = prefix & 0xFC
        if tag == 0x04:
            state["page"] = value
        elif tag == 0x74:
            state["size"] = value
        elif tag == 0x94:
            state["count"] = value
        elif tag == 0x84:
            state["id"] = value
        elif tag == 0x18:
            usage_minimum = value
        elif tag == 0xA0:
            depth += 1
        elif tag == 0xC0:
            depth -= 1
        elif tag == 0x80:
            kind = "constant" if value & 1 else "variable" if value & 2 else "array"
            fields.setdefault(state["id"], []).append(
                (kind, state["page"], state["size"], state["count"], usage_minimum)
            )
            usage_minimum = 0
    assert depth == 0, "collections are not closed"
    return fields


def usages_in(report: bytes) -> set[tuple[int, int]]:
    """What a report says is pressed, by the descriptor."""
    fields = parse_descriptor(REPORT_DESCRIPTOR)[report[0]]
    bits = int.from_bytes(report[1:], "little")
    pressed: set[tuple[int, int]] = set()
    for kind, page, size, count, minimum in fields:
        for number in range(count):
            value = bits & ((1 << size) - 1)
            bits >>= size
            if value and kind == "array":
                pressed.add((page, value))
            elif value and kind == "variable":
                pressed.add((page, minimum + number))
    assert bits == 0, "the report is longer than its descriptor"
    return pressed


def lengths() -> dict[int, int]:
    parsed = parse_descriptor(REPORT_DESCRIPTOR)
    return {number: 1 + sum(size * count for _, _, size, count, _ in one) // 8 for number, one in parsed.items()}


@pytest.mark.parametrize("action", sorted(USAGES))
def test_a_press_means_in_the_tables_what_the_action_means(action):
    (usage,) = usages_in(press_report(USAGES[action]))
    assert TABLES[usage] == MEANT[action]


@pytest.mark.parametrize("action", sorted(USAGES))
def test_a_release_is_a_whole_report_with_nothing_pressed(action):
    press, release = press_report(USAGES[action]), release_report(USAGES[action])
    assert press[0] == release[0]
    assert len(press) == len(release) == lengths()[press[0]]
    assert usages_in(release) == set()


def test_the_longest_report_is_the_one_that_the_gadget_is_made_for():
    assert REPORT_LENGTH == max(lengths().values()) == 9


def test_every_key_is_within_the_descriptors_logical_maximum():
    assert max(usage.code for usage in USAGES.values() if usage.page == 0x07) <= 0x65
    assert max(usage.code for usage in USAGES.values() if usage.page == 0x0C) <= 0x29C


def test_the_names_of_keys_are_the_kernels():
    from evdev import ecodes

    for usage in USAGES.values():
        assert usage.key in ecodes.ecodes


# the device


def test_a_key_is_pressed_and_released(tmp_path):
    os.mkfifo(tmp_path / "hidg0")
    reader = os.open(tmp_path / "hidg0", os.O_RDWR | os.O_NONBLOCK)
    way = HidGadget(tmp_path / "hidg0", hold=0.01)
    delivery = asyncio.run(way.send(Command(Action.VOLUME_UP)))
    assert os.read(reader, 64) == bytes.fromhex("02e900 020000")
    os.close(reader)
    assert delivery.detail == "hid 02 e9 00"


def test_a_cancelled_key_is_released_all_the_same(tmp_path):
    os.mkfifo(tmp_path / "hidg0")
    reader = os.open(tmp_path / "hidg0", os.O_RDWR | os.O_NONBLOCK)

    async def cancelled():
        task = asyncio.ensure_future(HidGadget(tmp_path / "hidg0", hold=60).send(Command(Action.UP)))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(cancelled())
    assert os.read(reader, 64) == bytes.fromhex("010000520000000000 010000000000000000")
    os.close(reader)


def test_a_cable_that_is_out_is_said_so(tmp_path):
    # nobody has the other end open, as with a gadget whose host is gone
    os.mkfifo(tmp_path / "hidg0")
    way = HidGadget(tmp_path / "hidg0")
    with pytest.raises(WayError, match="the cable is out"):
        asyncio.run(way.send(Command(Action.UP)))
    health = asyncio.run(way.check())
    assert (health.works, "cable" in health.hint) == (False, True)


def test_a_box_without_a_gadget_is_told_how_to_make_one(tmp_path):
    health = asyncio.run(HidGadget(tmp_path / "hidg0").check())
    assert not health.works
    assert "gadget.sh" in health.hint


class FakeUinput:
    """Takes events as evdev's UInput does."""

    def __init__(self, keys):
        self.keys = keys
        self.events = []

    def write(self, kind, code, value):
        assert code in self.keys
        self.events.append((kind, code, value))

    def syn(self):
        self.events.append("syn")

    def close(self):
        self.events.append("closed")


def test_uinput_presses_and_releases_the_kernels_key():
    from evdev import ecodes

    made = []

    def make(keys):
        made.append(FakeUinput(keys))
        return made[-1]

    async def press():
        way = Uinput(hold=0.001, make_device=make)
        await way.send(Command(Action.HOME))
        await way.close()

    asyncio.run(press())
    home = (ecodes.EV_KEY, ecodes.KEY_HOMEPAGE)
    assert made[0].events == [(*home, 1), "syn", (*home, 0), "syn", "closed"]


def test_without_uinput_the_way_says_what_to_do():
    if os.path.exists("/dev/uinput"):
        pytest.skip("this machine has /dev/uinput")
    health = asyncio.run(Uinput().check())
    assert (health.works, "modprobe uinput" in health.hint) == (False, True)


# the script for the Raspberry Pi, on a folder that stands for configfs


def script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = Path(ways.__file__).parent / "gadget.sh"
    environment = os.environ | {"CONFIGFS": str(folder / "config"), "UDC_CLASS": str(folder / "udc")}
    return subprocess.run(["sh", str(path), *arguments], capture_output=True, text=True, env=environment)


def test_the_script_sets_up_the_descriptor_that_the_code_speaks(tmp_path):
    (tmp_path / "config" / "usb_gadget").mkdir(parents=True)
    (tmp_path / "udc" / "fe980000.usb").mkdir(parents=True)
    done = script(tmp_path, "up")
    assert done.returncode == 0, done.stderr
    gadget = tmp_path / "config" / "usb_gadget" / "ironwok"
    function = gadget / "functions" / "hid.usb0"
    assert (function / "report_desc").read_bytes() == REPORT_DESCRIPTOR
    assert (function / "report_length").read_text().strip() == str(REPORT_LENGTH)
    assert (gadget / "UDC").read_text().strip() == "fe980000.usb"
    assert (gadget / "configs" / "c.1" / "hid.usb0").resolve() == function
    assert script(tmp_path, "up").returncode == 0


def test_the_script_names_the_overlay_where_no_port_is_a_device(tmp_path):
    (tmp_path / "config" / "usb_gadget").mkdir(parents=True)
    (tmp_path / "udc").mkdir()
    done = script(tmp_path, "up")
    assert done.returncode == 1
    assert "dtoverlay=dwc2" in done.stderr


def test_the_script_says_how_it_is_used(tmp_path):
    assert re.search(r"up \| down", script(tmp_path).stderr)
