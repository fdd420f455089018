"""What Home Assistant's MQTT discovery is told, so that the projector appears there by itself.

One message for the device, ``PREFIX/device/ID/config``, retained, with a component for every button, switch and sensor
(home-assistant.io, MQTT, device discovery). There is no media player over MQTT, so its parts stand for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from ironwok.home.actions import Action

_NAMES = {
    Action.VOLUME_UP: ("Volume up", "mdi:volume-plus"),
    Action.VOLUME_DOWN: ("Volume down", "mdi:volume-minus"),
    Action.MUTE: ("Mute", "mdi:volume-mute"),
    Action.PLAY_PAUSE: ("Play or pause", "mdi:play-pause"),
    Action.OK: ("OK", "mdi:checkbox-marked-circle-outline"),
    Action.BACK: ("Back", "mdi:arrow-left"),
    Action.HOME: ("Home", "mdi:home"),
    Action.MENU: ("Menu", "mdi:menu"),
    Action.UP: ("Up", "mdi:chevron-up"),
    Action.DOWN: ("Down", "mdi:chevron-down"),
    Action.LEFT: ("Left", "mdi:chevron-left"),
    Action.RIGHT: ("Right", "mdi:chevron-right"),
    Action.FOCUS: ("Autofocus", "mdi:image-filter-center-focus"),
    Action.CANCEL: ("Cancel", "mdi:cancel"),
}


def device_id(name: str, topic: str) -> str:
    """A name that topics may contain, the same at every start."""
    readable = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    # a Chinese name leaves nothing readable
    return readable or f"projector_{hashlib.sha256(f'{name} {topic}'.encode()).hexdigest()[:8]}"


def discovery_message(
    *,
    name: str,
    topic: str,
    prefix: str,
    actions: Iterable[Action],
    sources: tuple[str, ...],
    metered: bool,
    version: str,
) -> tuple[str, str]:
    """Topic and payload of the discovery message."""
    identity = f"ironwok_{device_id(name, topic)}"
    command, state = f"{topic}/set", f"{topic}/state"
    known = set(actions)
    components: dict[str, dict[str, Any]] = {
        "power": {
            "platform": "switch",
            "name": "Power",
            "command_topic": command,
            "payload_on": str(Action.POWER_ON),
            "payload_off": str(Action.POWER_OFF),
            "state_topic": state,
            # "None" makes it unknown again; any other word would leave what was shown before
            "value_template": "{{ value_json.power if value_json.power in ['ON', 'OFF'] else 'None' }}",
            "state_on": "ON",
            "state_off": "OFF",
            "icon": "mdi:projector",
        },
        "state": {
            "platform": "sensor",
            "name": "State",
            "state_topic": state,
            "value_template": "{{ value_json.state }}",
            "entity_category": "diagnostic",
        },
        "say": {
            "platform": "text",
            "name": "Say",
            "command_topic": f"{topic}/say",
            "max": 200,
            "icon": "mdi:message-text",
        },
        "answer": {
            "platform": "sensor",
            "name": "Last answer",
            "state_topic": f"{topic}/answer",
            "value_template": "{{ value_json.ending | default('not done') }}",
            "json_attributes_topic": f"{topic}/answer",
            "entity_category": "diagnostic",
        },
    }
    if metered:
        components["watts"] = {
            "platform": "sensor",
            "name": "Power draw",
            "device_class": "power",
            "state_class": "measurement",
            "unit_of_measurement": "W",
            "state_topic": state,
            "value_template": "{{ value_json.watts }}",
        }
    for action, (title, icon) in _NAMES.items():
        if action in known:
            button = {"platform": "button", "name": title, "command_topic": command, "payload_press": str(action)}
            components[str(action)] = button | {"icon": icon}
    if sources and Action.SOURCE in known:
        components["source"] = {
            "platform": "select",
            "name": "Source",
            "command_topic": command,
            "command_template": "source {{ value }}",
            "options": list(sources),
            "icon": "mdi:video-input-hdmi",
        }
    for key, component in components.items():
        component["unique_id"] = f"{identity}_{key}"
    message = {
        "device": {"identifiers": [identity], "name": name, "manufacturer": "Ironwok", "sw_version": version},
        "origin": {"name": "ironwok", "sw_version": version},
        "availability_topic": f"{topic}/availability",
        "components": components,
    }
    return f"{prefix}/device/{identity}/config", json.dumps(message, ensure_ascii=False)
