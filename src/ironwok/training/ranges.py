"""Bounds of the numbers in a settings class, and what is said of one that lies outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ironwok.errors import InputError, IronwokError


def check_ranges(
    settings: object,
    *,
    least: Mapping[str, float] | None = None,
    above: Sequence[str] = (),
    not_below: Sequence[str] = (),
    shares: Sequence[str] = (),
    error: type[IronwokError] = InputError,
) -> None:
    """Raises ``error`` for the first attribute of ``settings`` that is not as it should be, with its value and bound.

    least: its least value. above: finite and above 0. not_below: finite and at least 0. shares: in [0, 1).
    """
    for name, bound in (least or {}).items():
        if not getattr(settings, name) >= bound:
            raise error(f"{name} is {getattr(settings, name)}: it is at least {bound}")
    for name in above:
        if not (math.isfinite(getattr(settings, name)) and getattr(settings, name) > 0):
            raise error(f"{name} is {getattr(settings, name)}: it is above 0 and finite")
    for name in not_below:
        if not (math.isfinite(getattr(settings, name)) and getattr(settings, name) >= 0):
            raise error(f"{name} is {getattr(settings, name)}: it is at least 0 and finite")
    for name in shares:
        if not 0 <= getattr(settings, name) < 1:
            raise error(f"{name} is {getattr(settings, name)}: it is at least 0 and below 1")
