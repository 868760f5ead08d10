"""Listens for gRPC."""

import asyncio
import logging
import ssl

from orchestrator.http2.serving import Serving, Terms
from orchestrator.listening import Listening

log = logging.getLogger(__name__)

_LINGER = 0.5  # seconds for a client to hear that it should leave
_SWEEP = 1.0
_ABORTED = 1.0  # seconds for handlers that are cancelled


class Server(Listening[Serving]):
    """Listens on one address and serves what `terms` name."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(lambda loop: Serving(self, loop))
        self.terms = terms
        self._sweeping: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None, *, together: bool = False) -> int:
        """Listen, as `Listening` has it, and look from time to time for what takes too long."""
        found = await super().listen(host, port, tls, together=together)
        self._sweep(asyncio.get_running_loop())
        return found

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = loop.call_later(_SWEEP, self._sweep, loop)
        now = loop.time()
        for connection in list(self.connections):
            connection.sweep(now)

    async def close(self, within: float) -> bool:
        """Take no more calls, let those under way finish, and say whether all did so within `within` seconds."""
        self.stop_listening()
        if within > 0.0:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + within
            for connection in list(self.connections):
                connection.leave()
            await self.emptied(min(_LINGER, within))
            for connection in list(self.connections):
                connection.last_word()
            await self.emptied(max(0.0, deadline - loop.time()))
        under_way = {task for connection in self.connections for task in connection.tasks}
        if under_way and within > 0.0:
            log.warning("%d calls over gRPC were still under way after %.3g s; ending them", len(under_way), within)
        for connection in list(self.connections):
            connection.abort()
        if under_way:
            await asyncio.wait(under_way, timeout=_ABORTED)
        if self._sweeping is not None:
            self._sweeping.cancel()
        return not under_way
