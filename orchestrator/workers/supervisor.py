"""Starts workers, starts those again that die, hands signals on, and adds up what they counted."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from time import monotonic

from orchestrator.telemetry.families import Shown, added, lasting, single
from orchestrator.telemetry.process import ProcessMetrics
from orchestrator.workers.channel import VARIABLE, Ask, Channel, FromWorker, Started, Tell, Told, Total, supervisors_end
from orchestrator.workers.restarts import Restarts

log = logging.getLogger(__name__)

_TELLS_WITHIN = 1.0  # seconds for a worker to say what it counted; then its last word counts


class _Seat:
    """One worker's place: the process that has it now, and what it said."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.restarts = Restarts()
        self.process: asyncio.subprocess.Process | None = None
        self.channel: Channel[FromWorker] | None = None
        self.listens = False
        self.last: list[Shown] = []
        self.told = asyncio.Event()


class Supervisor:
    """Keeps `count` workers running until it is told to end.

    Args:
        count: of the workers.
        arguments: of the orchestrator's command line, which all of them have.
    """

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        self._seats = [_Seat(number) for number in range(count)]
        self._arguments = tuple(arguments)
        self._ended: list[Shown] = []  # what those counted that are gone
        self._adding = asyncio.Lock()
        self._ending = asyncio.Event()
        self._restarts = 0
        self._up = False  # every worker has listened once: from now on one that dies is started again

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; the exit status of the worst worker, or of one that cannot be started."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        statuses = await asyncio.gather(*[self._keep(seat) for seat in self._seats])
        return max(status if status in {0, 1, 2} else 1 for status in statuses)

    def _end(self) -> None:
        """Hand a signal on: the first lets requests finish, a second one means now."""
        if not self._ending.is_set():
            log.info("asked to end: %d workers are told", len(self._seats))
        self._ending.set()
        for seat in self._seats:
            if seat.process is not None and seat.process.returncode is None:
                seat.process.send_signal(signal.SIGTERM)

    async def _keep(self, seat: _Seat) -> int:
        while True:
            begun = monotonic()
            status = await self._lived(seat)
            if self._ending.is_set():
                return status
            if not self._up:
                log.error("worker %d did not start: it ended with status %d", seat.number, status)
                self._end()
                return status or 1
            wait = seat.restarts.after(monotonic() - begun)
            log.error("worker %d ended with status %d; another one starts in %.3g s", seat.number, status, wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait)
            if self._ending.is_set():
                return 1
            self._restarts += 1

    async def _lived(self, seat: _Seat) -> int:
        """One worker's life, and the status that it ended with."""
        ours, theirs = socket.socketpair()
        with theirs:
            seat.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "orchestrator",
                *self._arguments,
                env={**os.environ, VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                process_group=0,  # a terminal's signal is ours to hand on
            )
        if self._ending.is_set():
            seat.process.send_signal(signal.SIGTERM)
        seat.channel = await supervisors_end(ours)
        listening = asyncio.create_task(self._listen(seat, seat.channel))
        status = await seat.process.wait()
        await listening  # what it said last is still to be read
        seat.channel.close()
        if status == -signal.SIGTERM and not seat.listens:
            status = 0  # it was told to end before it had begun
        self._ended = added([self._ended, lasting(seat.last)])
        seat.channel, seat.listens, seat.last = None, False, []
        return status

    async def _listen(self, seat: _Seat, channel: Channel[FromWorker]) -> None:
        asked: set[asyncio.Task[None]] = set()
        while (said := await channel.hear()) is not None:
            if isinstance(said, Started):
                seat.listens = True
                self._up = self._up or all(one.listens for one in self._seats)
            elif isinstance(said, Told):
                seat.last = said.shown
                seat.told.set()
            else:
                assert isinstance(said, Ask)
                asked.add(task := asyncio.create_task(self._answer(channel)))
                task.add_done_callback(asked.discard)
        seat.told.set()
        for task in asked:
            task.cancel()

    async def _answer(self, channel: Channel[FromWorker]) -> None:
        async with self._adding:
            await asyncio.gather(*[self._hear_from(seat) for seat in self._seats])
            running = sum([seat.listens for seat in self._seats])
            own = [
                *ProcessMetrics().shown(),
                single("seldon_api_executor_workers", "Worker processes that listen", "gauge", running),
                single(
                    "seldon_api_executor_worker_restarts_total",
                    "Workers that were started in place of one that had died",
                    "counter",
                    self._restarts,
                ),
            ]
            channel.say(Total(added([*[seat.last for seat in self._seats], self._ended, own])))

    async def _hear_from(self, seat: _Seat) -> None:
        if seat.channel is None or not seat.listens:
            return
        seat.told.clear()
        seat.channel.say(Tell())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(seat.told.wait(), _TELLS_WITHIN)
