"""Home: words, remotes and messages in; a projector that obeys out. It never cuts the mains of one that runs.

    home.toml -> Room (ways, plug, probe) -> Planner (scenes, mains, journal)
    sentence -> Understander -> Command -> Planner.submit -> Outcome: confirmed, sent or failed

Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# public name -> module that holds it
_EXPORTS = {
    "Action": "ironwok.home.actions",
    "Command": "ironwok.home.actions",
    "Delivery": "ironwok.home.ways.base",
    "Ending": "ironwok.home.actions",
    "Health": "ironwok.home.ways.base",
    "Home": "ironwok.home.daemon",
    "HomeConfig": "ironwok.home.config",
    "Outcome": "ironwok.home.actions",
    "Planner": "ironwok.home.planner",
    "PlannerSettings": "ironwok.home.planner",
    "Plug": "ironwok.home.ways.base",
    "Probe": "ironwok.home.ways.base",
    "Reading": "ironwok.home.ways.base",
    "StudentUnderstander": "ironwok.home.understanding",
    "Understood": "ironwok.home.understanding",
    "Way": "ironwok.home.ways.base",
    "WayContext": "ironwok.home.ways.registry",
    "load_home": "ironwok.home.config",
    "parse_command": "ironwok.home.actions",
    "running_home": "ironwok.home.daemon",
}

__all__ = sorted(_EXPORTS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ironwok.home' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
