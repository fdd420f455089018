"""Whether the projector's system is up: a TCP port that accepts connections (XGIMI: 554, its RTSP service)."""

from __future__ import annotations

import asyncio

from ironwok.home.ways.base import Health

# a positive answer holds for this long, so that ten presses in a row do not open ten connections; seconds
_HOLDS = 3.0


class TcpProbe:
    """Connects and hangs up. timeout: seconds without an answer that count as none."""

    name = "probe"

    def __init__(self, host: str, *, port: int = 554, timeout: float = 1.0) -> None:
        self.host = host
        self.port = port
        self.timeout = timeout
        self._answered_at: float | None = None

    async def answers(self) -> bool:
        try:
            async with asyncio.timeout(self.timeout):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            # TimeoutError and a name that does not resolve are OSErrors too
            self._answered_at = None
            return False
        writer.close()
        self._answered_at = asyncio.get_running_loop().time()
        return True

    async def answered_lately(self) -> bool:
        """For keys, where a moment's delay counts more than being seconds late to notice a shutdown."""
        last = self._answered_at
        if last is not None and asyncio.get_running_loop().time() - last < _HOLDS:
            return True
        return await self.answers()

    async def check(self) -> Health:
        if await self.answers():
            return Health(self.name, True, f"{self.host} accepts connections on port {self.port}")
        return Health(
            self.name,
            False,
            f"{self.host} does not accept connections on port {self.port}",
            "switch the projector on and check its address; firmware without this service: probe_port = 0",
        )
