"""Records of the kernel to codes, codes to actions in the file."""

from __future__ import annotations

import asyncio
import os
import struct

import pytest

from ironwok.errors import ConfigError, InputError
from ironwok.home.config import load_home
from ironwok.home.inputs.codes import Code, EvdevDecoder, LircDecoder
from ironwok.home.inputs.remotes import RemoteReader, key_names, open_remote
from ironwok.home.learn import bind, heard_codes

NEC, RC5 = 9, 2


def lirc(scancode, *, at=0, flags=0, protocol=NEC):
    """struct lirc_scancode of linux/lirc.h, field by field; at: milliseconds."""
    return (
        at.__mul__(10**6).to_bytes(8, "little")
        + flags.to_bytes(2, "little")
        + protocol.to_bytes(2, "little")
        + (0).to_bytes(4, "little")
        + scancode.to_bytes(8, "little")
    )


def names(codes):
    return [(code.name, code.held) for code in codes]


def test_scancodes_have_the_name_of_their_protocol():
    data = lirc(0x40BF12) + lirc(0x1E3B, at=1000, protocol=RC5) + lirc(5, at=2000, protocol=200)
    assert [code.name for code in LircDecoder().feed(data)] == ["nec:0x40bf12", "rc5:0x1e3b", "proto200:0x5"]


def test_records_may_come_in_pieces():
    decoder = LircDecoder()
    data = lirc(1) + lirc(2, at=500)
    found = [code.name for byte in data for code in decoder.feed(bytes([byte]))]
    assert found == ["nec:0x1", "nec:0x2"]


def test_held_keys_by_flag_and_by_time():
    decoder = LircDecoder()
    data = lirc(1) + lirc(1, at=110, flags=2) + lirc(1, at=220) + lirc(1, at=2000) + lirc(2, at=2050)
    assert [code.held for code in decoder.feed(data)] == [False, True, True, False, False]


def test_the_toggle_bit_tells_a_quick_second_press():
    decoder = LircDecoder()
    data = lirc(1, protocol=RC5) + lirc(1, at=110, protocol=RC5) + lirc(1, at=200, flags=1, protocol=RC5)
    assert [code.held for code in decoder.feed(data)] == [False, True, False]


def test_events_are_those_of_the_kernels_structure():
    from evdev import ecodes

    size = struct.calcsize("@llHHi")
    events = [
        (ecodes.EV_MSC, ecodes.MSC_SCAN, 0x40BF12),
        (ecodes.EV_KEY, ecodes.KEY_VOLUMEUP, 1),
        (ecodes.EV_SYN, ecodes.SYN_REPORT, 0),
        (ecodes.EV_KEY, ecodes.KEY_VOLUMEUP, 2),
        (ecodes.EV_KEY, ecodes.KEY_VOLUMEUP, 0),
        (ecodes.EV_KEY, 0x2FE, 1),
    ]
    data = b"".join(struct.pack("@llHHi", 5, 6, *event) for event in events)
    assert len(data) == size * len(events)
    found = names(EvdevDecoder(key_names()).feed(data))
    assert found == [("key:KEY_VOLUMEUP", False), ("key:KEY_VOLUMEUP", True), ("key:766", False)]


def test_a_reader_comes_back_to_a_device_that_was_unplugged(tmp_path):
    async def main():
        heard = []
        reader = RemoteReader(tmp_path / "lirc0", "lirc", heard.append, retry=0.05)
        reader.start()
        await asyncio.sleep(0.1)
        assert "not there" in reader.trouble
        for number in range(2):
            os.mkfifo(tmp_path / "lirc0")
            await asyncio.sleep(0.2)
            with (tmp_path / "lirc0").open("wb", buffering=0) as device:
                device.write(lirc(number))
                await asyncio.sleep(0.1)
            (tmp_path / "lirc0").unlink()
        await reader.close()
        return heard

    assert asyncio.run(main()) == [Code("nec:0x0"), Code("nec:0x1")]


def test_a_plain_file_is_no_device(tmp_path):
    (tmp_path / "lirc0").write_bytes(lirc(1))
    with pytest.raises(OSError, match="no device"):
        open_remote(tmp_path / "lirc0", "lirc")


# learning

FILE = """# my room
name = "Den"  # the one upstairs

[ways.lan]
kind = "xgimi"

[projector]
host = "127.0.0.1"
sources = ["HDMI1"]

[remotes]
lirc = ["lirc0"]

[bindings]
# the red key
"nec:0x1" = "mute"
"""


def test_binding_keeps_every_comment_and_the_rights_of_the_file(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    bind(path, "nec:0x2", "volume_up 3")
    bind(path, "nec:0x1", "home")
    text = path.read_text()
    assert text.startswith('# my room\nname = "Den"  # the one upstairs\n')
    assert "# the red key" in text
    assert load_home(path).bindings == {"nec:0x1": "home", "nec:0x2": "volume_up 3"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["home.toml"]


def test_what_would_not_load_is_not_written(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text(FILE)
    with pytest.raises(InputError, match="'explode'"):
        bind(path, "nec:0x2", "explode")
    with pytest.raises(ConfigError, match="no source 'HDMI9'"):
        bind(path, "nec:0x2", "source HDMI9")
    assert path.read_text() == FILE


def test_learning_hears_presses_and_not_held_keys(tmp_path):
    (tmp_path / "home.toml").write_text(FILE)
    os.mkfifo(tmp_path / "lirc0")

    async def main():
        codes = heard_codes(load_home(tmp_path / "home.toml"))
        first = asyncio.ensure_future(anext(codes))
        await asyncio.sleep(0.2)
        with (tmp_path / "lirc0").open("wb", buffering=0) as device:
            device.write(lirc(7) + lirc(7, at=110, flags=2) + lirc(8, at=900))
            found = [await first, await anext(codes)]
        await codes.aclose()
        return found

    assert asyncio.run(asyncio.wait_for(main(), 20)) == [Code("nec:0x7"), Code("nec:0x8")]


def test_a_room_without_a_remote_has_nothing_to_learn_from(tmp_path):
    (tmp_path / "home.toml").write_text('[ways.lan]\nkind = "xgimi"\n')

    async def main():
        await anext(heard_codes(load_home(tmp_path / "home.toml")))

    with pytest.raises(ConfigError, match="no remote to learn from"):
        asyncio.run(main())
