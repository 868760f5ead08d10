"""A worker's side: it tells what it counted, and learns what all of them did."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

from orchestrator.errors import OrchestratorError
from orchestrator.telemetry.families import Shown
from orchestrator.workers.channel import VARIABLE, Ask, Channel, FromSupervisor, Started, Tell, Told, workers_end

_SECONDS = 3.0


class NoTotalError(OrchestratorError):
    """What all workers counted is not known now. A part of it would look as if the counters had begun anew."""

    status = 503
    reason = "NO_TOTAL"


def own_end(environment: Mapping[str, str]) -> socket.socket | None:
    """The socket to the supervisor, in a process that has one."""
    descriptor = environment.get(VARIABLE)
    return socket.socket(fileno=int(descriptor)) if descriptor else None


class Worker:
    """Talks to the supervisor.

    Args:
        channel: to it.
        own: what this worker counted.
        alone: is called when the supervisor is gone.
    """

    def __init__(
        self, channel: Channel[FromSupervisor], own: Callable[[], list[Shown]], alone: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._own = own
        self._alone = alone
        self._wanting: list[asyncio.Future[list[Shown]]] = []
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def over(cls, end: socket.socket, own: Callable[[], list[Shown]], alone: Callable[[], None]) -> "Worker":
        """Begin to talk."""
        return cls(await workers_end(end), own, alone)

    def started(self) -> None:
        """Say that this worker listens."""
        self._channel.say(Started())

    async def total(self) -> list[Shown]:
        """What all workers counted. Raises NoTotalError."""
        wanting: asyncio.Future[list[Shown]] = asyncio.get_running_loop().create_future()
        self._wanting.append(wanting)
        self._channel.say(Ask())
        try:
            async with asyncio.timeout(_SECONDS):
                return await wanting
        except TimeoutError as error:
            raise NoTotalError(f"the other workers did not tell what they counted within {_SECONDS:g} s") from error

    async def _listen(self) -> None:
        while (said := await self._channel.hear()) is not None:
            if isinstance(said, Tell):
                self._channel.say(Told(self._own()))
                continue
            wanting = self._wanting.pop(0)  # who asked first is answered first, though it may not wait any more
            if not wanting.done():
                wanting.set_result(said.shown)
        self._alone()

    async def close(self) -> None:
        """Talk no more."""
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        self._channel.close()
