"""Bounds on how often something is done: one press counts once, and a stuck sender gets nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwok.home.actions import REPEATABLE, Action, Command


@dataclass(slots=True)
class Limits:
    """Debounce and rate limit on a clock of seconds that is passed in.

    debounce: the same command again within this time is the same press; repeatable keys have their own, shorter time.
    per_second, burst: a bucket of ``burst`` presses that fills at ``per_second``; n steps are n presses.
    """

    debounce: float = 1.0
    repeat_debounce: float = 0.08
    per_second: float = 8.0
    burst: float = 24.0
    _last: dict[tuple[Action, str | None, int | None], float] = field(default_factory=dict)
    _bucket: float | None = None
    _filled_at: float = 0.0

    def refuse(self, command: Command, now: float) -> str | None:
        """Why a command is not taken at this time, None where it is."""
        if command.held and command.action not in REPEATABLE:
            return "the key is still held down; this action happens once a press"
        window = self.repeat_debounce if command.action in REPEATABLE else self.debounce
        key = (command.action, command.source, command.minutes)
        last = self._last.get(key)
        if last is not None and now - last < window:
            return f"the same as {now - last:.2f} s ago; it counts again after {window:g} s"
        bucket = self.burst if self._bucket is None else self._bucket
        bucket = min(self.burst, bucket + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        self._bucket = bucket
        if bucket < command.steps:
            return f"too many commands: {self.per_second:g} a second are taken, {self.burst:g} at once"
        self._bucket = bucket - command.steps
        self._last[key] = now
        return None
