"""HTTP/1.1 to a handler: the server that both the orchestrator and the node runtime stand behind."""

import asyncio
import logging
import sys
from collections.abc import Callable

from orchestrator.listening import Listening
from orchestrator.room import Room
from orchestrator.servers.connection import Connection
from orchestrator.servers.limits import Limits
from orchestrator.servers.message import Request
from orchestrator.servers.reading import Handler

log = logging.getLogger(__name__)

_LINGER = 0.5  # seconds an idle connection stays open in a drain: a request may be on its way


class Server(Listening[Connection]):
    """Listens on one address and hands whole requests to `handler`.

    The handler gives a response, or a coroutine of one that is cancelled when its client leaves. It gets requests with
    long bodies before these are whole, if `streams` says of them that it can do with that. All that are whole have
    to fit into `room`.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits | None = None,
        streams: Callable[[Request], bool] = lambda _: False,
        room: Room | None = None,
    ) -> None:
        super().__init__(lambda loop: Connection(self, loop))
        self.handler = handler
        self.streams = streams
        self.limits = limits or Limits()
        self.room = room or Room(sys.maxsize)
        self.draining = False

    def start_draining(self) -> None:
        """From now on each answer asks its client to leave; new connections are still taken."""
        self.draining = True

    async def close(self, within: float) -> bool:
        """Take no more connections, let requests finish, and say whether all did so within `within` seconds."""
        self.start_draining()
        self.stop_listening()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await self.emptied(min(_LINGER, within))
        for connection in list(self.connections):
            connection.close_if_idle()
        clean = await self.emptied(max(0.0, deadline - loop.time()))
        if not clean:
            log.warning("%d connections still had a request after %.3g s; closing them", len(self.connections), within)
            for connection in list(self.connections):
                connection.abort()
        return clean
